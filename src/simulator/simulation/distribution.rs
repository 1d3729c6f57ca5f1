//! Which agent is offered which member.

use std::time::Duration;

use super::agenda::Step;
use super::call::{Call, CallId, Phase, Stay};
use super::world::Simulation;
use crate::simulator::scenario::Strategy;

/// mod_callcenter notices a free agent within about this time.
const DISPATCH_MS: (u64, u64) = (20, 100);

impl Simulation {
    /// The agent is, or will be, free: the queues that the agent serves look again then.
    pub(super) fn schedule_distribution(&mut self, agent: usize) {
        let free_in = self.agents[agent].ready_at.duration_since(self.now).max(jiff::SignedDuration::ZERO);
        let delay = free_in.unsigned_abs() + self.chance.millis(DISPATCH_MS.0, DISPATCH_MS.1);
        let name = self.agents[agent].name().to_owned();
        for queue in 0..self.scenario.queues.len() {
            if self.queue(queue).agents.contains(&name) {
                self.after(delay, Step::Distribute(queue));
            }
        }
    }

    /// A member who was not reached is offered again.
    pub(super) fn schedule_queue(&mut self, queue: usize, delay: Duration) {
        self.after(delay, Step::Distribute(queue));
    }

    pub(super) fn distribute(&mut self, queue: usize) {
        let strategy = self.queue(queue).strategy;
        for id in self.members_to_offer(queue) {
            let candidates = self.candidates(queue, strategy);
            if candidates.is_empty() {
                return;
            }
            if let Some((call, stay)) = self.take_with_stay(id) {
                self.offer(call, stay, &candidates);
            }
        }
    }

    fn take_with_stay(&mut self, id: CallId) -> Option<(Call, Stay)> {
        let mut call = self.calls.remove(&id)?;
        let stay = call.stay.take()?;
        Some((call, stay))
    }

    /// The members who can be offered, the longest waiting first. With ring-all a member is offered to further agents
    /// while others' phones ring.
    fn members_to_offer(&self, queue: usize) -> Vec<CallId> {
        let at_once = self.queue(queue).strategy == Strategy::RingAll;
        let mut waiting: Vec<_> = (self.calls.values())
            .filter_map(|call| call.stay.as_ref())
            .filter(|stay| stay.queue == queue && stay.phase == Phase::Waiting)
            .filter(|stay| at_once || stay.ringing().is_empty())
            .map(|stay| (stay.joined, stay.at.call))
            .collect();
        waiting.sort_unstable();
        waiting.into_iter().map(|(_, id)| id).collect()
    }

    /// The agents to offer to: all who are free with ring-all, else the one whose turn it is.
    fn candidates(&mut self, queue: usize, strategy: Strategy) -> Vec<usize> {
        let places = self.free_agents(queue);
        let Some(&(_, first)) = places.first() else { return Vec::new() };
        let chosen = match strategy {
            Strategy::RingAll => {
                let mut agents: Vec<usize> = places.into_iter().map(|(_, agent)| agent).collect();
                self.chance.shuffle(&mut agents);
                return agents;
            }
            Strategy::TopDown => first,
            Strategy::RoundRobin => {
                let last = self.last_offered[queue];
                let (place, agent) = *places.iter().find(|(place, _)| *place > last).unwrap_or(&places[0]);
                self.last_offered[queue] = place;
                agent
            }
            Strategy::Random => self.chance.pick(&places).map_or(first, |(_, agent)| *agent),
            Strategy::LongestIdleAgent => places
                .iter()
                .map(|(_, agent)| *agent)
                .min_by_key(|agent| self.agents[*agent].last_bridge_end)
                .unwrap_or(first),
            Strategy::AgentWithFewestCalls => places
                .iter()
                .map(|(_, agent)| *agent)
                .min_by_key(|agent| self.agents[*agent].calls_answered)
                .unwrap_or(first),
        };
        vec![chosen]
    }

    /// The free agents of a queue, each with the place in its list.
    fn free_agents(&self, queue: usize) -> Vec<(usize, usize)> {
        let names = self.queue(queue).agents.iter().enumerate();
        names
            .filter_map(|(place, name)| Some((place, self.agent_named(name)?)))
            .filter(|(_, agent)| self.agents[*agent].is_free(self.now))
            .collect()
    }

    /// The agent of that name, by index.
    pub(super) fn agent_named(&self, name: &str) -> Option<usize> {
        self.agents.iter().position(|agent| agent.name() == name)
    }
}
