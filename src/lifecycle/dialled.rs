//! What the legs of a queue without mod_callcenter change of an attempt: they alone tell who is offered, who was reached
//! and what is over.

use jiff::{SignedDuration, Timestamp};

use super::attempt::{Attempt, QueueEnd};
use super::offer::{Offer, OfferState};
use super::world::Occasion;
use crate::config::queue::QueueSource;
use crate::freeswitch::channel::ChannelData;
use crate::freeswitch::header as h;
use crate::id::ChannelUuid;
use crate::moment::EventName;
use crate::moment::value::{AmdResult, CancelReason, CcResult, QueueType};

/// How long an attempt whose member was not called yet waits for the next agent after the last one's leg has ended: a
/// dialer tries another within a second or so.
const NEXT_AGENT_WAIT: SignedDuration = SignedDuration::from_secs(5);

impl Attempt {
    /// Whether it is a dialer's: its legs alone tell of it.
    pub fn is_dialled(&self) -> bool {
        self.source == QueueSource::Channel
    }

    /// The member's channel; none before a dialer has called the member, or where none carries the attempt.
    pub fn channel(&self) -> Option<&ChannelUuid> {
        match self.source {
            QueueSource::Channel | QueueSource::Api => self.call.channel.as_ref(),
            QueueSource::Callcenter | QueueSource::Fifo => Some(&self.key.session),
        }
    }

    /// What it can be found by: the channel in its key, or what stands in its place, and the member's own.
    pub fn sessions(&self) -> impl Iterator<Item = &ChannelUuid> {
        std::iter::once(&self.key.session).chain(&self.call.channel)
    }

    /// Whether no agent takes part: then the member's own answer stands for the connection with one.
    fn has_no_agents(&self) -> bool {
        self.is_dialled() && self.settings.queue_type == QueueType::OutboundIvr
    }

    /// When the member was connected: with an agent, or, where there are none, with what is played.
    pub fn connected_at(&self) -> Option<Timestamp> {
        self.bridge.as_ref().map(|bridge| bridge.at).or(self.call.connected_at)
    }

    /// The member is called on this leg.
    pub fn take_call(&mut self, data: ChannelData<'_>) {
        self.call.channel = data.uuid().map(ChannelUuid::new);
        self.absorb(data);
        self.dirty = true;
    }

    /// An agent is called on this leg: on a further device of one who is being called already, or by an offer of its own.
    pub fn offer_on_leg(
        &mut self,
        occasion: &mut Occasion<'_>,
        agent: &str,
        leg: ChannelUuid,
        data: ChannelData<'_>,
        is_seen: bool,
    ) {
        let open = self.open_offer(agent, occasion.at).map(|index| &self.offers[index]);
        let rings = open.is_some_and(|offer| offer.state == OfferState::Open && offer.answered_at.is_none());
        match data.created_at() {
            _ if rings => {}
            Some(made_at) if !is_seen => {
                self.close_forgotten_offer(occasion, agent);
                self.infer_offer(agent, made_at, None);
            }
            _ => {
                self.offer(occasion, agent, false);
            }
        }
        self.add_leg(occasion, agent, leg, data);
    }

    /// An agent's leg was answered: it stands for the offer from now on.
    pub fn answer_offer(&mut self, occasion: &mut Occasion<'_>, leg: &str, data: ChannelData<'_>, synthetic: bool) {
        let answers = |offer: &Offer| offer.is_open() && offer.answered_at.is_none() && offer.has_leg(leg);
        let Some(index) = self.offers.iter().position(answers).filter(|_| !data.needs_confirmation()) else { return };
        self.offers[index].choose_leg(leg.into());
        self.answer_as(occasion, index, data.answered_at().unwrap_or(occasion.at), synthetic);
    }

    /// The member's phone rings.
    pub fn ring(&mut self, occasion: &mut Occasion<'_>) {
        self.ring_at(occasion, occasion.at, false);
    }

    fn ring_at(&mut self, occasion: &mut Occasion<'_>, at: Timestamp, synthetic: bool) {
        if self.has_no_agents() && self.call.rang_at.is_none() {
            self.call.rang_at = Some(at);
            self.tell(occasion, EventName::Offering, None, at, synthetic);
        }
    }

    /// The member has answered. Where a detector will judge who did, nobody is reached yet.
    pub fn answer_call(&mut self, occasion: &mut Occasion<'_>, data: ChannelData<'_>, synthetic: bool) {
        self.absorb(data);
        self.dirty = true;
        let at = self.call.answered_at.unwrap_or(occasion.at);
        if self.call.amd_result.is_some() || !uses_detector(data) {
            self.reach(occasion, at, synthetic);
        }
    }

    /// A detector has judged who answered.
    pub fn judge(&mut self, occasion: &mut Occasion<'_>, data: ChannelData<'_>) {
        self.absorb(data);
        self.dirty = true;
        self.reach(occasion, occasion.at, false);
    }

    /// mod_avmd has heard a beep: a machine has answered.
    pub fn hear_beep(&mut self) {
        self.call.amd_result = Some(AmdResult::Machine);
        self.dirty = true;
    }

    /// The member is reached, unless a machine is: where there are no agents, that is the connection.
    fn reach(&mut self, occasion: &mut Occasion<'_>, at: Timestamp, synthetic: bool) {
        let is_machine = self.call.amd_result == Some(AmdResult::Machine);
        if !self.has_no_agents() || is_machine || self.call.connected_at.is_some() {
            return;
        }
        self.ring_at(occasion, at, true);
        self.call.connected_at = Some(at);
        self.tell(occasion, EventName::Bridged, None, at, synthetic);
    }

    /// The member's call has ended, and with it all that a dialer's attempt is: who talked with the member does not any
    /// more, and who answered in vain has done so. Phones that still ring are cancelled by FreeSWITCH.
    pub(super) fn end_with_call(&mut self, occasion: &mut Occasion<'_>, data: ChannelData<'_>) {
        let judged = !uses_detector(data) || self.call.amd_result == Some(AmdResult::Human);
        if let Some(answered_at) = self.call.answered_at.filter(|_| judged) {
            self.reach(occasion, answered_at, true);
        }
        let Some(end) = self.call.end.as_ref() else { return };
        let at = end.at;
        self.queue_end.get_or_insert(QueueEnd {
            at,
            seen_at: occasion.now,
            call_goes_on: false,
            reason: None,
            call_end: None,
            inferred: false,
        });
        for index in 0..self.offers.len() {
            let offer = &self.offers[index];
            let outlasts = offer.state == OfferState::Bridged && self.agent_may_be_up(index);
            if offer.is_open() && offer.answered_at.is_some() && !outlasts {
                self.end_offer(occasion, index, "NORMAL_CLEARING".to_owned(), at);
            }
        }
    }

    /// An agent's leg has ended: the offer is over if the agent talked on it, or rings nowhere else. mod_callcenter says
    /// itself when an offer is over.
    pub fn end_offer_with_leg(&mut self, occasion: &mut Occasion<'_>, leg: &str) {
        if self.source == QueueSource::Callcenter {
            return;
        }
        let Some(index) = self.offers.iter().position(|offer| offer.is_open() && offer.has_leg(leg)) else { return };
        let offer = &self.offers[index];
        let stands_for_it = offer.leg().is_some_and(|chosen| chosen.channel.as_str() == leg);
        let has_ended = offer.legs.iter().all(|leg| leg.end.is_some());
        let is_over = if offer.answered_at.is_some() { stands_for_it } else { has_ended };
        let Some(end) = offer.last_leg_end().filter(|_| is_over) else { return };
        let (at, cause) = (end.at, end.cause.clone().unwrap_or_default());
        self.end_offer(occasion, index, cause, at);
    }

    fn end_offer(&mut self, occasion: &mut Occasion<'_>, index: usize, cause: String, at: Timestamp) {
        self.dirty = true;
        match self.offers[index].state {
            OfferState::Bridged => self.end_bridged_offer(occasion, index, true),
            OfferState::Open => {
                self.offers[index].state = OfferState::Failing { cause, at, seen_at: occasion.now };
            }
            OfferState::Failing { .. } | OfferState::Closed { .. } => {}
        }
    }

    /// The legs on which agents are called, or talk, as far as is known.
    pub fn live_legs(&self) -> impl Iterator<Item = &ChannelUuid> {
        let open = self.offers.iter().filter(|offer| offer.is_open()).flat_map(|offer| &offer.legs);
        open.filter(|leg| leg.end.is_none()).map(|leg| &leg.channel)
    }

    /// When the last leg ended of an attempt whose member was not called, where none rings.
    fn idle_since(&self) -> Option<Timestamp> {
        if !self.is_dialled() || self.channel().is_some() || self.offers.iter().any(Offer::is_open) {
            return None;
        }
        self.offers.iter().filter_map(|offer| Some(offer.last_leg_end()?.at)).max()
    }

    /// Whether the member's leaving has begun.
    pub fn is_ending(&self) -> bool {
        self.left_at().is_some() || self.idle_since().is_some()
    }

    /// Ends an attempt for whom no agent is tried any more before the member is called; returns when it will be.
    pub(super) fn settle_idle(&mut self, now: Timestamp) -> Option<Timestamp> {
        if self.queue_end.is_some() || self.loss.is_some() {
            return None;
        }
        let at = self.idle_since()?;
        let due = at + NEXT_AGENT_WAIT;
        if now < due {
            return Some(due);
        }
        self.queue_end =
            Some(QueueEnd { at, seen_at: now, call_goes_on: false, reason: None, call_end: None, inferred: false });
        self.dirty = true;
        None
    }

    /// The result of a dialer's attempt that was not connected: a machine is nobody who was reached.
    pub(super) fn dialled_result(&self, is_taken_away: bool) -> (CcResult, Option<CancelReason>) {
        let is_machine = self.call.amd_result == Some(AmdResult::Machine);
        let is_reached = self.call.answered_at.is_some() && !is_machine;
        let result = if is_reached { CcResult::Abandoned } else { CcResult::Cancel };
        (result, Some(if is_taken_away { CancelReason::Killed } else { CancelReason::Hangup }))
    }
}

/// Whether the dialer says that a detector of answering machines will judge who answers.
fn uses_detector(data: ChannelData<'_>) -> bool {
    data.header(h::HOOKSWITCH_AMD).is_some_and(|value| matches!(&*value, "true" | "1" | "yes" | "on"))
}
