//! What happened in a recording beyond the eight events, and how a replay is compared with it.

use std::collections::BTreeMap;

use hookswitch::freeswitch::Snapshot;
use hookswitch::freeswitch::snapshot::AgentRow;
use hookswitch::moment::value::Seconds;
use hookswitch::moment::{EventName, Payload};
use serde::Deserialize;

/// How far a time may be off: phones and FreeSWITCH have clocks of their own, FreeSWITCH's ticks in 20 ms, mod_callcenter
/// looks every 100 ms, and a re-INVITE takes it a quarter of a second.
const WITHIN_SEC: f64 = 0.3;

/// What happened in one recording.
#[derive(Debug, Deserialize)]
pub(crate) struct Beyond {
    pub(crate) recording: String,
    /// The wait that its queues promise.
    sla: Option<String>,
    /// The wrap-up times that FreeSWITCH told when it was asked.
    #[serde(default)]
    wrap_up: BTreeMap<String, String>,
    /// The events that are compared; all of them, if none is named.
    #[serde(default)]
    only: Vec<String>,
    told: Vec<(String, Option<f64>)>,
}

impl Beyond {
    /// The configuration under which it happened.
    pub(crate) fn configuration(&self) -> String {
        let sla = self.sla.iter().map(|sla| format!("sla = \"{sla}\"\n"));
        format!("[queues.\"*\"]\nprocessing = true\n{}", sla.collect::<String>())
    }

    /// What FreeSWITCH told of its agents before it began.
    pub(crate) fn snapshot(&self) -> Option<Snapshot> {
        let row = |(name, seconds): (&String, &String)| AgentRow {
            name: name.clone(),
            wrap_up_time: seconds.as_str().into(),
            ..AgentRow::default()
        };
        let agents: Vec<_> = self.wrap_up.iter().map(row).collect();
        (!agents.is_empty()).then(|| Snapshot { agents, ..Snapshot::default() })
    }

    /// Every difference, in words; none if the replay is right.
    pub(crate) fn compare(&self, moments: &[Payload]) -> Vec<String> {
        let is_meant = |event: &str| self.only.is_empty() || self.only.iter().any(|only| only == event);
        let moments = moments.iter().filter(|moment| !moment.event.is_of_the_eight());
        let told = moments.filter(|moment| is_meant(moment.event.as_str())).map(words);
        let (told, truth) = (by_kind(told), by_kind(self.told.iter().cloned()));
        let mut differences = Vec::new();
        for kind in told.keys().chain(truth.keys().filter(|kind| !told.contains_key(*kind))) {
            let [told, truth] = [&told, &truth].map(|kinds| kinds.get(kind).cloned().unwrap_or_default());
            let is_right = told.len() == truth.len() && told.iter().zip(&truth).all(|(told, truth)| alike(told, truth));
            if !is_right {
                differences.push(format!("{}: told {told:?}, in truth {truth:?}", self.recording));
            }
        }
        differences
    }
}

type Line = (String, Option<f64>);

/// The lines of each event, in their order; several offers can end at once, in any order.
fn by_kind(lines: impl Iterator<Item = Line>) -> BTreeMap<String, Vec<Line>> {
    let mut kinds: BTreeMap<String, Vec<Line>> = BTreeMap::new();
    for line in lines {
        kinds.entry(line.0.split(' ').next().unwrap_or_default().to_owned()).or_default().push(line);
    }
    if let Some(ends) = kinds.get_mut(EventName::OfferEnded.as_str()) {
        ends.sort_by(|left, right| left.0.cmp(&right.0));
    }
    kinds
}

fn alike(told: &Line, truth: &Line) -> bool {
    let seconds = match (told.1, truth.1) {
        (Some(told), Some(truth)) => (told - truth).abs() <= WITHIN_SEC,
        (told, truth) => told == truth,
    };
    told.0 == truth.0 && seconds
}

/// A moment, as truths write it.
fn words(moment: &Payload) -> Line {
    let event = moment.event;
    let agent = moment.agent_name.as_ref().map_or("", |agent| agent.as_str());
    let member = moment.member_number.as_deref().unwrap_or_default();
    let changed = |now: &Option<String>, before: &Option<String>| {
        format!(
            "{event} {agent} {} from {}",
            now.as_deref().unwrap_or("unknown"),
            before.as_deref().unwrap_or("unknown")
        )
    };
    let (words, seconds) = match event {
        EventName::OfferEnded => (format!("{event} {agent} {}", super::text(&moment.offer_outcome)), moment.ring_sec),
        EventName::Hold | EventName::Unhold => {
            (format!("{event} {agent} by {}", super::text(&moment.hold_side)), moment.lasted_sec)
        }
        EventName::Processed => (format!("{event} {agent}"), moment.lasted_sec),
        EventName::SlaMissed | EventName::Abandoned => (format!("{event} {member}"), moment.wait_sec),
        EventName::Transferred => {
            (format!("{event} {member} to {}", moment.transferred_to.as_deref().unwrap_or("unknown")), None)
        }
        EventName::QueueCount => {
            let queue = moment.queue_name.as_ref().map_or("", |queue| queue.as_str());
            (format!("{event} {queue} {}", moment.waiting.unwrap_or(u32::MAX)), moment.longest_wait_sec)
        }
        EventName::AgentStatus => (changed(&moment.agent_status, &moment.agent_previous_status), moment.lasted_sec),
        EventName::AgentState => (changed(&moment.agent_state, &moment.agent_previous_state), moment.lasted_sec),
        _ => (format!("{event} {member}"), None),
    };
    (words, seconds.map(|Seconds(seconds)| seconds))
}
