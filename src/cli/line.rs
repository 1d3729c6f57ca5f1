//! A moment as one line for people, with nothing raw from outside in it.

use anstyle::{AnsiColor, Style};

use super::printable::column;
use crate::id::QueueName;
use crate::moment::value::{CancelReason, CcResult, MissedReason, Seconds, Side, Time};
use crate::moment::{EventName, Payload};

/// The columns' widths.
const QUEUE: usize = 16;
const EVENT: usize = 10;
const CALLER: usize = 26;
const AGENT: usize = 12;

const DIM: Style = Style::new().dimmed();

const fn colour(colour: AnsiColor) -> Style {
    colour.on_default()
}

/// The moment: time, queue, event, caller, agent, and what happened in words.
pub(super) fn moment_line(moment: &Payload) -> String {
    let style = event_style(moment);
    let caller = [&moment.member_number, &moment.member_name].map(|text| text.as_deref().unwrap_or_default());
    let agent = moment.agent_name.as_ref().map_or("", |agent| agent.as_str().split('@').next().unwrap_or_default());
    let queue = moment.queue_name.as_ref().map_or("", QueueName::as_str);
    format!(
        "{DIM}{}{DIM:#} {} {style}{:EVENT$}{style:#} {} {} {}",
        moment.timestamp.0.strftime("%H:%M:%S"),
        column(queue, QUEUE),
        moment.event,
        column(&caller.join(" "), CALLER),
        column(agent, AGENT),
        words(moment),
    )
}

fn event_style(moment: &Payload) -> Style {
    match (moment.event, moment.cc_result) {
        (EventName::Joined, _) => colour(AnsiColor::Cyan),
        (EventName::Offering, _) => colour(AnsiColor::Yellow),
        (EventName::Answered | EventName::Active, _) => colour(AnsiColor::Green),
        (EventName::Bridged, _) => colour(AnsiColor::Green).bold(),
        (EventName::Missed, _) => colour(AnsiColor::Red),
        (EventName::Processing, _) => colour(AnsiColor::Magenta),
        (EventName::Leaving, Some(CcResult::Success)) => colour(AnsiColor::Blue),
        (EventName::Leaving, _) => colour(AnsiColor::Red).bold(),
        // Beyond the eight.
        _ => DIM,
    }
}

/// What happened, for a person.
fn words(moment: &Payload) -> String {
    let waited = span(moment.wait_sec.unwrap_or_default().0);
    let lasted = || moment.lasted_sec.map_or_else(String::new, |lasted| format!(" after {}", span(lasted.0)));
    match moment.event {
        EventName::Joined => match &moment.destination {
            Some(number) => format!("called {}", column(number, 0)),
            None => String::new(),
        },
        EventName::Offering => "phone rings".into(),
        EventName::Answered | EventName::Active => match between(moment.offered_at, moment.answered_at) {
            Some(rang) => format!("answered after {rang}"),
            None => "answered".into(),
        },
        EventName::Bridged => format!("waited {waited}"),
        EventName::Missed => missed_words(moment),
        EventName::Processing => format!("wraps up after {}", talk(moment)),
        EventName::Leaving => leaving_words(moment, &waited),
        EventName::Resumed => "has the former place again".into(),
        EventName::SlaMissed => format!("has waited for {waited}"),
        EventName::OfferEnded => format!("offer ended: {}", word(&moment.offer_outcome)),
        EventName::Hold => format!("held by {}", word(&moment.hold_side)),
        EventName::Unhold => format!("talk goes on{}", lasted()),
        EventName::Transferred => format!("to {}", column(moment.transferred_to.as_deref().unwrap_or("elsewhere"), 0)),
        EventName::Abandoned => format!("gave up after {waited}"),
        EventName::Processed => format!("has wrapped up{}", lasted()),
        EventName::QueueCount => match moment.longest_wait_sec {
            Some(longest) => format!("{} waiting, {} at most", moment.waiting.unwrap_or(0), span(longest.0)),
            None => "nobody waits".into(),
        },
        EventName::Reconciled => format!(
            "{} compared, {} over, {} new",
            moment.attempts_compared.unwrap_or(0),
            moment.attempts_closed.unwrap_or(0),
            moment.attempts_opened.unwrap_or(0),
        ),
        EventName::AgentStatus => change_words(&moment.agent_status, &moment.agent_previous_status, &lasted()),
        EventName::AgentState => change_words(&moment.agent_state, &moment.agent_previous_state, &lasted()),
    }
}

fn change_words(now: &Option<String>, before: &Option<String>, lasted: &str) -> String {
    let [now, before] = [now, before].map(|text| column(text.as_deref().unwrap_or("unknown"), 0));
    format!("{now}, was {before}{lasted}")
}

/// A word of a payload's vocabularies, as a person writes it.
fn word(value: &impl serde::Serialize) -> String {
    let json = serde_json::to_value(value).unwrap_or_default();
    json.as_str().unwrap_or("unknown").replace('_', " ")
}

fn missed_words(moment: &Payload) -> String {
    let rang = moment.ring_sec.map_or_else(|| "a while".into(), |rang| span(rang.0));
    match moment.missed_reason {
        Some(MissedReason::NoAnswer) => format!("no answer after {rang}"),
        Some(MissedReason::Busy) => "busy".into(),
        Some(MissedReason::Rejected) => format!("declined after {rang}"),
        Some(MissedReason::Unavailable) => "cannot be reached".into(),
        Some(MissedReason::Abandoned) => format!("caller gave up after {rang} of ringing"),
        Some(MissedReason::Withdrawn) => format!("taken back after {rang}"),
        Some(MissedReason::Failed) | None => "failed".into(),
    }
}

fn leaving_words(moment: &Payload, waited: &str) -> String {
    match (moment.cc_result, moment.cc_cancel_reason) {
        (Some(CcResult::Success), _) => match (&moment.transferred_to, moment.hangup_side.or(moment.talk_ended_by)) {
            (Some(target), _) => format!("talked {}, transferred to {}", talk(moment), column(target, 0)),
            (None, Some(Side::Member)) => format!("talked {}, member hung up", talk(moment)),
            (None, Some(Side::Agent)) => format!("talked {}, agent hung up", talk(moment)),
            (None, Some(Side::System) | None) => format!("talked {}", talk(moment)),
        },
        (Some(CcResult::Abandoned), _) => format!("gave up after {waited}"),
        (_, Some(CancelReason::Timeout | CancelReason::NoAgentTimeout)) => format!("nobody was free for {waited}"),
        (_, Some(CancelReason::ExitWithKey)) => {
            format!("pressed {} after {waited}", column(moment.exit_key.as_deref().unwrap_or("a key"), 0))
        }
        (_, Some(CancelReason::BreakOut)) => format!("transferred after {waited}"),
        (_, Some(CancelReason::Lost)) => format!("lost after {waited}"),
        (_, Some(CancelReason::Killed | CancelReason::Hangup) | None) => format!("ended after {waited}"),
    }
}

fn talk(moment: &Payload) -> String {
    span(moment.call_voice_sec.map_or(0.0, |talked| talked.0))
}

fn between(start: Option<Time>, end: Option<Time>) -> Option<String> {
    Some(span(Seconds::between(start?.0, end?.0).0))
}

/// A span for a person: `4.2 s`, `3 min 4 s`.
pub(super) fn span(seconds: f64) -> String {
    if seconds < 60.0 {
        return format!("{seconds:.1} s");
    }
    let whole = seconds.round() as u64;
    format!("{} min {} s", whole / 60, whole % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_from_outside_reaches_the_terminal_raw() {
        let mut moment = Payload::sample(EventName::Leaving);
        moment.member_name = Some("\u{1b}]0;x\u{7}".into());
        moment.transferred_to = Some("\r\n\u{1b}[2J".into());
        moment.queue_name = Some("a\u{9b}b".into());
        let plain = anstream::adapter::strip_str(&moment_line(&moment)).to_string();
        assert!(!plain.chars().any(char::is_control), "{plain:?}");
    }

    #[test]
    fn every_event_has_words() {
        for event in EventName::ALL {
            assert!(!words(&Payload::sample(event)).is_empty(), "{event}");
        }
        assert_eq!(words(&Payload::sample(EventName::Missed)), "no answer after 6.2 s");
        assert_eq!(words(&Payload::sample(EventName::Leaving)), "talked 4.4 s, member hung up");
        assert_eq!(span(184.2), "3 min 4 s");
    }
}
