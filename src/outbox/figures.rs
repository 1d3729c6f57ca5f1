//! What the outbox counts, from the daemon's start on.

use std::sync::atomic::{AtomicU64, Ordering};

use super::run::RunState;
use crate::moment::EventName;
use crate::telemetry::Histogram;

/// The figures. All of it is counted once it is durable.
#[derive(Debug, Default)]
pub struct Figures {
    /// How long transactions took, their flush included; those that failed count as well.
    pub commits: Histogram,
    /// The moments, by their event's place in [`EventName::ALL`].
    moments: [AtomicU64; EventName::ALL.len()],
    /// The length of the write-ahead log, in bytes.
    pub log_bytes: AtomicU64,
    /// The attempts that left because they were found gone.
    pub lost: AtomicU64,
    /// The runs that were delivered.
    pub delivered: AtomicU64,
    /// The runs that have failed for good.
    pub failed: AtomicU64,
    /// The runs that were of no use any more.
    pub expired: AtomicU64,
    /// The runs that were cancelled while they were being done.
    pub cancelled: AtomicU64,
}

impl Figures {
    /// How many moments of that event were committed.
    pub fn moments(&self, event: EventName) -> u64 {
        self.moments[event as usize].load(Ordering::Relaxed)
    }

    pub(super) fn note_moment(&self, event: EventName, is_loss: bool) {
        add_one(&self.moments[event as usize]);
        if is_loss {
            add_one(&self.lost);
        }
    }

    pub(super) fn note_state(&self, state: RunState) {
        match state {
            RunState::Delivered => add_one(&self.delivered),
            RunState::Failed => add_one(&self.failed),
            RunState::Expired => add_one(&self.expired),
            RunState::Cancelled => add_one(&self.cancelled),
            RunState::Waiting | RunState::Pending | RunState::Running | RunState::Cancelling => {}
        }
    }
}

fn add_one(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
