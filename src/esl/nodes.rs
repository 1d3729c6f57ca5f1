//! The links to all nodes: for whoever has a command for one, or asks how they are.

use std::collections::BTreeMap;
use std::sync::Arc;

use dashmap::DashMap;
use tokio::sync::watch;

use super::commands::Commands;
use super::link::{Link, LinkState, Tally};
use crate::id::NodeName;

/// The registry, which clones share. Nodes come and go, so who has a command looks its node up each time.
///
/// Keys are independent and many tasks look, which is what a dashmap is for; no guard of it lives longer than one expression.
#[derive(Clone, Debug, Default)]
pub struct Nodes(Arc<DashMap<NodeName, LinkView>>);

/// A link, as everybody may look at it.
#[derive(Clone, Debug)]
pub struct LinkView {
    /// Commands to the node.
    pub commands: Commands,
    /// How its connections are.
    pub state: watch::Receiver<LinkState>,
    /// What was counted since the link was made.
    pub tally: Arc<Tally>,
}

impl From<&Link> for LinkView {
    fn from(link: &Link) -> Self {
        Self { commands: link.commands.clone(), state: link.state.clone(), tally: link.tally.clone() }
    }
}

impl Nodes {
    /// A node is followed from now on.
    pub fn insert(&self, node: NodeName, link: impl Into<LinkView>) {
        self.0.insert(node, link.into());
    }

    /// A node is followed no more.
    pub fn remove(&self, node: &NodeName) {
        self.0.remove(node);
    }

    /// The connection for commands to a node, if that is followed. It may be down at the moment.
    pub fn get(&self, node: &NodeName) -> Option<Commands> {
        self.0.get(node).map(|link| link.commands.clone())
    }

    /// All of them, by their names.
    pub fn list(&self) -> BTreeMap<NodeName, LinkView> {
        self.0.iter().map(|entry| (entry.key().clone(), entry.value().clone())).collect()
    }
}
