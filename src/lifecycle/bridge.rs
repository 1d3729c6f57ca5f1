//! The connection of member and agent: how it is made, inferred, held, parted and ended.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::attempt::{Attempt, leg_end};
use super::offer::OfferState;
use super::world::Occasion;
use crate::freeswitch::channel::{AnswerState, ChannelData};
use crate::freeswitch::header as h;
use crate::id::ChannelUuid;
use crate::moment::EventName;
use crate::moment::value::Outcome;

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

/// The time that a conversation spends on hold.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Hold {
    /// How often it was put on hold.
    pub count: u32,
    /// The holds that are over, in microseconds.
    pub done_micros: i64,
    /// Since when it is on hold.
    pub since: Option<Timestamp>,
}

impl Bridge {
    /// Times at which something of it was seen; of holds that are over, one by which they can have been at the earliest.
    pub fn facts_at(&self) -> impl Iterator<Item = Timestamp> + use<> {
        let held = self.at.checked_add(SignedDuration::from_micros(self.hold.done_micros)).ok();
        [Some(self.at), held, self.hold.since, self.disconnected_at, self.agent_done_at].into_iter().flatten()
    }
}

impl Hold {
    fn begin(&mut self, at: Timestamp) {
        if self.since.is_none() {
            self.since = Some(at);
            self.count += 1;
        }
    }

    fn end(&mut self, at: Timestamp) {
        if let Some(since) = self.since.take() {
            self.done_micros += (at.as_microsecond() - since.as_microsecond()).max(0);
        }
    }
}

impl Attempt {
    /// The member's channel was connected with `other`.
    pub fn connect(&mut self, occasion: &mut Occasion<'_>, other: &str) {
        let Some(index) = self.offers.iter().position(|offer| offer.is_open() && offer.has_leg(other)) else { return };
        if self.ended_at().is_some_and(|ended_at| ended_at < occasion.at) {
            return;
        }
        match &mut self.bridge {
            Some(bridge) if bridge.offer == index => bridge.disconnected_at = None,
            Some(bridge) if self.offers[bridge.offer].is_open() => {}
            _ => self.bridge(occasion, index, occasion.at, false),
        }
    }

    /// Takes over a connection that nobody saw being made; when the agent was called and answered is not known.
    pub fn take_over_bridge(&mut self, occasion: &mut Occasion<'_>, agent: &str, leg: ChannelUuid, at: Timestamp) {
        let index = self.open_offer(agent, at).unwrap_or_else(|| self.infer_offer(agent, at));
        self.offers[index].choose_leg(leg);
        self.bridge(occasion, index, at, true);
    }

    /// Infers a connection whose event was lost from the time that the channel data of either leg still hold.
    pub fn infer_bridge(&mut self, occasion: &mut Occasion<'_>, data: ChannelData<'_>) {
        if self.bridge.as_ref().is_some_and(|bridge| self.offers[bridge.offer].is_open()) {
            return;
        }
        let Some(at) = data.bridged_at() else { return };
        if self.ended_at().is_some_and(|ended_at| ended_at < at) {
            return;
        }
        let (Some(uuid), Some(other)) = (data.uuid(), data.other_uuid()) else { return };
        let session = self.key.session.as_str();
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
            return self.bridge(occasion, index, at, true);
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
            self.take_over_bridge(occasion, &agent, ChannelUuid::new(&*leg), at);
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
            offer.end_leg(leg.as_str(), &leg_end(occasion.at, data));
        }
        if offer.state != OfferState::Bridged {
            // Only who has answered gets so far, whether that was seen or not.
            let answered_at = data.answered_at().filter(|_| !data.needs_confirmation());
            self.answer_as(occasion, index, answered_at.unwrap_or(occasion.at), true);
            self.offers[index].close(Outcome::Failed, occasion.at);
            return true;
        }
        offer.close(Outcome::Bridged, occasion.at);
        if let Some(bridge) = &mut self.bridge {
            bridge.agent_done_at = Some(occasion.at);
        }
        if bridged && self.use_processing(occasion, Some(index)) {
            self.tell(occasion, EventName::Processing, Some(index), occasion.at, false);
        }
        true
    }

    /// Either leg of the connected pair was put on hold, or taken off it.
    pub fn hold(&mut self, channel: &str, on: bool, at: Timestamp) {
        let is_connected = self.bridge.as_ref().is_some_and(|bridge| bridge.disconnected_at.is_none());
        let is_over = self.ended_at().is_some_and(|ended_at| ended_at < at);
        if !is_connected || is_over || !self.is_of_pair(channel) {
            return;
        }
        self.dirty = true;
        if let Some(bridge) = &mut self.bridge {
            if on {
                bridge.hold.begin(at);
            } else {
                bridge.hold.end(at);
            }
        }
    }

    /// A channel of the connected pair was disconnected from another. Where the agent's was, from a third person, that
    /// is the end of a consultation.
    pub fn disconnect(&mut self, channel: &str, other: Option<&str>, at: Timestamp) {
        let session = self.key.session.as_str();
        // Later, the member is parted from others, whom the next queue or a transfer led to.
        let at = self.ended_at().map_or(at, |ended_at| ended_at.min(at));
        let from_member = channel == session || (self.is_of_pair(channel) && other == Some(session));
        if from_member && let Some(bridge) = &mut self.bridge {
            bridge.hold.end(at);
            bridge.disconnected_at.get_or_insert(at);
            self.dirty = true;
        }
    }

    fn bridge(&mut self, occasion: &mut Occasion<'_>, index: usize, at: Timestamp, synthetic: bool) {
        self.answer_as(occasion, index, at, true);
        self.offers[index].state = OfferState::Bridged;
        self.bridge =
            Some(Bridge { offer: index, at, agent_done_at: None, disconnected_at: None, hold: Hold::default() });
        self.tell(occasion, EventName::Bridged, Some(index), at, synthetic);
        self.close_beaten_offers(at);
    }

    /// Closes the offers of agents who answered at the same time as the one who was connected: mod_callcenter tells of
    /// them nothing more.
    pub(super) fn close_beaten_offers(&mut self, at: Timestamp) {
        for offer in &mut self.offers {
            if offer.state == OfferState::Open && offer.answered_at.is_some() && offer.offered_at <= at {
                offer.close(Outcome::LostRace, at);
            }
        }
    }

    fn is_of_pair(&self, channel: &str) -> bool {
        self.bridge.as_ref().is_some_and(|bridge| {
            self.key.session.as_str() == channel
                || self.offers[bridge.offer].leg().is_some_and(|leg| leg.channel.as_str() == channel)
        })
    }
}
