//! The connection of member and agent: how it is made, inferred, held, parted and ended.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::attempt::Attempt;
use super::leg::LegEnd;
use super::offer::OfferState;
use super::world::Occasion;
use crate::config::queue::QueueSource;
use crate::freeswitch::channel::{AnswerState, ChannelData, ChannelTimes};
use crate::freeswitch::header as h;
use crate::id::ChannelUuid;
use crate::moment::EventName;
use crate::moment::value::{Outcome, Seconds, Side};

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
    /// Who holds it: it goes on when nobody does.
    #[serde(default)]
    pub held_by: Vec<Side>,
    /// When it was last taken off hold by anybody: what happened before comes late.
    #[serde(default)]
    pub released_at: Option<Timestamp>,
}

/// What became of a conversation when somebody held it, or ceased to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum HoldChange {
    Held,
    Resumed {
        /// When it had been put on hold.
        since: Timestamp,
    },
}

impl Bridge {
    /// Times at which something of it was seen; of holds that are over, one by which they can have been at the earliest.
    pub fn facts_at(&self) -> impl Iterator<Item = Timestamp> + use<> {
        let held = self.at.checked_add(SignedDuration::from_micros(self.hold.done_micros)).ok();
        [Some(self.at), held, self.hold.since, self.disconnected_at, self.agent_done_at].into_iter().flatten()
    }
}

impl Hold {
    fn hold(&mut self, side: Side, at: Timestamp) -> Option<HoldChange> {
        let is_late = self.released_at.is_some_and(|released_at| at < released_at);
        if is_late || self.held_by.contains(&side) {
            return None;
        }
        self.held_by.push(side);
        if self.since.is_some() {
            return None;
        }
        self.since = Some(at);
        self.count += 1;
        Some(HoldChange::Held)
    }

    fn release(&mut self, side: Side, at: Timestamp) -> Option<HoldChange> {
        self.released_at = self.released_at.max(Some(at));
        self.held_by.retain(|holder| *holder != side);
        let since = self.since.filter(|_| self.held_by.is_empty())?;
        self.end(at);
        Some(HoldChange::Resumed { since })
    }

    /// It is over, whoever holds it.
    pub(super) fn end(&mut self, at: Timestamp) {
        self.held_by.clear();
        if let Some(since) = self.since.take() {
            self.done_micros += (at.as_microsecond() - since.as_microsecond()).max(0);
        }
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

    /// The part of an agent who was connected is over; with `processing`, post-processing follows where it is on.
    pub(super) fn end_bridged_offer(&mut self, occasion: &mut Occasion<'_>, index: usize, processing: bool) {
        self.close_offer(occasion, index, Outcome::Bridged, occasion.at, false);
        if let Some(bridge) = &mut self.bridge {
            bridge.agent_done_at = Some(occasion.at);
        }
        if processing && self.use_processing(occasion, Some(index)) {
            self.tell(occasion, EventName::Processing, Some(index), occasion.at, false);
            self.begin_wrap_up(occasion, index, occasion.at);
        }
    }

    /// Either leg of the connected pair was put on hold, or taken off it.
    pub fn hold(&mut self, occasion: &mut Occasion<'_>, channel: &str, on: bool) {
        let at = occasion.at;
        let is_of_pair = self.is_of_pair(channel) && self.ended_at().is_none_or(|ended_at| at <= ended_at);
        let is_members = self.channel().is_some_and(|own| own.as_str() == channel);
        let side = if is_members { Side::Member } else { Side::Agent };
        let is_connected = |bridge: &&mut Bridge| bridge.disconnected_at.is_none() && bridge.at <= at;
        let Some(bridge) = self.bridge.as_mut().filter(|_| is_of_pair).filter(is_connected) else { return };
        self.dirty = true;
        let offer = Some(bridge.offer);
        let change = if on { bridge.hold.hold(side, at) } else { bridge.hold.release(side, at) };
        let (event, since) = match change {
            None => return,
            Some(HoldChange::Held) => (EventName::Hold, None),
            Some(HoldChange::Resumed { since }) => (EventName::Unhold, Some(since)),
        };
        self.tell_with(occasion, event, offer, at, false, |_, payload| {
            payload.hold_side = Some(side);
            payload.lasted_sec = since.map(|since| Seconds::between(since, at));
        });
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
            if offer.state == OfferState::Open && offer.answered_at.is_some() && offer.offered_at <= at {
                self.close_offer(occasion, index, Outcome::LostRace, at, true);
            }
        }
    }

    fn is_of_pair(&self, channel: &str) -> bool {
        self.bridge.as_ref().is_some_and(|bridge| {
            self.channel().is_some_and(|own| own.as_str() == channel)
                || self.offers[bridge.offer].leg().is_some_and(|leg| leg.channel.as_str() == channel)
        })
    }
}
