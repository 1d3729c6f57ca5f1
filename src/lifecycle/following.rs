//! What others tell of queues outside FreeSWITCH, and what each of it changes of an attempt: what can follow what was told
//! before, happens.

use jiff::Timestamp;

use super::attempt::{Attempt, QueueEnd};
use super::leg::LegEnd;
use super::offer::OfferState;
use super::subscriber::Subscriber;
use super::variables;
use super::world::Occasion;
use crate::freeswitch::channel::{ChannelData, Disposition, Hangup};
use crate::id::{AgentName, ChannelUuid};
use crate::moment::value::{CancelReason, MissedReason, Side};
use crate::signal::{LeavingReason, Opening, Step};

/// What can't follow what was told before.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Disorder {
    /// The attempt is not offered to the agent.
    #[error("the attempt is not offered to `{0}`")]
    NotOffered(AgentName),
    /// It is offered already.
    #[error("the attempt is offered to `{0}` already")]
    Offered(AgentName),
    /// The agent has answered already.
    #[error("`{0}` has answered already")]
    Answered(AgentName),
    /// An agent is connected already.
    #[error("`{0}` is connected already")]
    Connected(AgentName),
    /// The agent is not connected.
    #[error("`{0}` is not connected")]
    NotConnected(AgentName),
    /// The queue has no post-processing.
    #[error("the queue has no post-processing: it needs `processing = true`")]
    NoProcessing,
}

impl Attempt {
    /// Takes what is told of the member. Where a channel tells it, that one carries the attempt.
    pub(super) fn introduce(&mut self, opening: &Opening, subscriber: Subscriber, data: Option<ChannelData<'_>>) {
        self.call.variables = variables::of_teller(&opening.variables, &self.settings);
        if let Some((data, uuid)) = data.and_then(|data| Some((data, data.uuid()?))) {
            self.call.channel = Some(ChannelUuid::new(uuid));
            self.absorb(data);
        }
        self.call.created_at.get_or_insert(self.joined_at);
        let said = |text: &Option<String>| variables::cut(text.clone());
        self.introduce_subscriber(Subscriber {
            name: said(&opening.member_name).or(subscriber.name),
            number: said(&opening.member_number).or(subscriber.number),
            destination: said(&opening.destination).or(subscriber.destination),
            is_presumed: false,
        });
        self.member.id = opening.member_id.or(self.member.id);
        self.member.attempt_seq = 1;
    }

    /// Whether a step can follow what happened.
    pub(super) fn may_follow(&self, step: &Step) -> Result<(), Disorder> {
        let open = |agent: &AgentName| self.open_offer(agent.as_str(), Timestamp::MAX).map(|index| &self.offers[index]);
        let offered = |agent: &AgentName| open(agent).ok_or_else(|| Disorder::NotOffered(agent.clone()));
        let connected = self.offers.iter().find(|offer| offer.state == OfferState::Bridged);
        match step {
            Step::Offering { .. } | Step::Answered { .. } | Step::Bridged { .. } if connected.is_some() => {
                Err(connected.map_or(Disorder::NoProcessing, |offer| Disorder::Connected(offer.agent.clone())))
            }
            Step::Offering { agent } if open(agent).is_some() => Err(Disorder::Offered(agent.clone())),
            Step::Offering { .. } | Step::Leaving { .. } => Ok(()),
            Step::Bridged { agent } => offered(agent).map(drop),
            Step::Answered { agent } | Step::Missed { agent, .. } => match offered(agent)?.answered_at {
                Some(_) => Err(Disorder::Answered(agent.clone())),
                None => Ok(()),
            },
            Step::Processing { .. } if self.settings.processing != Some(true) => Err(Disorder::NoProcessing),
            Step::Processing { agent } => match offered(agent)?.state {
                OfferState::Bridged => Ok(()),
                OfferState::Open | OfferState::Failing { .. } | OfferState::Closed { .. } => {
                    Err(Disorder::NotConnected(agent.clone()))
                }
            },
        }
    }

    /// A step that can follow, happens.
    pub(super) fn follow(&mut self, occasion: &mut Occasion<'_>, step: &Step) {
        let at = occasion.at;
        let open = |attempt: &Self, agent: &AgentName| attempt.open_offer(agent.as_str(), at);
        match step {
            // Agents have no legs here, as on a standing call.
            Step::Offering { agent } => drop(self.offer(occasion, agent.as_str(), true)),
            Step::Answered { agent } => {
                if let Some(index) = open(self, agent) {
                    self.answer_as(occasion, index, at, false);
                }
            }
            Step::Bridged { agent } => {
                if let Some(index) = open(self, agent) {
                    self.bridge(occasion, index, at, None, false);
                }
            }
            Step::Missed { agent, reason } => {
                if let Some(index) = open(self, agent) {
                    self.miss(occasion, index, *reason);
                }
            }
            Step::Processing { agent } => {
                if let Some(index) = open(self, agent) {
                    self.end_bridged_offer(occasion, index, true);
                }
            }
            Step::Leaving { reason, ended_by } => self.leave_told(occasion, *reason, *ended_by),
        }
    }

    fn miss(&mut self, occasion: &mut Occasion<'_>, index: usize, reason: MissedReason) {
        self.tell_missed(occasion, index, reason, occasion.at, false);
        self.close_offer(occasion, index, reason.into(), occasion.at, false);
    }

    /// The member leaves: all is known that will be.
    fn leave_told(&mut self, occasion: &mut Occasion<'_>, reason: Option<LeavingReason>, ended_by: Option<Side>) {
        let reason = reason.unwrap_or_default();
        let goes_on = reason == LeavingReason::BreakOut && self.bridge.is_none();
        let by_default = if reason == LeavingReason::Hangup { Side::Member } else { Side::System };
        let (disposition, by_bridge) = match ended_by.unwrap_or(by_default) {
            Side::Member => (Disposition::ByFarEnd, false),
            Side::Agent => (Disposition::Unknown, true),
            Side::System => (Disposition::ByFreeSwitch, false),
        };
        let end = || {
            let hangup = Hangup { disposition, by_bridge, ..Hangup::default() };
            LegEnd { at: occasion.at, answered_at: None, cause: None, hangup }
        };
        self.call.end = (!goes_on).then(end);
        self.call.end_seen_at = Some(occasion.now);
        let (at, seen_at, reason) = (occasion.at, occasion.now, Some(CancelReason::from(reason)));
        self.queue_end = Some(QueueEnd { at, seen_at, call_goes_on: goes_on, reason, call_end: None, inferred: false });
        self.loss = None;
        self.dirty = true;
        self.close_open_offers(occasion, at);
    }
}
