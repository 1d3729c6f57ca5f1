//! One offering of an attempt to one agent.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::attempt::Loss;
use super::leg::{Leg, LegEnd, LegIdentity, Progress};
use crate::freeswitch::cause;
use crate::id::{AgentName, ChannelUuid};
use crate::moment::value::{OfferSummary, Outcome, Seconds};

/// FreeSWITCH's cause for a leg that it gave up itself, before it says why.
pub(super) const ORIGINATOR_CANCEL: &str = "ORIGINATOR_CANCEL";

/// An offer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Offer {
    /// The agent.
    pub agent: AgentName,
    /// 0 for the attempt's first offer to this agent, then counting up.
    pub ordinal: u32,
    /// Whether the agent is on a standing call, so that no leg of its own rings.
    pub standby: bool,
    /// Whether it was inferred from what followed: its `agent-offering` was lost, or has been overtaken.
    pub inferred: bool,
    /// When the agent was called.
    pub offered_at: Timestamp,
    /// Whether `offering` was sent.
    pub announced: bool,
    /// The legs on which the agent is called: one for each device.
    pub legs: Vec<Leg>,
    /// When the agent answered.
    pub answered_at: Option<Timestamp>,
    /// When the agent's status last changed to one in which mod_callcenter takes offers back.
    pub agent_left_at: Option<Timestamp>,
    /// What the agent's leg said of the agent.
    pub identity: LegIdentity,
    /// Where the offer stands.
    pub state: OfferState,
}

/// Where an offer stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum OfferState {
    /// The agent is being called, or has answered.
    Open,
    /// Agent and member are connected.
    Bridged,
    /// The agent was not reached; what it means is not known yet.
    Failing {
        /// The result of calling the agent.
        cause: String,
        /// When it failed.
        at: Timestamp,
        /// The node's clock when that was seen: waits are measured from there, because events can be late.
        seen_at: Timestamp,
    },
    /// It is over.
    Closed {
        /// How it ended.
        outcome: Outcome,
        /// When it ended.
        at: Timestamp,
    },
}

impl Offer {
    /// An offer that has just been made.
    pub fn new(agent: AgentName, ordinal: u32, standby: bool, offered_at: Timestamp) -> Self {
        Self {
            agent,
            ordinal,
            standby,
            inferred: false,
            offered_at,
            announced: false,
            // Most agents have one device; a vector that grows by itself would begin with room for four.
            legs: Vec::with_capacity(1),
            answered_at: None,
            agent_left_at: None,
            identity: LegIdentity::default(),
            state: OfferState::Open,
        }
    }

    /// Whether it is not over yet.
    pub fn is_open(&self) -> bool {
        !matches!(self.state, OfferState::Closed { .. })
    }

    /// The leg that stands for the offer: the one that was connected, else the first that was answered, else the latest
    /// that rang, else the latest.
    pub fn leg(&self) -> Option<&Leg> {
        let answered = || self.legs.iter().find(|leg| leg.is_answered());
        let chosen = self.legs.iter().find(|leg| leg.progress == Progress::Chosen);
        // Of legs of the same progress, the last one is taken.
        chosen.or_else(answered).or_else(|| self.legs.iter().max_by_key(|leg| leg.progress))
    }

    /// Who the agent is, as far as the legs tell: the number is that of the leg that stands for the offer.
    pub fn identity(&self) -> LegIdentity {
        let dialled = self.leg().and_then(|leg| leg.dialled.clone()).or_else(|| self.identity.dialled.clone());
        LegIdentity { dialled, ..self.identity.clone() }
    }

    /// That the offer was found gone: no leg of it lives, and how the last of them ended was not seen.
    pub fn loss(&self) -> Option<&Loss> {
        let is_settling = matches!(self.state, OfferState::Failing { .. } | OfferState::Closed { .. });
        if is_settling || self.legs.iter().any(|leg| leg.end.is_none() && leg.loss.is_none()) {
            return None;
        }
        let unseen = self.legs.iter().filter(|leg| leg.end.is_none()).filter_map(|leg| leg.loss.as_ref());
        let seen_until = self.last_leg_end().map(|end| end.at);
        unseen.max_by_key(|loss| loss.at).filter(|loss| seen_until.is_none_or(|seen_until| seen_until <= loss.at))
    }

    /// Whether a phone of it still rang then, as far as is known: of a leg that was found gone, that is known until it was
    /// last there.
    pub fn rang_at(&self, then: Timestamp) -> bool {
        let rang = |leg: &Leg| match (&leg.end, &leg.loss) {
            (Some(end), _) => then <= end.at,
            (None, Some(loss)) => then <= loss.at,
            (None, None) => true,
        };
        self.offered_at <= then && (self.legs.is_empty() || self.legs.iter().any(rang))
    }

    /// Whether what became of the member has to explain why it failed.
    pub fn is_explained_by_member(&self) -> bool {
        let cause = match &self.state {
            OfferState::Failing { cause, .. } => Some(cause),
            _ => self.last_leg_end().and_then(|end| end.cause.as_ref()),
        };
        self.answered_at.is_none() && cause.is_none_or(|cause| cause == ORIGINATOR_CANCEL)
    }

    /// When one of its legs was answered, as their ends tell.
    pub fn answered_by_its_end(&self) -> Option<Timestamp> {
        self.legs.iter().filter_map(|leg| leg.end.as_ref()?.answered_at).min()
    }

    /// How the offer's legs ended, as far as that is known: as the last of them.
    pub fn last_leg_end(&self) -> Option<&LegEnd> {
        self.legs.iter().filter_map(|leg| leg.end.as_ref()).max_by_key(|end| end.at)
    }

    /// Whether the channel is one of its legs.
    pub fn has_leg(&self, channel: &str) -> bool {
        self.legs.iter().any(|leg| leg.channel.as_str() == channel)
    }

    /// Whether something that happened then, to an offer of this agent, happened to one that is over, or to this one
    /// although it is: what tells of an offer can be overtaken by its end.
    pub fn is_past(&self, at: Timestamp) -> bool {
        let ended_by_then = match &self.state {
            // Of who has answered and lost the race, the leg may stay up.
            OfferState::Closed { outcome: Outcome::LostRace, .. } if self.answered_at.is_some() => true,
            OfferState::Closed { at: closed_at, .. } => at <= *closed_at,
            OfferState::Open | OfferState::Bridged | OfferState::Failing { .. } => false,
        };
        at < self.offered_at || ended_by_then
    }

    /// When it was over, if it is.
    pub fn closed_at(&self) -> Option<Timestamp> {
        match &self.state {
            OfferState::Closed { at, .. } => Some(*at),
            OfferState::Open | OfferState::Bridged | OfferState::Failing { .. } => None,
        }
    }

    /// When the agent had answered who has by `at`: when the leg was, where that is known and was enough.
    pub fn answered_by(&self, at: Timestamp, leg_answered_at: Option<Timestamp>) -> Timestamp {
        let confirms = self.standby || self.leg().is_some_and(|leg| leg.confirms);
        let answered_at = leg_answered_at.filter(|answered_at| (self.offered_at..=at).contains(answered_at));
        answered_at.filter(|_| !confirms).unwrap_or(at)
    }

    /// Adds a leg, if it is not among them.
    pub fn add_leg(&mut self, leg: Leg) {
        if !self.has_leg(leg.channel.as_str()) {
            self.legs.push(leg);
        }
    }

    /// Makes the leg the one that stands for the offer: mod_callcenter says that it is the one it will connect.
    pub fn choose_leg(&mut self, channel: ChannelUuid) {
        for leg in self.legs.iter_mut().filter(|leg| leg.progress == Progress::Chosen) {
            leg.progress = Progress::Answered;
        }
        let leg = match self.legs.iter().position(|leg| leg.channel == channel) {
            Some(place) => self.legs.remove(place),
            None => Leg::new(channel),
        };
        self.legs.insert(0, Leg { progress: Progress::Chosen, ..leg });
    }

    /// Calling the agent on one of its legs has come on.
    pub fn advance_leg(&mut self, channel: &str, progress: Progress) {
        if let Some(leg) = self.legs.iter_mut().find(|leg| leg.channel.as_str() == channel) {
            leg.advance(progress);
        }
    }

    /// Keeps how a leg ended.
    pub fn end_leg(&mut self, channel: &str, end: &LegEnd) {
        if let Some(leg) = self.legs.iter_mut().find(|leg| leg.channel.as_str() == channel) {
            leg.end(end);
        }
    }

    /// Closes the offer.
    pub fn close(&mut self, outcome: Outcome, at: Timestamp) {
        self.state = OfferState::Closed { outcome, at };
    }

    /// How long it rang, up to `now` where it still does.
    pub fn ring(&self, now: Timestamp) -> Seconds {
        let end = match (&self.answered_at, &self.state) {
            (Some(at), _) => *at,
            (None, OfferState::Failing { at, .. } | OfferState::Closed { at, .. }) => *at,
            (None, OfferState::Open | OfferState::Bridged) => now,
        };
        Seconds::between(self.offered_at, end)
    }

    /// What `leaving` tells of it.
    pub fn summary(&self, now: Timestamp) -> OfferSummary {
        let outcome = match &self.state {
            OfferState::Closed { outcome, .. } => *outcome,
            OfferState::Bridged => Outcome::Bridged,
            OfferState::Open | OfferState::Failing { .. } => Outcome::Lost,
        };
        OfferSummary { agent: self.agent.clone(), outcome, ring_sec: self.ring(now) }
    }

    /// FreeSWITCH's cause and the SIP status with which calling the agent, or the agent's call, ended. Who has answered
    /// gave 200, whatever the call ended with later and other phones of the agent with.
    pub fn failure(&self) -> (Option<String>, Option<u16>) {
        let answered_end = || self.leg().filter(|_| self.answered_at.is_some()).and_then(|leg| leg.end.as_ref());
        let cause = match &self.state {
            OfferState::Failing { cause, .. } => Some(cause.clone()),
            _ => answered_end().or_else(|| self.last_leg_end()).and_then(|end| end.cause.clone()),
        };
        if self.answered_at.is_some() {
            return (cause, Some(200));
        }
        let told = self.legs.iter().rev().filter_map(|leg| leg.end.as_ref()).find_map(|end| end.hangup.sip_status);
        let status = told.or_else(|| cause.as_deref().map(cause::sip_status));
        (cause, status)
    }
}
