//! The lifecycle of a cluster of nodes: all its live attempts, and the passing of time over them.
//!
//! The machine has one owner and does no I/O. Events go in through [`Lifecycle::handle_event`], time through
//! [`Lifecycle::advance`]; what is to be committed comes out through [`Effects`].
//!
//! What is told always comes from one node of the cluster: the one at hand, which [`Lifecycle::on`] changes.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::agents::Agents;
use super::anomaly::{Anomalies, Anomaly};
use super::attempt::Attempt;
use super::attempts::{Attempts, Held};
use super::kept::{Departed, Kept};
use super::memory::{Abandoned, Settled, Stay};
use super::node::Node;
use super::queues::Queues;
use super::world::{Occasion, World};
use crate::config::Config;
use crate::id::{AttemptHash, AttemptKey, MemberUuid, NodeName};
use crate::moment::value::Source;
use crate::moment::{EventName, Moment};

/// How long, after FreeSWITCH was found not to have an attempt any more, the events that tell its end may still come:
/// they can be on their way while the snapshot is taken.
pub(super) const LOSS_GRACE: SignedDuration = SignedDuration::from_secs(2);

/// What one input brought forth: to be committed as a whole.
#[derive(Debug, Default)]
pub struct Effects {
    /// The moments, in their order.
    pub moments: Vec<Moment>,
    /// The attempts whose state changed; one that [`Lifecycle::state`] does not know any more is over.
    pub changed: BTreeSet<AttemptHash>,
}

impl Effects {
    /// Whether there is nothing to commit.
    pub fn is_empty(&self) -> bool {
        self.moments.is_empty() && self.changed.is_empty()
    }
}

/// The lifecycle of a cluster.
#[derive(Debug)]
pub struct Lifecycle {
    pub(super) world: World,
    /// The node at hand: the one that tells what is told.
    pub(super) here: Node,
    /// The other nodes of the cluster.
    others: Vec<Node>,
    pub(super) anomalies: Anomalies,
    pub(super) attempts: Attempts,
    pub(super) agents: Agents,
    pub(super) queues: Queues,
    /// Whether agents were added or changed since FreeSWITCH was last asked for them.
    pub(super) roster_is_stale: bool,
}

impl Lifecycle {
    /// A cluster of one node, of which nothing is known yet.
    pub fn new(node: NodeName, config: Arc<Config>) -> Self {
        Self {
            world: World::new(config),
            here: Node::new(node),
            others: Vec::new(),
            anomalies: Anomalies::default(),
            attempts: Attempts::default(),
            agents: Agents::default(),
            queues: Queues::default(),
            roster_is_stale: false,
        }
    }

    /// From now on tells the events beyond the eight although no hook hears them.
    pub fn tell_all(&mut self) {
        self.world.tells_all = true;
    }

    /// Takes a node to hand: what is told or asked next is told by it, or asked of it. One that was not of the cluster is
    /// from now on.
    pub fn on(&mut self, node: &NodeName) -> &mut Self {
        if self.here.name != *node {
            let place = self.others.iter().position(|other| other.name == *node).unwrap_or_else(|| {
                self.others.push(Node::new(node.clone()));
                self.others.len() - 1
            });
            std::mem::swap(&mut self.here, &mut self.others[place]);
        }
        self
    }

    /// A node leaves the cluster: gives what is kept of its attempts, for whoever follows it next.
    pub fn remove(&mut self, node: &NodeName) -> Vec<Kept> {
        let held = self.attempts.all_held().filter(|(_, attempt)| attempt.node == *node);
        let hashes: Vec<_> = held.map(|(hash, _)| hash).collect();
        // An attempt after which somebody wraps up says more than that the member has left.
        let memory = &self.on(node).here.memory;
        let departed: Vec<_> =
            memory.all_departed().filter(|left| !hashes.contains(&left.key.hash())).cloned().collect();
        let open = hashes.into_iter().filter_map(|hash| self.take(hash)).map(Kept::Open);
        let removed = departed.into_iter().map(Kept::Departed).chain(open).collect();
        self.recount();
        if self.on(node).others.is_empty() {
            self.here = Node::new(node.clone());
        } else {
            self.here = self.others.remove(0);
        }
        removed
    }

    pub(super) fn nodes(&self) -> impl Iterator<Item = &Node> {
        std::iter::once(&self.here).chain(&self.others)
    }

    /// The clock of the node at hand.
    pub fn now(&self) -> Timestamp {
        self.here.now
    }

    /// The facts that fit no story.
    pub fn anomalies(&self) -> &Anomalies {
        &self.anomalies
    }

    /// How many attempts live.
    pub fn live(&self) -> usize {
        self.attempts.live()
    }

    /// A live attempt: one that has not left.
    pub fn attempt(&self, hash: AttemptHash) -> Option<&Attempt> {
        self.attempts.get(hash)
    }

    /// What a restored attempt waits for is found out when time first passes. One that has left is kept for its agent.
    pub(super) fn wake(&mut self, hash: AttemptHash) {
        let now = self.here.now;
        let Some(held) = self.attempts.held_mut(hash) else { return };
        held.deadline = Some(now);
        self.here.deadlines.insert((now, hash));
        count(&self.world, &mut self.queues, hash, held, now, &Source::default());
        self.queues.forget_changes();
        if held.attempt.left {
            self.attempts.set_aside(hash);
        }
    }

    /// Uses another configuration from now on; attempts that are under way keep the settings they began with.
    pub fn configure(&mut self, config: Arc<Config>) {
        self.world.config = config;
        self.world.directory.configure();
        self.roster_is_stale |= self.world.config.asks_directory();
        self.recount();
    }

    /// Counts anew who waits in the queues that somebody hears of; that is no change.
    pub(super) fn recount(&mut self) {
        self.queues = Queues::default();
        for (hash, held) in self.attempts.all_mut() {
            held.counted = None;
            count(&self.world, &mut self.queues, hash, held, self.here.now, &Source::default());
        }
        self.queues.forget_changes();
    }

    /// Whether FreeSWITCH should be asked for its agents, because some were added or changed. To be asked for once.
    pub fn take_stale_roster(&mut self) -> bool {
        std::mem::take(&mut self.roster_is_stale)
    }

    /// Whether another survey may find a member of whom only events are known: mod_callcenter tells of a member before it
    /// lists it, so one who joined just before the connection is in neither. Or an agent in FreeSWITCH's directory.
    pub fn wants_survey(&self) -> bool {
        self.here.early.want_survey() || self.world.directory.want_survey()
    }

    /// The connection has ended; until that time everything that happened was heard of.
    pub fn end_connection(&mut self, heard_until: Timestamp) {
        self.here.early.begin_connection();
        self.begin_gap_at(heard_until);
    }

    /// A new connection begins: what happened before its first event was not seen.
    pub fn begin_connection(&mut self) {
        self.here.connected_at = None;
        self.here.early.begin_connection();
        self.begin_gap();
    }

    /// Events were dropped.
    pub fn begin_gap(&mut self) {
        self.begin_gap_at(self.here.now);
    }

    fn begin_gap_at(&mut self, since: Timestamp) {
        self.here.begin_gap(since);
        self.agents.begin_gap();
    }

    /// How many channels are kept.
    pub fn kept_channels(&self) -> usize {
        self.nodes().map(|node| node.channels.len()).sum()
    }

    /// The next time at which something is to be decided, by the clock of the node at hand.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.here.next_deadline()
    }

    /// Time has passed: everything that was due by `now` is decided.
    pub fn advance(&mut self, now: Timestamp, effects: &mut Effects) {
        while let Some(at) = self.next_deadline().filter(|at| *at <= now) {
            self.here.now = self.here.now.max(at);
            match self.here.deadlines.first().copied().filter(|(deadline, _)| *deadline == at) {
                Some((_, hash)) => self.with_attempt(hash, at, &Source::default(), effects, |_, _| {}),
                None => self.expire_early_event(effects),
            }
            self.tell_queue_counts(effects);
        }
        self.here.now = self.here.now.max(now);
    }

    /// Nothing more will come from the node at hand: attempts whose end was seen are settled, all others stay open.
    pub fn finish(&mut self, effects: &mut Effects) {
        let mut ended: Vec<_> = self.here.deadlines.iter().copied().collect();
        ended.retain(|(_, hash)| self.attempt(*hash).is_some_and(Attempt::is_ending));
        for (_, hash) in ended {
            while let Some(at) = self.attempts.held(hash).and_then(|held| held.deadline) {
                self.here.now = self.here.now.max(at);
                self.with_attempt(hash, at, &Source::default(), effects, |_, _| {});
            }
        }
        self.tell_queue_counts(effects);
    }

    /// When the latest stay with these UUIDs that is over ended, on whichever node.
    pub(super) fn settled(&self, stay: &Stay) -> Option<Settled> {
        self.nodes().find_map(|node| node.memory.settled(stay))
    }

    /// The earlier attempts of a member who left without an agent, on whichever node.
    pub(super) fn abandoned(&self, member: &MemberUuid) -> Option<&Abandoned> {
        self.nodes().filter_map(|node| node.memory.abandoned(member)).max_by_key(|abandoned| abandoned.attempts)
    }

    /// The node that has a member's channel; the one at hand, where none is known to.
    pub(super) fn home_of(&self, session: &str) -> NodeName {
        self.nodes().find(|node| node.channels.get(session).is_some()).unwrap_or(&self.here).name.clone()
    }

    /// Remembers that an agent is called, or connected, on a channel for an attempt; not if that channel has ended, for
    /// nothing would make it forgotten.
    pub(super) fn note_leg(&mut self, channel: &str, hash: AttemptHash) {
        if self.attempt(hash).is_some_and(|attempt| attempt.has_ended_leg(channel)) {
            return;
        }
        if let Some(channel) = self.here.channels.entry(channel, &mut self.anomalies) {
            channel.serves = Some(hash);
        }
    }

    /// Notes the person to whom an attended transfer led.
    pub(super) fn note_transferred_to(&mut self, hash: AttemptHash, person: Option<String>) {
        if let Some(held) = self.attempts.held_mut(hash) {
            held.attempt.call.transferred_to = person;
        }
    }

    /// Whether another attempt can be taken.
    pub(super) fn has_room(&mut self) -> bool {
        let room = self.attempts.have_room();
        if !room {
            self.anomalies.count(Anomaly::TooManyAttempts);
        }
        room
    }

    /// Runs one attempt's state machine: `change` applies a fact, then conclusions are drawn, by the clock of its node.
    pub(super) fn with_attempt(
        &mut self,
        hash: AttemptHash,
        at: Timestamp,
        source: &Source,
        effects: &mut Effects,
        change: impl FnOnce(&mut Attempt, &mut Occasion<'_>),
    ) {
        let Some(held) = self.attempts.held_mut(hash) else { return };
        let Some(home) = home(&mut self.here, &mut self.others, &held.attempt.node) else { return };
        let moments = &mut effects.moments;
        let (now, known_until) = (home.now, home.known_until());
        let mut occasion = Occasion { world: &self.world, hash, at, now, known_until, source, moments };
        change(&mut held.attempt, &mut occasion);
        let deadline = held.attempt.settle(&mut occasion);
        if held.deadline != deadline {
            if let Some(old) = held.deadline {
                home.deadlines.remove(&(old, hash));
            }
            home.deadlines.extend(deadline.map(|at| (at, hash)));
            held.deadline = deadline;
        }
        if std::mem::take(&mut held.attempt.dirty) {
            effects.changed.insert(hash);
        }
        count(&self.world, &mut self.queues, hash, held, at, source);
        let has_left = held.attempt.left;
        self.weigh(hash);
        if has_left {
            effects.changed.extend(self.part_with(hash));
        }
    }

    /// Counts how many bytes an attempt has, and leaves its variables out where that is too many: it goes on without them.
    pub(super) fn weigh(&mut self, hash: AttemptHash) {
        if self.attempts.weigh(hash)
            && self.attempts.held_mut(hash).is_some_and(|held| held.attempt.leave_out_variables())
        {
            self.anomalies.count(Anomaly::TooManyBytes);
            self.attempts.weigh(hash);
        }
    }

    /// An attempt has left; while its agent is on the phone or wraps up it is kept aside. Gives those that a restart need not find any more.
    fn part_with(&mut self, hash: AttemptHash) -> Vec<AttemptHash> {
        let forgotten = self.remember(hash);
        if self.attempts.held(hash).is_some_and(|held| held.attempt.is_agents()) {
            self.attempts.set_aside(hash);
        } else {
            self.take(hash);
        }
        forgotten
    }

    /// Remembers of an attempt that has just left what a later one may need: gives those that a restart need not find any
    /// more for it.
    fn remember(&mut self, hash: AttemptHash) -> Vec<AttemptHash> {
        let Some(attempt) = self.attempts.get(hash) else { return Vec::new() };
        let Some(Node { now, memory, channels, .. }) = home(&mut self.here, &mut self.others, &attempt.node) else {
            return Vec::new();
        };
        if let (Some(bridge), Some(channel)) = (&attempt.bridge, attempt.channel()) {
            channels.note_bridge(channel, bridge.at);
        }
        let left_at = attempt.left_at().unwrap_or(*now);
        memory.settle(*now, Stay::of(&attempt.key), Settled { ordinal: attempt.key.ordinal, left_at });
        let departed = Departed::of(attempt, left_at);
        if let Some(abandoned) = departed.as_ref().and_then(|departed| departed.abandoned.clone()) {
            memory.abandon(*now, attempt.key.member.clone(), abandoned);
        }
        departed.map_or_else(Vec::new, |departed| memory.depart(*now, departed))
    }

    /// Takes an attempt out.
    fn take(&mut self, hash: AttemptHash) -> Option<Box<Attempt>> {
        let Held { attempt, deadline, .. } = self.attempts.remove(hash)?;
        if let Some(node) = home(&mut self.here, &mut self.others, &attempt.node) {
            deadline.map(|at| node.deadlines.remove(&(at, hash)));
        }
        Some(attempt)
    }
}

/// Counts whether the attempt waits, where somebody hears of it.
fn count(world: &World, queues: &mut Queues, hash: AttemptHash, held: &mut Held, at: Timestamp, source: &Source) {
    if !world.may_tell(EventName::QueueCount) {
        return;
    }
    let Attempt { key: AttemptKey { queue, .. }, joined_at, .. } = &*held.attempt;
    let since = Some(*joined_at).filter(|_| held.attempt.is_waiting() && world.tells(EventName::QueueCount, queue));
    if held.counted != since {
        queues.count((queue, hash), held.counted, since, at, source);
        held.counted = since;
    }
}

/// The node of that name.
fn home<'a>(here: &'a mut Node, others: &'a mut [Node], name: &NodeName) -> Option<&'a mut Node> {
    if here.name == *name { Some(here) } else { others.iter_mut().find(|node| node.name == *name) }
}
