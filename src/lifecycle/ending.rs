//! When offers and attempts are over: decided from their facts alone, anew after each of them.

use jiff::{SignedDuration, Timestamp};

use super::attempt::{Attempt, Loss};
use super::offer::{Offer, OfferState};
use super::verdict::{MemberFate, Readiness, Verdict};
use super::world::Occasion;
use crate::config::queue::QueueSource;
use crate::moment::EventName;
use crate::moment::value::{CcResult, Outcome, Seconds};

/// How long `leaving` waits for the end of the member's call after FreeSWITCH said that it is ending. Normally it comes
/// within 0.1 s; under overload 7.7 s were seen.
pub(super) const CALL_END_WAIT: SignedDuration = SignedDuration::from_secs(30);

/// How long `leaving` waits for `member-queue-end` after the member's call has ended. It can fail to come at all.
const QUEUE_END_WAIT: SignedDuration = SignedDuration::from_secs(10);

/// How long `leaving` waits for offers that are under way when the member leaves: an announcement to the agent delays
/// the offer's end.
const OFFERS_END_WAIT: SignedDuration = SignedDuration::from_secs(30);

/// How long `leaving` waits, when the agent has gone and the call goes on for no known reason, for the call's own end,
/// which may be milliseconds behind; and for the end of the agent's leg, which tells who hung up.
pub(super) const HANGUP_WAIT: SignedDuration = SignedDuration::from_millis(300);

/// How late an event may be that tells that a wait was over in time: under load FreeSWITCH sends some seconds late, and
/// `sla_missed` can't be taken back.
const LATENESS: SignedDuration = SignedDuration::from_secs(2);

impl Attempt {
    /// Draws the conclusions of what is known: offers whose end is clear are closed, and when everything is, the attempt
    /// leaves. To be called after every fact, and when the time it returned has come.
    pub fn settle(&mut self, occasion: &mut Occasion<'_>) -> Option<Timestamp> {
        if self.left {
            return earlier(self.settle_agents_part(occasion), self.settle_wrap_up(occasion));
        }
        self.stop_waiting_for_call(occasion.now);
        self.stop_waiting_for_queue_end(occasion.now);
        let mut next = earlier(self.settle_wrap_up(occasion), self.settle_sla(occasion));
        next = earlier(next, self.settle_hold(occasion));
        for index in 0..self.offers.len() {
            next = earlier(next, self.settle_offer(occasion, index));
        }
        next = earlier(next, self.settle_idle(occasion.now));
        next = earlier(next, self.settle_told(occasion.now));
        match self.leaving_readiness(occasion.now) {
            None => next,
            Some(Readiness::Until(at)) => earlier(next, Some(at)),
            Some(Readiness::Ready(())) => {
                self.leave(occasion);
                earlier(self.settle_agents_part(occasion), self.settle_wrap_up(occasion))
            }
        }
    }

    /// Tells once that the member waited longer than was promised; returns when that is to be seen. Where events may have
    /// been missed since before, it is seen when the attempt is next compared with what FreeSWITCH has.
    fn settle_sla(&mut self, occasion: &mut Occasion<'_>) -> Option<Timestamp> {
        let sla = self.settings.sla.filter(|_| !self.sla_settled && self.loss.is_none())?;
        let at = (self.joined_at + sla).saturating_add(self.clock_step).unwrap_or(Timestamp::MAX);
        let waited_until = earlier(self.bridge.as_ref().map(|bridge| bridge.at), self.ended_at());
        match waited_until {
            None if occasion.now < at + LATENESS => return Some(at + LATENESS),
            None if occasion.may_have_missed(self.joined_at) => return None,
            Some(until) if until <= at => {
                self.sla_settled = true;
                return None;
            }
            None | Some(_) => {}
        }
        self.sla_settled = true;
        self.tell_with(occasion, EventName::SlaMissed, None, at, false, |_, payload| {
            payload.sla_sec = Some(Seconds(sla.as_secs_f64()));
        });
        None
    }

    /// Whether the member waits: in the queue and not connected with an agent. Who was found gone may still be there.
    pub fn is_waiting(&self) -> bool {
        self.connected_at().is_none() && self.ended_at().is_none() && !self.left
    }

    fn settle_offer(&mut self, occasion: &mut Occasion<'_>, index: usize) -> Option<Timestamp> {
        let fate = self.member_fate();
        if let Some(Loss { at, grace_until, .. }) = self.offers[index].loss().cloned() {
            if occasion.now < grace_until {
                return Some(grace_until);
            }
            self.close_open_offer(occasion, index, at, fate, true);
            return None;
        }
        match self.offers[index].verdict(fate, occasion.now)? {
            Readiness::Until(at) => Some(at),
            Readiness::Ready(verdict) => {
                let OfferState::Failing { at, .. } = self.offers[index].state else { return None };
                self.conclude_offer(occasion, index, verdict, fate, at);
                None
            }
        }
    }

    /// Closes the offer to an agent to whom the attempt is offered anew: its end was lost, or is known by its leg alone.
    pub fn close_forgotten_offer(&mut self, occasion: &mut Occasion<'_>, agent: &str) {
        if let Some(index) = self.open_offer(agent, occasion.at) {
            let (at, fate) = (occasion.at, self.member_fate());
            self.close_open_offer(occasion, index, at, fate, true);
        }
    }

    fn conclude_offer(
        &mut self,
        occasion: &mut Occasion<'_>,
        index: usize,
        verdict: Verdict,
        fate: MemberFate,
        at: Timestamp,
    ) {
        let offer = &self.offers[index];
        let is_guessed = fate.is_inferred() && offer.is_explained_by_member();
        let was_seen = matches!(offer.state, OfferState::Failing { .. }) && !is_guessed;
        match verdict {
            Verdict::LostRace => self.close_offer(occasion, index, Outcome::LostRace, at, !was_seen),
            Verdict::AnsweredInVain => self.close_offer(occasion, index, Outcome::Failed, at, !was_seen),
            Verdict::Missed(reason) => {
                self.announce(occasion, index);
                self.tell_missed(occasion, index, reason, at, !was_seen);
                self.close_offer(occasion, index, reason.into(), at, !was_seen);
            }
        }
    }

    /// Whether the call went on after the queue until then, longer than a hangup takes to follow.
    pub fn went_on_until(&self, at: Timestamp) -> bool {
        let may_be_ending = self.bridge.is_some() && self.transfer_mark().is_none();
        let goes_on = self.queue_end.as_ref().filter(|end| end.call_goes_on);
        goes_on.is_some_and(|end| !may_be_ending || at > end.at + HANGUP_WAIT)
    }

    /// Where the end of the call does not come any more, what the queue's end told of it has to do.
    fn stop_waiting_for_call(&mut self, now: Timestamp) {
        let has_gone = self.has_gone(now);
        if let Some(end) = self.queue_end.as_mut().filter(|end| has_gone || end.seen_at + CALL_END_WAIT <= now) {
            self.call.end = self.call.end.take().or(end.call_end.take());
        }
    }

    /// Where FreeSWITCH's word that the member has left does not come any more, what the call's end told of it has to do.
    fn stop_waiting_for_queue_end(&mut self, now: Timestamp) {
        let is_missing = self.queue_end.is_none() && self.call.end_seen_at.is_some_and(|at| at + QUEUE_END_WAIT <= now);
        if is_missing && let Some(end) = self.call.left_queue.take() {
            (self.queue_end, self.call.end, self.call.end_seen_at) = (Some(*end), None, None);
            self.dirty = true;
        }
    }

    /// Whether the attempt was found gone and nothing more can come.
    fn has_gone(&self, now: Timestamp) -> bool {
        self.loss.as_ref().is_some_and(|loss| loss.grace_until <= now)
    }

    /// Whether the attempt can leave; none while the member has not begun to.
    fn leaving_readiness(&self, now: Timestamp) -> Option<Readiness<()>> {
        if self.has_gone(now) {
            return Some(Readiness::Ready(()));
        }
        let call_end = self.call.end_seen_at;
        let Some(first_end) = earlier(self.queue_end.as_ref().map(|end| end.seen_at), call_end) else {
            return Some(Readiness::Until(self.loss.as_ref()?.grace_until));
        };
        let mut waits = Vec::with_capacity(3);
        match (&self.queue_end, call_end) {
            (Some(end), None) if !end.call_goes_on && self.channel().is_some() => {
                waits.push(end.seen_at + CALL_END_WAIT);
            }
            (Some(end), None) if self.bridge.is_some() && self.transfer_mark().is_none() => {
                waits.push(end.seen_at + HANGUP_WAIT);
            }
            (None, Some(seen_at)) => waits.push(seen_at + QUEUE_END_WAIT),
            (_, _) => {}
        }
        if self.offers.iter().any(|offer| offer.is_open() && !self.ends_with_its_leg(offer)) {
            waits.push(first_end + if self.queue_end.is_some() { OFFERS_END_WAIT } else { QUEUE_END_WAIT });
        }
        if self.awaits_agents_leg() || self.offers.iter().any(|offer| self.ends_with_its_leg(offer)) {
            waits.push(first_end + HANGUP_WAIT);
        }
        Some(match waits.into_iter().filter(|until| now < *until).max() {
            Some(until) => Readiness::Until(until),
            None => Readiness::Ready(()),
        })
    }

    /// Whether the agent is connected and the end of the leg alone tells when the agent's part is over, so that the
    /// member's leaving waits for nothing else.
    fn ends_with_its_leg(&self, offer: &Offer) -> bool {
        self.source != QueueSource::Callcenter && offer.state == OfferState::Bridged
    }

    fn leave(&mut self, occasion: &mut Occasion<'_>) {
        let left_at = self.left_at().unwrap_or(occasion.at);
        self.close_open_offers(occasion, left_at);
        if let Some(bridge) = &mut self.bridge {
            bridge.hold.since = bridge.hold.since.filter(|since| *since < left_at);
            bridge.hold.end(left_at);
        }
        let synthetic = self.queue_end.as_ref().is_none_or(|end| end.inferred);
        let offer = self.bridge.as_ref().map(|bridge| bridge.offer);
        self.left = true;
        self.tell(occasion, EventName::Leaving, offer, left_at, synthetic);
        if self.transfer_mark().is_some() {
            self.tell(occasion, EventName::Transferred, offer, left_at, synthetic);
        }
        if self.result().0 == CcResult::Abandoned {
            self.tell(occasion, EventName::Abandoned, offer, left_at, synthetic);
        }
    }

    /// Closes the offers whose end did not come, by what is known of their legs.
    pub(super) fn close_open_offers(&mut self, occasion: &mut Occasion<'_>, left_at: Timestamp) {
        let (fate, was_lost) = (self.member_fate(), self.was_lost());
        for index in 0..self.offers.len() {
            // The part of an agent who is on the phone has an end of its own, which is still to come.
            let outlasts = self.offers[index].state == OfferState::Bridged && self.agent_may_be_up(index);
            if self.offers[index].is_open() && !outlasts {
                self.close_open_offer(occasion, index, left_at, fate, was_lost);
            }
        }
    }

    /// Closes an offer by what is known of it. Where the story has a gap, what is not known of it was lost.
    fn close_open_offer(
        &mut self,
        occasion: &mut Occasion<'_>,
        index: usize,
        now: Timestamp,
        fate: MemberFate,
        has_gap: bool,
    ) {
        let offer = &self.offers[index];
        let was_seen = offer.legs.iter().all(|leg| leg.end.is_some());
        let leg_end = offer.last_leg_end().filter(|_| was_seen).map(|end| end.at);
        let at = leg_end.unwrap_or(now);
        let has_winner = self.bridge.as_ref().is_some_and(|bridge| offer.rang_at(bridge.at));
        match &offer.state {
            OfferState::Closed { .. } => {}
            OfferState::Bridged => self.end_agents_part(occasion, index, at),
            OfferState::Failing { at, .. } => {
                self.conclude_offer(occasion, index, offer.final_verdict(fate), fate, *at);
            }
            OfferState::Open if has_winner => self.close_offer(occasion, index, Outcome::LostRace, at, true),
            OfferState::Open if has_gap && leg_end.is_none() => {
                self.close_offer(occasion, index, Outcome::Lost, at, true);
            }
            OfferState::Open => {
                if let Some(answered_at) = offer.answered_by_its_end() {
                    self.answer_as(occasion, index, answered_at, true);
                }
                let verdict = self.offers[index].final_verdict(fate);
                self.conclude_offer(occasion, index, verdict, fate, at);
            }
        }
    }

    /// When the member left: the first end that was seen, whatever was waited for later.
    pub fn left_at(&self) -> Option<Timestamp> {
        // What is heard of after the loss was found was before it.
        self.ended_at().or(self.loss.as_ref().map(|loss| loss.at.max(self.latest_fact_at())))
    }

    /// The first end that was seen.
    pub fn ended_at(&self) -> Option<Timestamp> {
        earlier(self.queue_end.as_ref().map(|end| end.at), self.call.end.as_ref().map(|end| end.at))
    }

    /// When the conversation ended: with the agent's part, or markedly before it where the two were parted by a transfer
    /// while the agent's call went on.
    pub fn voice_ended_at(&self) -> Option<Timestamp> {
        let agent_done_at = self.bridge.as_ref().and_then(|bridge| bridge.agent_done_at);
        let disconnected_at = self.bridge.as_ref().and_then(|bridge| bridge.disconnected_at);
        let end = earlier(self.left_at(), agent_done_at);
        match (disconnected_at, end) {
            (Some(parted), Some(end)) if parted + HANGUP_WAIT < end => Some(parted),
            (_, end) => end,
        }
    }
}

pub(super) fn earlier(left: Option<Timestamp>, right: Option<Timestamp>) -> Option<Timestamp> {
    match (left, right) {
        (Some(left), Some(right)) => Some(left.min(right)),
        (one, other) => one.or(other),
    }
}
