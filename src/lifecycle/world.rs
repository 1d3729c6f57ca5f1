//! What the lifecycle knows beside the calls: the configuration, and what FreeSWITCH's snapshots told of its agents.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use crate::config::Config;
use crate::id::{AgentName, AttemptHash, QueueName};
use crate::moment::Moment;
use crate::moment::value::Source;

/// What all attempts of a cluster share.
#[derive(Debug)]
pub struct World {
    /// The configuration in force.
    pub config: Arc<Config>,
    /// Each agent's wrap-up time in seconds, as last read.
    pub wrap_up_seconds: BTreeMap<AgentName, u64>,
    /// The agents of each queue, as last read.
    pub queue_agents: BTreeMap<QueueName, Vec<AgentName>>,
}

impl World {
    /// Whether post-processing is on for a queue: as configured, else read off the wrap-up time of the agent, or, where
    /// none is meant yet, of any of the queue's agents.
    pub fn use_processing(&self, configured: Option<bool>, queue: &QueueName, agent: Option<&AgentName>) -> bool {
        let has_wrap_up = |agent: &AgentName| self.wrap_up_seconds.get(agent).is_some_and(|seconds| *seconds > 0);
        configured.unwrap_or_else(|| match agent {
            Some(agent) => has_wrap_up(agent),
            None => self.queue_agents.get(queue).is_some_and(|agents| agents.iter().any(has_wrap_up)),
        })
    }
}

/// The occasion on which an attempt's state machine runs: one fact, or the passing of a deadline.
#[derive(Debug)]
pub struct Occasion<'a> {
    /// What all attempts share.
    pub world: &'a World,
    /// The attempt's name.
    pub hash: AttemptHash,
    /// When the fact happened, by the clock of the node that tells it; for a deadline, the node's clock.
    pub at: Timestamp,
    /// The clock of the attempt's node: the latest time seen there. Deadlines are measured by it.
    pub now: Timestamp,
    /// The event that told the fact.
    pub source: &'a Source,
    /// Where moments go.
    pub moments: &'a mut Vec<Moment>,
}
