//! mod_callcenter's events, and those of the channels.

use jiff::Timestamp;

use super::agent::{AgentState, Status};
use super::call::{Call, Offer, Stay};
use super::node::{CALLCENTER, Origin};
use super::world::Simulation;
use crate::simulator::channel::{HangupCause, Leg};
use crate::simulator::event::SimulatedEvent;

const MODULE: &str = "mod_callcenter.c";
const QUEUE_START: Origin = Origin(MODULE, "callcenter_function", 3113);
const QUEUE_CANCEL: Origin = Origin(MODULE, "callcenter_function", 3274);
const QUEUE_COUNT: Origin = Origin(MODULE, "cc_queue_count", 878);
const STATUS_CHANGE: Origin = Origin(MODULE, "cc_agent_update", 1043);
const STATE_CHANGE: Origin = Origin(MODULE, "cc_agent_update", 1067);
const OFFERING: Origin = Origin(MODULE, "outbound_agent_thread_run", 1717);
pub(super) const REQUEST_PARAMS: Origin = Origin(MODULE, "outbound_agent_thread_run", 1755);
const BRIDGE_START: Origin = Origin(MODULE, "outbound_agent_thread_run", 1934);
const BRIDGE_END: Origin = Origin(MODULE, "outbound_agent_thread_run", 2062);
const QUEUE_TERMINATED: Origin = Origin(MODULE, "outbound_agent_thread_run", 2098);
const MAX_NO_ANSWER: Origin = Origin(MODULE, "outbound_agent_thread_run", 2176);
const BRIDGE_FAIL: Origin = Origin(MODULE, "outbound_agent_thread_run", 2200);

const SESSION_RUN: Origin = Origin("switch_core_state_machine.c", "switch_core_session_run", 626);
const REPORTING: Origin = Origin("switch_core_state_machine.c", "switch_core_session_reporting_state", 943);
const RING_READY: Origin = Origin("switch_channel.c", "switch_channel_perform_mark_ring_ready_value", 3507);
const ANSWERED: Origin = Origin("switch_channel.c", "switch_channel_perform_mark_answered", 3848);
const MARK_HOLD: Origin = Origin("switch_channel.c", "switch_channel_mark_hold", 876);
const BRIDGED: Origin = Origin("switch_ivr_bridge.c", "switch_ivr_multi_threaded_bridge", 1689);
const UNBRIDGED: Origin = Origin("switch_ivr_bridge.c", "switch_ivr_multi_threaded_bridge", 1879);

/// A channel event that carries nothing beside its channel's data.
#[derive(Clone, Copy, Debug)]
pub(super) enum ChannelEvent {
    Create,
    Progress,
    Answer,
    Hold,
    Unhold,
}

impl ChannelEvent {
    const fn name_and_origin(self) -> (&'static str, Origin) {
        match self {
            Self::Create => ("CHANNEL_CREATE", SESSION_RUN),
            Self::Progress => ("CHANNEL_PROGRESS", RING_READY),
            Self::Answer => ("CHANNEL_ANSWER", ANSWERED),
            Self::Hold => ("CHANNEL_HOLD", MARK_HOLD),
            Self::Unhold => ("CHANNEL_UNHOLD", MARK_HOLD),
        }
    }
}

/// Why mod_callcenter says that a member left without an agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CancelWord {
    /// Hung up, transferred, killed: all the same to mod_callcenter.
    BreakOut,
    /// Hung up around the bridge.
    None,
    Timeout,
    ExitWithKey,
}

impl CancelWord {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::BreakOut => "BREAK_OUT",
            Self::None => "NONE",
            Self::Timeout => "TIMEOUT",
            Self::ExitWithKey => "EXIT_WITH_KEY",
        }
    }
}

impl Simulation {
    pub(super) fn announce(&mut self, what: ChannelEvent, leg: &Leg) {
        let (name, origin) = what.name_and_origin();
        let event = self.event(name, None, origin);
        self.emit_with_channel(event, leg);
    }

    /// The leg's last event: reported, with its hangup cause twice, as FreeSWITCH has it.
    pub(super) fn announce_hangup(&mut self, leg: &mut Leg) {
        leg.report();
        let mut event = self.event("CHANNEL_HANGUP_COMPLETE", None, REPORTING);
        event.push("Hangup-Cause", leg.hangup_cause().unwrap_or(HangupCause::NormalClearing).as_str());
        self.emit_with_channel(event, leg);
    }

    pub(super) fn announce_bridge(&mut self, member: &Leg, agent: &Leg) {
        self.announce_pair("CHANNEL_BRIDGE", BRIDGED, member, agent);
    }

    pub(super) fn announce_unbridge(&mut self, member: &Leg, agent: &Leg) {
        self.announce_pair("CHANNEL_UNBRIDGE", UNBRIDGED, member, agent);
    }

    fn announce_pair(&mut self, name: &'static str, origin: Origin, member: &Leg, agent: &Leg) {
        let mut event = self.event(name, None, origin);
        event.push("Bridge-A-Unique-ID", member.uuid.clone());
        event.push("Bridge-B-Unique-ID", agent.uuid.clone());
        self.emit_with_channel(event, member);
    }

    fn emit_with_channel(&mut self, mut event: SimulatedEvent, leg: &Leg) {
        event.extend(leg.headers());
        event.extend(leg.variables.headers());
        self.emit(event);
    }

    fn callcenter(&mut self, origin: Origin) -> SimulatedEvent {
        self.event("CUSTOM", Some(CALLCENTER), origin)
    }

    fn callcenter_with_channel(&mut self, origin: Origin, leg: &Leg) -> SimulatedEvent {
        let mut event = self.callcenter(origin);
        event.extend(leg.headers());
        event.extend(leg.variables.headers());
        event
    }

    pub(super) fn announce_status(&mut self, agent: usize) {
        let Self { agents, .. } = self;
        let (name, status) = (agents[agent].name().to_owned(), agents[agent].status);
        let mut event = self.callcenter(STATUS_CHANGE);
        event.push("CC-Agent", name);
        event.push("CC-Action", "agent-status-change");
        event.push("CC-Agent-Status", status.as_str());
        self.emit(event);
    }

    pub(super) fn set_agent_state(&mut self, agent: usize, state: AgentState) {
        self.agents[agent].state = state;
        let name = self.agents[agent].name().to_owned();
        let mut event = self.callcenter(STATE_CHANGE);
        event.push("CC-Agent", name);
        event.push("CC-Action", "agent-state-change");
        event.push("CC-Agent-State", state.as_str());
        self.emit(event);
    }

    pub(super) fn announce_count(&mut self, queue: usize, count: usize) {
        let name = self.queue(queue).name.clone();
        let mut event = self.callcenter(QUEUE_COUNT);
        event.push("CC-Queue", name);
        event.push("CC-Action", "members-count");
        event.push("CC-Count", count.to_string());
        event.push("CC-Selection", "Single-Queue");
        self.emit(event);
    }

    pub(super) fn announce_queue_start(&mut self, leg: &Leg, stay: &Stay) {
        let mut event = self.callcenter_with_channel(QUEUE_START, leg);
        event.push("CC-Queue", self.queue(stay.queue).name.clone());
        event.push("CC-Action", "member-queue-start");
        push_member(&mut event, leg, stay);
        self.emit(event);
    }

    pub(super) fn announce_offering(&mut self, call: &Call, stay: &Stay, agent: usize) {
        let mut event = self.callcenter(OFFERING);
        event.push("CC-Queue", self.queue(stay.queue).name.clone());
        event.push("CC-Action", "agent-offering");
        event.push("CC-Agent", self.agents[agent].name());
        event.push("CC-Agent-Type", "callback");
        event.push("CC-Agent-System", "single_box");
        push_member(&mut event, &call.leg, stay);
        push_dnis(&mut event, &call.leg);
        self.emit(event);
    }

    pub(super) fn announce_bridge_start(&mut self, call: &Call, stay: &Stay, offer: &Offer) {
        let mut event = self.callcenter_with_channel(BRIDGE_START, &offer.leg);
        event.push("CC-Queue", self.queue(stay.queue).name.clone());
        event.push("CC-Action", "bridge-agent-start");
        self.push_agent(&mut event, offer);
        push_time(&mut event, "CC-Agent-Called-Time", offer.called);
        push_time(&mut event, "CC-Agent-Answered-Time", self.now);
        push_time(&mut event, "CC-Member-Joined-Time", stay.joined);
        push_member(&mut event, &call.leg, stay);
        push_dnis(&mut event, &call.leg);
        self.emit(event);
    }

    /// `bridge-agent-end`, of an answered offer whether it was bridged or not.
    pub(super) fn announce_bridge_end(&mut self, member: &Leg, stay: &Stay, offer: &Offer, bridged: bool) {
        let answered = stay.answered_offer().map_or(self.now, |(_, at)| at);
        let mut event = self.callcenter_with_channel(BRIDGE_END, &offer.leg);
        event.push("CC-Queue", self.queue(stay.queue).name.clone());
        event.push("CC-Action", "bridge-agent-end");
        event.push("CC-Hangup-Cause", "SUCCESS");
        event.push("CC-Agent", self.agents[offer.agent].name());
        event.push("CC-Agent-System", "single_box");
        event.push("CC-Agent-UUID", offer.leg.uuid.clone());
        event.push("CC-Agent-Bridged", bridged.to_string());
        push_time(&mut event, "CC-Agent-Called-Time", offer.called);
        push_time(&mut event, "CC-Agent-Answered-Time", answered);
        push_time(&mut event, "CC-Member-Joined-Time", stay.joined);
        push_time(&mut event, "CC-Bridge-Terminated-Time", self.now);
        push_member(&mut event, member, stay);
        self.emit(event);
    }

    pub(super) fn announce_bridge_fail(&mut self, member: &Leg, stay: &Stay, offer: &Offer) {
        let cause = offer.leg.hangup_cause().map_or("NONE", HangupCause::as_str);
        let mut event = self.callcenter(BRIDGE_FAIL);
        event.push("CC-Queue", self.queue(stay.queue).name.clone());
        event.push("CC-Action", "bridge-agent-fail");
        event.push("CC-Hangup-Cause", cause);
        event.push("CC-Agent", self.agents[offer.agent].name());
        event.push("CC-Agent-System", "single_box");
        push_time(&mut event, "CC-Agent-Called-Time", offer.called);
        push_time(&mut event, "CC-Agent-Aborted-Time", self.now);
        push_member(&mut event, member, stay);
        push_time(&mut event, "CC-Member-Joined-Time", stay.joined);
        self.emit(event);
    }

    pub(super) fn announce_max_no_answer(&mut self, member: &Leg, stay: &Stay, agent: usize) {
        let mut event = self.callcenter(MAX_NO_ANSWER);
        event.push("CC-Agent", self.agents[agent].name());
        event.push("CC-Action", "agent-max-no-answer");
        event.push("CC-Agent-No-Answer-Count", self.agents[agent].no_answer_count.to_string());
        event.push("CC-Agent-No-Answer-Status", Status::OnBreak.as_str());
        event.push("CC-Member-UUID", stay.member_uuid.clone());
        event.push("CC-Member-Session-UUID", member.uuid.clone());
        self.emit(event);
    }

    /// `member-queue-end` of a member who was connected.
    pub(super) fn announce_queue_terminated(&mut self, member: &Leg, stay: &Stay, offer: &Offer) {
        let answered = stay.answered_offer().map_or(self.now, |(_, at)| at);
        let mut event = self.callcenter_with_channel(QUEUE_TERMINATED, member);
        event.push("CC-Queue", self.queue(stay.queue).name.clone());
        event.push("CC-Action", "member-queue-end");
        event.push("CC-Hangup-Cause", "SUCCESS");
        event.push("CC-Cause", "Terminated");
        self.push_agent(&mut event, offer);
        push_time(&mut event, "CC-Agent-Called-Time", offer.called);
        push_time(&mut event, "CC-Agent-Answered-Time", answered);
        push_time(&mut event, "CC-Member-Leaving-Time", self.now);
        push_time(&mut event, "CC-Member-Joined-Time", stay.joined);
        push_member(&mut event, member, stay);
        self.emit(event);
    }

    /// `member-queue-end` of a member who was not. The variables are set after the event.
    pub(super) fn announce_queue_cancelled(&mut self, member: &mut Leg, stay: &Stay, word: CancelWord) {
        let mut event = self.callcenter_with_channel(QUEUE_CANCEL, member);
        event.push("CC-Queue", self.queue(stay.queue).name.clone());
        event.push("CC-Action", "member-queue-end");
        push_time(&mut event, "CC-Member-Leaving-Time", self.now);
        push_time(&mut event, "CC-Member-Joined-Time", stay.joined);
        event.push("CC-Cause", "Cancel");
        event.push("CC-Cancel-Reason", word.as_str());
        push_member(&mut event, member, stay);
        self.emit(event);
        member.variables.set("cc_queue_canceled_epoch", self.now.as_second().to_string());
        member.variables.set("cc_cause", "cancel");
        member.variables.set("cc_cancel_reason", word.as_str());
    }

    fn push_agent(&self, event: &mut SimulatedEvent, offer: &Offer) {
        event.push("CC-Agent", self.agents[offer.agent].name());
        event.push("CC-Agent-System", "single_box");
        event.push("CC-Agent-UUID", offer.leg.uuid.clone());
    }
}

fn push_member(event: &mut SimulatedEvent, leg: &Leg, stay: &Stay) {
    event.push("CC-Member-UUID", stay.member_uuid.clone());
    event.push("CC-Member-Session-UUID", leg.uuid.clone());
    event.push("CC-Member-CID-Name", leg.caller.name.clone());
    event.push("CC-Member-CID-Number", leg.caller.number.clone());
}

fn push_dnis(event: &mut SimulatedEvent, leg: &Leg) {
    if let Some(number) = leg.redirected_from() {
        event.push("CC-Member-DNIS", number);
    }
}

/// mod_callcenter's times are whole seconds.
fn push_time(event: &mut SimulatedEvent, name: &'static str, time: Timestamp) {
    event.push(name, time.as_second().to_string());
}
