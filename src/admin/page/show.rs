//! How times, spans, numbers and states are written.

use jiff::Timestamp;
use maud::{Markup, html};
use serde_json::Value as Json;

use super::address;
use crate::moment::value::Seconds;
use crate::outbox::RunState;

/// So many runs of a kind, which leads to them.
pub fn tally(query: &[(&str, &str)], number: u64, words: &str) -> Markup {
    html! { a.tally href=(address::with("/deliveries", query)) { strong { (count(number)) } " " (words) } }
}

/// A time of day, which the script writes in the viewer's zone.
pub fn time(time: Timestamp) -> Markup {
    html! { time datetime=(format!("{time:.3}")) data-show="time" { (time.strftime("%H:%M:%S").to_string()) } }
}

/// A time with its date.
pub fn date(time: Timestamp) -> Markup {
    html! { time datetime=(format!("{time:.3}")) data-show="date" { (time.strftime("%F %H:%M:%S UTC").to_string()) } }
}

/// How long ago it was, counted on by the script.
pub fn since(time: Timestamp) -> Markup {
    let elapsed = Seconds::between(time, Timestamp::now());
    html! { time datetime=(format!("{time:.3}")) data-show="since" { (span(elapsed.0)) } }
}

/// A span of time: `0:07`, `12:34`, `1:02:03`.
pub fn span(seconds: f64) -> String {
    // Truncated on purpose: 59.9 s are not a minute yet.
    let seconds = seconds.max(0.0) as u64;
    let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}

/// A number with its thousands apart.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (i, digit) in digits.char_indices() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// What is not known, or nothing.
pub fn none() -> Markup {
    html! { span.none aria-label="nothing" { "–" } }
}

/// A share in percent.
pub fn share(part: u64, whole: u64) -> Markup {
    if whole == 0 {
        return none();
    }
    html! { (format!("{:.0}", part as f64 * 100.0 / whole as f64)) " %" }
}

/// Where a run stands.
pub fn state(state: RunState) -> Markup {
    let class = match state {
        RunState::Delivered => "good",
        RunState::Failed | RunState::Expired => "bad",
        RunState::Waiting | RunState::Pending | RunState::Running | RunState::Cancelling => "open",
        RunState::Cancelled => "quiet",
    };
    html! { span.state.(class) { (state.as_str()) } }
}

/// JSON as people read it.
pub fn json(text: &str) -> String {
    serde_json::from_str::<Json>(text).map_or_else(|_| text.to_owned(), |json| format!("{json:#}"))
}

/// A word of the vocabulary, as people write it.
pub fn word<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_value(value)
        .ok()
        .and_then(|word| word.as_str().map(|word| word.replace('_', " ")))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_and_numbers_are_written_as_people_read_them() {
        assert_eq!([7.9, 754.0, 3_723.0, -1.0].map(span), ["0:07", "12:34", "1:02:03", "0:00"]);
        assert_eq!([0, 999, 1_000, 1_234_567].map(count), ["0", "999", "1\u{202f}000", "1\u{202f}234\u{202f}567"]);
    }
}
