//! What the lifecycle made of a story.

use hookswitch::lifecycle::Lifecycle;
use hookswitch::lifecycle::anomaly::Anomaly;
use hookswitch::moment::value::Outcome;
use hookswitch::moment::{EventName, Payload};
use serde::Serialize;

/// The hooks of a story, in their order.
pub(crate) struct Told {
    pub(crate) payloads: Vec<Payload>,
    pub(crate) lifecycle: Lifecycle,
}

impl Told {
    /// The hooks in words: `missed agent1 busy`.
    pub(crate) fn hooks(&self) -> Vec<String> {
        self.payloads.iter().map(words).collect()
    }

    /// The hooks of one queue, in words.
    pub(crate) fn hooks_of(&self, queue: &str) -> Vec<String> {
        self.payloads
            .iter()
            .filter(|payload| payload.queue_name.as_ref().is_some_and(|name| name.as_str() == queue))
            .map(words)
            .collect()
    }

    /// The hooks beyond the eight in words, without the numbers of queues and what agents do.
    pub(crate) fn beyond(&self) -> Vec<String> {
        let is_meant = |payload: &&Payload| {
            let event = payload.event;
            !event.is_of_the_eight() && !event.is_of_agent() && event != EventName::QueueCount
        };
        self.payloads.iter().filter(is_meant).map(words).collect()
    }

    /// The one hook of that event.
    pub(crate) fn only(&self, event: EventName) -> &Payload {
        match self.all(event)[..] {
            [only] => only,
            _ => panic!("not one {event} in {:?}", self.hooks()),
        }
    }

    /// The hooks of that event.
    pub(crate) fn all(&self, event: EventName) -> Vec<&Payload> {
        self.payloads.iter().filter(|payload| payload.event == event).collect()
    }

    /// The one `leaving`.
    pub(crate) fn leaving(&self) -> &Payload {
        self.only(EventName::Leaving)
    }

    /// How the offers ended, as the one `leaving` tells: `agent1 busy`.
    pub(crate) fn offers(&self) -> Vec<String> {
        let offers = self.leaving().offers.as_deref().expect("leaving tells of offers");
        offers.iter().map(|offer| format!("{} {}", offer.agent, word(&offer.outcome))).collect()
    }

    /// The outcomes of all offers.
    pub(crate) fn outcomes(&self) -> Vec<Outcome> {
        self.leaving().offers.iter().flatten().map(|offer| offer.outcome).collect()
    }

    /// How often an anomaly was met.
    pub(crate) fn anomalies(&self, anomaly: Anomaly) -> u64 {
        self.lifecycle.anomalies().of(anomaly)
    }
}

fn words(payload: &Payload) -> String {
    let mut words = vec![payload.event.as_str().to_owned()];
    if payload.event.is_of_offer() {
        words.extend(payload.agent_name.as_ref().map(ToString::to_string));
        words.extend(payload.missed_reason.as_ref().map(word));
    }
    words.extend(payload.offer_outcome.as_ref().map(word));
    words.extend(payload.hold_side.as_ref().map(word));
    words.extend(payload.waiting.as_ref().map(ToString::to_string));
    words.extend(payload.cc_result.as_ref().map(word));
    words.extend(payload.cc_cancel_reason.as_ref().map(word));
    words.join(" ")
}

fn word(value: &impl Serialize) -> String {
    let json = serde_json::to_value(value).expect("serializes");
    json.as_str().expect("a word").to_owned()
}
