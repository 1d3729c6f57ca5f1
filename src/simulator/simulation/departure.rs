//! A member leaves without having talked to an agent.

use std::time::Duration;

use super::agenda::{Settling, Step};
use super::announcement::CancelWord;
use super::call::{Call, CallId, OfferState, Phase, Stay};
use super::world::Simulation;
use crate::moment::value::{CancelReason, CcResult, MissedReason, Outcome, Seconds, Side};
use crate::simulator::channel::{Disposition, HangupCause, Leg};

/// How long the dialplan plays a tone to a member whom no agent took.
const TONE: Duration = Duration::from_millis(1_200);
/// From a member's leaving to what is said of the agents whose phones rang.
const SETTLING_MS: (u64, u64) = (20, 40);
/// An agent who answered too late hears silence for a while before FreeSWITCH notices.
const SILENCE_MS: (u64, u64) = (1_500, 3_500);
/// A member who leaves between an agent's answer and the bridge goes unmentioned this often.
const UNMENTIONED: f64 = 0.3;

impl Simulation {
    /// The member hangs up.
    pub(super) fn give_up(&mut self, call: Call, stay: Stay) {
        if let Phase::Talking(..) = stay.phase {
            return self.keep_in_queue(call, stay);
        }
        self.leave_dead(call, stay, Side::Member, HangupCause::NormalClearing);
    }

    /// The member's call ends in the queue, by the member or by FreeSWITCH.
    fn leave_dead(&mut self, mut call: Call, mut stay: Stay, side: Side, cause: HangupCause) {
        let disposition = if side == Side::Member { Disposition::RecvBye } else { Disposition::SendBye };
        let reason = if side == Side::Member { CancelReason::Hangup } else { CancelReason::Killed };
        call.leg.hang_up(cause, disposition, self.now);
        stay.truth.call_cause = Some(cause.as_str());
        stay.truth.call_sip_code = Some(200);
        stay.truth.hangup_side = Some(side);
        self.leave(&mut stay, reason);

        let missed = if side == Side::Member { MissedReason::Abandoned } else { MissedReason::Withdrawn };
        let cancel_first = self.chance.happens(0.5);
        if cancel_first {
            self.cancel_offers(&mut stay, missed);
        }
        self.announce_leaving(&mut call.leg, &mut stay);
        self.announce_hangup(&mut call.leg);
        if !cancel_first {
            self.cancel_offers(&mut stay, missed);
        }
        let answered = stay.answered_offer().is_some();
        self.settle_later(call.leg, stay, if answered { SILENCE_MS } else { SETTLING_MS });
    }

    fn announce_leaving(&mut self, member: &mut Leg, stay: &mut Stay) {
        let connecting = stay.answered_offer().is_some();
        if connecting && self.chance.happens(UNMENTIONED) {
            member.variables.set("cc_cause", "answered");
            stay.truth.no_queue_end = true;
            return;
        }
        let word = if connecting { CancelWord::None } else { CancelWord::BreakOut };
        self.announce_queue_cancelled(member, stay, word);
        self.announce_count(stay.queue, self.waiting_in(stay.queue));
    }

    /// The member presses the exit key while waiting.
    pub(super) fn press_exit(&mut self, call: Call, mut stay: Stay) {
        if stay.phase != Phase::Waiting {
            return self.keep_in_queue(call, stay);
        }
        stay.truth.exit_key = self.queue(stay.queue).exit_key.clone();
        let mut call = call;
        if let Some(key) = &stay.truth.exit_key {
            call.leg.variables.set("cc_exit_key", key.clone());
        }
        self.leave_alive(call, stay, CancelReason::ExitWithKey, CancelWord::ExitWithKey, None);
    }

    /// The queue's longest waiting time has passed.
    pub(super) fn time_out(&mut self, call: Call, stay: Stay) {
        if stay.phase != Phase::Waiting {
            return self.keep_in_queue(call, stay);
        }
        let overflow = self.queue(stay.queue).overflow_to.clone();
        let next = overflow.and_then(|name| self.queue_named(&name));
        self.leave_alive(call, stay, CancelReason::Timeout, CancelWord::Timeout, next);
    }

    /// The member leaves the queue and the call goes on: into the next queue, or to a tone and its end.
    pub(super) fn leave_alive(
        &mut self,
        mut call: Call,
        mut stay: Stay,
        reason: CancelReason,
        word: CancelWord,
        next: Option<usize>,
    ) {
        self.leave(&mut stay, reason);
        self.cancel_offers(&mut stay, MissedReason::Withdrawn);
        self.announce_queue_cancelled(&mut call.leg, &stay, word);
        self.announce_count(stay.queue, self.waiting_in(stay.queue));
        self.settle_later(call.leg.clone(), stay, SETTLING_MS);
        match next {
            Some(queue) => self.join(call, queue),
            None => {
                self.after(TONE, Step::HangUp(call.id));
                self.keep(call);
            }
        }
    }

    fn leave(&mut self, stay: &mut Stay, reason: CancelReason) {
        let abandoned = reason == CancelReason::Hangup;
        stay.truth.cc_result = if abandoned { CcResult::Abandoned } else { CcResult::Cancel };
        stay.truth.cc_cancel_reason = Some(reason);
        stay.truth.wait_sec = Seconds::between(stay.joined, self.now);
    }

    /// The phones that ring are called off.
    pub(super) fn cancel_offers(&mut self, stay: &mut Stay, reason: MissedReason) {
        for index in stay.ringing() {
            let offer = &mut stay.offers[index];
            offer.state = OfferState::Cancelled(reason);
            offer.leg.hang_up(HangupCause::OriginatorCancel, Disposition::SendCancel, self.now);
            self.announce_hangup(&mut offer.leg);
        }
    }

    /// The dialplan, or the dialer, hangs up a call that is in no queue.
    pub(super) fn hang_up(&mut self, id: CallId, cause: HangupCause) {
        let Some(mut call) = self.calls.remove(&id) else { return };
        if call.stay.is_some() {
            return self.keep(call);
        }
        call.leg.hang_up(cause, Disposition::SendBye, self.now);
        self.announce_hangup(&mut call.leg);
    }

    /// FreeSWITCH ends a call, wherever it is.
    pub(super) fn end_by_system(&mut self, id: CallId, cause: HangupCause) {
        let Some(mut call) = self.calls.remove(&id) else { return };
        match call.stay.take() {
            None => {
                self.keep(call);
                self.hang_up(id, cause);
            }
            Some(mut stay) => match stay.phase {
                Phase::Talking(index, since) => {
                    stay.truth.call_voice_sec = Some(Seconds::between(since, self.now));
                    self.part(call, stay, index, Side::System, cause);
                }
                Phase::Waiting | Phase::Connecting(_) => self.leave_dead(call, stay, Side::System, cause),
            },
        }
    }

    pub(super) fn settle_later(&mut self, member: Leg, stay: Stay, between_ms: (u64, u64)) {
        let delay = self.chance.millis(between_ms.0, between_ms.1);
        self.after(delay, Step::Settle(Box::new(Settling { member, stay })));
    }

    /// What is still to be said of a stay whose member has left.
    pub(super) fn settle(&mut self, Settling { member, mut stay }: Settling) {
        match stay.phase {
            Phase::Talking(index, _) => return self.finish_with_epoch(member, stay, index),
            Phase::Connecting(index) => self.close_unbridged(&member, &mut stay, index),
            Phase::Waiting => {}
        }
        for index in 0..stay.offers.len() {
            if let OfferState::Cancelled(reason) = stay.offers[index].state {
                self.close_missed(&member, &mut stay, index, reason);
                self.release(stay.offers[index].agent, Duration::ZERO);
            }
        }
        self.conclude(stay);
    }

    fn finish_with_epoch(&mut self, mut member: Leg, stay: Stay, index: usize) {
        member.variables.set("cc_queue_terminated_epoch", self.now.as_second().to_string());
        self.finish_talk(&member, stay, index);
    }

    /// The agent answered, and the member was gone.
    fn close_unbridged(&mut self, member: &Leg, stay: &mut Stay, index: usize) {
        let leg = &mut stay.offers[index].leg;
        leg.hang_up(HangupCause::OriginatorCancel, Disposition::SendBye, self.now);
        let agent_end_first = self.chance.happens(0.5);
        if agent_end_first {
            self.announce_bridge_end(member, stay, &stay.offers[index], false);
        }
        self.announce_hangup(&mut stay.offers[index].leg);
        if !agent_end_first {
            self.announce_bridge_end(member, stay, &stay.offers[index], false);
        }
        stay.truth.offers[index].1 = Outcome::Failed;
        let agent = stay.offers[index].agent;
        self.release(agent, Duration::ZERO);
    }

    /// The attempt is over: the truth of it is told.
    pub(super) fn conclude(&mut self, mut stay: Stay) {
        stay.truth.hooks.push("leaving".into());
        self.tell(stay.truth);
    }
}
