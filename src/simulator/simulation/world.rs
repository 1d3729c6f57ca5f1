//! Everything that lives in a simulation, and the order in which it happens.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::agenda::{Agenda, Step};
use super::agent::Agent;
use super::call::{Call, CallId, Stay, StayRef};
use super::node::{Node, Origin};
use crate::simulator::chance::Chance;
use crate::simulator::channel::{HangupCause, Leg};
use crate::simulator::event::SimulatedEvent;
use crate::simulator::scenario::{QueueScenario, Scenario};
use crate::simulator::truth::Truth;

/// FreeSWITCH's event clock ticks in these steps.
const TICK_US: i64 = 20_000;
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(20);
/// After this all that is said of calls that have ended has been said: the longest delay of a settling.
const LAST_WORDS: Duration = Duration::from_secs(5);

const SEND_HEARTBEAT: Origin = Origin("switch_core.c", "send_heartbeat", 95);
const CORE_DESTROY: Origin = Origin("switch_core.c", "switch_core_destroy", 3033);

/// A simulated FreeSWITCH: time goes in, events come out.
#[derive(Debug)]
pub struct Simulation {
    pub(super) scenario: Scenario,
    pub(super) chance: Chance,
    pub(super) node: Node,
    pub(super) now: Timestamp,
    pub(super) agents: Vec<Agent>,
    pub(super) calls: BTreeMap<CallId, Call>,
    /// For each queue, the place in its list of the agent whom round-robin offered to last.
    pub(super) last_offered: Vec<usize>,
    /// The number of the latest stay.
    pub(super) stays: u64,
    agenda: Agenda,
    events: Vec<SimulatedEvent>,
    truths: Vec<Truth>,
    shutting_down: bool,
}

impl Simulation {
    /// A FreeSWITCH that has just started, at `start`.
    pub fn new(seed: u64, scenario: Scenario, start: Timestamp) -> Self {
        let mut chance = Chance::new(seed);
        let node = Node::new(start, &mut chance);
        let agents = scenario.agents.iter().map(|habits| Agent::new(habits.clone(), start)).collect();
        let mut simulation = Self {
            last_offered: vec![0; scenario.queues.len()],
            scenario,
            chance,
            node,
            now: start,
            agents,
            calls: BTreeMap::new(),
            stays: 0,
            agenda: Agenda::default(),
            events: Vec::new(),
            truths: Vec::new(),
            shutting_down: false,
        };
        simulation.begin();
        simulation
    }

    fn begin(&mut self) {
        self.after(HEARTBEAT_INTERVAL, Step::Heartbeat);
        for agent in 0..self.agents.len() {
            self.announce_status(agent);
        }
        for queue in 0..self.scenario.queues.len() {
            self.schedule_arrival(queue);
        }
    }

    /// When something will happen next; none once everything is over.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        if self.events.is_empty() { self.agenda.next_time() } else { Some(self.now) }
    }

    /// Everything that happens up to `now`, as FreeSWITCH says it.
    pub fn advance(&mut self, now: Timestamp) -> Vec<SimulatedEvent> {
        while let Some((at, step)) = self.agenda.take_due(now) {
            self.now = self.now.max(self.tick(at));
            self.carry_out(step);
        }
        self.now = self.now.max(self.tick(now));
        self.take_events()
    }

    /// What became of the attempts that have ended since the last call.
    pub fn take_truths(&mut self) -> Vec<Truth> {
        std::mem::take(&mut self.truths)
    }

    /// FreeSWITCH goes down: all calls are ended, and nothing comes after.
    pub fn shut_down(&mut self, now: Timestamp) -> Vec<SimulatedEvent> {
        let mut events = self.advance(now);
        self.shutting_down = true;
        let mut shutdown = self.event("SHUTDOWN", None, CORE_DESTROY);
        shutdown.push("Event-Info", "System Shutting Down");
        self.emit(shutdown);
        for call in self.calls.keys().copied().collect::<Vec<_>>() {
            self.end_by_system(call, HangupCause::SystemShutdown);
        }
        events.extend(self.advance(self.now + LAST_WORDS));
        self.agenda = Agenda::default();
        events
    }

    fn carry_out(&mut self, step: Step) {
        match step {
            Step::Arrive(queue) => self.arrive(queue),
            Step::Heartbeat => self.beat(),
            Step::Distribute(queue) => self.distribute(queue),
            Step::Answer(call) => self.answer(call),
            Step::DialFails(call) => self.dial_fails(call),
            Step::HangUp(call) => self.hang_up(call, HangupCause::NormalClearing),
            Step::GiveUp(at) => self.with_stay(at, Self::give_up),
            Step::PressExit(at) => self.with_stay(at, Self::press_exit),
            Step::TimeOut(at) => self.with_stay(at, Self::time_out),
            Step::Decide(at, offer, intent) => {
                self.with_stay(at, |simulation, call, stay| simulation.decide(call, stay, offer, intent));
            }
            Step::Bridge(at) => self.with_stay(at, Self::bridge),
            Step::Hold(at) => self.with_stay(at, Self::hold),
            Step::Unhold(at) => self.with_stay(at, Self::unhold),
            Step::TalkEnds(at, ending) => {
                self.with_stay(at, |simulation, call, stay| simulation.end_talk(call, stay, ending));
            }
            Step::Settle(settling) => self.settle(*settling),
            Step::BreakEnds(agent) => self.end_break(agent),
        }
    }

    fn beat(&mut self) {
        let mut event = self.event("HEARTBEAT", None, SEND_HEARTBEAT);
        let alive = self.legs().count();
        self.node.heartbeat(&mut event, alive, self.now);
        self.emit(event);
        self.after(HEARTBEAT_INTERVAL, Step::Heartbeat);
    }

    /// The stay that a step refers to, taken out of its call; `act` puts back with [`Self::keep`] what goes on.
    pub(super) fn with_stay(&mut self, at: StayRef, act: impl FnOnce(&mut Self, Call, Stay)) {
        let Some(mut call) = self.calls.remove(&at.call) else { return };
        match call.stay.take_if(|stay| stay.at == at) {
            Some(stay) => act(self, call, stay),
            None => self.keep(call),
        }
    }

    /// The call goes on.
    pub(super) fn keep(&mut self, call: Call) {
        self.calls.insert(call.id, call);
    }

    /// The call goes on, and so does its stay.
    pub(super) fn keep_in_queue(&mut self, mut call: Call, stay: Stay) {
        call.stay = Some(stay);
        self.keep(call);
    }

    /// Enters a step into the agenda. Nothing new begins once FreeSWITCH goes down.
    pub(super) fn after(&mut self, delay: Duration, step: Step) {
        if !self.shutting_down || matches!(step, Step::Settle(_)) {
            self.agenda.enter(self.now + delay, step);
        }
    }

    pub(super) fn queue(&self, index: usize) -> &QueueScenario {
        &self.scenario.queues[index]
    }

    /// Every leg that is alive.
    pub(super) fn legs(&self) -> impl Iterator<Item = &Leg> {
        self.calls.values().flat_map(|call| {
            let offers = call.stay.iter().flat_map(|stay| &stay.offers);
            let agents = offers.map(|offer| &offer.leg).filter(|leg| leg.hangup_cause().is_none());
            std::iter::once(&call.leg).chain(agents)
        })
    }

    pub(super) fn event(
        &mut self,
        name: &'static str,
        subclass: Option<&'static str>,
        origin: Origin,
    ) -> SimulatedEvent {
        self.node.event(name, subclass, origin, self.now, &mut self.chance)
    }

    pub(super) fn emit(&mut self, event: SimulatedEvent) {
        self.events.push(event);
    }

    pub(super) fn tell(&mut self, truth: Truth) {
        self.truths.push(truth);
    }

    /// The number of the next session.
    pub(super) fn next_session(&mut self) -> u64 {
        self.node.sessions += 1;
        self.node.sessions
    }

    /// The clock's latest tick at `time`.
    fn tick(&self, time: Timestamp) -> Timestamp {
        let past = time.as_microsecond().rem_euclid(TICK_US);
        Timestamp::from_microsecond(time.as_microsecond() - past).unwrap_or(time)
    }

    /// The events since the last time, some of them overtaken by their neighbours.
    pub(super) fn take_events(&mut self) -> Vec<SimulatedEvent> {
        let mut events = std::mem::take(&mut self.events);
        if self.scenario.disorder > 0.0 {
            for later in 1..events.len() {
                let [a, b] = [&events[later - 1], &events[later]];
                if may_overtake(a, b) && self.chance.happens(self.scenario.disorder) {
                    events.swap(later - 1, later);
                }
            }
        }
        events
    }
}

/// Whether `b` can come before `a` although it was fired after it: at the same tick, and from another thread.
fn may_overtake(a: &SimulatedEvent, b: &SimulatedEvent) -> bool {
    let differ = |name| match (a.header(name), b.header(name)) {
        (Some(a), Some(b)) => a != b,
        _ => true,
    };
    !differ("Event-Date-Timestamp") && differ("Unique-ID") && differ("CC-Agent") && a.name() != "SHUTDOWN"
}
