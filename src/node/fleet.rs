//! All nodes that are followed: a follower for each cluster, and its nodes as the configuration in force says.
//!
//! After a reload, nodes that are not configured any more are left first, then those that are new, or have changed, are
//! followed; nobody else hears of it. The attempts of a node that is left stay open, here and in the outbox, until it is
//! followed again, under whatever address and in whatever cluster: they are the node's by its name.

use std::collections::BTreeMap;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use super::follower::{FollowError, Follower, Order};
use super::surroundings::Surroundings;
use crate::config::freeswitch::{Cluster, FreeswitchNode};
use crate::id::NodeName;
use crate::lifecycle::kept::Kept;
use crate::recording::{Directory, Recording, Tap};

/// How many orders wait for a follower: a reload gives one for each changed node, and more wait for it to take some.
const ORDERS: usize = 16;

/// What is kept of the attempts of nodes that are not followed.
pub type LeftOpen = BTreeMap<NodeName, Vec<Kept>>;

/// The fleet.
#[derive(Debug)]
pub struct Fleet {
    around: Surroundings,
    left_open: LeftOpen,
    clusters: BTreeMap<Cluster, mpsc::Sender<Order>>,
    /// The nodes that are followed, as they were configured when that began.
    followed: BTreeMap<NodeName, FreeswitchNode>,
    followers: JoinSet<Result<(), FollowError>>,
    /// Where each follower's input is recorded, if it is to be.
    directory: Option<Directory>,
    recordings: Vec<Recording>,
}

impl Fleet {
    /// A fleet that takes up the attempts that an earlier run of the daemon left open.
    pub fn new(around: Surroundings, left_open: LeftOpen, directory: Option<Directory>) -> Self {
        let (clusters, followed, followers) = (BTreeMap::new(), BTreeMap::new(), JoinSet::new());
        Self { around, left_open, clusters, followed, followers, directory, recordings: Vec::new() }
    }

    /// Follows what is configured until it is told to end, or a follower fails.
    pub async fn run(mut self, end: CancellationToken) {
        self.arrange(&end).await;
        for (node, kept) in &self.left_open {
            let attempts = kept.iter().filter_map(Kept::open).count();
            if attempts > 0 {
                warn!(%node, attempts, "attempts are open on a node that is not configured any more");
            }
        }
        loop {
            tokio::select! {
                biased;
                () = end.cancelled() => break,
                Some(ended) = self.followers.join_next() => match ended {
                    // All its nodes were taken out of the configuration.
                    Ok(Ok(())) => {}
                    Ok(Err(failure)) => break error!(%failure, "a cluster cannot be followed"),
                    Err(failure) => break error!(%failure, "a cluster's task failed"),
                },
                changed = self.around.config.changed() => match changed {
                    Ok(()) => self.arrange(&end).await,
                    Err(_) => break,
                },
            }
        }
        // Without anybody to give them orders, followers end.
        self.clusters.clear();
        while let Some(ended) = self.followers.join_next().await {
            match ended {
                Ok(Ok(())) => {}
                Ok(Err(failure)) => error!(%failure, "a cluster cannot be followed"),
                Err(failure) => error!(%failure, "a cluster's task failed"),
            }
        }
        for recording in self.recordings {
            // What became of it is in the log.
            recording.ended().await;
        }
    }

    /// Leaves and follows nodes until they are those of the configuration.
    async fn arrange(&mut self, end: &CancellationToken) {
        let nodes = self.around.config.borrow_and_update().freeswitch.clone();
        let mut leaving = self.followed.clone();
        leaving.retain(|name, old| !nodes.iter().any(|new| new.name == *name && new.cluster == old.cluster));
        for (name, node) in leaving {
            self.leave(name, &node.cluster).await;
        }
        self.clusters.retain(|cluster, _| nodes.iter().any(|node| node.cluster == *cluster));
        for node in nodes {
            if self.followed.get(&node.name) != Some(&node) {
                self.follow(node, end).await;
            }
        }
    }

    async fn leave(&mut self, name: NodeName, cluster: &Cluster) {
        let (reply, attempts) = oneshot::channel();
        self.order(cluster, Order::Leave(name.clone(), reply)).await;
        // A follower that has failed does not answer; the fleet ends then.
        if let Ok(attempts) = attempts.await
            && !attempts.is_empty()
        {
            self.left_open.insert(name.clone(), attempts);
        }
        self.followed.remove(&name);
    }

    async fn follow(&mut self, node: FreeswitchNode, end: &CancellationToken) {
        let address = match node.link_address() {
            Ok(address) => address,
            Err(reason) => return error!(node = %node.name, %reason, "the node's password cannot be sent"),
        };
        if !self.clusters.contains_key(&node.cluster) {
            let (sender, orders) = mpsc::channel(ORDERS);
            let tap = self.tap(&node.name);
            let follower = Follower::new(node.name.clone(), orders, self.around.clone(), tap);
            self.followers.spawn(follower.run(end.clone()));
            self.clusters.insert(node.cluster.clone(), sender);
        }
        let attempts = self.left_open.remove(&node.name).unwrap_or_default();
        self.order(&node.cluster, Order::Follow(Box::new(address), attempts)).await;
        self.followed.insert(node.name.clone(), node);
    }

    /// Begins a recording for a follower, where that is wanted. That it cannot be made stops nothing else.
    fn tap(&mut self, node: &NodeName) -> Tap {
        let begun = self.directory.as_ref().map(|directory| directory.begin(node.clone())).transpose();
        match begun {
            Ok(None) => Tap::default(),
            Ok(Some((recorder, recording))) => {
                self.recordings.push(recording);
                Tap::into(recorder, node.clone())
            }
            Err(failure) => {
                error!(%node, %failure, "what FreeSWITCH says is not recorded");
                Tap::default()
            }
        }
    }

    /// Gives an order; none is taken by a follower that has failed, which ends the fleet.
    async fn order(&self, cluster: &Cluster, order: Order) {
        if let Some(orders) = self.clusters.get(cluster) {
            let _ = orders.send(order).await;
        }
    }
}
