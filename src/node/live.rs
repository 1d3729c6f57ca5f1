//! The live attempts of all nodes, as anyone may look at them: shared views that their one owner renews.

use std::sync::Arc;

use dashmap::DashMap;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use crate::id::{AgentName, AttemptHash, ChannelUuid, NodeName, QueueName};
use crate::lifecycle::attempt::Attempt;

/// The registry. Keys are independent and many tasks look while each node's owner writes, which is what a dashmap is for.
/// No guard of it lives longer than one expression.
#[derive(Clone, Debug, Default)]
pub struct LiveAttempts(Arc<DashMap<AttemptHash, Arc<LiveAttempt>>>);

/// A live attempt, as it was after its latest change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct LiveAttempt {
    /// Its name in the outbox.
    pub id: AttemptHash,
    /// The node.
    pub node: NodeName,
    /// The queue.
    pub queue: QueueName,
    /// Its number.
    pub attempt_id: u64,
    /// The member's channel; null where no call carries the attempt, or before the member is called.
    pub member_channel_id: Option<ChannelUuid>,
    /// The member's name.
    pub member_name: Option<String>,
    /// The member's number.
    pub member_number: Option<String>,
    /// When the member joined.
    pub joined_at: Timestamp,
    /// The agents who are called, or connected.
    pub agents: Vec<AgentName>,
    /// Since when member and agent are connected.
    pub bridged_at: Option<Timestamp>,
}

impl LiveAttempts {
    /// Shows an attempt as it is now.
    pub fn show(&self, attempt: &Attempt) {
        let open = attempt.offers.iter().filter(|offer| offer.is_open());
        let view = LiveAttempt {
            id: attempt.hash(),
            node: attempt.node.clone(),
            queue: attempt.key.queue.clone(),
            attempt_id: attempt.attempt_id,
            member_channel_id: attempt.channel().cloned(),
            member_name: attempt.member.name.clone(),
            member_number: attempt.member.number.clone(),
            joined_at: attempt.joined_at,
            agents: open.map(|offer| offer.agent.clone()).collect(),
            bridged_at: attempt.bridge.as_ref().map(|bridge| bridge.at),
        };
        self.0.insert(view.id, Arc::new(view));
    }

    /// An attempt is over.
    pub fn remove(&self, id: AttemptHash) {
        self.0.remove(&id);
    }

    /// One of them.
    pub fn get(&self, id: AttemptHash) -> Option<Arc<LiveAttempt>> {
        self.0.get(&id).map(|entry| entry.value().clone())
    }

    /// How many live.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether none lives.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them, the longest there first.
    pub fn list(&self) -> Vec<Arc<LiveAttempt>> {
        let mut list: Vec<_> = self.0.iter().map(|entry| entry.value().clone()).collect();
        list.sort_by_key(|attempt| (attempt.joined_at, attempt.id));
        list
    }
}
