//! An agent is offered a member: the phone rings, and something becomes of it.

use std::borrow::Cow;
use std::time::Duration;

use super::agenda::Step;
use super::agent::{AgentState, Status};
use super::announcement::{ChannelEvent, REQUEST_PARAMS};
use super::call::{Call, Offer, OfferState, Phase, Stay};
use super::world::Simulation;
use crate::moment::value::{MissedReason, Outcome};
use crate::simulator::chance::Spread;
use crate::simulator::channel::{Disposition, HangupCause, Leg};

/// From the agent's answer to the bridge, without a whisper.
const BRIDGING_MS: (u64, u64) = (20, 60);
/// How long an agent takes to decline.
const DECLINES_AFTER: Spread = Spread::seconds(1, 5);

/// What an agent, or their phone, does about an offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Intent {
    Answer,
    Fail(Failure),
}

/// How an offer fails by the agent's side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    RingsOut,
    Busy,
    Rejects,
    Unreachable,
}

impl Failure {
    const fn terms(self) -> (HangupCause, Disposition, MissedReason) {
        match self {
            Self::RingsOut => (HangupCause::AllottedTimeout, Disposition::SendCancel, MissedReason::NoAnswer),
            Self::Busy => (HangupCause::UserBusy, Disposition::RecvRefuse, MissedReason::Busy),
            Self::Rejects => (HangupCause::CallRejected, Disposition::RecvRefuse, MissedReason::Rejected),
            Self::Unreachable => (HangupCause::NoUserResponse, Disposition::RecvRefuse, MissedReason::Unavailable),
        }
    }
}

impl Simulation {
    /// Offers a member to agents: one, or with ring-all several at once.
    pub(super) fn offer(&mut self, call: Call, mut stay: Stay, agents: &[usize]) {
        for &agent in agents {
            self.agents[agent].last_offered = Some(self.now);
            self.set_agent_state(agent, AgentState::Receiving);
        }
        for &agent in agents {
            self.offer_to(&call, &mut stay, agent);
        }
        self.keep_in_queue(call, stay);
    }

    fn offer_to(&mut self, call: &Call, stay: &mut Stay, agent: usize) {
        self.announce_offering(call, stay, agent);
        let user = self.agents[agent].user().to_owned();
        let own = self.agent_leg_variables(call, stay, agent);
        let session = self.next_session();
        let mut leg = Leg::outbound(session, call.leg.caller.clone(), &user, own, self.now, &mut self.chance);
        self.announce(ChannelEvent::Create, &leg);
        let (intent, delay) = self.intent_of(agent);
        if intent != Intent::Fail(Failure::Unreachable) {
            leg.ring(self.now);
            self.announce(ChannelEvent::Progress, &leg);
        }
        let name = self.agents[agent].name().to_owned();
        stay.truth.hook("offering", &name);
        stay.truth.offers.push((name, Outcome::Lost));
        self.after(delay, Step::Decide(stay.at, stay.offers.len(), intent));
        stay.offers.push(Offer { agent, leg, called: self.now, state: OfferState::Ringing });
    }

    /// What the agent will do, and when.
    fn intent_of(&mut self, agent: usize) -> (Intent, Duration) {
        let habits = self.agents[agent].habits.clone();
        let ring_timeout = habits.ring_timeout.unsigned_abs();
        let shares = [
            (habits.misses, Failure::RingsOut),
            (habits.busy, Failure::Busy),
            (habits.rejects, Failure::Rejects),
            (habits.unreachable, Failure::Unreachable),
        ];
        let drawn = self.chance.number(0, 999_999) as f64 / 1e6;
        let mut below = 0.0;
        let failure = shares.into_iter().find(|(share, _)| {
            below += share;
            drawn < below
        });
        match failure.map(|(_, failure)| failure) {
            Some(Failure::RingsOut) => (Intent::Fail(Failure::RingsOut), ring_timeout),
            Some(Failure::Rejects) => (Intent::Fail(Failure::Rejects), self.chance.span(DECLINES_AFTER)),
            Some(failure) => (Intent::Fail(failure), self.chance.millis(40, 600)),
            None => match self.chance.span(habits.answers_after) {
                delay if delay < ring_timeout => (Intent::Answer, delay),
                _ => (Intent::Fail(Failure::RingsOut), ring_timeout),
            },
        }
    }

    /// The variables that mod_callcenter gives an agent's leg. Those of the event that carried them leak into it.
    fn agent_leg_variables(&mut self, call: &Call, stay: &Stay, agent: usize) -> Vec<(Cow<'static, str>, String)> {
        let habits = &self.agents[agent].habits;
        let mut own = vec![(Cow::Borrowed("leg_timeout"), habits.ring_timeout.as_secs().to_string())];
        let name = self.agents[agent].name().to_owned();
        let leaked = self.event("REQUEST_PARAMS", None, REQUEST_PARAMS);
        own.extend(leaked.headers().map(|(name, value)| (Cow::Owned(name.to_owned()), value.to_owned())));
        let queue = self.queue(stay.queue).name.clone();
        let callcenter = [
            ("cc_queue", queue),
            ("cc_queue_joined_epoch", stay.joined.as_second().to_string()),
            ("cc_member_uuid", stay.member_uuid.clone()),
            ("cc_member_session_uuid", call.leg.uuid.clone()),
            ("cc_member_pre_answer_uuid", stay.member_uuid.clone()),
            ("cc_agent", name),
            ("cc_agent_type", "callback".to_owned()),
            ("cc_side", "agent".to_owned()),
            ("loopback_bowout", "false".to_owned()),
            ("loopback_bowout_on_execute", "false".to_owned()),
            ("ignore_early_media", "true".to_owned()),
        ];
        own.extend(callcenter.map(|(name, value)| (Cow::Borrowed(name), value)));
        own.extend(call.variables.iter().map(|(name, value)| (Cow::Owned(name.clone()), value.clone())));
        own.push((Cow::Borrowed("origination_caller_id_name"), call.leg.caller.name.clone()));
        own.push((Cow::Borrowed("origination_caller_id_number"), call.leg.caller.number.clone()));
        own
    }

    pub(super) fn decide(&mut self, call: Call, stay: Stay, offer: usize, intent: Intent) {
        if stay.offers[offer].state != OfferState::Ringing {
            return self.keep_in_queue(call, stay);
        }
        match intent {
            Intent::Answer => self.agent_answers(call, stay, offer),
            Intent::Fail(failure) => self.offer_fails(call, stay, offer, failure),
        }
    }

    /// The agent answers; whoever else's phone rings has lost the race.
    fn agent_answers(&mut self, call: Call, mut stay: Stay, index: usize) {
        let now = self.now;
        let offer = &mut stay.offers[index];
        offer.state = OfferState::Answered(now);
        offer.leg.answer(now, []);
        self.announce(ChannelEvent::Answer, &offer.leg);
        offer.leg.activate();
        offer.leg.variables.unset("cc_member_pre_answer_uuid");
        let agent = &mut self.agents[offer.agent];
        agent.no_answer_count = 0;
        agent.calls_answered += 1;
        stay.truth.hook("answered", agent.name());
        stay.phase = Phase::Connecting(index);

        let losers = stay.ringing();
        for &loser in &losers {
            let leg = &mut stay.offers[loser].leg;
            leg.hang_up(HangupCause::LoseRace, Disposition::SendCancel, now);
            self.announce_hangup(leg);
        }
        self.announce_bridge_start(&call, &stay, &stay.offers[index]);
        self.announce_count(stay.queue, self.waiting_in(stay.queue) + 1);
        for loser in losers {
            stay.offers[loser].state = OfferState::Closed;
            stay.truth.offers[loser].1 = Outcome::LostRace;
            self.announce_bridge_fail(&call.leg, &stay, &stay.offers[loser]);
            self.release(stay.offers[loser].agent, Duration::ZERO);
        }
        let whisper = self.queue(stay.queue).whisper.unsigned_abs();
        let bridging = self.chance.millis(BRIDGING_MS.0, BRIDGING_MS.1);
        self.after(whisper + bridging, Step::Bridge(stay.at));
        self.keep_in_queue(call, stay);
    }

    fn offer_fails(&mut self, call: Call, mut stay: Stay, index: usize, failure: Failure) {
        let (cause, disposition, reason) = failure.terms();
        let leg = &mut stay.offers[index].leg;
        leg.hang_up(cause, disposition, self.now);
        self.announce_hangup(leg);
        let agent = stay.offers[index].agent;
        if failure == Failure::RingsOut {
            self.count_no_answer(&call, &stay, agent);
        }
        self.close_missed(&call.leg, &mut stay, index, reason);
        let delay = self.agents[agent].habits.delay_after_failure.unsigned_abs();
        self.release(agent, delay);
        let again = self.chance.millis(20, 100);
        self.schedule_queue(stay.queue, again);
        self.keep_in_queue(call, stay);
    }

    /// Too many offers that rang out: FreeSWITCH sets the agent on break, and says so before it says that the offer failed.
    fn count_no_answer(&mut self, call: &Call, stay: &Stay, index: usize) {
        let agent = &mut self.agents[index];
        agent.no_answer_count += 1;
        let longest = agent.habits.max_no_answer;
        if longest > 0 && agent.no_answer_count >= longest {
            self.announce_max_no_answer(&call.leg, stay, index);
            self.agents[index].no_answer_count = 0;
            self.begin_break(index);
        }
    }

    /// `bridge-agent-fail`, and the truth of it.
    pub(super) fn close_missed(&mut self, member: &Leg, stay: &mut Stay, index: usize, reason: MissedReason) {
        stay.offers[index].state = OfferState::Closed;
        stay.truth.offers[index].1 = reason.into();
        let agent = stay.offers[index].agent;
        stay.truth.missed(self.agents[agent].name(), reason);
        self.announce_bridge_fail(member, stay, &stay.offers[index]);
    }

    /// The agent waits for the next member, from `delay` on.
    pub(super) fn release(&mut self, agent: usize, delay: Duration) {
        self.agents[agent].ready_at = self.now + delay;
        self.set_agent_state(agent, AgentState::Waiting);
        self.schedule_distribution(agent);
    }

    /// The agent takes a break.
    pub(super) fn begin_break(&mut self, index: usize) {
        let length = self.agents[index].habits.break_length;
        let length = self.chance.span(length);
        self.set_status(index, Status::OnBreak);
        self.after(length, Step::BreakEnds(index));
    }

    /// The agent comes back, unless somebody has set another status meanwhile.
    pub(super) fn end_break(&mut self, index: usize) {
        if self.agents[index].status == Status::OnBreak {
            self.set_status(index, Status::Available);
            self.schedule_distribution(index);
        }
    }

    pub(super) fn set_status(&mut self, index: usize, status: Status) {
        self.agents[index].status = status;
        self.agents[index].last_status_change = self.now;
        self.announce_status(index);
    }
}
