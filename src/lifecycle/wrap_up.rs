//! The agent's post-processing, of whose end no event tells: it is over with the wrap-up time, or earlier with the agent's
//! next status, state or offer.
//!
//! It is followed only where a hook hears its end. It belongs to the agent and often outlives the member's stay, so an
//! attempt that has left is kept, in memory and in the outbox, until its wrap-up is over. Each agent has one at most.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::attempt::Attempt;
use super::world::Occasion;
use crate::freeswitch::snapshot::AgentRow;
use crate::moment::EventName;
use crate::moment::value::Seconds;

/// After so long a post-processing is over although nothing told so: that of an agent without a wrap-up time who was never
/// heard of again. Longer than any shift.
const LIMIT: SignedDuration = SignedDuration::from_hours(12);

/// The state to which mod_callcenter sets an agent as soon as a conversation is over, wrap-up or not.
const WAITING: &str = "Waiting";

/// A post-processing that is under way.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WrapUp {
    /// Whose: the agent of this offer.
    pub offer: usize,
    /// Since when.
    pub since: Timestamp,
    /// When it is over, if the agent does nothing before.
    pub due: Timestamp,
    /// Whether that is the wrap-up time's end, rather than the limit.
    pub is_timed: bool,
    /// Whether the agent's state has gone back to `Waiting` after the conversation.
    pub is_released: bool,
}

/// What an agent does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AgentMove<'a> {
    /// The agent's status is set, be it to what it was.
    Status,
    /// The agent's state is set.
    State(&'a str),
    /// Another member is offered to the agent, or connected.
    Offer,
}

impl WrapUp {
    /// Whether it is over with what the agent did then.
    fn ends_with(&mut self, step: AgentMove<'_>, at: Timestamp) -> bool {
        if at < self.since {
            return false;
        }
        match step {
            AgentMove::State(WAITING) => std::mem::replace(&mut self.is_released, true),
            AgentMove::Status | AgentMove::State(_) | AgentMove::Offer => true,
        }
    }
}

impl Attempt {
    /// Whether it goes on, for its agent alone, after the member has left.
    pub(super) fn is_agents(&self) -> bool {
        self.wrap_up.is_some() || self.agent_on_phone().is_some()
    }

    /// The agent of an offer begins post-processing.
    pub fn begin_wrap_up(&mut self, occasion: &mut Occasion<'_>, offer: usize, since: Timestamp) {
        self.end_wrap_up(occasion, since, true);
        if !occasion.world.tells(EventName::Processed, &self.key.queue) {
            return;
        }
        let time = occasion.world.wrap_up_time(&self.offers[offer].agent);
        let due = since + time.unwrap_or(LIMIT).min(LIMIT);
        self.wrap_up = Some(WrapUp { offer, since, due, is_timed: time.is_some(), is_released: false });
    }

    /// An agent does something: its post-processing may be over with it.
    pub fn move_agent(&mut self, occasion: &mut Occasion<'_>, agent: &str, step: AgentMove<'_>) {
        if matches!(step, AgentMove::Offer | AgentMove::State(WAITING)) {
            self.release_agent(occasion, agent);
        }
        let Some(wrap_up) = self.wrap_up.as_mut().filter(|wrap_up| self.offers[wrap_up.offer].agent.as_str() == agent)
        else {
            return;
        };
        self.dirty = true;
        if wrap_up.ends_with(step, occasion.at) {
            self.end_wrap_up(occasion, occasion.at, false);
        }
    }

    /// What a snapshot says of an agent of whom nothing was heard since the connection began.
    pub fn find_agent(&mut self, occasion: &mut Occasion<'_>, row: &AgentRow) {
        let Some(wrap_up) = self.wrap_up.as_ref().filter(|w| self.offers[w.offer].agent.as_str() == row.name) else {
            return;
        };
        let status_since = row.status_since().filter(|at| *at > wrap_up.since);
        let is_busy = !matches!(&*row.state, "" | "Idle" | WAITING);
        if let Some(at) = status_since.or(is_busy.then_some(occasion.at)) {
            self.end_wrap_up(occasion, at, true);
        }
    }

    /// Ends a post-processing whose time has come; returns when that of another will.
    pub fn settle_wrap_up(&mut self, occasion: &mut Occasion<'_>) -> Option<Timestamp> {
        let WrapUp { due, is_timed, .. } = *self.wrap_up.as_ref()?;
        if occasion.now < due {
            return Some(due);
        }
        self.end_wrap_up(occasion, due, !is_timed);
        None
    }

    fn end_wrap_up(&mut self, occasion: &mut Occasion<'_>, at: Timestamp, synthetic: bool) {
        let Some(wrap_up) = self.wrap_up.take() else { return };
        self.dirty = true;
        let at = at.min(wrap_up.due);
        self.tell_with(occasion, EventName::Processed, Some(wrap_up.offer), at, synthetic, |_, payload| {
            payload.lasted_sec = Some(Seconds::between(wrap_up.since, at));
        });
    }
}
