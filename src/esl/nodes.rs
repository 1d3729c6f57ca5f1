//! The commands connections of all nodes, for whoever has a command for one.

use std::sync::Arc;

use dashmap::DashMap;

use super::commands::Commands;
use crate::id::NodeName;

/// The registry, which clones share. Nodes come and go, so who has a command looks its node up each time.
///
/// Keys are independent and many tasks look, which is what a dashmap is for; no guard of it lives longer than one expression.
#[derive(Clone, Debug, Default)]
pub struct Nodes(Arc<DashMap<NodeName, Commands>>);

impl Nodes {
    /// A node is followed from now on.
    pub fn insert(&self, node: NodeName, commands: Commands) {
        self.0.insert(node, commands);
    }

    /// A node is followed no more.
    pub fn remove(&self, node: &NodeName) {
        self.0.remove(node);
    }

    /// The connection for commands to a node, if that is followed. It may be down at the moment.
    pub fn get(&self, node: &NodeName) -> Option<Commands> {
        self.0.get(node).map(|commands| commands.clone())
    }
}
