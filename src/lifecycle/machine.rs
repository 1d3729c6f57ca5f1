//! The lifecycle of one node: all its live attempts, and the passing of time over them.
//!
//! The machine has one owner and does no I/O. Events go in through [`Lifecycle::handle_event`], time through
//! [`Lifecycle::advance`]; what is to be committed comes out through [`Effects`].

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::agents::Agents;
use super::anomaly::{Anomalies, Anomaly};
use super::attempt::Attempt;
use super::channels::Channels;
use super::early::EarlyEvents;
use super::memory::{Memory, Settled, Stay};
use super::queues::Queues;
use super::seen::Seen;
use super::world::{Occasion, World};
use crate::config::Config;
use crate::freeswitch::Snapshot;
use crate::freeswitch::fact::MemberRef;
use crate::freeswitch::snapshot::MemberRow;
use crate::id::{AgentName, AttemptHash, AttemptKey, ChannelUuid, CoreUuid, NodeName};
use crate::moment::value::{CcResult, Source};
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

/// The lifecycle of a node.
#[derive(Debug)]
pub struct Lifecycle {
    pub(super) world: World,
    pub(super) channels: Channels,
    pub(super) memory: Memory,
    pub(super) early: EarlyEvents,
    pub(super) seen: Seen,
    pub(super) anomalies: Anomalies,
    /// The node's clock: the latest time that an event carried, moved on by [`Self::advance`] while none come.
    pub(super) now: Timestamp,
    /// When the first event of all happened.
    pub(super) followed_since: Option<Timestamp>,
    /// When the connection's first event happened.
    pub(super) connected_at: Option<Timestamp>,
    attempts: HashMap<AttemptHash, Live>,
    by_session: HashMap<ChannelUuid, Vec<AttemptHash>>,
    by_agent: HashMap<AgentName, Vec<AttemptHash>>,
    deadlines: BTreeSet<(Timestamp, AttemptHash)>,
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
    /// A node of which nothing is known yet.
    pub fn new(node: NodeName, config: Arc<Config>) -> Self {
        Self {
            world: World::new(node, config),
            channels: Channels::default(),
            memory: Memory::default(),
            early: EarlyEvents::default(),
            seen: Seen::default(),
            anomalies: Anomalies::default(),
            now: Timestamp::UNIX_EPOCH,
            followed_since: None,
            connected_at: None,
            attempts: HashMap::new(),
            by_session: HashMap::new(),
            by_agent: HashMap::new(),
            deadlines: BTreeSet::new(),
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

    /// The node's clock.
    pub fn now(&self) -> Timestamp {
        self.now
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
    fn kept(&self, hash: AttemptHash) -> Option<&Attempt> {
        self.attempts.get(&hash).or_else(|| self.wrapping.get(&hash)).map(|live| &*live.attempt)
    }

    /// An attempt's key and state, to be found again after a restart; none if it is over, its agent's post-processing too.
    pub fn state(&self, hash: AttemptHash) -> Option<(AttemptKey, String)> {
        let attempt = self.kept(hash)?;
        let state = serde_json::to_string(attempt).expect("an attempt's state is plain data");
        Some((attempt.key.clone(), state))
    }

    /// Takes up an attempt that an earlier run of the daemon left open.
    pub fn restore(&mut self, mut attempt: Attempt) {
        attempt.settings = self.world.config.queue(&attempt.key.queue).settings.clone();
        self.world.core.get_or_insert_with(|| attempt.key.core.clone());
        for offer in attempt.offers.iter().filter(|offer| offer.is_open()) {
            for leg in &offer.legs {
                self.note_leg(leg.channel.as_str(), attempt.hash());
            }
        }
        if let Some(channel) = self.channels.entry(attempt.key.session.as_str(), &mut self.anomalies) {
            channel.latest_attempt_id = Some(attempt.attempt_id);
        }
        self.now = self.now.max(attempt.latest_fact_at());
        let hash = self.insert(attempt);
        // What it waits for is found out when time first passes.
        let now = self.now;
        if let Some(live) = self.attempts.get_mut(&hash) {
            live.deadline = Some(now);
            self.deadlines.insert((now, hash));
            count(&self.world, &mut self.queues, hash, live, now, &Source::default());
            self.queues.forget_changes();
            if live.attempt.left {
                self.wrapping.extend(self.attempts.remove_entry(&hash));
            }
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
            count(&self.world, &mut self.queues, *hash, live, self.now, &Source::default());
        }
        self.queues.forget_changes();
    }

    /// Whether FreeSWITCH should be asked for its agents, because some were added or changed. To be asked for once.
    pub fn take_stale_roster(&mut self) -> bool {
        std::mem::take(&mut self.roster_is_stale)
    }

    /// A new connection begins: what happened before its first event was not seen.
    pub fn begin_connection(&mut self) {
        self.connected_at = None;
        self.begin_gap();
    }

    /// Events were dropped: the ends of channels may have been among them, and what agents did.
    pub fn begin_gap(&mut self) {
        self.channels.begin_connection();
        self.agents.begin_connection();
    }

    /// How many channels are kept.
    pub fn kept_channels(&self) -> usize {
        self.channels.len()
    }

    /// The next time at which something is to be decided.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        let attempts = self.deadlines.first().map(|(at, _)| *at);
        [attempts, self.early.next_deadline()].into_iter().flatten().min()
    }

    /// Time has passed: everything that was due by `now` is decided.
    pub fn advance(&mut self, now: Timestamp, effects: &mut Effects) {
        while let Some(at) = self.next_deadline().filter(|at| *at <= now) {
            self.now = self.now.max(at);
            match self.deadlines.first().copied().filter(|(deadline, _)| *deadline == at) {
                Some((_, hash)) => self.with_attempt(hash, at, &Source::default(), effects, |_, _| {}),
                None => self.expire_early_event(effects),
            }
            self.tell_queue_counts(effects);
        }
        self.now = self.now.max(now);
    }

    /// Nothing more will come: attempts whose end was seen are settled, all others stay open.
    pub fn finish(&mut self, effects: &mut Effects) {
        let mut ended: Vec<_> = self.deadlines.iter().copied().collect();
        ended.retain(|(_, hash)| self.attempt(*hash).is_some_and(|attempt| attempt.left_at().is_some()));
        for (_, hash) in ended {
            while let Some(at) = self.attempts.get(&hash).and_then(|live| live.deadline) {
                self.now = self.now.max(at);
                self.with_attempt(hash, at, &Source::default(), effects, |_, _| {});
            }
        }
        self.tell_queue_counts(effects);
    }

    /// The live attempts: those that a snapshot, asked for now, is to be compared with.
    pub fn open_attempts(&self) -> BTreeSet<AttemptHash> {
        self.attempts.keys().copied().collect()
    }

    /// What a survey needs not ask FreeSWITCH again.
    pub fn open_stays(&self) -> OpenStays {
        let known = |live: &Live| {
            let key = &live.attempt.key;
            let stay = Stay { queue: key.queue.clone(), member: key.member.clone(), session: key.session.clone() };
            (stay, KnownStay { is_bridged: live.attempt.bridge.is_some() })
        };
        self.attempts.values().map(known).collect()
    }

    /// Compares the attempts that were open when the snapshot was asked for with what FreeSWITCH has: those that it does
    /// not have any more are lost, unless the events that tell their end are on their way. Members of whom nothing is known
    /// are taken over, unless the configuration leaves those alone who waited at the start; so is what the snapshot says of
    /// agents.
    pub fn reconcile(&mut self, snapshot: &Snapshot, open: &BTreeSet<AttemptHash>, effects: &mut Effects) {
        if let Some(core) = snapshot.core.as_ref().filter(|core| self.world.core.as_ref() != Some(core)) {
            self.change_core(core.clone(), effects);
        }
        let comparison = self.begin_comparison(snapshot, open);
        self.find_agents(snapshot, effects);
        self.channels.prune(|uuid| snapshot.channels.contains(uuid));
        let waiting: BTreeSet<_> = snapshot.members.iter().map(MemberRow::identity).collect();
        let is_there = |key: &AttemptKey| {
            snapshot.channels.contains(&key.session)
                && waiting.contains(&(key.queue.as_str(), key.member.as_str(), key.session.as_str()))
        };
        let gone = open.iter().copied();
        let gone = gone.filter(|hash| self.attempt(*hash).is_some_and(|attempt| !is_there(&attempt.key))).collect();
        self.lose(gone, LOSS_GRACE, effects);
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
        let gone =
            self.attempts.iter().filter(|(_, live)| live.attempt.key.core != core).map(|(hash, _)| *hash).collect();
        self.lose(gone, SignedDuration::ZERO, effects);
        self.channels.clear();
        self.early.clear();
        self.seen.clear();
        self.connected_at = None;
        self.world.core = Some(core);
    }

    fn lose(&mut self, mut gone: Vec<AttemptHash>, grace: SignedDuration, effects: &mut Effects) {
        gone.sort_unstable_by_key(|hash| (self.attempt(*hash).map(|attempt| attempt.joined_at), *hash));
        let (now, source) = (self.now, Source { core_uuid: self.world.core.clone(), event_sequence: None });
        for hash in gone {
            self.with_attempt(hash, now, &source, effects, |attempt, occasion| {
                attempt.lose(occasion.now, occasion.now + grace);
            });
        }
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
        let wraps_up = |hash: &&AttemptHash| self.kept(**hash).is_some_and(|attempt| attempt.wrap_up.is_some());
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

    /// Remembers that an agent is called, or connected, on a channel for an attempt; not if that channel has ended, for
    /// nothing would make it forgotten.
    pub(super) fn note_leg(&mut self, channel: &str, hash: AttemptHash) {
        if self.attempt(hash).is_some_and(|attempt| attempt.has_ended_leg(channel)) {
            return;
        }
        if let Some(channel) = self.channels.entry(channel, &mut self.anomalies) {
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
            self.by_session.entry(attempt.key.session.clone()).or_default().push(hash);
        }
        self.attempts.insert(hash, Live { attempt: Box::new(attempt), deadline: None, counted: None });
        hash
    }

    /// Runs one attempt's state machine: `change` applies a fact, then conclusions are drawn.
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
        let moments = &mut effects.moments;
        let mut occasion = Occasion { world: &self.world, hash, at, now: self.now, source, moments };
        change(&mut live.attempt, &mut occasion);
        let deadline = live.attempt.settle(&mut occasion);
        if live.deadline != deadline {
            if let Some(old) = live.deadline {
                self.deadlines.remove(&(old, hash));
            }
            self.deadlines.extend(deadline.map(|at| (at, hash)));
            live.deadline = deadline;
        }
        if std::mem::take(&mut live.attempt.dirty) {
            effects.changed.insert(hash);
        }
        count(&self.world, &mut self.queues, hash, live, at, source);
        if live.attempt.left {
            self.part_with(hash);
        }
    }

    /// Parts with an attempt that has left; while its agent wraps up it is kept aside.
    fn part_with(&mut self, hash: AttemptHash) {
        let has_just_left = self.attempts.remove(&hash);
        if let Some(live) = &has_just_left {
            self.remember(hash, &live.attempt);
        }
        let Some(live) = has_just_left.or_else(|| self.wrapping.remove(&hash)) else { return };
        if live.attempt.wrap_up.is_some() {
            self.wrapping.insert(hash, live);
            return;
        }
        if let Some(at) = live.deadline {
            self.deadlines.remove(&(at, hash));
        }
        for offer in &live.attempt.offers {
            remove_from(&mut self.by_agent, &offer.agent, hash);
        }
    }

    /// Remembers of an attempt that has left what a later one may need.
    fn remember(&mut self, hash: AttemptHash, attempt: &Attempt) {
        remove_from(&mut self.by_session, &attempt.key.session, hash);
        if attempt.result().0 != CcResult::Success {
            self.memory.abandon(self.now, attempt.key.member.clone(), attempt.for_a_resume());
        }
        let settled = Settled { ordinal: attempt.key.ordinal, left_at: attempt.left_at().unwrap_or(self.now) };
        let key = &attempt.key;
        let stay = Stay { queue: key.queue.clone(), member: key.member.clone(), session: key.session.clone() };
        self.memory.settle(self.now, stay, settled);
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

fn remove_from<K: std::hash::Hash + Eq>(index: &mut HashMap<K, Vec<AttemptHash>>, key: &K, hash: AttemptHash) {
    if let Some(hashes) = index.get_mut(key) {
        hashes.retain(|other| *other != hash);
        if hashes.is_empty() {
            index.remove(key);
        }
    }
}
