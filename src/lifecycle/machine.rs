//! The lifecycle of a cluster of nodes: all its live attempts, and the passing of time over them.
//!
//! The machine has one owner and does no I/O. Events go in through [`Lifecycle::handle_event`], time through
//! [`Lifecycle::advance`]; what is to be committed comes out through [`Effects`].
//!
//! What is told always comes from one node of the cluster: the one at hand, which [`Lifecycle::on`] changes.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::agents::Agents;
use super::anomaly::{Anomalies, Anomaly};
use super::attempt::{Attempt, Loss};
use super::kept::{Departed, Kept};
use super::memory::{Abandoned, Settled, Stay};
use super::node::Node;
use super::queues::Queues;
use super::world::{Occasion, World};
use crate::config::Config;
use crate::freeswitch::Snapshot;
use crate::freeswitch::fact::MemberRef;
use crate::freeswitch::snapshot::MemberRow;
use crate::id::{AgentName, AttemptHash, AttemptKey, ChannelUuid, CoreUuid, MemberUuid, NodeName};
use crate::moment::value::Source;
use crate::moment::{EventName, Moment};

/// The most attempts that live at once. An attempt and its two channels take less than three kilobytes; no FreeSWITCH has so many calls.
const ATTEMPTS_LIMIT: usize = 200_000;

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

/// The stays of the live attempts, with what is known of them.
pub type OpenStays = BTreeMap<Stay, KnownStay>;

/// What is known of a live attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownStay {
    /// Whether an agent is known to be connected.
    pub is_bridged: bool,
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
    attempts: HashMap<AttemptHash, Live>,
    by_session: HashMap<ChannelUuid, Vec<AttemptHash>>,
    by_agent: HashMap<AgentName, Vec<AttemptHash>>,
    /// The attempts that have left and whose agent still wraps up, where somebody waits to hear of its end.
    wrapping: HashMap<AttemptHash, Live>,
    pub(super) agents: Agents,
    pub(super) queues: Queues,
    /// Whether agents were added or changed since FreeSWITCH was last asked for them.
    pub(super) roster_is_stale: bool,
}

#[derive(Debug)]
struct Live {
    attempt: Box<Attempt>,
    deadline: Option<Timestamp>,
    /// Since when it counts as waiting, where the queue's number is followed.
    counted: Option<Timestamp>,
}

impl Lifecycle {
    /// A cluster of one node, of which nothing is known yet.
    pub fn new(node: NodeName, config: Arc<Config>) -> Self {
        Self {
            world: World::new(config),
            here: Node::new(node),
            others: Vec::new(),
            anomalies: Anomalies::default(),
            attempts: HashMap::new(),
            by_session: HashMap::new(),
            by_agent: HashMap::new(),
            wrapping: HashMap::new(),
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
        let is_there = |live: &Live| live.attempt.node == *node;
        let held = self.attempts.iter().chain(&self.wrapping);
        let hashes: Vec<_> = held.filter(|(_, live)| is_there(live)).map(|(hash, _)| *hash).collect();
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
        self.attempts.len()
    }

    /// A live attempt: one that has not left.
    pub fn attempt(&self, hash: AttemptHash) -> Option<&Attempt> {
        self.attempts.get(&hash).map(|live| &*live.attempt)
    }

    /// A live attempt, or one that has left and whose agent wraps up.
    pub(super) fn held(&self, hash: AttemptHash) -> Option<&Attempt> {
        self.attempts.get(&hash).or_else(|| self.wrapping.get(&hash)).map(|live| &*live.attempt)
    }

    /// What a restored attempt waits for is found out when time first passes. One that has left is kept for its agent.
    pub(super) fn wake(&mut self, hash: AttemptHash) {
        let now = self.here.now;
        let Some(live) = self.attempts.get_mut(&hash) else { return };
        live.deadline = Some(now);
        self.here.deadlines.insert((now, hash));
        count(&self.world, &mut self.queues, hash, live, now, &Source::default());
        self.queues.forget_changes();
        if live.attempt.left {
            self.wrapping.extend(self.attempts.remove_entry(&hash));
        }
    }

    /// Uses another configuration from now on; attempts that are under way keep the settings they began with.
    pub fn configure(&mut self, config: Arc<Config>) {
        self.world.config = config;
        self.recount();
    }

    /// Counts anew who waits in the queues that somebody hears of; that is no change.
    fn recount(&mut self) {
        self.queues = Queues::default();
        for (hash, live) in &mut self.attempts {
            live.counted = None;
            count(&self.world, &mut self.queues, *hash, live, self.here.now, &Source::default());
        }
        self.queues.forget_changes();
    }

    /// Whether FreeSWITCH should be asked for its agents, because some were added or changed. To be asked for once.
    pub fn take_stale_roster(&mut self) -> bool {
        std::mem::take(&mut self.roster_is_stale)
    }

    /// The connection has ended; until that time everything that happened was heard of.
    pub fn end_connection(&mut self, heard_until: Timestamp) {
        self.begin_gap_at(heard_until);
    }

    /// A new connection begins: what happened before its first event was not seen.
    pub fn begin_connection(&mut self) {
        self.here.connected_at = None;
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
        ended.retain(|(_, hash)| self.attempt(*hash).is_some_and(|attempt| attempt.left_at().is_some()));
        for (_, hash) in ended {
            while let Some(at) = self.attempts.get(&hash).and_then(|live| live.deadline) {
                self.here.now = self.here.now.max(at);
                self.with_attempt(hash, at, &Source::default(), effects, |_, _| {});
            }
        }
        self.tell_queue_counts(effects);
    }

    /// The live attempts of the node at hand: those that a snapshot, asked for now, is to be compared with.
    pub fn open_attempts(&self) -> BTreeSet<AttemptHash> {
        self.attempts_here().map(|(hash, _)| hash).collect()
    }

    /// What a survey of the node at hand needs not ask FreeSWITCH again.
    pub fn open_stays(&self) -> OpenStays {
        let known =
            |(_, attempt): (_, &Attempt)| (Stay::of(&attempt.key), KnownStay { is_bridged: attempt.bridge.is_some() });
        self.attempts_here().map(known).collect()
    }

    fn attempts_here(&self) -> impl Iterator<Item = (AttemptHash, &Attempt)> {
        let all = self.attempts.iter().map(|(hash, live)| (*hash, &*live.attempt));
        all.filter(|(_, attempt)| attempt.node == self.here.name)
    }

    /// Compares the node's attempts that were open when the snapshot was asked for with what it has: those that it does not
    /// have any more are lost, unless the events that tell their end are on their way. Members of whom nothing is known
    /// are taken over, unless the configuration leaves those alone who waited at the start; so is what the snapshot says of
    /// agents.
    pub fn reconcile(&mut self, snapshot: &Snapshot, open: &BTreeSet<AttemptHash>, effects: &mut Effects) {
        // What comes after it is waited for from then on: no event may have come yet that set the clock.
        self.here.now = snapshot.taken_at.map_or(self.here.now, |taken_at| taken_at.max(self.here.now));
        if let Some(core) = snapshot.core.as_ref().filter(|core| self.here.core.as_ref() != Some(core)) {
            self.change_core(core.clone(), effects);
        }
        let comparison = self.begin_comparison(snapshot, open);
        self.find_agents(snapshot, effects);
        let gone_legs = self.here.channels.prune(|uuid| snapshot.channels.contains(uuid));
        let waiting: BTreeSet<_> = snapshot.members.iter().map(MemberRow::identity).collect();
        let is_there = |key: &AttemptKey| {
            snapshot.channels.contains(&key.session)
                && waiting.contains(&(key.queue.as_str(), key.member.as_str(), key.session.as_str()))
        };
        let judged = self.attempts_here().filter(|(hash, _)| open.contains(hash));
        let (there, gone): (Vec<_>, Vec<_>) = judged.partition(|(_, attempt)| is_there(&attempt.key));
        let hashes = |found: Vec<(AttemptHash, &Attempt)>| found.into_iter().map(|(hash, _)| hash).collect::<Vec<_>>();
        let (there, gone) = (hashes(there), hashes(gone));
        let (known_until, grace) = self.here.compare();
        self.lose(gone, known_until, self.here.now + grace, effects);
        self.lose_legs(gone_legs, known_until, effects);
        for hash in there.into_iter().filter(|hash| self.is_latest(*hash)).collect::<Vec<_>>() {
            self.with_attempt(hash, self.here.now, &Source::default(), effects, |attempt, _| attempt.loss = None);
        }
        for row in &snapshot.members {
            if let Some(dump) = snapshot.dumps.get(row.session_uuid.as_str()) {
                self.take_over(row, dump, effects);
            }
        }
        self.tell_queue_counts(effects);
        self.tell_reconciled(comparison, effects);
    }

    /// The FreeSWITCH process is another one than before: all attempts of the old one are over.
    pub(super) fn change_core(&mut self, core: CoreUuid, effects: &mut Effects) {
        let gone = self.attempts_here().filter(|(_, attempt)| attempt.key.core != core).map(|(hash, _)| hash).collect();
        let known_until = self.here.known_until();
        self.lose(gone, known_until, known_until, effects);
        self.here.change_core(core);
    }

    /// Attempts were found gone, which were there last at that time; until `grace_until`, their ends may still be told.
    fn lose(&mut self, mut gone: Vec<AttemptHash>, at: Timestamp, grace_until: Timestamp, effects: &mut Effects) {
        gone.sort_unstable_by_key(|hash| (self.attempt(*hash).map(|attempt| attempt.joined_at), *hash));
        let (now, source) = (self.here.now, Source { core_uuid: self.here.core.clone(), event_sequence: None });
        for hash in gone {
            self.with_attempt(hash, now, &source, effects, |attempt, _| attempt.lose(at, grace_until));
        }
    }

    /// Agents' legs were found gone: the offers that were made on them are over.
    fn lose_legs(&mut self, mut gone: Vec<(ChannelUuid, AttemptHash)>, at: Timestamp, effects: &mut Effects) {
        gone.sort_unstable();
        let (now, source) = (self.here.now, Source { core_uuid: self.here.core.clone(), event_sequence: None });
        for (leg, hash) in gone {
            self.with_attempt(hash, now, &source, effects, |attempt, occasion| {
                attempt.lose_leg(leg.as_str(), Loss { at, grace_until: occasion.now + LOSS_GRACE });
            });
        }
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

    /// The live attempt with these UUIDs: the latest, where a member came back on the same channel.
    pub(super) fn find(&self, queue: &str, member: &str, session: &str) -> Option<AttemptHash> {
        let on_channel = self.by_session.get(session)?;
        on_channel.iter().rev().copied().find(|hash| {
            self.attempt(*hash).is_some_and(|a| a.key.queue.as_str() == queue && a.key.member.as_str() == member)
        })
    }

    /// The live attempt with these UUIDs that is being offered to the agent: not the latest, where the member came back on
    /// the same channel while the agent's phone still rang.
    pub(super) fn find_offered(&self, member: &MemberRef<'_>, agent: &str, at: Timestamp) -> Option<AttemptHash> {
        let is_offered = |attempt: &Attempt| {
            let AttemptKey { queue, member: uuid, .. } = &attempt.key;
            queue.as_str() == member.queue && uuid.as_str() == member.member && attempt.open_offer(agent, at).is_some()
        };
        let on_channel = self.by_session.get(&*member.session)?;
        on_channel.iter().rev().copied().find(|hash| self.attempt(*hash).is_some_and(is_offered))
    }

    /// The live attempt with these UUIDs whose end an event at that time tells: the first whose end is still to come.
    pub(super) fn find_ending(&self, member: &MemberRef<'_>, at: Timestamp) -> Option<AttemptHash> {
        let is_ending = |attempt: &Attempt| {
            let is_gone_by_then = attempt.loss.as_ref().is_some_and(|loss| loss.at < at);
            attempt.key.queue.as_str() == member.queue
                && attempt.key.member.as_str() == member.member
                && attempt.queue_end.is_none()
                && attempt.joined_at <= at
                && !is_gone_by_then
        };
        let on_channel = self.by_session.get(&*member.session)?;
        on_channel.iter().copied().find(|hash| self.attempt(*hash).is_some_and(is_ending))
    }

    /// Whether the member has not come back on the same channel since this attempt.
    pub(super) fn is_latest(&self, hash: AttemptHash) -> bool {
        self.attempt(hash).is_some_and(|Attempt { key, .. }| {
            self.find(key.queue.as_str(), key.member.as_str(), key.session.as_str()) == Some(hash)
        })
    }

    /// The live attempts on a member's channel.
    pub(super) fn on_session(&self, session: &str) -> Vec<AttemptHash> {
        self.by_session.get(session).cloned().unwrap_or_default()
    }

    /// The live attempts that were offered to an agent.
    pub(super) fn offered_to(&self, agent: &str) -> Vec<AttemptHash> {
        self.by_agent.get(agent).cloned().unwrap_or_default()
    }

    /// The attempts, live or left, that were offered to an agent and after which somebody wraps up.
    pub(super) fn wrapping_up(&self, agent: &str) -> Vec<AttemptHash> {
        let wraps_up = |hash: &&AttemptHash| self.held(**hash).is_some_and(|attempt| attempt.wrap_up.is_some());
        self.by_agent.get(agent).into_iter().flatten().filter(wraps_up).copied().collect()
    }

    /// Remembers that an attempt was offered to an agent.
    pub(super) fn note_offer(&mut self, agent: &str, hash: AttemptHash) {
        let offered = match self.by_agent.get_mut(agent) {
            Some(offered) => offered,
            None => self.by_agent.entry(agent.into()).or_default(),
        };
        if !offered.contains(&hash) {
            offered.push(hash);
        }
    }

    /// Remembers that a member was called on a channel.
    pub(super) fn note_session(&mut self, channel: ChannelUuid, hash: AttemptHash) {
        let on_channel = self.by_session.entry(channel).or_default();
        if !on_channel.contains(&hash) {
            on_channel.push(hash);
        }
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
        if let Some(live) = self.attempts.get_mut(&hash) {
            live.attempt.call.transferred_to = person;
        }
    }

    /// Whether another attempt can be taken.
    pub(super) fn has_room(&mut self) -> bool {
        let room = self.attempts.len() < ATTEMPTS_LIMIT;
        if !room {
            self.anomalies.count(Anomaly::TooManyAttempts);
        }
        room
    }

    /// Takes a new attempt.
    pub(super) fn insert(&mut self, attempt: Attempt) -> AttemptHash {
        let hash = attempt.hash();
        for offer in &attempt.offers {
            self.note_offer(offer.agent.as_str(), hash);
        }
        if !attempt.left {
            for session in attempt.sessions() {
                self.by_session.entry(session.clone()).or_default().push(hash);
            }
        }
        self.attempts.insert(hash, Live { attempt: Box::new(attempt), deadline: None, counted: None });
        hash
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
        let found = self.attempts.get_mut(&hash).or_else(|| self.wrapping.get_mut(&hash));
        let Some(live) = found else { return };
        let Some(home) = home(&mut self.here, &mut self.others, &live.attempt.node) else { return };
        let moments = &mut effects.moments;
        let mut occasion = Occasion { world: &self.world, hash, at, now: home.now, source, moments };
        change(&mut live.attempt, &mut occasion);
        let deadline = live.attempt.settle(&mut occasion);
        if live.deadline != deadline {
            if let Some(old) = live.deadline {
                home.deadlines.remove(&(old, hash));
            }
            home.deadlines.extend(deadline.map(|at| (at, hash)));
            live.deadline = deadline;
        }
        if std::mem::take(&mut live.attempt.dirty) {
            effects.changed.insert(hash);
        }
        count(&self.world, &mut self.queues, hash, live, at, source);
        if live.attempt.left {
            effects.changed.extend(self.part_with(hash));
        }
    }

    /// An attempt has left; while its agent wraps up it is kept aside. Gives those that a restart need not find any more.
    fn part_with(&mut self, hash: AttemptHash) -> Vec<AttemptHash> {
        let forgotten = self.remember(hash);
        if self.held(hash).is_some_and(|attempt| attempt.wrap_up.is_some()) {
            self.wrapping.extend(self.attempts.remove_entry(&hash));
        } else {
            self.take(hash);
        }
        forgotten
    }

    /// Remembers of an attempt that has just left what a later one may need: gives those that a restart need not find any
    /// more for it.
    fn remember(&mut self, hash: AttemptHash) -> Vec<AttemptHash> {
        let Some(Live { attempt, .. }) = self.attempts.get(&hash) else { return Vec::new() };
        attempt.sessions().for_each(|session| remove_from(&mut self.by_session, session, hash));
        let Some(Node { now, memory, channels, .. }) = home(&mut self.here, &mut self.others, &attempt.node) else {
            return Vec::new();
        };
        if let Some(bridge) = &attempt.bridge {
            attempt.channel().inspect(|channel| channels.note_bridge(channel, bridge.at));
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
        let Live { attempt, deadline, .. } = self.attempts.remove(&hash).or_else(|| self.wrapping.remove(&hash))?;
        if let Some(node) = home(&mut self.here, &mut self.others, &attempt.node) {
            deadline.map(|at| node.deadlines.remove(&(at, hash)));
        }
        attempt.sessions().for_each(|session| remove_from(&mut self.by_session, session, hash));
        for offer in &attempt.offers {
            remove_from(&mut self.by_agent, &offer.agent, hash);
        }
        Some(attempt)
    }
}

/// Counts whether the attempt waits, where somebody hears of it.
fn count(world: &World, queues: &mut Queues, hash: AttemptHash, live: &mut Live, at: Timestamp, source: &Source) {
    if !world.may_tell(EventName::QueueCount) {
        return;
    }
    let Attempt { key: AttemptKey { queue, .. }, joined_at, .. } = &*live.attempt;
    let since = Some(*joined_at).filter(|_| live.attempt.is_waiting() && world.tells(EventName::QueueCount, queue));
    if live.counted != since {
        queues.count((queue, hash), live.counted, since, at, source);
        live.counted = since;
    }
}

/// The node of that name.
fn home<'a>(here: &'a mut Node, others: &'a mut [Node], name: &NodeName) -> Option<&'a mut Node> {
    if here.name == *name { Some(here) } else { others.iter_mut().find(|node| node.name == *name) }
}

fn remove_from<K: std::hash::Hash + Eq>(index: &mut HashMap<K, Vec<AttemptHash>>, key: &K, hash: AttemptHash) {
    if let Some(hashes) = index.get_mut(key) {
        hashes.retain(|other| *other != hash);
        if hashes.is_empty() {
            index.remove(key);
        }
    }
}
