//! Agent and member talk, and how that ends.

use super::agenda::Step;
use super::agent::AgentState;
use super::announcement::ChannelEvent;
use super::call::{Call, Ending, Phase, Stay};
use super::world::Simulation;
use crate::moment::value::{CcResult, Outcome, Seconds, Side};
use crate::simulator::channel::{Disposition, HangupCause, Leg, OtherSide};

/// A hold begins after so much of the conversation and lasts so much of it.
const HOLD_FROM: f64 = 0.3;
const HOLD_FOR: f64 = 0.2;

impl Simulation {
    pub(super) fn bridge(&mut self, mut call: Call, mut stay: Stay) {
        let Phase::Connecting(index) = stay.phase else { return self.keep_in_queue(call, stay) };
        let now = self.now;
        let offer = &mut stay.offers[index];
        let agent = offer.agent;
        let before = call.leg.clone();
        call.leg.bridge(&offer.leg, OtherSide::Originatee, now, &mut self.chance);
        offer.leg.bridge(&before, OtherSide::Originator, now, &mut self.chance);
        call.leg.variables.set("cc_agent_uuid", offer.leg.uuid.clone());
        call.leg.variables.set("cc_cause", "answered");
        self.announce_bridge(&call.leg, &offer.leg);
        self.agents[agent].last_bridge_start = Some(now);
        let name = self.agents[agent].name().to_owned();
        call.leg.variables.set("cc_agent", name.clone());
        call.leg.variables.set("cc_queue_answered_epoch", now.as_second().to_string());
        self.set_agent_state(agent, AgentState::InAQueueCall);

        stay.phase = Phase::Talking(index, now);
        stay.truth.hook("bridged", &name);
        stay.truth.offers[index].1 = Outcome::Bridged;
        stay.truth.cc_result = CcResult::Success;
        stay.truth.wait_sec = Seconds::between(stay.joined, now);
        self.plan_talk(&stay);
        self.keep_in_queue(call, stay);
    }

    /// Draws how long they talk, whether there is a hold, and who ends it.
    fn plan_talk(&mut self, stay: &Stay) {
        let queue = self.queue(stay.queue).clone();
        let talk = self.chance.span(queue.talk);
        if self.chance.happens(queue.hold_share) {
            self.after(talk.mul_f64(HOLD_FROM), Step::Hold(stay.at));
            self.after(talk.mul_f64(HOLD_FROM + HOLD_FOR), Step::Unhold(stay.at));
        }
        let target = queue.transfer_to.as_deref().and_then(|name| self.queue_named(name));
        let ending = match target {
            Some(target) if self.chance.happens(queue.transfer_share) => Ending::Transfer(target),
            _ if self.chance.happens(queue.member_ends) => Ending::HangUp(Side::Member),
            _ => Ending::HangUp(Side::Agent),
        };
        self.after(talk, Step::TalkEnds(stay.at, ending));
    }

    pub(super) fn hold(&mut self, call: Call, mut stay: Stay) {
        if let Phase::Talking(index, _) = stay.phase {
            let leg = &mut stay.offers[index].leg;
            leg.hold(self.now);
            self.announce(ChannelEvent::Hold, leg);
        }
        self.keep_in_queue(call, stay);
    }

    pub(super) fn unhold(&mut self, call: Call, mut stay: Stay) {
        if let Phase::Talking(index, _) = stay.phase {
            let leg = &mut stay.offers[index].leg;
            leg.unhold(self.now);
            self.announce(ChannelEvent::Unhold, leg);
        }
        self.keep_in_queue(call, stay);
    }

    pub(super) fn end_talk(&mut self, call: Call, stay: Stay, ending: Ending) {
        let Phase::Talking(index, since) = stay.phase else { return self.keep_in_queue(call, stay) };
        let mut stay = stay;
        stay.truth.call_voice_sec = Some(Seconds::between(since, self.now));
        match ending {
            Ending::HangUp(side) => self.part(call, stay, index, side, HangupCause::NormalClearing),
            Ending::Transfer(queue) => self.transfer(call, stay, index, queue),
        }
    }

    /// One side hangs up, or FreeSWITCH ends both; the other side follows.
    pub(super) fn part(&mut self, mut call: Call, mut stay: Stay, index: usize, side: Side, cause: HangupCause) {
        let now = self.now;
        let member = &mut call.leg;
        let agent = &mut stay.offers[index].leg;
        match side {
            Side::Member => {
                member.hang_up(cause, Disposition::RecvBye, now);
                follow(agent, cause);
                agent.hang_up(cause, Disposition::SendBye, now);
            }
            Side::Agent => {
                agent.hang_up(cause, Disposition::RecvBye, now);
                follow(member, cause);
                member.hang_up(cause, Disposition::SendBye, now);
            }
            Side::System => {
                member.hang_up(cause, Disposition::SendBye, now);
                agent.variables.set("last_bridge_hangup_cause", cause.as_str());
                agent.hang_up(cause, Disposition::SendBye, now);
            }
        }
        member.variables.set("bridge_hangup_cause", cause.as_str());
        member.variables.set("last_bridge_role", "originator");
        if side == Side::Agent || self.chance.happens(0.5) {
            self.announce_hangup(agent);
            self.announce_unbridge(member, agent);
        } else {
            self.announce_unbridge(member, agent);
            self.announce_hangup(agent);
        }
        self.announce_hangup(member);
        stay.truth.hangup_side = Some(side);
        stay.truth.call_cause = Some(cause.as_str());
        stay.truth.call_sip_code = Some(200);
        self.settle_later(call.leg, stay, (20, 100));
    }

    /// A blind transfer into another queue: the member is there before the first queue's end is told.
    fn transfer(&mut self, mut call: Call, mut stay: Stay, index: usize, queue: usize) {
        let now = self.now;
        let extension = self.queue(queue).extension.clone();
        let agent = &mut stay.offers[index].leg;
        agent.hang_up(HangupCause::NormalClearing, Disposition::SendBye, now);
        let referral = [
            ("transfer_disposition", "recv_replace".to_owned()),
            ("transfer_to", format!("blind:{}", call.leg.uuid)),
            ("transfer_destination", format!("blind:{extension}")),
            ("endpoint_disposition", "BLIND_TRANSFER".to_owned()),
        ];
        for (name, value) in referral {
            agent.variables.set(name, value);
        }
        self.announce_hangup(agent);
        call.leg.unbridge();
        call.leg.transfer(&extension, now, &mut self.chance);
        call.leg.variables.set("bridge_hangup_cause", HangupCause::NormalClearing.as_str());
        self.announce_unbridge(&call.leg, agent);
        let id = call.id;
        self.join(call, queue);
        if let Some(call) = self.calls.remove(&id) {
            self.finish_talk(&call.leg, stay, index);
            self.keep(call);
        }
    }

    /// What mod_callcenter says when a conversation is over.
    pub(super) fn finish_talk(&mut self, member: &Leg, mut stay: Stay, index: usize) {
        let offer = &stay.offers[index];
        let (agent, name) = (offer.agent, self.agents[offer.agent].name().to_owned());
        self.announce_bridge_end(member, &stay, offer, true);
        self.announce_queue_terminated(member, &stay, offer);
        if let Phase::Talking(_, since) = stay.phase {
            self.agents[agent].talk_time += self.now.duration_since(since).unsigned_abs();
        }
        self.agents[agent].last_bridge_end = Some(self.now);
        let wrap_up = self.agents[agent].habits.wrap_up.unsigned_abs();
        self.release(agent, wrap_up);
        let breaks = self.agents[agent].habits.breaks;
        if self.chance.happens(breaks) {
            self.begin_break(agent);
        }
        stay.truth.hook("processing", &name);
        self.conclude(stay);
    }

    /// The queue of that name, by index.
    pub(super) fn queue_named(&self, name: &str) -> Option<usize> {
        self.scenario.queues.iter().position(|queue| queue.name == name)
    }
}

/// The leg whose bridge the other side ended.
fn follow(leg: &mut Leg, cause: HangupCause) {
    leg.variables.set("sip_hangup_phrase", "OK");
    leg.variables.set("last_bridge_hangup_cause", cause.as_str());
    leg.variables.set("last_bridge_proto_specific_hangup_cause", "sip:200");
}
