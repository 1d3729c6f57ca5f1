//! What the outbox keeps of an attempt, so that it is found again after a restart of the daemon.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::attempt::Attempt;
use super::attempts::Held;
use super::dialer::is_named;
use super::machine::Lifecycle;
use super::memory::{Abandoned, Settled, Stay};
use super::told::Told;
use crate::config::queue::QueueSource;
use crate::id::{AttemptHash, AttemptKey, ChannelUuid, NodeName};
use crate::moment::value::CcResult;

/// What is kept of an attempt. What it is kept as shows which it is: only what is over says when the member left.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(untagged, try_from = "serde_json::Value")]
pub enum Kept {
    /// It is open, or its agent wraps up: all of it.
    Open(Box<Attempt>),
    /// It is over, but the member may come back, or enters another queue on the same channel.
    Departed(Departed),
}

/// An attempt that is over, as far as the next one of its member or its channel must know of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Departed {
    /// Its key: a stay with the same UUIDs bears the next ordinal.
    pub key: AttemptKey,
    /// The node that it was on.
    pub node: NodeName,
    /// Its number.
    pub attempt_id: u64,
    /// When the member left.
    pub left_at: Timestamp,
    /// What a resume takes over; none where the member was connected with an agent.
    pub abandoned: Option<Abandoned>,
    /// What was accepted of it, where others told of it: they may tell it again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told: Option<Box<Told>>,
}

impl Kept {
    /// Reads what was kept.
    pub fn read(state: &str) -> serde_json::Result<Self> {
        serde_json::from_str(state)
    }

    /// The node that it is, or was, on.
    pub fn node(&self) -> &NodeName {
        match self {
            Self::Open(attempt) => &attempt.node,
            Self::Departed(departed) => &departed.node,
        }
    }

    /// The attempt, if it is open.
    pub fn open(&self) -> Option<&Attempt> {
        match self {
            Self::Open(attempt) => Some(attempt).filter(|attempt| !attempt.left).map(|attempt| &**attempt),
            Self::Departed(_) => None,
        }
    }
}

impl TryFrom<Value> for Kept {
    type Error = serde_json::Error;

    fn try_from(state: Value) -> Result<Self, Self::Error> {
        match state.get("left_at") {
            Some(_) => serde_json::from_value(state).map(Self::Departed),
            None => serde_json::from_value(state).map(Self::Open),
        }
    }
}

impl Departed {
    /// About how many bytes it has beyond what each has.
    pub fn bytes(&self) -> usize {
        self.told.as_ref().map_or(0, |told| told.bytes())
    }

    /// What is kept of an attempt that has just left; none where neither the member nor the channel can come back.
    pub fn of(attempt: &Attempt, left_at: Timestamp) -> Option<Self> {
        let may_resume = attempt.source == QueueSource::Callcenter && attempt.result().0 != CcResult::Success;
        let abandoned = may_resume.then(|| attempt.for_a_resume());
        let may_return = abandoned.is_some() || attempt.call.end.is_none() || attempt.is_dialled() || attempt.is_told();
        may_return.then(|| Self {
            key: attempt.key.clone(),
            node: attempt.node.clone(),
            attempt_id: attempt.attempt_id,
            left_at,
            abandoned,
            told: attempt.told.clone(),
        })
    }
}

impl Lifecycle {
    /// An attempt's key and what is to be found again of it after a restart; none if that is nothing any more.
    pub fn state(&self, hash: AttemptHash) -> Option<(AttemptKey, String)> {
        let text = |state: serde_json::Result<String>| state.expect("what is kept of an attempt is plain data");
        if let Some(Held { attempt, .. }) = self.attempts.held(hash) {
            return Some((attempt.key.clone(), text(serde_json::to_string(attempt))));
        }
        let departed = self.nodes().find_map(|node| node.memory.departed(hash))?;
        Some((departed.key.clone(), text(serde_json::to_string(departed))))
    }

    /// Takes up what was kept of an attempt when its node was last followed.
    pub fn restore(&mut self, kept: Kept) {
        self.on(kept.node());
        match kept {
            Kept::Open(attempt) => self.restore_open(*attempt),
            Kept::Departed(departed) => self.restore_departed(departed),
        }
    }

    fn restore_open(&mut self, mut attempt: Attempt) {
        attempt.settings = self.world.config.queue(&attempt.key.queue).settings.clone();
        self.here.core.get_or_insert_with(|| attempt.key.core.clone());
        for offer in attempt.offers.iter().filter(|offer| offer.is_open()) {
            for leg in &offer.legs {
                self.note_leg(leg.channel.as_str(), attempt.hash());
            }
        }
        if let Some(channel) = attempt.channel() {
            self.note_latest(channel, attempt.attempt_id);
        }
        self.here.note_known(attempt.latest_fact_at());
        let left_at = attempt.left_at().filter(|_| attempt.left);
        if let Some(departed) = left_at.and_then(|left_at| Departed::of(&attempt, left_at)) {
            self.restore_departed(departed);
        }
        let hash = self.attempts.insert(attempt);
        self.wake(hash);
    }

    fn restore_departed(&mut self, departed: Departed) {
        let Departed { key, attempt_id, left_at, abandoned, .. } = departed.clone();
        self.here.core.get_or_insert_with(|| key.core.clone());
        if !is_named(&key.session) && departed.told.is_none() {
            self.note_latest(&key.session, attempt_id);
        }
        self.here.note_known(left_at);
        let memory = &mut self.here.memory;
        memory.settle(left_at, Stay::of(&key), Settled { ordinal: key.ordinal, left_at });
        if let Some(abandoned) = abandoned {
            memory.abandon(left_at, key.member, abandoned);
        }
        memory.depart(left_at, departed);
    }

    fn note_latest(&mut self, session: &ChannelUuid, attempt_id: u64) {
        if let Some(channel) = self.here.channels.entry(session.as_str(), &mut self.anomalies) {
            channel.latest_attempt_id = Some(attempt_id);
        }
    }
}
