//! Events that came before the attempt they are about.

use std::collections::VecDeque;

use jiff::{SignedDuration, Timestamp};

use crate::esl::Event;

/// How long an event waits for its attempt: `agent-offering` can come before `member-queue-start`.
const EARLY_WAIT: SignedDuration = SignedDuration::from_secs(2);

/// The most events that wait. Each keeps the buffer it was read into alive.
const EARLY_LIMIT: usize = 1_000;

/// An event that waits.
#[derive(Debug)]
pub struct EarlyEvent {
    /// Until when.
    pub until: Timestamp,
    /// The member's channel.
    pub session: Box<str>,
    /// The event.
    pub event: Event,
}

/// The events that wait, in the order in which they came.
#[derive(Debug, Default)]
pub struct EarlyEvents(VecDeque<EarlyEvent>);

impl EarlyEvents {
    /// Keeps an event of an attempt that is not known yet; false if there is no room.
    pub fn keep(&mut self, now: Timestamp, session: &str, event: &Event) -> bool {
        let room = self.0.len() < EARLY_LIMIT;
        if room {
            self.0.push_back(EarlyEvent { until: now + EARLY_WAIT, session: session.into(), event: event.clone() });
        }
        room
    }

    /// When the first has waited long enough.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.0.front().map(|early| early.until)
    }

    /// Takes out the first.
    pub fn pop(&mut self) -> Option<EarlyEvent> {
        self.0.pop_front()
    }

    /// Takes out the events about a member's channel.
    pub fn take(&mut self, session: &str) -> Vec<Event> {
        let (taken, kept) = std::mem::take(&mut self.0).into_iter().partition(|early| *early.session == *session);
        self.0 = kept;
        let taken: VecDeque<EarlyEvent> = taken;
        taken.into_iter().map(|early| early.event).collect()
    }

    /// The first event about a member's channel of which that holds.
    pub fn find(&self, session: &str, holds: impl Fn(&Event) -> bool) -> Option<Event> {
        let about = self.0.iter().filter(|early| *early.session == *session).map(|early| &early.event);
        about.into_iter().find(|event| holds(event)).cloned()
    }

    /// Whether an event about a member's channel waits.
    pub fn has(&self, session: &str) -> bool {
        self.0.iter().any(|early| *early.session == *session)
    }

    /// Forgets them all.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}
