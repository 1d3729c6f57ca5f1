//! One node of a cluster, as far as its stories are its own: its process, its channels, its clock.
//!
//! A cluster is one node, or several whose mod_callcenter share a database. What sharing means was read off
//! mod_callcenter:
//!
//! - A member belongs to the instance (`cc-instance-id`) on which its call entered the queue. Only that instance's
//!   dispatcher offers it, and whoever calls the agent first looks the member's channel up in its own process. So a
//!   member's start, offers, agents' legs, connection and end come from one process, whose Core-UUID is in the attempt's
//!   key, and the payload's `node` is that one. Should another node tell of an offer, it is the attempt's all the same:
//!   attempts are found by queue, member and channel, wherever the event comes from.
//! - Agents belong to nobody. Their states and statuses are told by the node on which they are changed, and a change takes
//!   back only the offers that this node makes.
//! - A member who abandoned on one node can resume on another, which takes it over: same member, another process, so
//!   another attempt, which names the former one.
//! - `queue list members` of any node lists the members of all, but `show channels` its own channels only. So a snapshot
//!   judges the attempts of its node alone, and takes over only members whose channels are there.
//! - A node that starts (or reloads the module) marks its own instance's members as abandoned, and sets all agents back
//!   to `Waiting`, those who are talking on other nodes too.
//! - Nodes that share a database under the same `cc-instance-id`, as it is unless configured, break each other's queues:
//!   they offer members whose calls they do not have, and mark them as abandoned; such members are never offered again,
//!   and a survey finds them gone.
//!
//! Each node keeps its own clock, repeat filter, channels and memory, and an attempt's deadlines are measured by the clock
//! of its node: a clock that is ahead ends nobody else's waits. Facts keep the times that their events carry, which can
//! only be compared across nodes as well as their clocks agree.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use super::attempt::Loss;
use super::channels::Channels;
use super::clock::EventClock;
use super::early::EarlyEvents;
use super::machine::LOSS_GRACE;
use super::memory::Memory;
use super::seen::Seen;
use crate::id::{AttemptHash, CoreUuid, NodeName};

/// How long an attempt lives on that FreeSWITCH was found not to have although no event can have been missed. Nothing
/// urges then, and the finding may be wrong: mod_callcenter tells of a member before it lists it, and an overloaded
/// FreeSWITCH sends an end seconds late. So it is longer than the pause between two surveys ([`crate::node::follower`]),
/// and the next one can show that the attempt is there.
pub const DOUBT: SignedDuration = SignedDuration::from_mins(6);

/// What is known of a node.
#[derive(Debug)]
pub struct Node {
    /// Its name.
    pub name: NodeName,
    /// The FreeSWITCH process that its latest event came from.
    pub core: Option<CoreUuid>,
    /// Its live channels.
    pub channels: Channels,
    /// Its attempts that are over.
    pub memory: Memory,
    /// Its events that came before the attempt they are about.
    pub early: EarlyEvents,
    /// The numbers of its latest events: each process counts by itself.
    pub seen: Seen,
    /// Its clock as its events show it.
    pub(super) clock: EventClock,
    /// Its clock: the latest time that one of its events carried, moved on while none come.
    pub now: Timestamp,
    /// When its first event of all happened.
    pub followed_since: Option<Timestamp>,
    /// When its connection's first event happened.
    pub connected_at: Option<Timestamp>,
    /// When something is to be decided of its attempts, by its clock.
    pub deadlines: BTreeSet<(Timestamp, AttemptHash)>,
    /// Since when its events may have been missed.
    gap_since: Option<Timestamp>,
    /// When its attempts were last compared with what it has.
    compared_at: Timestamp,
}

impl Node {
    /// A node of which nothing is known yet.
    pub fn new(name: NodeName) -> Self {
        Self {
            name,
            core: None,
            channels: Channels::default(),
            memory: Memory::default(),
            early: EarlyEvents::default(),
            seen: Seen::default(),
            clock: EventClock::default(),
            now: Timestamp::UNIX_EPOCH,
            followed_since: None,
            connected_at: None,
            deadlines: BTreeSet::new(),
            gap_since: Some(Timestamp::UNIX_EPOCH),
            compared_at: Timestamp::UNIX_EPOCH,
        }
    }

    /// The next time at which something is to be decided.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        let attempts = self.deadlines.first().map(|(at, _)| *at);
        [attempts, self.early.next_deadline()].into_iter().flatten().min()
    }

    /// At that time everything was still as it is known here, whenever it was that it was learnt.
    pub fn note_known(&mut self, at: Timestamp) {
        self.now = self.now.max(at);
        self.gap_since = self.gap_since.max(Some(at));
    }

    /// After that time events may have been missed, the ends of channels among them.
    pub fn begin_gap(&mut self, since: Timestamp) {
        self.gap_since.get_or_insert(since);
        self.channels.begin_connection();
    }

    /// The latest time at which everything was still as it is known here.
    pub fn known_until(&self) -> Timestamp {
        self.gap_since.unwrap_or(self.now)
    }

    /// The node's attempts are compared with what it has: gives what that says of those that it does not have.
    pub fn compare(&mut self) -> Loss {
        let (now, last) = (self.now, std::mem::replace(&mut self.compared_at, self.now));
        match self.gap_since.take() {
            Some(since) => Loss { at: since, grace_until: now + LOSS_GRACE, over_by: Some(now), call_lives: false },
            None => Loss::new(last, now + DOUBT),
        }
    }

    /// The clock was set: moves all times of the node by as much. Deadlines are to be found anew.
    pub(super) fn follow_clock(&mut self, step: SignedDuration) {
        let moved = |at: Timestamp| at.saturating_add(step).unwrap_or(at);
        for time in [&mut self.followed_since, &mut self.connected_at, &mut self.gap_since].into_iter().flatten() {
            *time = moved(*time);
        }
        self.compared_at = moved(self.compared_at);
        self.deadlines.clear();
        self.channels.follow_clock(moved);
        self.memory.follow_clock_of_node(moved);
        self.early.follow_clock(moved);
    }

    /// It is another process now: nothing of the former one's channels and events matters any more.
    pub fn change_core(&mut self, core: CoreUuid) {
        self.channels.clear();
        self.early.clear();
        self.seen.clear();
        self.connected_at = None;
        self.clock = if self.core.is_some() { EventClock::of_new_process() } else { EventClock::default() };
        self.core = Some(core);
    }
}
