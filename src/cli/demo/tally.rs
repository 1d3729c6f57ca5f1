//! What all moments add up to.

use std::collections::{BTreeMap, HashSet};

use super::receiver::Arrival;
use crate::moment::value::{CcResult, MissedReason};
use crate::moment::{EventName, Payload};

/// What has arrived so far.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Members who left, by how.
    pub(super) answered: u32,
    pub(super) abandoned: u32,
    pub(super) cancelled: u32,
    /// The waiting of all of them, and the longest.
    pub(super) waited_sec: f64,
    pub(super) longest_sec: f64,
    /// Offers that each agent missed.
    pub(super) missed: BTreeMap<String, u32>,
    /// Webhooks with a good signature.
    pub(super) delivered: u32,
    /// Those of them that came again.
    pub(super) repeats: u32,
    pub(super) forged: u32,
    pub(super) garbled: u32,
    seen: HashSet<String>,
}

impl Tally {
    /// Counts an arrival. Whether it is to be shown: a repeat is not.
    pub(super) fn count(&mut self, arrival: &Arrival) -> bool {
        match arrival {
            Arrival::Forged(_) => self.forged += 1,
            Arrival::Garbled(_) => self.garbled += 1,
            Arrival::Moment(id, moment) => {
                self.delivered += 1;
                if !self.seen.insert(id.clone()) {
                    self.repeats += 1;
                    return false;
                }
                self.count_moment(moment);
            }
        }
        true
    }

    fn count_moment(&mut self, moment: &Payload) {
        match moment.event {
            EventName::Leaving => {
                match moment.cc_result {
                    Some(CcResult::Success) => self.answered += 1,
                    Some(CcResult::Abandoned) => self.abandoned += 1,
                    Some(CcResult::Cancel) | None => self.cancelled += 1,
                }
                let waited = moment.wait_sec.unwrap_or_default().0;
                self.waited_sec += waited;
                self.longest_sec = self.longest_sec.max(waited);
            }
            EventName::Missed if moment.missed_reason != Some(MissedReason::Abandoned) => {
                let agent = moment.agent_name.as_ref().map(ToString::to_string).unwrap_or_default();
                *self.missed.entry(agent).or_default() += 1;
            }
            // Those beyond the eight are not subscribed to.
            _ => {}
        }
    }

    /// How many members have left.
    pub(super) fn calls(&self) -> u32 {
        self.answered + self.abandoned + self.cancelled
    }

    /// How long they waited on average.
    pub(super) fn average_wait_sec(&self) -> f64 {
        self.waited_sec / f64::from(self.calls().max(1))
    }

    /// Whether webhooks arrived, and every one could be trusted and read.
    pub(super) fn is_well(&self) -> bool {
        self.delivered > 0 && self.forged == 0 && self.garbled == 0
    }
}
