//! The attempts that are held, and by what they are found.

use std::collections::HashMap;
use std::hash::Hash;

use jiff::Timestamp;

use super::attempt::Attempt;
use crate::freeswitch::fact::MemberRef;
use crate::id::{AgentName, AttemptHash, ChannelUuid};

/// The most attempts that live at once. An attempt and its two channels take less than three kilobytes; no FreeSWITCH has
/// so many calls.
const ATTEMPTS_LIMIT: usize = 200_000;

/// The most bytes that the live attempts have together of what callers and tellers determine: variables, names, offers, signals.
/// A member's variables are one or two kilobytes, so that this is tens of thousands of members.
pub const LIVE_BYTES: usize = 64 * 1024 * 1024;

/// The attempts of a cluster: the live ones, and those that have left and whose agent is still on the phone, or wraps up.
#[derive(Debug, Default)]
pub struct Attempts {
    live: HashMap<AttemptHash, Held>,
    /// Those that have left and whose agent is still on the phone, or wraps up where somebody waits to hear of its end.
    wrapping: HashMap<AttemptHash, Held>,
    /// The live ones.
    by_session: HashMap<ChannelUuid, Vec<AttemptHash>>,
    by_agent: HashMap<AgentName, Vec<AttemptHash>>,
    /// How many bytes they have, each as much as its `bytes` says.
    bytes: usize,
}

/// An attempt that is held.
#[derive(Debug)]
pub struct Held {
    /// The attempt.
    pub attempt: Box<Attempt>,
    /// When something is to be decided of it.
    pub deadline: Option<Timestamp>,
    /// Since when it counts as waiting, where the queue's number is followed.
    pub counted: Option<Timestamp>,
    /// How many bytes it had when it was weighed last.
    bytes: usize,
}

impl Attempts {
    /// How many live.
    pub fn live(&self) -> usize {
        self.live.len()
    }

    /// Whether another one can be taken.
    pub fn have_room(&self) -> bool {
        self.live.len() < ATTEMPTS_LIMIT
    }

    /// Whether they may have more bytes.
    pub fn have_bytes(&self) -> bool {
        self.bytes < LIVE_BYTES
    }

    /// Counts anew how many bytes an attempt has: says whether it has more than before, and they are too many.
    pub fn weigh(&mut self, hash: AttemptHash) -> bool {
        let Some(held) = self.live.get_mut(&hash).or_else(|| self.wrapping.get_mut(&hash)) else { return false };
        let former = std::mem::replace(&mut held.bytes, held.attempt.bytes());
        self.bytes = self.bytes - former + held.bytes;
        held.bytes > former && self.bytes > LIVE_BYTES
    }

    /// A live attempt: one that has not left.
    pub fn get(&self, hash: AttemptHash) -> Option<&Attempt> {
        self.live.get(&hash).map(|held| &*held.attempt)
    }

    /// A live attempt, or one that has left and whose agent is on the phone or wraps up.
    pub fn held(&self, hash: AttemptHash) -> Option<&Held> {
        self.live.get(&hash).or_else(|| self.wrapping.get(&hash))
    }

    /// The same, to be changed.
    pub fn held_mut(&mut self, hash: AttemptHash) -> Option<&mut Held> {
        self.live.get_mut(&hash).or_else(|| self.wrapping.get_mut(&hash))
    }

    /// All that live.
    pub fn all(&self) -> impl Iterator<Item = (AttemptHash, &Attempt)> {
        self.live.iter().map(|(hash, held)| (*hash, &*held.attempt))
    }

    /// All that live, to be changed.
    pub fn all_mut(&mut self) -> impl Iterator<Item = (AttemptHash, &mut Held)> {
        self.live.iter_mut().map(|(hash, held)| (*hash, held))
    }

    /// All that are held, to be changed.
    pub fn all_held_mut(&mut self) -> impl Iterator<Item = (AttemptHash, &mut Held)> {
        self.live.iter_mut().chain(&mut self.wrapping).map(|(hash, held)| (*hash, held))
    }

    /// All that are held.
    pub fn all_held(&self) -> impl Iterator<Item = (AttemptHash, &Attempt)> {
        self.all().chain(self.wrapping.iter().map(|(hash, held)| (*hash, &*held.attempt)))
    }

    /// The live attempt with these UUIDs: the latest, where a member came back on the same channel.
    pub fn find(&self, queue: &str, member: &str, session: &str) -> Option<AttemptHash> {
        let on_channel = self.by_session.get(session)?;
        on_channel.iter().rev().copied().find(|hash| self.get(*hash).is_some_and(|a| is_in(a, queue, member)))
    }

    /// The attempt with these UUIDs that is being offered to the agent: not the latest, where the member came back on the
    /// same channel while the agent's phone still rang; one that has left, where the agent is still on the phone.
    pub fn find_offered(&self, member: &MemberRef<'_>, agent: &str, at: Timestamp) -> Option<AttemptHash> {
        let is_offered = |attempt: &Attempt| {
            is_in(attempt, &member.queue, &member.member) && attempt.open_offer(agent, at).is_some()
        };
        let on_channel = self.by_session.get(&*member.session).into_iter().flatten().rev().copied();
        on_channel.chain(self.outlasted_by(agent)).find(|hash| {
            self.held(*hash)
                .is_some_and(|held| held.attempt.key.session.as_str() == member.session && is_offered(&held.attempt))
        })
    }

    /// The attempts that have left and whose agent is still on the phone.
    pub fn outlasted(&self) -> impl Iterator<Item = (AttemptHash, &Attempt)> {
        let held = self.wrapping.iter().map(|(hash, held)| (*hash, &*held.attempt));
        held.filter(|(_, attempt)| attempt.agent_on_phone().is_some())
    }

    /// The attempts that have left and whose agent, this one, is still on the phone.
    pub fn outlasted_by(&self, agent: &str) -> impl Iterator<Item = AttemptHash> {
        let offered = self.by_agent.get(agent).filter(|_| !self.wrapping.is_empty()).into_iter().flatten().copied();
        offered.filter(|hash| self.wrapping.get(hash).is_some_and(|held| held.attempt.agent_on_phone().is_some()))
    }

    /// The live attempt with these UUIDs whose end an event at that time tells: the first whose end is still to come.
    pub fn find_ending(&self, member: &MemberRef<'_>, at: Timestamp) -> Option<AttemptHash> {
        let is_ending = |attempt: &Attempt| {
            let is_gone_by_then = attempt.loss.as_ref().is_some_and(|loss| loss.at < at);
            is_in(attempt, &member.queue, &member.member)
                && attempt.queue_end.is_none()
                && attempt.joined_at <= at
                && !is_gone_by_then
        };
        let on_channel = self.by_session.get(&*member.session)?;
        on_channel.iter().copied().find(|hash| self.get(*hash).is_some_and(is_ending))
    }

    /// Whether the member has not come back on the same channel since this attempt.
    pub fn is_latest(&self, hash: AttemptHash) -> bool {
        self.get(hash).is_some_and(|Attempt { key, .. }| {
            self.find(key.queue.as_str(), key.member.as_str(), key.session.as_str()) == Some(hash)
        })
    }

    /// The live attempts on a member's channel.
    pub fn on_session(&self, session: &str) -> Vec<AttemptHash> {
        self.by_session.get(session).cloned().unwrap_or_default()
    }

    /// The attempts that were offered to an agent.
    pub fn offered_to(&self, agent: &str) -> Vec<AttemptHash> {
        self.by_agent.get(agent).cloned().unwrap_or_default()
    }

    /// The attempts, live or left, that were offered to an agent and after which somebody wraps up.
    pub fn wrapping_up(&self, agent: &str) -> Vec<AttemptHash> {
        let wraps_up = |hash: &&AttemptHash| self.held(**hash).is_some_and(|held| held.attempt.wrap_up.is_some());
        self.by_agent.get(agent).into_iter().flatten().filter(wraps_up).copied().collect()
    }

    /// Remembers that an attempt was offered to an agent.
    pub fn note_offer(&mut self, agent: &str, hash: AttemptHash) {
        let offered = match self.by_agent.get_mut(agent) {
            Some(offered) => offered,
            None => self.by_agent.entry(agent.into()).or_default(),
        };
        if !offered.contains(&hash) {
            offered.push(hash);
        }
    }

    /// Remembers that the member was called on a channel.
    pub fn note_session(&mut self, channel: ChannelUuid, hash: AttemptHash) {
        let on_channel = self.by_session.entry(channel).or_default();
        if !on_channel.contains(&hash) {
            on_channel.push(hash);
        }
    }

    /// Takes a new attempt.
    pub fn insert(&mut self, attempt: Attempt) -> AttemptHash {
        let hash = attempt.hash();
        for offer in &attempt.offers {
            self.note_offer(offer.agent.as_str(), hash);
        }
        if !attempt.left {
            for session in attempt.sessions() {
                self.by_session.entry(session.clone()).or_default().push(hash);
            }
        }
        let bytes = attempt.bytes();
        self.bytes += bytes;
        let former = self.live.insert(hash, Held { attempt: Box::new(attempt), deadline: None, counted: None, bytes });
        self.bytes -= former.map_or(0, |former| former.bytes);
        hash
    }

    /// Keeps an attempt aside that has left: it is live no more.
    pub fn set_aside(&mut self, hash: AttemptHash) {
        let Some(held) = self.live.remove(&hash) else { return };
        held.attempt.sessions().for_each(|session| remove_from(&mut self.by_session, session, hash));
        self.wrapping.insert(hash, held);
    }

    /// Takes an attempt out.
    pub fn remove(&mut self, hash: AttemptHash) -> Option<Held> {
        let held = self.live.remove(&hash).or_else(|| self.wrapping.remove(&hash))?;
        self.bytes -= held.bytes;
        held.attempt.sessions().for_each(|session| remove_from(&mut self.by_session, session, hash));
        for offer in &held.attempt.offers {
            remove_from(&mut self.by_agent, &offer.agent, hash);
        }
        Some(held)
    }
}

fn is_in(attempt: &Attempt, queue: &str, member: &str) -> bool {
    attempt.key.queue.as_str() == queue && attempt.key.member.as_str() == member
}

fn remove_from<K: Hash + Eq>(index: &mut HashMap<K, Vec<AttemptHash>>, key: &K, hash: AttemptHash) {
    if let Some(hashes) = index.get_mut(key) {
        hashes.retain(|other| *other != hash);
        if hashes.is_empty() {
            index.remove(key);
        }
    }
}
