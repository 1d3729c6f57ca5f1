//! The connection of member and agent: how it is made, inferred, parted and ended. Holding it is in [`super::hold`].

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::attempt::{Attempt, Loss};
use super::hold::Hold;
use super::leg::LegEnd;
use super::machine::LOSS_GRACE;
use super::offer::OfferState;
use super::world::Occasion;
use crate::config::queue::QueueSource;
use crate::freeswitch::channel::{AnswerState, ChannelData, ChannelTimes};
use crate::freeswitch::header as h;
use crate::id::ChannelUuid;
use crate::moment::EventName;
use crate::moment::value::Outcome;

/// How long the end of an agent's part is waited for after the agent's leg has ended, once the member has left: FreeSWITCH
/// can fail to tell of it.
const AGENTS_END_WAIT: SignedDuration = SignedDuration::from_secs(10);

/// After so long the part of an agent of whom nothing more was heard is over: longer than any shift.
const LONGEST_PART: SignedDuration = SignedDuration::from_hours(12);

/// The connection of member and agent.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Bridge {
    /// Which offer.
    pub offer: usize,
    /// Since when.
    pub at: Timestamp,
    /// When mod_callcenter said that the agent's part is over.
    pub agent_done_at: Option<Timestamp>,
    /// When the two were disconnected, unless they were connected again.
    pub disconnected_at: Option<Timestamp>,
    /// The time on hold.
    pub hold: Hold,
}

impl Bridge {
    /// Times at which something of it was seen.
    pub fn facts_at(&self) -> impl Iterator<Item = Timestamp> + use<> {
        let ends = [Some(self.at), self.disconnected_at, self.agent_done_at].into_iter().flatten();
        ends.chain(self.hold.facts_at(self.at))
    }
}

impl Attempt {
    /// The member's channel was connected with `other`.
    pub fn connect(&mut self, occasion: &mut Occasion<'_>, other: &str, data: ChannelData<'_>) {
        let Some(index) = self.offers.iter().position(|offer| offer.is_open() && offer.has_leg(other)) else { return };
        if self.ended_at().is_some_and(|ended_at| ended_at < occasion.at) {
            return;
        }
        if self.source != QueueSource::Callcenter {
            // mod_callcenter says which leg it will connect; of others, that shows now.
            self.offers[index].choose_leg(other.into());
        }
        match &mut self.bridge {
            Some(bridge) if bridge.offer == index => bridge.disconnected_at = None,
            Some(bridge) if self.offers[bridge.offer].is_open() => {}
            _ => self.bridge(occasion, index, occasion.at, data.times_of(other).answered_at, false),
        }
    }

    /// Takes over a connection that nobody saw being made. When the agent was called and answered is known as far as the
    /// leg's own times tell.
    pub fn take_over_bridge(
        &mut self,
        occasion: &mut Occasion<'_>,
        agent: &str,
        leg: ChannelUuid,
        at: Timestamp,
        data: ChannelData<'_>,
    ) {
        let ChannelTimes { created_at, answered_at } = data.times_of(leg.as_str());
        let index = self.open_offer(agent, at).unwrap_or_else(|| self.infer_offer(agent, at, created_at));
        self.offers[index].choose_leg(leg);
        self.bridge(occasion, index, at, answered_at, true);
    }

    /// Infers a connection whose event was lost from the time that the channel data of either leg still hold.
    pub fn infer_bridge(&mut self, occasion: &mut Occasion<'_>, data: ChannelData<'_>) {
        if self.bridge.as_ref().is_some_and(|bridge| self.offers[bridge.offer].is_open()) {
            return;
        }
        let before = self.call.bridged_before;
        let Some(at) = data.bridged_at().filter(|at| before.is_none_or(|before| before < *at)) else { return };
        if self.ended_at().is_some_and(|ended_at| ended_at < at) {
            return;
        }
        let (Some(uuid), Some(other)) = (data.uuid(), data.other_uuid()) else { return };
        let session = self.channel().map_or("", ChannelUuid::as_str);
        let is_of_member = uuid == session;
        let leg = match (is_of_member, other == session) {
            (true, _) => other,
            (false, true) => uuid,
            (false, false) => return,
        };
        // Whoever was connected had answered, whether that was seen or not.
        let connected =
            self.offers.iter().position(|offer| offer.is_open() && offer.offered_at <= at && offer.has_leg(&leg));
        if let Some(index) = connected {
            return self.bridge(occasion, index, at, data.times_of(&leg).answered_at, true);
        }
        // Of an offer that nobody saw, the data of either leg name the other side.
        let says = |name, what: &str| data.header(name).is_some_and(|said| said == what);
        let names_other_side = if is_of_member {
            says(h::CC_AGENT_UUID_VARIABLE, &leg)
        } else {
            says(h::CC_MEMBER_UUID_VARIABLE, self.key.member.as_str())
        };
        let is_of_stay = names_other_side
            && self.joined_at <= at
            && !self.offers.iter().any(|offer| offer.has_leg(&leg))
            && says(h::CC_QUEUE_VARIABLE, self.key.queue.as_str());
        if is_of_stay && let Some(agent) = data.header(h::CC_AGENT_VARIABLE) {
            self.take_over_bridge(occasion, &agent, ChannelUuid::new(&*leg), at, data);
        }
    }

    /// The agent's part is over; false if that offer is over already.
    pub fn end_bridge(
        &mut self,
        occasion: &mut Occasion<'_>,
        agent: &str,
        bridged: bool,
        data: ChannelData<'_>,
    ) -> bool {
        self.infer_bridge(occasion, data);
        let Some(index) = self.open_offer(agent, occasion.at) else { return false };
        self.dirty = true;
        let offer = &mut self.offers[index];
        if data.answer_state() == AnswerState::Hangup
            && let Some(leg) = offer.leg().filter(|leg| leg.end.is_none()).map(|leg| leg.channel.clone())
        {
            offer.end_leg(leg.as_str(), &LegEnd::read(occasion.at, data));
        }
        if offer.state != OfferState::Bridged {
            // Only who has answered gets so far, whether that was seen or not.
            let answered_at = self.offers[index].answered_by(occasion.at, data.answered_at());
            self.answer_as(occasion, index, answered_at, true);
            self.close_offer(occasion, index, Outcome::Failed, occasion.at, false);
            return true;
        }
        self.end_bridged_offer(occasion, index, bridged);
        true
    }

    /// The bridged offer whose agent's part is not over, of an attempt that has left.
    pub(super) fn agent_on_phone(&self) -> Option<usize> {
        let Bridge { offer, .. } = self.bridge.as_ref().filter(|_| self.left)?;
        (self.offers[*offer].state == OfferState::Bridged).then_some(*offer)
    }

    /// Whether the agent of a bridged offer may still be on the phone: nothing tells that the leg is gone.
    pub(super) fn agent_may_be_up(&self, index: usize) -> bool {
        let leg = self.offers[index].leg().filter(|_| !self.was_lost());
        leg.is_some_and(|leg| leg.end.is_none() && leg.loss.is_none())
    }

    /// Ends the part of an agent who has outlasted the member, where what tells so does not come: with the leg, when the
    /// leg was found gone, or after longer than any call. Returns when that is to be seen.
    pub(super) fn settle_agents_part(&mut self, occasion: &mut Occasion<'_>) -> Option<Timestamp> {
        let index = self.agent_on_phone()?;
        let left_at = self.left_at()?;
        let leg = self.offers[index].leg();
        let (at, due) = match leg.map(|leg| (&leg.end, &leg.loss)) {
            Some((Some(end), _)) => (end.at, end.at.max(left_at) + AGENTS_END_WAIT),
            Some((None, Some(loss))) => (loss.at, loss.grace_until),
            Some((None, None)) | None => (left_at + LONGEST_PART, left_at + LONGEST_PART),
        };
        if occasion.now < due {
            return Some(due);
        }
        self.end_agents_part(occasion, index, at.max(left_at));
        None
    }

    /// Ends the part of an agent who was connected, of which nothing told.
    pub(super) fn end_agents_part(&mut self, occasion: &mut Occasion<'_>, index: usize, at: Timestamp) {
        if let Some(bridge) = &mut self.bridge {
            bridge.agent_done_at.get_or_insert(at);
        }
        self.close_offer(occasion, index, Outcome::Bridged, at, true);
        if !self.was_lost() && self.use_processing(occasion, Some(index)) {
            self.tell(occasion, EventName::Processing, Some(index), at, true);
            self.begin_wrap_up(occasion, index, at);
        }
    }

    /// Takes it that an agent who has outlasted the member is off the phone, because the agent does something else; what
    /// tells so may still be on its way.
    pub(super) fn release_agent(&mut self, occasion: &Occasion<'_>, agent: &str) {
        let Some(index) = self.agent_on_phone().filter(|index| self.offers[*index].agent.as_str() == agent) else {
            return;
        };
        let Some(leg) = self.offers[index].leg().map(|leg| leg.channel.clone()) else { return };
        self.lose_leg(leg.as_str(), Loss::new(occasion.at, occasion.now + LOSS_GRACE));
    }

    /// The part of an agent who was connected is over; with `processing`, post-processing follows where it is on.
    pub(super) fn end_bridged_offer(&mut self, occasion: &mut Occasion<'_>, index: usize, processing: bool) {
        // Before anything is told: all that is told of this instant has the same figures.
        if let Some(bridge) = &mut self.bridge {
            bridge.agent_done_at = Some(occasion.at);
        }
        self.close_offer(occasion, index, Outcome::Bridged, occasion.at, false);
        if processing && self.use_processing(occasion, Some(index)) {
            self.tell(occasion, EventName::Processing, Some(index), occasion.at, false);
            self.begin_wrap_up(occasion, index, occasion.at);
        }
    }

    /// A channel of the connected pair was disconnected from another. Where the agent's was, from a third person, that
    /// is the end of a consultation.
    pub fn disconnect(&mut self, channel: &str, other: Option<&str>, at: Timestamp) {
        let Some(session) = self.channel().map(ChannelUuid::as_str) else { return };
        // Later, the member is parted from others, whom the next queue or a transfer led to.
        let at = self.ended_at().map_or(at, |ended_at| ended_at.min(at));
        let from_member = channel == session || (self.is_of_pair(channel) && other == Some(session));
        if from_member && let Some(bridge) = &mut self.bridge {
            bridge.hold.end(at);
            bridge.disconnected_at.get_or_insert(at);
            self.dirty = true;
        }
    }

    pub(super) fn bridge(
        &mut self,
        occasion: &mut Occasion<'_>,
        index: usize,
        at: Timestamp,
        leg_answered_at: Option<Timestamp>,
        synthetic: bool,
    ) {
        let answered_at = self.offers[index].answered_by(at, leg_answered_at);
        self.answer_as(occasion, index, answered_at, true);
        self.offers[index].state = OfferState::Bridged;
        self.bridge =
            Some(Bridge { offer: index, at, agent_done_at: None, disconnected_at: None, hold: Hold::default() });
        if self.is_dialled() {
            // What brought the member to the agent is the dialer's own doing.
            self.call.transfer_mark_at_join = self.call.transfer_mark.take();
        }
        self.tell(occasion, EventName::Bridged, Some(index), at, synthetic);
        self.close_beaten_offers(occasion, at);
    }

    /// Closes the offers of agents who answered at the same time as the one who was connected: mod_callcenter tells of
    /// them nothing more.
    pub(super) fn close_beaten_offers(&mut self, occasion: &mut Occasion<'_>, at: Timestamp) {
        for index in 0..self.offers.len() {
            let offer = &self.offers[index];
            if offer.state == OfferState::Open && offer.answered_at.is_some() && offer.rang_at(at) {
                self.close_offer(occasion, index, Outcome::LostRace, at, true);
            }
        }
    }

    pub(super) fn is_of_pair(&self, channel: &str) -> bool {
        self.bridge.as_ref().is_some_and(|bridge| {
            self.channel().is_some_and(|own| own.as_str() == channel)
                || self.offers[bridge.offer].leg().is_some_and(|leg| leg.channel.as_str() == channel)
        })
    }
}
