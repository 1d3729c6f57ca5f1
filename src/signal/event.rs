//! The same told by an event of FreeSWITCH's, from a dialplan, a script, or another program on the Event Socket: a `CUSTOM`
//! event of a subclass of ours.

use std::borrow::Cow;

use serde_json::Value;

use super::Telling;
use super::key::{SignalId, TellersKey};
use super::opening::Opening;
use super::step::{Signal, Step};
use crate::esl::Event;
use crate::freeswitch::fact::Malformed;
use crate::freeswitch::header as h;
use crate::id::QueueName;

/// The subclass.
pub const SUBCLASS: &str = "hookswitch::signal";

/// What an event tells of which attempt.
#[derive(Clone, Debug, PartialEq)]
pub struct ToldByEvent {
    /// The queue.
    pub queue: QueueName,
    /// The attempt; a channel that names none is one itself.
    pub key: TellersKey,
    /// What is told.
    pub telling: Telling,
}

impl ToldByEvent {
    /// Reads an event of the subclass.
    pub fn read(event: &Event) -> Result<Self, Malformed> {
        let text = |name| event.header(name).map(Cow::into_owned);
        let required = |name| event.header(name).ok_or(Malformed::Missing(name));
        let key = event.header(h::SIGNAL_KEY).or_else(|| event.header(h::UNIQUE_ID));
        let key = key.ok_or(Malformed::Missing(h::SIGNAL_KEY))?;
        let signal = required(h::SIGNAL_STEP)?;
        let telling = if signal == "joined" {
            Telling::Opening(Opening {
                member_name: text(h::SIGNAL_MEMBER_NAME),
                member_number: text(h::SIGNAL_MEMBER_NUMBER),
                member_id: event.header(h::SIGNAL_MEMBER_ID).and_then(|id| id.parse().ok()),
                destination: text(h::SIGNAL_DESTINATION),
                ..Opening::default()
            })
        } else {
            Telling::Signal(Signal { id: id(event)?, signal: step(event, &signal)?, at: None })
        };
        Ok(Self {
            queue: QueueName::new(required(h::SIGNAL_QUEUE)?),
            key: key.parse().map_err(|_| Malformed::Unreadable(h::SIGNAL_KEY))?,
            telling,
        })
    }
}

/// The signal's name; an event that has none is named by its number, which is its own.
fn id(event: &Event) -> Result<SignalId, Malformed> {
    if let Some(id) = event.header(h::SIGNAL_ID) {
        return id.parse().map_err(|_| Malformed::Unreadable(h::SIGNAL_ID));
    }
    let number = event.header(h::EVENT_SEQUENCE).ok_or(Malformed::Missing(h::EVENT_SEQUENCE))?;
    format!("event:{number}").parse().map_err(|_| Malformed::Unreadable(h::EVENT_SEQUENCE))
}

/// Reads the step as its JSON would be read.
fn step(event: &Event, name: &str) -> Result<Step, Malformed> {
    let headers = [("agent", h::SIGNAL_AGENT), ("reason", h::SIGNAL_REASON), ("ended_by", h::SIGNAL_ENDED_BY)];
    let told = headers.into_iter().filter_map(|(key, header)| Some((key.to_owned(), event.header(header)?.into())));
    let step = Value::from_iter([(name.to_owned(), Value::Object(told.collect()))]);
    serde_json::from_value(step).map_err(|_| Malformed::Unreadable(h::SIGNAL_STEP))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(headers: &[(&str, &str)]) -> Result<ToldByEvent, Malformed> {
        let text: String = headers.iter().map(|(name, value)| format!("{name}: {value}\n")).collect();
        ToldByEvent::read(&Event::from_plain(text.into_bytes().into()))
    }

    #[test]
    fn an_event_of_a_channel_needs_to_say_little() {
        let told = read(&[
            ("Hookswitch-Queue", "desk"),
            ("Hookswitch-Signal", "joined"),
            ("Unique-ID", "c1"),
            ("Caller-Caller-ID-Number", "1001"),
        ]);
        let told = told.expect("reads");
        assert_eq!((told.queue.as_str(), told.key.as_str()), ("desk", "c1"));
        assert_eq!(told.telling, Telling::Opening(Opening::default()), "the lifecycle reads the channel's data");
    }

    #[test]
    fn an_event_that_says_too_little_or_too_much_is_malformed() {
        let common = [("Hookswitch-Queue", "desk"), ("Hookswitch-Key", "k"), ("Event-Sequence", "7")];
        let with = |more: &[(&'static str, &'static str)]| read(&[&common, more].concat());
        let told = with(&[("Hookswitch-Signal", "offering"), ("Hookswitch-Agent", "anna")]).expect("reads");
        let Telling::Signal(signal) = told.telling else { panic!("a signal") };
        assert_eq!((signal.id.as_str(), signal.signal), ("event:7", Step::Offering { agent: "anna".into() }));
        assert_eq!(with(&[]), Err(Malformed::Missing("Hookswitch-Signal")));
        assert_eq!(with(&[("Hookswitch-Signal", "offering")]), Err(Malformed::Unreadable("Hookswitch-Signal")));
        assert_eq!(with(&[("Hookswitch-Signal", "sleeping")]), Err(Malformed::Unreadable("Hookswitch-Signal")));
    }
}
