//! A moment as one line.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::Path;

use anstyle::{AnsiColor, Style};

use super::receiver::Arrival;
use super::tally::Tally;
use crate::moment::value::{CancelReason, CcResult, MissedReason, Seconds, Side, Time};
use crate::moment::{EventName, Payload};

/// The columns' widths.
const QUEUE: usize = 16;
const EVENT: usize = 10;
const CALLER: usize = 26;
const AGENT: usize = 12;

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();

const fn colour(colour: AnsiColor) -> Style {
    colour.on_default()
}

/// Writes lines.
#[derive(Debug)]
pub(super) struct LineWriter<W> {
    out: W,
}

impl<W: Write> LineWriter<W> {
    pub(super) fn new(out: W) -> Self {
        Self { out }
    }

    /// Says what is what.
    pub(super) fn greet(
        &mut self,
        freeswitch: SocketAddr,
        password: &str,
        receiver: SocketAddr,
        config: &Path,
    ) -> io::Result<()> {
        let port = freeswitch.port();
        let out = &mut self.out;
        writeln!(out, "{BOLD}hookswitch demo{BOLD:#}: a plausible day in a call center, faster than real time.")?;
        writeln!(out, "  simulated FreeSWITCH  {freeswitch}   (look in: fs_cli -H 127.0.0.1 -P {port} -p {password})")?;
        writeln!(out, "  receiver of webhooks  http://{receiver}")?;
        writeln!(out, "  configuration         {}", config.display())?;
        writeln!(out, "Each line is one webhook with a good signature. Ctrl-C ends.")?;
        writeln!(out)
    }

    /// One arrival.
    pub(super) fn show(&mut self, arrival: &Arrival) -> io::Result<()> {
        match arrival {
            Arrival::Moment(_, moment) => writeln!(self.out, "{}", moment_line(moment)),
            Arrival::Forged(error) => writeln!(self.out, "a webhook that cannot be trusted: {error}"),
            Arrival::Garbled(error) => writeln!(self.out, "a webhook that cannot be read: {error}"),
        }
    }

    /// What it all added up to.
    pub(super) fn summarize(&mut self, tally: &Tally) -> io::Result<()> {
        let out = &mut self.out;
        writeln!(out)?;
        writeln!(
            out,
            "{BOLD}{}{BOLD:#}: {} answered, {} abandoned, {} cancelled",
            counted(tally.calls(), "call"),
            tally.answered,
            tally.abandoned,
            tally.cancelled
        )?;
        let (average, longest) = (span(tally.average_wait_sec()), span(tally.longest_sec));
        writeln!(out, "waiting: {average} on average, {longest} at the longest")?;
        let missed: Vec<_> = tally.missed.iter().map(|(agent, n)| format!("{} {n}", column(agent, 0))).collect();
        if !missed.is_empty() {
            writeln!(out, "missed: {}", missed.join(", "))?;
        }
        let (repeats, failures) = (counted(tally.repeats, "repeat"), counted(tally.forged, "signature failure"));
        writeln!(out, "webhooks: {} delivered, {repeats}, {failures}", tally.delivered)?;
        if tally.garbled > 0 {
            writeln!(out, "not understood: {}", tally.garbled)?;
        }
        Ok(())
    }
}

fn counted(n: u32, noun: &str) -> String {
    format!("{n} {noun}{}", if n == 1 { "" } else { "s" })
}

fn moment_line(moment: &Payload) -> String {
    let style = event_style(moment);
    let caller = [&moment.member_number, &moment.member_name].map(|text| text.as_deref().unwrap_or_default());
    let agent = moment.agent_name.as_ref().map_or("", |agent| agent.as_str().split('@').next().unwrap_or_default());
    let queue = moment.queue_name.as_str();
    format!(
        "{DIM}{}{DIM:#} {} {style}{}{style:#} {} {} {}",
        moment.timestamp.0.strftime("%H:%M:%S"),
        column(queue, QUEUE),
        column(moment.event.as_str(), EVENT),
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
    }
}

/// What happened, for a person.
fn words(moment: &Payload) -> String {
    let waited = span(moment.wait_sec.0);
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
    }
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
fn span(seconds: f64) -> String {
    if seconds < 60.0 {
        return format!("{seconds:.1} s");
    }
    let whole = seconds.round() as u64;
    format!("{} min {} s", whole / 60, whole % 60)
}

/// A text in so many columns, cut or padded; 0 takes it whole. Whatever could move the cursor, hide or turn text is spelled
/// out: names and numbers come from outside.
fn column(text: &str, width: usize) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut used = 0;
    for piece in text.chars().map(spelled) {
        let wide: usize = piece.chars().map(columns_of).sum();
        if width > 0 && used + wide > width {
            // The last column says that there was more.
            while used + 1 > width {
                used -= shown.pop().map_or(0, columns_of);
            }
            shown.push('…');
            used += 1;
            break;
        }
        shown += &piece;
        used += wide;
    }
    shown.extend(std::iter::repeat_n(' ', width.saturating_sub(used)));
    shown
}

fn spelled(c: char) -> String {
    let is_format =
        matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    if c.is_control() || is_format { c.escape_default().to_string() } else { c.to_string() }
}

/// How many columns a terminal gives a character: two for those of East Asian scripts and for pictures.
fn columns_of(c: char) -> usize {
    match c {
        '\u{1100}'..='\u{115f}'
        | '\u{2e80}'..='\u{a4cf}'
        | '\u{ac00}'..='\u{d7a3}'
        | '\u{f900}'..='\u{faff}'
        | '\u{fe30}'..='\u{fe6f}'
        | '\u{ff00}'..='\u{ff60}'
        | '\u{ffe0}'..='\u{ffe6}'
        | '\u{1f300}'..='\u{1faff}' => 2,
        '\u{300}'..='\u{36f}' => 0,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_is_as_wide_as_it_should_be() {
        assert_eq!(column("Zoë", 5), "Zoë  ");
        assert_eq!(column("Zoë Müller", 5), "Zoë …");
        assert_eq!(column("山田太郎", 6), "山田… ");
        assert_eq!(column("whole", 0), "whole");
    }

    #[test]
    fn nothing_from_outside_reaches_the_terminal_raw() {
        assert_eq!(column("a\u{1b}[31mb\n\u{202e}c", 0), "a\\u{1b}[31mb\\n\\u{202e}c");
        let mut moment = Payload::sample(EventName::Leaving);
        moment.member_name = Some("\u{1b}]0;x\u{7}".into());
        moment.transferred_to = Some("\r\n\u{1b}[2J".into());
        moment.queue_name = "a\u{9b}b".into();
        let plain = anstream::adapter::strip_str(&moment_line(&moment)).to_string();
        assert!(!plain.chars().any(char::is_control), "{plain:?}");
    }

    #[test]
    fn every_event_has_words() {
        for event in EventName::ALL {
            assert!(!words(&Payload::sample(event)).is_empty(), "{event}");
        }
        assert_eq!(words(&Payload::sample(EventName::Missed)), "no answer after 15.0 s");
        assert_eq!(words(&Payload::sample(EventName::Leaving)), "talked 4.4 s, member hung up");
        assert_eq!(span(184.2), "3 min 4 s");
    }
}
