//! The configuration: one TOML file, checked as a whole.

pub mod pattern;
pub mod queue;

use std::sync::Arc;

use crate::id::{AgentName, QueueName};
use queue::{AgentCard, QueueSettings};

/// The configuration.
#[derive(Debug, Default)]
pub struct Config {
    /// Stand-in for patterns.
    pub default_queue: Arc<QueueSettings>,
}

/// A queue with everything that applies to it.
#[derive(Debug)]
pub struct ResolvedQueue {
    /// The settings.
    pub settings: Arc<QueueSettings>,
}

impl Config {
    /// The queue's settings and hooks.
    pub fn queue(&self, _name: &QueueName) -> Arc<ResolvedQueue> {
        Arc::new(ResolvedQueue { settings: self.default_queue.clone() })
    }

    /// The agent's card.
    pub fn agent(&self, _name: &AgentName) -> Option<&AgentCard> {
        None
    }
}
