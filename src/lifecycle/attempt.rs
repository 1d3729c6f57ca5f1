//! One stay of a member in one queue: its facts, and what each new fact changes. Those about its connection with an agent
//! are in [`super::bridge`].
//!
//! The attempt tells its own moments as facts come in. Whether an offer or the stay itself is over is decided in
//! [`super::ending`], after every fact and whenever the attempt's deadline comes.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::bridge::Bridge;
use super::memory::Abandoned;
use super::offer::{Leg, LegEnd, LegIdentity, Offer, OfferState, UnclaimedLeg};
use super::variables;
use super::world::Occasion;
use super::wrap_up::WrapUp;
use crate::config::queue::{QueueSettings, QueueSource};
use crate::freeswitch::channel::{AnswerState, ChannelData, Disposition, Hangup};
use crate::freeswitch::header as h;
use crate::id::{AttemptHash, AttemptKey, ChannelUuid, NodeName};
use crate::moment::EventName;
use crate::moment::value::{AmdResult, CancelReason, Variables};

/// An attempt.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Attempt {
    /// What makes it itself.
    pub key: AttemptKey,
    /// The node that it is on.
    pub node: NodeName,
    /// Where its facts come from.
    #[serde(default)]
    pub source: QueueSource,
    /// The settings of its queue, as they were when it joined.
    #[serde(skip)]
    pub settings: Arc<QueueSettings>,
    /// Its number.
    pub attempt_id: u64,
    /// Who waits.
    pub member: Member,
    /// The member's call.
    pub call: Call,
    /// When the member joined.
    pub joined_at: Timestamp,
    /// The offers, in their order.
    pub offers: Vec<Offer>,
    /// Agents' legs that were seen before their offer.
    pub unclaimed_legs: Vec<UnclaimedLeg>,
    /// The connection with an agent.
    pub bridge: Option<Bridge>,
    /// That FreeSWITCH said that the member has left the queue.
    pub queue_end: Option<QueueEnd>,
    /// That the attempt was found gone.
    pub loss: Option<Loss>,
    /// The agent's post-processing, while somebody waits to hear of its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wrap_up: Option<WrapUp>,
    /// Whether it was told that the member waits longer than promised.
    #[serde(default)]
    pub sla_missed: bool,
    /// How many of the eight moments were told.
    pub sequence: u32,
    /// Whether `leaving` was told: the attempt is over, but for the agent's post-processing.
    pub left: bool,
    /// Whether something has changed that a restart must find again.
    #[serde(skip)]
    pub dirty: bool,
}

/// Who waits.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Member {
    /// The caller's name.
    pub name: Option<String>,
    /// The member's number.
    pub number: Option<String>,
    /// The variable `cc_member_id`.
    pub id: Option<i64>,
    /// Which of the member's attempts this is.
    pub attempt_seq: u64,
    /// When a resumed member joined first.
    pub first_joined_at: Option<Timestamp>,
    /// The attempt before this one.
    pub previous_attempt_id: Option<u64>,
}

/// The member's call.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Call {
    /// The member's channel, where it is none of the key: a dialer's attempt can begin before the member is called.
    #[serde(default)]
    pub channel: Option<ChannelUuid>,
    /// When the member's phone began to ring, where that is an event.
    #[serde(default)]
    pub rang_at: Option<Timestamp>,
    /// When the member was connected with what is played, where no agent takes part.
    #[serde(default)]
    pub connected_at: Option<Timestamp>,
    /// The number called.
    pub destination: Option<String>,
    /// When the channel was made.
    pub created_at: Option<Timestamp>,
    /// When it was answered.
    pub answered_at: Option<Timestamp>,
    /// What a machine detector found.
    pub amd_result: Option<AmdResult>,
    /// The key that left the queue.
    pub exit_key: Option<String>,
    /// FreeSWITCH's mark of the latest transfer, as it stood when the member joined.
    pub transfer_mark_at_join: Option<String>,
    /// The latest mark since.
    pub transfer_mark: Option<String>,
    /// When the channel had been connected before the member joined: that is none of this stay's.
    #[serde(default)]
    pub bridged_before: Option<Timestamp>,
    /// The person to whom an attended transfer led.
    pub transferred_to: Option<String>,
    /// The variables.
    pub variables: Variables,
    /// How the call ended.
    pub end: Option<LegEnd>,
    /// The node's clock when that was seen.
    pub end_seen_at: Option<Timestamp>,
}

/// That FreeSWITCH does not have an attempt, or a leg, any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loss {
    /// When that was found; of an attempt, the latest time at which it was still there, as far as is known.
    pub at: Timestamp,
    /// Until when the events that tell its end may still come.
    pub grace_until: Timestamp,
}

/// What `member-queue-end` said.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct QueueEnd {
    /// When.
    pub at: Timestamp,
    /// The node's clock when that was seen: waits are measured from there, because events can be late.
    pub seen_at: Timestamp,
    /// Whether the call goes on.
    pub call_goes_on: bool,
    /// Why, where no agent was connected.
    pub reason: Option<CancelReason>,
    /// How the call ends, as far as it is known by then, where it does.
    pub call_end: Option<LegEnd>,
}

impl Attempt {
    /// Its name in the outbox.
    pub fn hash(&self) -> AttemptHash {
        self.key.hash()
    }

    /// Takes what the member's channel data say now, as far as they belong to this stay: a member who is in the next
    /// queue already carries that one's variables.
    pub fn absorb(&mut self, data: ChannelData<'_>) {
        self.call.created_at = self.call.created_at.or_else(|| data.created_at());
        self.call.answered_at = self.call.answered_at.or_else(|| data.answered_at());
        if self.source == QueueSource::Callcenter {
            // A joining that was not seen is known to the second only; the call was answered before it.
            self.joined_at = self.call.answered_at.map_or(self.joined_at, |at| at.max(self.joined_at));
        }
        if let Some(mark) = data.header(h::TRANSFER_SOURCE) {
            self.call.transfer_mark = Some(mark.into_owned());
        }
        let is_of_another = |name, own: &str| data.header(name).is_some_and(|value| value != own);
        if self.source == QueueSource::Callcenter && (is_of_another(h::CC_QUEUE_VARIABLE, self.key.queue.as_str())
            || is_of_another(h::CC_MEMBER_UUID_VARIABLE, self.key.member.as_str()))
        {
            return;
        }
        self.call.amd_result = variables::amd_result(data).or(self.call.amd_result);
        self.call.exit_key = data.header(h::CC_EXIT_KEY).map(|key| key.into_owned()).or(self.call.exit_key.take());
        self.member.id = data.header(h::CC_MEMBER_ID).and_then(|id| id.parse().ok()).or(self.member.id);
        self.call.variables = variables::collect(data, &self.settings);
    }

    /// The member entered the queue, or came back to it.
    pub fn join(&mut self, occasion: &mut Occasion<'_>, resumed: bool, synthetic: bool) {
        self.tell(occasion, EventName::Joined, None, self.joined_at, synthetic);
        if resumed || self.member.first_joined_at.is_some() {
            self.tell(occasion, EventName::Resumed, None, self.joined_at, synthetic);
        }
    }

    /// The attempt is offered to an agent; false if it has been offered to the same one again meanwhile. An earlier offer
    /// is over then, even if nobody saw how.
    pub fn offer(&mut self, occasion: &mut Occasion<'_>, agent: &str, standby: bool) -> bool {
        let latest = self.offers.iter_mut().rfind(|offer| offer.agent.as_str() == agent);
        if let Some(latest) = latest.filter(|latest| latest.inferred && occasion.at <= latest.offered_at) {
            latest.inferred = false;
            latest.standby = standby;
            latest.offered_at = occasion.at;
            return true;
        }
        if self.offers.iter().any(|offer| offer.agent.as_str() == agent && occasion.at < offer.offered_at) {
            return false;
        }
        self.close_forgotten_offer(occasion, agent);
        let index = self.add_offer(agent, standby, occasion.at);
        if standby || self.offers[index].leg().is_some() {
            self.announce(occasion, index);
        }
        true
    }

    /// A leg was made, or answered, on which an agent is called.
    pub fn add_leg(&mut self, occasion: &mut Occasion<'_>, agent: &str, leg: ChannelUuid, data: ChannelData<'_>) {
        self.dirty = true;
        let its_own = self.offers.iter().rposition(|offer| offer.has_leg(leg.as_str()));
        let Some(index) = its_own.or_else(|| self.open_offer(agent, occasion.at)) else {
            let seen = self.unclaimed_legs.iter().position(|unclaimed| unclaimed.leg.channel == leg);
            let index = seen.unwrap_or_else(|| {
                let (leg, identity) = (Leg::new(leg), LegIdentity::default());
                self.unclaimed_legs.push(UnclaimedLeg { agent: agent.into(), leg, identity });
                self.unclaimed_legs.len() - 1
            });
            self.unclaimed_legs[index].identity.absorb(data);
            return;
        };
        let offer = &mut self.offers[index];
        offer.add_leg(Leg::new(leg));
        offer.identity.absorb(data);
        if offer.is_open() {
            self.announce(occasion, index);
        }
    }

    /// An agent's leg was answered. Where the agent must still accept with a key, that is no answer yet.
    pub fn answer_leg(&mut self, occasion: &mut Occasion<'_>, leg: &str, data: ChannelData<'_>) {
        let Some(index) = self.offers.iter().position(|offer| offer.is_open() && offer.has_leg(leg)) else { return };
        if !data.needs_confirmation() {
            self.answer(occasion, index, data.answered_at().unwrap_or(occasion.at));
        }
    }

    /// mod_callcenter is about to connect an agent; false if that offer is over.
    pub fn start_bridge(&mut self, occasion: &mut Occasion<'_>, agent: &str, data: ChannelData<'_>) -> bool {
        let Some(index) = self.offer_told_by(agent, occasion.at) else { return false };
        let offer = &mut self.offers[index];
        offer.identity.absorb(data);
        if let Some(leg) = data.header(h::CC_AGENT_UUID).or_else(|| data.uuid()) {
            offer.choose_leg(ChannelUuid::new(leg));
        }
        self.announce(occasion, index);
        self.answer(occasion, index, occasion.at);
        true
    }

    /// The agent was not reached; false if that offer is over already.
    pub fn fail_offer(&mut self, occasion: &mut Occasion<'_>, agent: &str, cause: &str) -> bool {
        let Some(index) = self.offer_told_by(agent, occasion.at) else { return false };
        self.offers[index].state =
            OfferState::Failing { cause: cause.to_owned(), at: occasion.at, seen_at: occasion.now };
        self.dirty = true;
        true
    }

    /// The agent's status changed to one in which mod_callcenter takes its offers back.
    pub fn agent_left(&mut self, agent: &str, at: Timestamp) {
        for offer in self.offers.iter_mut().filter(|offer| offer.is_open() && offer.agent.as_str() == agent) {
            offer.agent_left_at = Some(at);
            self.dirty = true;
        }
    }

    /// An agent's leg ended.
    pub fn end_leg(&mut self, channel: &str, at: Timestamp, data: ChannelData<'_>) {
        let end = leg_end(at, data);
        self.dirty = true;
        for offer in &mut self.offers {
            offer.end_leg(channel, &end);
        }
        for unclaimed in self.unclaimed_legs.iter_mut().filter(|unclaimed| unclaimed.leg.channel.as_str() == channel) {
            unclaimed.leg.end = Some(end.clone());
        }
    }

    /// mod_callcenter says that the member has left the queue.
    pub fn end_queue(&mut self, occasion: &mut Occasion<'_>, data: ChannelData<'_>) {
        let reason = match data.header(h::CC_CANCEL_REASON).as_deref() {
            Some("TIMEOUT") => Some(CancelReason::Timeout),
            Some("NO_AGENT_TIMEOUT") => Some(CancelReason::NoAgentTimeout),
            Some("EXIT_WITH_KEY") => Some(CancelReason::ExitWithKey),
            Some(_) => Some(CancelReason::BreakOut),
            None => None,
        };
        self.end_queue_for(occasion, reason, data);
    }

    /// The member has left the queue, for that reason where no agent was connected. The first such word stands.
    pub(super) fn end_queue_for(
        &mut self,
        occasion: &mut Occasion<'_>,
        reason: Option<CancelReason>,
        data: ChannelData<'_>,
    ) {
        self.infer_bridge(occasion, data);
        if self.queue_end.is_some() {
            return;
        }
        let answer_state = data.answer_state();
        self.queue_end = Some(QueueEnd {
            at: occasion.at,
            seen_at: occasion.now,
            call_goes_on: answer_state == AnswerState::Answered,
            reason,
            call_end: (answer_state == AnswerState::Hangup).then(|| leg_end(occasion.at, data)),
        });
        self.loss = None;
        self.dirty = true;
    }

    /// The member's call has ended. Where it had gone on after the queue, its end is none of the attempt's.
    pub fn end_call(&mut self, occasion: &mut Occasion<'_>, data: ChannelData<'_>) {
        self.infer_bridge(occasion, data);
        let is_in_next_queue = self.source == QueueSource::Callcenter
            && data.header(h::CC_QUEUE_VARIABLE).is_some_and(|queue| queue != self.key.queue.as_str());
        if self.loss.is_some() && self.queue_end.is_none() && is_in_next_queue {
            // How the member came there was not seen, so how the stay ended is not known.
            return;
        }
        let end = leg_end(occasion.at, data);
        if self.call.end.is_some() || self.went_on_until(end.at) {
            return;
        }
        self.absorb(data);
        self.call.end = Some(end);
        self.call.end_seen_at = Some(occasion.now);
        self.loss = None;
        self.dirty = true;
        if self.is_dialled() {
            self.end_with_call(occasion, data);
        }
    }

    /// FreeSWITCH does not have the attempt any more, and nobody has seen how it ended; until `grace_until`, the events
    /// that tell it may still come. Where there is no grace, the process itself has gone: what is known then is all.
    pub fn lose(&mut self, at: Timestamp, grace_until: Timestamp) {
        let is_explained = at < grace_until && (self.queue_end.is_some() || self.call.end.is_some());
        let is_sooner = self.loss.as_ref().is_none_or(|loss| grace_until < loss.grace_until);
        if is_sooner && !is_explained {
            let at = self.loss.as_ref().map_or(at.max(self.latest_fact_at()), |loss| loss.at);
            self.loss = Some(Loss { at, grace_until });
        }
    }

    /// FreeSWITCH does not have an agent's leg any more, and nobody has seen how it ended.
    pub fn lose_leg(&mut self, channel: &str, loss: Loss) {
        for leg in self.offers.iter_mut().filter(|offer| offer.is_open()).flat_map(|offer| &mut offer.legs) {
            if leg.channel.as_str() == channel && leg.end.is_none() {
                leg.loss.get_or_insert_with(|| loss.clone());
                self.dirty = true;
            }
        }
    }

    /// Whether the channel is an agent's leg that has ended.
    pub fn has_ended_leg(&self, channel: &str) -> bool {
        let legs = self.offers.iter().flat_map(|offer| &offer.legs);
        let mut legs = legs.chain(self.unclaimed_legs.iter().map(|unclaimed| &unclaimed.leg));
        legs.any(|leg| leg.channel.as_str() == channel && leg.end.is_some())
    }

    /// What a later attempt of the same member takes over.
    pub fn for_a_resume(&self) -> Abandoned {
        Abandoned {
            first_joined_at: self.member.first_joined_at.unwrap_or(self.joined_at),
            attempt_id: self.attempt_id,
            attempts: self.member.attempt_seq,
        }
    }

    /// The latest time at which something of the attempt was seen.
    pub fn latest_fact_at(&self) -> Timestamp {
        let offers = self.offers.iter().map(|offer| offer.answered_at.unwrap_or(offer.offered_at));
        offers.chain(self.bridge.iter().flat_map(Bridge::facts_at)).fold(self.joined_at, Timestamp::max)
    }

    /// The latest offer to the agent that had been made by then and is not over.
    pub fn open_offer(&self, agent: &str, at: Timestamp) -> Option<usize> {
        let is_meant = |offer: &Offer| offer.is_open() && offer.agent.as_str() == agent && offer.offered_at <= at;
        self.offers.iter().rposition(is_meant)
    }

    /// The offer that an event must be about: the open one, else one whose beginning was not seen; none if that offer, or
    /// the member's stay, is over.
    fn offer_told_by(&mut self, agent: &str, at: Timestamp) -> Option<usize> {
        self.open_offer(agent, at).or_else(|| {
            let latest = self.offers.iter().rfind(|offer| offer.agent.as_str() == agent);
            let is_past = latest.is_some_and(|offer| offer.is_past(at)) || self.left_at().is_some();
            (!is_past).then(|| self.infer_offer(agent, at))
        })
    }

    /// Whether post-processing is on.
    pub fn use_processing(&self, occasion: &Occasion<'_>, offer: Option<usize>) -> bool {
        let agent = offer.map(|index| &self.offers[index].agent);
        occasion.world.use_processing(self.settings.processing, &self.key.queue, agent)
    }

    /// Tells `offering`, unless it was told.
    pub fn announce(&mut self, occasion: &mut Occasion<'_>, index: usize) {
        if !std::mem::replace(&mut self.offers[index].announced, true) {
            let (at, synthetic) = (self.offers[index].offered_at, self.offers[index].inferred);
            self.tell(occasion, EventName::Offering, Some(index), at, synthetic);
        }
    }

    pub(super) fn infer_offer(&mut self, agent: &str, at: Timestamp) -> usize {
        let index = self.add_offer(agent, false, at);
        self.offers[index].inferred = true;
        index
    }

    fn add_offer(&mut self, agent: &str, standby: bool, at: Timestamp) -> usize {
        let ordinal = self.offers.iter().filter(|offer| offer.agent.as_str() == agent).count();
        let ordinal = u32::try_from(ordinal).unwrap_or(u32::MAX);
        let mut offer = Offer::new(agent.into(), ordinal, standby, at);
        for unclaimed in self.unclaimed_legs.extract_if(.., |unclaimed| unclaimed.agent.as_str() == agent) {
            offer.add_leg(unclaimed.leg);
            offer.identity = unclaimed.identity;
        }
        self.offers.push(offer);
        self.offers.len() - 1
    }

    fn answer(&mut self, occasion: &mut Occasion<'_>, index: usize, at: Timestamp) {
        self.answer_as(occasion, index, at, false);
    }

    pub(super) fn answer_as(&mut self, occasion: &mut Occasion<'_>, index: usize, at: Timestamp, synthetic: bool) {
        if self.offers[index].answered_at.is_none() {
            self.announce(occasion, index);
            self.offers[index].answered_at = Some(at);
            self.tell(occasion, EventName::Answered, Some(index), at, synthetic);
            if let Some(bridged_at) = self.bridge.as_ref().filter(|bridge| bridge.offer != index).map(|b| b.at) {
                self.close_beaten_offers(occasion, bridged_at);
            }
        }
    }
}

pub(super) fn leg_end(at: Timestamp, data: ChannelData<'_>) -> LegEnd {
    let mut hangup: Hangup = data.hangup();
    let cause = data.hangup_cause().map(|cause| cause.into_owned());
    if cause.as_deref() == Some("MEDIA_TIMEOUT") {
        // The network lost the far end: that counts as its leaving.
        hangup.disposition = Disposition::ByFarEnd;
    }
    let answered_at = data.answered_at().filter(|_| !data.needs_confirmation());
    LegEnd { at: data.hung_up_at().unwrap_or(at), answered_at, cause, hangup }
}
