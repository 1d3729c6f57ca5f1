//! What is remembered of attempts that are over, as long as something may still refer to them.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::kept::Departed;
use crate::freeswitch::fact::MemberRef;
use crate::id::{AttemptHash, AttemptKey, ChannelUuid, MemberUuid, QueueName};

/// How long attempts that are over are remembered: late events of them are told from events of one that was never seen,
/// and a member who is resumed from those who come for the first time. mod_callcenter forgets who left without an agent
/// after `discard-abandoned-after`, which is a minute unless configured.
const MEMORY: SignedDuration = SignedDuration::from_hours(1);

/// The most of each that are remembered (about 200 bytes each); the oldest are forgotten first.
const MEMORY_LIMIT: usize = 16_384;

/// The most bytes that signals of told attempts that are over have together; the oldest attempts are forgotten first.
const MEMORY_BYTES: usize = 16 * 1024 * 1024;

/// The UUIDs of one stay, which a later one can share.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stay {
    /// The queue.
    pub queue: QueueName,
    /// The member.
    pub member: MemberUuid,
    /// The member's channel.
    pub session: ChannelUuid,
}

impl Stay {
    /// The stay of the member whom an event names.
    pub fn named_by(member: &MemberRef<'_>) -> Self {
        Self { queue: (&*member.queue).into(), member: (&*member.member).into(), session: (&*member.session).into() }
    }

    /// The stay of an attempt.
    pub fn of(key: &AttemptKey) -> Self {
        Self { queue: key.queue.clone(), member: key.member.clone(), session: key.session.clone() }
    }
}

/// What is remembered of a stay that is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settled {
    /// Which of the stays with the same UUIDs it was.
    pub ordinal: u32,
    /// When the member left.
    pub left_at: Timestamp,
}

/// What is remembered of a member who left without an agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Abandoned {
    /// When the member first joined.
    pub first_joined_at: Timestamp,
    /// The latest attempt's number.
    pub attempt_id: u64,
    /// How many attempts there were.
    pub attempts: u64,
}

/// The memory.
#[derive(Debug)]
pub struct Memory {
    settled: Remembered<Stay, Settled>,
    abandoned: Remembered<MemberUuid, Abandoned>,
    departed: Remembered<AttemptHash, Departed>,
    hung_up: Remembered<ChannelUuid, Timestamp>,
}

impl Default for Memory {
    fn default() -> Self {
        Self {
            settled: Remembered::new(MEMORY, |_| 0),
            abandoned: Remembered::new(MEMORY, |_| 0),
            departed: Remembered::new(MEMORY, Departed::bytes),
            hung_up: Remembered::new(MEMORY, |_| 0),
        }
    }
}

impl Memory {
    /// Remembers that a stay is over.
    pub fn settle(&mut self, now: Timestamp, stay: Stay, settled: Settled) {
        self.settled.insert(now, stay, settled);
    }

    /// The latest stay with these UUIDs that is over.
    pub fn settled(&self, stay: &Stay) -> Option<Settled> {
        self.settled.get(stay).copied()
    }

    /// Remembers a member who left without an agent.
    pub fn abandon(&mut self, now: Timestamp, member: MemberUuid, abandoned: Abandoned) {
        self.abandoned.insert(now, member, abandoned);
    }

    /// Remembers what a restart must find of an attempt that is over; gives those of which it need not any more.
    pub fn depart(&mut self, now: Timestamp, departed: Departed) -> Vec<AttemptHash> {
        self.departed.insert(now, departed.key.hash(), departed)
    }

    /// What a restart must find of an attempt that is over.
    pub fn departed(&self, hash: AttemptHash) -> Option<&Departed> {
        self.departed.get(&hash)
    }

    /// All that a restart must find.
    pub fn all_departed(&self) -> impl Iterator<Item = &Departed> {
        self.departed.order.iter().filter_map(|(_, hash)| self.departed(*hash))
    }

    /// Remembers when a member's channel ended of whose stay nothing is known.
    pub fn hang_up(&mut self, now: Timestamp, session: ChannelUuid, at: Timestamp) {
        self.hung_up.insert(now, session, at);
    }

    /// When a member's channel ended of whose stay nothing was known.
    pub fn hung_up_at(&self, session: &ChannelUuid) -> Option<Timestamp> {
        self.hung_up.get(session).copied()
    }

    /// Moves the times at which all was remembered.
    pub fn follow_clock(&mut self, moved: impl Fn(Timestamp) -> Timestamp) {
        self.settled.follow_clock(&moved);
        self.abandoned.follow_clock(&moved);
        self.departed.follow_clock(&moved);
        self.hung_up.follow_clock(&moved);
    }

    /// The same where the clock is a node's, of which the times that are remembered are too.
    pub fn follow_clock_of_node(&mut self, moved: impl Fn(Timestamp) -> Timestamp) {
        self.follow_clock(&moved);
        self.settled.each(|settled| settled.left_at = moved(settled.left_at));
        self.abandoned.each(|abandoned| abandoned.first_joined_at = moved(abandoned.first_joined_at));
        self.departed.each(|departed| departed.left_at = moved(departed.left_at));
        self.hung_up.each(|at| *at = moved(*at));
    }

    /// The member's earlier attempts.
    pub fn abandoned(&self, member: &MemberUuid) -> Option<&Abandoned> {
        self.abandoned.get(member)
    }
}

/// Values that are forgotten after some time, the oldest first.
#[derive(Debug)]
struct Remembered<K, V> {
    span: SignedDuration,
    values: HashMap<K, (Timestamp, V)>,
    order: VecDeque<(Timestamp, K)>,
    /// How many bytes a value has beyond what each has, and how many all have.
    bytes_of: fn(&V) -> usize,
    bytes: usize,
}

impl<K: Clone + Eq + Hash, V> Remembered<K, V> {
    fn new(span: SignedDuration, bytes_of: fn(&V) -> usize) -> Self {
        Self { span, values: HashMap::new(), order: VecDeque::new(), bytes_of, bytes: 0 }
    }

    /// Remembers a value; gives the keys of those that are forgotten for it.
    fn insert(&mut self, now: Timestamp, key: K, value: V) -> Vec<K> {
        let mut forgotten = Vec::new();
        self.bytes += (self.bytes_of)(&value);
        if let Some((_, former)) = self.values.insert(key.clone(), (now, value)) {
            self.bytes -= (self.bytes_of)(&former);
        }
        self.order.push_back((now, key));
        while self.order.front().is_some_and(|(at, _)| self.is_too_much() || now.duration_since(*at) > self.span) {
            let Some((at, key)) = self.order.pop_front() else { break };
            if self.values.get(&key).is_some_and(|(written, _)| *written == at)
                && let Some((_, value)) = self.values.remove(&key)
            {
                self.bytes -= (self.bytes_of)(&value);
                forgotten.push(key);
            }
        }
        forgotten
    }

    fn follow_clock(&mut self, moved: impl Fn(Timestamp) -> Timestamp) {
        let written = self.values.values_mut().map(|(at, _)| at);
        for at in written.chain(self.order.iter_mut().map(|(at, _)| at)) {
            *at = moved(*at);
        }
    }

    fn each(&mut self, change: impl Fn(&mut V)) {
        self.values.values_mut().for_each(|(_, value)| change(value));
    }

    fn is_too_much(&self) -> bool {
        self.order.len() > MEMORY_LIMIT || self.bytes > MEMORY_BYTES
    }

    fn get(&self, key: &K) -> Option<&V> {
        self.values.get(key).map(|(_, value)| value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("in range")
    }

    #[test]
    fn what_is_old_or_too_much_is_forgotten() {
        let mut memory: Remembered<i64, i64> = Remembered::new(SignedDuration::from_secs(10), |_| 0);
        memory.insert(at(0), 1, 1);
        memory.insert(at(5), 1, 2);
        assert!(memory.insert(at(11), 2, 0).is_empty());
        assert_eq!(memory.get(&1), Some(&2), "written anew at 5");
        assert_eq!(memory.insert(at(16), 3, 0), [1]);
        assert_eq!(memory.get(&1), None);
        for key in 0..(MEMORY_LIMIT as i64 + 50) {
            memory.insert(at(16), key, 0);
        }
        assert!(memory.values.len() <= MEMORY_LIMIT && memory.order.len() <= MEMORY_LIMIT);
    }
    #[test]
    fn what_has_too_many_bytes_together_is_forgotten() {
        let mut memory: Remembered<i64, usize> = Remembered::new(SignedDuration::from_secs(10), |bytes| *bytes);
        assert!(memory.insert(at(0), 1, MEMORY_BYTES).is_empty());
        assert!(memory.insert(at(0), 1, MEMORY_BYTES / 2).is_empty(), "the former value counts no more");
        assert!(memory.insert(at(1), 2, MEMORY_BYTES / 2).is_empty());
        assert_eq!(memory.insert(at(2), 3, 1), [1]);
        assert_eq!(memory.bytes, MEMORY_BYTES / 2 + 1);
    }
}
