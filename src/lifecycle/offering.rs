//! How an attempt is offered: what each fact about an agent changes of its offers.

use jiff::{SignedDuration, Timestamp};

use super::attempt::{Attempt, Loss};
use super::leg::{Leg, LegEnd, LegIdentity, Progress, UnclaimedLeg};
use super::offer::{Offer, OfferState};
use super::world::Occasion;
use crate::freeswitch::channel::{AnswerState, ChannelData, ChannelTimes, Disposition};
use crate::freeswitch::header as h;
use crate::id::ChannelUuid;
use crate::moment::EventName;

/// How long after an agent's answer mod_callcenter says that it connects: 40 ms were seen. Who has accepted with a key, or is
/// on a standing call, has answered the phone longer ago, and FreeSWITCH does not tell them from others by then.
const CONNECTING_TIME: SignedDuration = SignedDuration::from_millis(300);

impl Attempt {
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
                let (leg, identity, created_at) = (Leg::of(leg, data), LegIdentity::default(), data.created_at());
                self.unclaimed_legs.push(UnclaimedLeg { agent: agent.into(), leg, identity, created_at });
                self.unclaimed_legs.len() - 1
            });
            self.unclaimed_legs[index].identity.absorb(data, occasion.world.config.agent_variables());
            return;
        };
        let offer = &mut self.offers[index];
        offer.add_leg(Leg::of(leg, data));
        offer.identity.absorb(data, occasion.world.config.agent_variables());
        if offer.is_open() {
            self.announce(occasion, index);
        }
    }

    /// An agent's leg was answered. Where the agent must still accept with a key, that is no answer yet.
    pub fn answer_leg(&mut self, occasion: &mut Occasion<'_>, leg: &str, data: ChannelData<'_>) {
        let Some(index) = self.offers.iter().position(|offer| offer.is_open() && offer.has_leg(leg)) else { return };
        if !data.needs_confirmation() {
            self.offers[index].advance_leg(leg, Progress::Answered);
            self.answer(occasion, index, data.answered_at().unwrap_or(occasion.at));
        }
    }

    /// An agent's phone rings on a leg.
    pub fn ring_leg(&mut self, channel: &str, since: Timestamp) {
        let legs = self.offers.iter_mut().filter(|offer| offer.is_open()).flat_map(|offer| &mut offer.legs);
        let mut legs = legs.chain(self.unclaimed_legs.iter_mut().map(|unclaimed| &mut unclaimed.leg));
        if let Some(leg) = legs.find(|leg| leg.channel.as_str() == channel) {
            leg.advance(Progress::Ringing { since });
        }
    }

    /// mod_callcenter is about to connect an agent; false if that offer is over.
    pub fn start_bridge(&mut self, occasion: &mut Occasion<'_>, agent: &str, data: ChannelData<'_>) -> bool {
        let leg = data.header(h::CC_AGENT_UUID).or_else(|| data.uuid());
        let ChannelTimes { created_at, answered_at } =
            leg.as_deref().map_or_else(Default::default, |l| data.times_of(l));
        let answered_at = answered_at.filter(|answered_at| occasion.at.duration_since(*answered_at) <= CONNECTING_TIME);
        let Some(index) = self.offer_told_by(agent, occasion.at, created_at) else { return false };
        let offer = &mut self.offers[index];
        offer.identity.absorb(data, occasion.world.config.agent_variables());
        if let Some(leg) = leg {
            offer.choose_leg(ChannelUuid::new(leg));
        }
        let answered_at = offer.answered_by(occasion.at, answered_at);
        self.announce(occasion, index);
        self.answer(occasion, index, answered_at);
        true
    }

    /// The agent was not reached; false if that offer is over already.
    pub fn fail_offer(&mut self, occasion: &mut Occasion<'_>, agent: &str, cause: &str) -> bool {
        let Some(index) = self.offer_told_by(agent, occasion.at, None) else { return false };
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
        let end = LegEnd::read(at, data);
        self.dirty = true;
        // Not every phone rings by an event that is heard, but each leg's data tell.
        if let Some(since) = data.rang_at() {
            self.ring_leg(channel, since);
        }
        for offer in &mut self.offers {
            offer.end_leg(channel, &end);
        }
        for unclaimed in self.unclaimed_legs.iter_mut().filter(|unclaimed| unclaimed.leg.channel.as_str() == channel) {
            unclaimed.leg.end(&end);
        }
    }

    /// A leg was disconnected: where that was its hangup, and its endpoint says whose, it has ended then, although FreeSWITCH
    /// may keep the channel for long.
    pub fn note_hangup(&mut self, channel: &str, at: Timestamp, data: ChannelData<'_>) {
        let is_hangup = data.answer_state() == AnswerState::Hangup;
        if is_hangup && data.hangup().disposition != Disposition::Unknown && !self.has_ended_leg(channel) {
            self.end_leg(channel, at, data);
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

    /// The latest offer to the agent that had been made by then and is not over.
    pub fn open_offer(&self, agent: &str, at: Timestamp) -> Option<usize> {
        let is_meant = |offer: &Offer| offer.is_open() && offer.agent.as_str() == agent && offer.offered_at <= at;
        self.offers.iter().rposition(is_meant)
    }

    /// The offer that an event must be about: the open one, else one whose beginning was not seen; none if that offer, or
    /// the member's stay, is over.
    fn offer_told_by(&mut self, agent: &str, at: Timestamp, leg_created_at: Option<Timestamp>) -> Option<usize> {
        self.open_offer(agent, at).or_else(|| {
            let latest = self.offers.iter().rfind(|offer| offer.agent.as_str() == agent);
            let is_past = latest.is_some_and(|offer| offer.is_past(at)) || self.left_at().is_some();
            (!is_past).then(|| self.infer_offer(agent, at, leg_created_at))
        })
    }

    /// Tells `offering`, unless it was told.
    pub fn announce(&mut self, occasion: &mut Occasion<'_>, index: usize) {
        if !std::mem::replace(&mut self.offers[index].announced, true) {
            let (at, synthetic) = (self.offers[index].offered_at, self.offers[index].inferred);
            self.tell(occasion, EventName::Offering, Some(index), at, synthetic);
        }
    }

    /// Makes up an offer that was made by then: when its leg was made, as far as that is known. FreeSWITCH makes the leg in
    /// the same tick of its clock in which mod_callcenter tells of the offer.
    pub(super) fn infer_offer(&mut self, agent: &str, at: Timestamp, leg_created_at: Option<Timestamp>) -> usize {
        let closed_at = self.offers.iter().rfind(|offer| offer.agent.as_str() == agent).and_then(Offer::closed_at);
        let unclaimed = self.unclaimed_legs.iter().filter(|unclaimed| unclaimed.agent.as_str() == agent);
        let created_at = unclaimed.filter_map(|unclaimed| unclaimed.created_at).chain(leg_created_at);
        // What is older than the stay is a standing call.
        let earliest = closed_at.map_or(self.joined_at, |closed_at| closed_at.max(self.joined_at));
        let offered_at = created_at.filter(|created_at| (earliest..=at).contains(created_at)).min();
        let index = self.add_offer(agent, false, offered_at.unwrap_or(at));
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
