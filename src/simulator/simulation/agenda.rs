//! What will happen, in its order.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::call::{CallId, Ending, Stay, StayRef};
use super::offering::Intent;
use crate::simulator::channel::Leg;

/// Something that will happen. Steps of a stay that is over are passed by.
#[derive(Debug)]
pub(super) enum Step {
    /// A call comes into the queue of that index, or the dialer makes one.
    Arrive(usize),
    /// `HEARTBEAT`.
    Heartbeat,
    /// The queue's members are offered to agents.
    Distribute(usize),
    /// The dialplan answers the caller, or the dialled party picks up.
    Answer(CallId),
    /// The dialled party does not pick up.
    DialFails(CallId),
    /// The dialplan hangs the call up.
    HangUp(CallId),
    /// The member has had enough of waiting.
    GiveUp(StayRef),
    /// The member presses the exit key.
    PressExit(StayRef),
    /// The queue's longest waiting time has passed.
    TimeOut(StayRef),
    /// The agent, or their phone, does something about the offer of that index.
    Decide(StayRef, usize, Intent),
    /// Agent and member are connected.
    Bridge(StayRef),
    /// The agent puts the member on hold.
    Hold(StayRef),
    /// The agent takes the member back.
    Unhold(StayRef),
    /// The conversation is over.
    TalkEnds(StayRef, Ending),
    /// What mod_callcenter says some milliseconds after the member has left.
    Settle(Box<Settling>),
    /// The agent of that index comes back from a break.
    BreakEnds(usize),
}

/// A stay whose member has left, with the leg as it was reported.
#[derive(Debug)]
pub(super) struct Settling {
    pub(super) member: Leg,
    pub(super) stay: Stay,
}

/// Steps by their time; those of one time in the order in which they were entered.
#[derive(Debug, Default)]
pub(super) struct Agenda {
    steps: BTreeMap<(Timestamp, u64), Step>,
    entered: u64,
}

impl Agenda {
    pub(super) fn enter(&mut self, at: Timestamp, step: Step) {
        self.entered += 1;
        self.steps.insert((at, self.entered), step);
    }

    pub(super) fn next_time(&self) -> Option<Timestamp> {
        self.steps.first_key_value().map(|((at, _), _)| *at)
    }

    /// The first step that is due at `now`, and when it was.
    pub(super) fn take_due(&mut self, now: Timestamp) -> Option<(Timestamp, Step)> {
        let entry = self.steps.first_entry().filter(|entry| entry.key().0 <= now)?;
        let ((at, _), step) = entry.remove_entry();
        Some((at, step))
    }
}
