//! A call, its stay in a queue, and the offers of that stay.

use jiff::Timestamp;

use crate::moment::value::{MissedReason, Side};
use crate::simulator::channel::Leg;
use crate::simulator::truth::Truth;

/// A call's number.
pub(super) type CallId = u64;

/// One stay of one call: what the steps of the agenda refer to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct StayRef {
    pub(super) call: CallId,
    pub(super) number: u64,
}

/// A member's call.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) id: CallId,
    /// The member's leg.
    pub(super) leg: Leg,
    /// The variables that the dialplan or the dialer gives it.
    pub(super) variables: Vec<(String, String)>,
    /// The queue that it goes to once it is answered.
    pub(super) bound_for: usize,
    /// The stay in a queue, while there is one.
    pub(super) stay: Option<Stay>,
}

/// One stay in one queue.
#[derive(Debug)]
pub(super) struct Stay {
    pub(super) at: StayRef,
    pub(super) queue: usize,
    pub(super) member_uuid: String,
    pub(super) joined: Timestamp,
    pub(super) phase: Phase,
    pub(super) offers: Vec<Offer>,
    pub(super) truth: Truth,
}

/// How far a stay has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// The member waits; phones may ring.
    Waiting,
    /// The agent of that offer answered and is not yet connected.
    Connecting(usize),
    /// They talk, since then.
    Talking(usize, Timestamp),
}

/// One offer to one agent.
#[derive(Debug)]
pub(super) struct Offer {
    pub(super) agent: usize,
    pub(super) leg: Leg,
    pub(super) called: Timestamp,
    pub(super) state: OfferState,
}

/// How far an offer has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OfferState {
    /// The phone rings.
    Ringing,
    /// The agent answered.
    Answered(Timestamp),
    /// The member left while the phone rang; mod_callcenter is about to say so.
    Cancelled(MissedReason),
    /// Nothing more will come of it.
    Closed,
}

/// How a conversation ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// One side hangs up.
    HangUp(Side),
    /// The agent transfers the member to the queue of that index.
    Transfer(usize),
}

impl Stay {
    /// The offers whose phones ring, by index.
    pub(super) fn ringing(&self) -> Vec<usize> {
        let is_ringing = |index: &usize| self.offers[*index].state == OfferState::Ringing;
        (0..self.offers.len()).filter(is_ringing).collect()
    }

    /// The offer that was answered, with its times of calling and answering.
    pub(super) fn answered_offer(&self) -> Option<(usize, Timestamp)> {
        match self.phase {
            Phase::Waiting => None,
            Phase::Connecting(index) | Phase::Talking(index, _) => match self.offers[index].state {
                OfferState::Answered(at) => Some((index, at)),
                OfferState::Ringing | OfferState::Cancelled(_) | OfferState::Closed => None,
            },
        }
    }
}
