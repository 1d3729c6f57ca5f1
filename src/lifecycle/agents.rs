//! The agents: their status and state, as far as somebody hears of them, and what else their events mean.

use std::collections::{BTreeSet, HashMap};

use jiff::Timestamp;

use super::anomaly::{Anomalies, Anomaly};
use super::input::Input;
use super::leg::LegIdentity;
use super::machine::{Effects, Lifecycle};
use super::wrap_up::AgentMove;
use crate::freeswitch::Snapshot;
use crate::freeswitch::fact::AgentStep;
use crate::id::{AgentName, AttemptHash};
use crate::moment::value::{Seconds, Source, Time};
use crate::moment::{EventName, Moment, Payload};

/// The status in which mod_callcenter leaves an agent's offers alone.
const AVAILABLE: &str = "Available";

/// The most agents who are followed; an agent takes about 200 bytes, and no FreeSWITCH has so many.
const AGENTS_LIMIT: usize = 50_000;

/// The agents who are followed.
#[derive(Debug, Default)]
pub struct Agents {
    known: HashMap<AgentName, Agent>,
    /// How often events may have been missed.
    gaps: u64,
}

/// What is known of an agent.
#[derive(Debug, Default)]
struct Agent {
    status: Option<Held>,
    state: Option<Held>,
    /// How many gaps there had been when an event last told of it.
    gaps: u64,
}

/// A status or state.
#[derive(Clone, Debug)]
struct Held {
    value: Box<str>,
    /// Since when; none where that was not seen.
    since: Option<Timestamp>,
    /// The number of the event that told it.
    sequence: Option<u64>,
}

/// What of an agent changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Facet {
    Status,
    State,
}

/// A change of an agent.
#[derive(Debug)]
struct Change<'a> {
    agent: &'a str,
    facet: Facet,
    held: Held,
    /// When it is told to have happened.
    at: Timestamp,
    source: &'a Source,
    /// Whether it was found rather than seen.
    synthetic: bool,
}

impl Facet {
    fn event(self) -> EventName {
        match self {
            Self::Status => EventName::AgentStatus,
            Self::State => EventName::AgentState,
        }
    }

    fn of(self, agent: &mut Agent) -> &mut Option<Held> {
        match self {
            Self::Status => &mut agent.status,
            Self::State => &mut agent.state,
        }
    }
}

impl Agents {
    /// Events may have been missed: what is known may be out of date.
    pub fn begin_gap(&mut self) {
        self.gaps += 1;
    }

    /// The clock was set back: nothing is known of a later time.
    pub(super) fn not_after(&mut self, now: Timestamp) {
        for agent in self.known.values_mut() {
            for since in
                [&mut agent.status, &mut agent.state].into_iter().flatten().filter_map(|held| held.since.as_mut())
            {
                *since = now.min(*since);
            }
        }
    }

    /// The agent, followed from now on.
    fn entry(&mut self, name: &str, anomalies: &mut Anomalies) -> Option<&mut Agent> {
        if !self.known.contains_key(name) {
            if self.known.len() >= AGENTS_LIMIT {
                anomalies.count(Anomaly::TooManyAgents);
                return None;
            }
            self.known.insert(name.into(), Agent::default());
        }
        self.known.get_mut(name)
    }

    fn was_heard_of(&self, name: &str) -> bool {
        self.known.get(name).is_some_and(|agent| agent.gaps == self.gaps)
    }
}

impl Lifecycle {
    /// An agent has changed.
    pub(super) fn agent_step(&mut self, input: &Input<'_>, step: &AgentStep<'_>, agent: &str, effects: &mut Effects) {
        let (facet, value, next) = match step {
            AgentStep::Added => {
                self.roster_is_stale = true;
                return;
            }
            AgentStep::Contact(contact) => {
                // Whoever sets it, a reload of the configuration among them, may have set the wrap-up time as well.
                self.roster_is_stale = true;
                self.world.set_contact(agent, contact);
                return;
            }
            AgentStep::Status(status) => (Facet::Status, status, AgentMove::Status),
            AgentStep::State(state) => (Facet::State, state, AgentMove::State(state)),
        };
        if facet == Facet::Status && value != AVAILABLE {
            // mod_callcenter takes back only the offers of the node on which the status was changed.
            let offered = self.attempts.offered_to(agent).into_iter();
            let here = offered.filter(|hash| self.attempt(*hash).is_some_and(|a| a.node == self.here.name));
            for hash in here.collect::<Vec<_>>() {
                self.with_attempt(hash, input.at, &input.source, effects, |attempt, _| {
                    attempt.agent_left(agent, input.at);
                });
            }
        }
        self.move_agent(input, agent, next, None, effects);
        if self.world.may_tell(EventName::AgentStatus) || self.world.may_tell(EventName::AgentState) {
            let since = Some(input.at);
            let held = Held { value: value.as_ref().into(), since, sequence: input.source.event_sequence };
            let change = Change { agent, facet, held, at: input.at, source: &input.source, synthetic: false };
            self.change_agent(change, effects);
        }
    }

    /// An agent does something, for the attempt `by` or by itself: what it wraps up may be over with it.
    pub(super) fn move_agent(
        &mut self,
        input: &Input<'_>,
        agent: &str,
        step: AgentMove<'_>,
        by: Option<AttemptHash>,
        effects: &mut Effects,
    ) {
        for hash in self.attempts.outlasted_by(agent).filter(|hash| Some(*hash) != by).collect::<Vec<_>>() {
            self.with_attempt(hash, input.at, &input.source, effects, |attempt, occasion| {
                attempt.move_agent(occasion, agent, step);
            });
        }
        if matches!(step, AgentMove::Offer) {
            self.world.directory.sight(&self.world.config, agent);
        }
        if !self.world.may_tell(EventName::Processed) {
            return;
        }
        let gaps = self.agents.gaps;
        if let Some(known) = self.agents.entry(agent, &mut self.anomalies) {
            known.gaps = gaps;
        }
        for hash in self.attempts.wrapping_up(agent).into_iter().filter(|hash| Some(*hash) != by) {
            self.with_attempt(hash, input.at, &input.source, effects, |attempt, occasion| {
                attempt.move_agent(occasion, agent, step);
            });
        }
    }

    /// Takes what a snapshot says of the agents: who was heard of since the last gap is better known by that.
    pub(super) fn find_agents(&mut self, snapshot: &Snapshot, effects: &mut Effects) {
        self.world.read_roster(snapshot, self.here.now);
        let follows = [EventName::AgentStatus, EventName::AgentState, EventName::Processed];
        if !follows.into_iter().any(|event| self.world.may_tell(event)) {
            self.agents = Agents::default();
            return;
        }
        let (now, source) = (self.here.now, Source { core_uuid: self.here.core.clone(), event_sequence: None });
        let unheard = snapshot.agents.iter().filter(|row| !self.agents.was_heard_of(&row.name));
        for row in unheard.collect::<Vec<_>>() {
            for hash in self.attempts.wrapping_up(&row.name) {
                self.with_attempt(hash, now, &source, effects, |attempt, occasion| attempt.find_agent(occasion, row));
            }
            let status = (Facet::Status, &row.status, row.status_since());
            let facets = [status, (Facet::State, &row.state, None)];
            for (facet, value, since) in facets.into_iter().filter(|(_, value, _)| !value.is_empty()) {
                let held = Held { value: value.as_str().into(), since, sequence: None };
                let at = since.unwrap_or(now);
                self.change_agent(
                    Change { agent: &row.name, facet, held, at, source: &source, synthetic: true },
                    effects,
                );
            }
        }
        let gaps = self.agents.gaps;
        let there: BTreeSet<_> = snapshot.agents.iter().map(|row| row.name.as_str()).collect();
        self.agents.known.retain(|name, agent| agent.gaps == gaps || there.contains(name.as_str()));
    }

    /// Keeps a change, and tells it. One that repeats what is known, or that a later one has overtaken, is none; nor is it
    /// one to find out what an agent was doing before anything was known.
    fn change_agent(&mut self, change: Change<'_>, effects: &mut Effects) {
        let Change { agent, facet, held, at, source, synthetic } = change;
        let gaps = self.agents.gaps;
        let Some(known) = self.agents.entry(agent, &mut self.anomalies) else { return };
        if !synthetic {
            known.gaps = gaps;
        }
        let place = facet.of(known);
        if place
            .as_ref()
            .is_some_and(|before| !synthetic && (before.since, before.sequence) > (Some(at), held.sequence))
        {
            self.anomalies.count(Anomaly::LateAgentEvent);
            return;
        }
        if place.as_ref().is_some_and(|before| before.value == held.value) {
            return;
        }
        let before = place.replace(held);
        let (status, state) = (known.status.clone(), known.state.clone());
        let agent = AgentName::from(agent);
        if (synthetic && before.is_none()) || !self.world.tells_of_agent(facet.event(), &agent) {
            return;
        }
        let attempt = AttemptHash::in_place_of("agent", agent.as_str());
        let text = |held: Option<Held>| held.map(|held| String::from(held.value));
        let (status, state) = (text(status), text(state));
        let value = match facet {
            Facet::Status => status.as_deref(),
            Facet::State => state.as_deref(),
        };
        let event = facet.event();
        let mut payload = Payload {
            id: attempt.moment_at(event.as_str(), self.here.core.as_ref(), at, value.unwrap_or_default()),
            event,
            node: self.here.name.clone(),
            timestamp: Time(at),
            synthetic,
            source: source.clone(),
            lasted_sec: before.as_ref().and_then(|before| Some(Seconds::between(before.since?, at))),
            agent_previous_status: text(before.clone()),
            agent_previous_state: text(before),
            agent_status: status,
            agent_state: state,
            ..Payload::default()
        };
        self.world.name_agent(&mut payload, &agent, &LegIdentity::default());
        payload.clear_inapplicable();
        effects.moments.push(Moment { attempt, payload });
    }
}
