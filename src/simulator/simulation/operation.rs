//! What commands can see of a simulation, and change.

use jiff::Timestamp;

use super::agent::{Agent, Status};
use super::announcement::CancelWord;
use super::call::{Call, OfferState, Phase, Stay};
use super::node::{Node, Origin};
use super::world::Simulation;
use crate::moment::value::{CancelReason, MissedReason, Seconds, Side};
use crate::simulator::channel::{Disposition, HangupCause, Leg};
use crate::simulator::event::SimulatedEvent;
use crate::simulator::scenario::QueueScenario;

const BACKGROUND_JOB: Origin = Origin("mod_event_socket.c", "api_exec", 1572);
const CHANNEL_DATA: Origin = Origin("mod_commands.c", "uuid_dump_function", 6490);

/// A member, as mod_callcenter lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberView<'a> {
    /// The queue.
    pub queue: &'a str,
    /// The member's UUID.
    pub uuid: &'a str,
    /// The member's leg.
    pub leg: &'a str,
    /// The name and the number that the call shows.
    pub caller: (&'a str, &'a str),
    /// When the member joined.
    pub joined: Timestamp,
    /// When the member was connected.
    pub bridged: Option<Timestamp>,
    /// The agent who is called or talks; `ring-all` for several.
    pub serving_agent: &'a str,
    /// `Waiting`, `Trying` or `Answered`.
    pub state: &'static str,
}

/// A command that could not be carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OperationError {
    /// No such channel.
    #[error("no such channel")]
    NoSuchChannel,
    /// No such agent.
    #[error("agent not found")]
    NoSuchAgent,
}

impl Simulation {
    /// The present simulated time.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// `Core-UUID`.
    pub fn core_uuid(&self) -> &str {
        &self.node.core_uuid
    }

    /// The agents.
    pub fn agents(&self) -> &[Agent] {
        &self.agents
    }

    /// The queues.
    pub fn queues(&self) -> &[QueueScenario] {
        &self.scenario.queues
    }

    /// The legs that are alive.
    pub fn channels(&self) -> impl Iterator<Item = &Leg> {
        self.legs()
    }

    /// How many sessions there have been.
    pub fn sessions(&self) -> u64 {
        self.node.sessions
    }

    /// How long FreeSWITCH has been up, in words.
    pub fn up_time(&self) -> String {
        super::node::up_time(self.node.up_us(self.now))
    }

    /// The answer to `version`.
    pub fn version() -> String {
        Node::version()
    }

    /// The members of all queues, the longest waiting first.
    pub fn members(&self) -> Vec<MemberView<'_>> {
        let mut members: Vec<_> = self.calls.values().filter_map(|call| self.member_view(call)).collect();
        members.sort_by_key(|member| member.joined);
        members
    }

    fn member_view<'a>(&'a self, call: &'a Call) -> Option<MemberView<'a>> {
        let stay = call.stay.as_ref()?;
        let name = |index: usize| self.agents[stay.offers[index].agent].name();
        let (state, serving_agent, bridged) = match (stay.phase, stay.ringing().as_slice()) {
            (Phase::Waiting, []) => ("Waiting", "", None),
            (Phase::Waiting, [only]) => ("Trying", name(*only), None),
            (Phase::Waiting, _) => ("Trying", "ring-all", None),
            (Phase::Connecting(index), _) => ("Trying", name(index), None),
            (Phase::Talking(index, since), _) => ("Answered", name(index), Some(since)),
        };
        Some(MemberView {
            queue: &self.queue(stay.queue).name,
            uuid: &stay.member_uuid,
            leg: &call.leg.uuid,
            caller: (&call.leg.caller.name, &call.leg.caller.number),
            joined: stay.joined,
            bridged,
            serving_agent,
            state,
        })
    }

    /// All that FreeSWITCH knows of one channel (`uuid_dump`).
    pub fn dump(&mut self, uuid: &str) -> Result<SimulatedEvent, OperationError> {
        let leg = self.legs().find(|leg| leg.uuid == uuid).ok_or(OperationError::NoSuchChannel)?;
        let (headers, variables) = (leg.headers(), leg.variables.clone());
        let mut event = self.event("CHANNEL_DATA", None, CHANNEL_DATA);
        event.extend(headers);
        event.extend(variables.headers());
        Ok(event)
    }

    /// Sets a variable of one channel; none: removes it.
    pub fn set_variable(&mut self, uuid: &str, name: &str, value: Option<&str>) -> Result<(), OperationError> {
        let mut legs = self.calls.values_mut().flat_map(|call| {
            let offers = call.stay.iter_mut().flat_map(|stay| &mut stay.offers);
            std::iter::once(&mut call.leg).chain(offers.map(|offer| &mut offer.leg))
        });
        let leg = legs.find(|leg| leg.uuid == uuid).ok_or(OperationError::NoSuchChannel)?;
        match value {
            Some(value) => leg.variables.set(name.to_owned(), value),
            None => leg.variables.unset(name),
        }
        Ok(())
    }

    /// Ends one channel (`uuid_kill`).
    pub fn kill(&mut self, uuid: &str) -> Result<(), OperationError> {
        if let Some(id) = self.calls.values().find(|call| call.leg.uuid == uuid).map(|call| call.id) {
            self.end_by_system(id, HangupCause::NormalClearing);
            return Ok(());
        }
        let has_leg = |stay: &Stay| stay.offers.iter().position(|offer| offer.leg.uuid == uuid);
        let found = self.calls.values().find_map(|call| {
            let stay = call.stay.as_ref()?;
            Some((stay.at, has_leg(stay)?))
        });
        let (at, offer) = found.ok_or(OperationError::NoSuchChannel)?;
        self.with_stay(at, |simulation, call, stay| simulation.kill_agent_leg(call, stay, offer));
        Ok(())
    }

    fn kill_agent_leg(&mut self, call: Call, mut stay: Stay, index: usize) {
        match (stay.phase, stay.offers[index].state) {
            (Phase::Talking(bridged, since), _) if bridged == index => {
                stay.truth.call_voice_sec = Some(Seconds::between(since, self.now));
                self.part(call, stay, index, Side::System, HangupCause::NormalClearing);
            }
            (_, OfferState::Ringing) => {
                self.withdraw(&call, &mut stay, index);
                self.keep_in_queue(call, stay);
            }
            _ => self.keep_in_queue(call, stay),
        }
    }

    /// One offer is taken back; the member waits on.
    fn withdraw(&mut self, call: &Call, stay: &mut Stay, index: usize) {
        let leg = &mut stay.offers[index].leg;
        leg.hang_up(HangupCause::OriginatorCancel, Disposition::SendCancel, self.now);
        self.announce_hangup(leg);
        self.close_missed(&call.leg, stay, index, MissedReason::Withdrawn);
        self.release(stay.offers[index].agent, std::time::Duration::ZERO);
        let again = self.chance.millis(20, 100);
        self.schedule_queue(stay.queue, again);
    }

    /// Takes a waiting member out of the queue, to the queue of that extension or to the end of the call
    /// (`uuid_transfer`). A member who talks is not transferred.
    pub fn transfer_waiting(&mut self, uuid: &str, extension: &str) -> Result<(), OperationError> {
        let call = self.calls.values().find(|call| call.leg.uuid == uuid).ok_or(OperationError::NoSuchChannel)?;
        let next = self.scenario.queues.iter().position(|queue| queue.extension == extension);
        let Some(at) = call.stay.as_ref().filter(|stay| stay.phase == Phase::Waiting).map(|stay| stay.at) else {
            return Ok(());
        };
        self.with_stay(at, |simulation, mut call, stay| {
            let now = simulation.now;
            call.leg.transfer(extension, now, &mut simulation.chance);
            simulation.leave_alive(call, stay, CancelReason::BreakOut, CancelWord::BreakOut, next);
        });
        Ok(())
    }

    /// Sets an agent's status. Whoever takes no more calls is called off.
    pub fn set_agent_status(&mut self, name: &str, status: Status) -> Result<(), OperationError> {
        let agent = self.agent_named(name).ok_or(OperationError::NoSuchAgent)?;
        self.set_status(agent, status);
        if status.takes_calls() {
            self.schedule_distribution(agent);
            return Ok(());
        }
        let ringing = self.calls.values().find_map(|call| {
            let stay = call.stay.as_ref()?;
            Some((stay.at, stay.ringing().into_iter().find(|index| stay.offers[*index].agent == agent)?))
        });
        if let Some((at, index)) = ringing {
            self.with_stay(at, |simulation, call, mut stay| {
                simulation.withdraw(&call, &mut stay, index);
                simulation.keep_in_queue(call, stay);
            });
        }
        Ok(())
    }

    /// Begins a job: its identifier.
    pub fn begin_job(&mut self) -> String {
        self.chance.uuid()
    }

    /// A background job is done: `BACKGROUND_JOB` carries its reply.
    pub fn finish_job(&mut self, job: &str, command: &str, argument: Option<&str>, reply: String) {
        let mut event = self.event("BACKGROUND_JOB", None, BACKGROUND_JOB);
        event.push("Job-UUID", job);
        event.push("Job-Command", command);
        if let Some(argument) = argument {
            event.push("Job-Command-Arg", argument);
        }
        event.set_body(reply);
        self.emit(event);
    }
}
