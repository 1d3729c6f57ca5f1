//! What the tasks that own a lifecycle share, and how what it brings forth is handed on.

use std::sync::Arc;

use tokio::sync::watch;
use tracing::info;

use super::live::LiveAttempts;
use crate::config::Config;
use crate::esl::Nodes;
use crate::hook;
use crate::id::AttemptHash;
use crate::lifecycle::{Effects, Lifecycle};
use crate::outbox::{AttemptChange, Entry, Outbox};

/// What they share.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// The configuration in force.
    pub config: watch::Receiver<Arc<Config>>,
    /// Where moments and attempts go; none for who only records.
    pub outbox: Option<Outbox>,
    /// Where live attempts are shown.
    pub live: LiveAttempts,
    /// How many events of each node may wait.
    pub event_capacity: usize,
    /// Where commands to nodes are given.
    pub nodes: Nodes,
}

impl Surroundings {
    /// What one input brought forth, as one entry for the outbox.
    pub(super) fn entry(&self, lifecycle: &Lifecycle, effects: Effects) -> Entry {
        for moment in &effects.moments {
            let payload = &moment.payload;
            info!(
                node = %payload.node,
                queue = payload.queue_name.as_ref().map(display),
                agent = payload.agent_name.as_ref().map(display),
                attempt = payload.attempt_id,
                sequence = payload.sequence,
                synthetic = payload.synthetic,
                "{}", payload.event,
            );
        }
        let config = self.config.borrow();
        Entry {
            attempts: effects.changed.iter().map(|hash| self.change(lifecycle, *hash)).collect(),
            moments: effects.moments.into_iter().flat_map(|moment| hook::start(&config, moment)).collect(),
        }
    }

    /// What became of an attempt, shown to whoever looks.
    fn change(&self, lifecycle: &Lifecycle, hash: AttemptHash) -> AttemptChange {
        match lifecycle.attempt(hash) {
            Some(attempt) => self.live.show(attempt),
            None => self.live.remove(hash),
        }
        match lifecycle.state(hash) {
            Some((key, state)) => AttemptChange::Keep { key, state },
            None => AttemptChange::Forget(hash),
        }
    }
}
