//! The queues: how many members wait in each, and what comparing them with FreeSWITCH has shown. Followed only where a hook
//! hears of it.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::machine::{Effects, Lifecycle};
use super::variables;
use crate::freeswitch::Snapshot;
use crate::id::{AttemptHash, MomentId, QueueName};
use crate::moment::value::{Seconds, Source, Time};
use crate::moment::{EventName, Moment, Payload};

/// The members who wait in the queues that somebody hears of.
#[derive(Debug, Default)]
pub struct Queues {
    /// By the time at which they joined.
    waiting: BTreeMap<QueueName, BTreeSet<(Timestamp, AttemptHash)>>,
    /// The queues whose number has changed and was not told yet.
    changed: BTreeMap<QueueName, Change>,
}

/// A change of the number of members who wait.
#[derive(Debug)]
struct Change {
    /// How many waited before.
    before: usize,
    /// Who began to wait, or ceased to, last.
    cause: AttemptHash,
    /// Whether the member began to.
    began: bool,
    at: Timestamp,
    source: Source,
}

impl Queues {
    /// A member waits since then, or does not wait, where `before` was counted; `at` is when that changed.
    pub fn count(
        &mut self,
        (queue, hash): (&QueueName, AttemptHash),
        before: Option<Timestamp>,
        since: Option<Timestamp>,
        at: Timestamp,
        source: &Source,
    ) {
        let waiting = match self.waiting.get_mut(queue) {
            Some(waiting) => waiting,
            None => self.waiting.entry(queue.clone()).or_default(),
        };
        let count = waiting.len();
        if let Some(before) = before {
            waiting.remove(&(before, hash));
        }
        waiting.extend(since.map(|since| (since, hash)));
        if waiting.is_empty() {
            self.waiting.remove(queue);
        }
        if before.is_some() != since.is_some() {
            let first = self.changed.get(queue).map_or(count, |change| change.before);
            let change = Change { before: first, cause: hash, began: since.is_some(), at, source: source.clone() };
            self.changed.insert(queue.clone(), change);
        }
    }

    /// What has changed so far needs not be told.
    pub fn forget_changes(&mut self) {
        self.changed.clear();
    }

    fn numbers(&self, queue: &QueueName, at: Timestamp) -> (usize, Option<Seconds>) {
        let waiting = self.waiting.get(queue);
        let longest = waiting.and_then(BTreeSet::first).map(|(since, _)| Seconds::between(*since, at));
        (waiting.map_or(0, BTreeSet::len), longest)
    }
}

/// What a snapshot is compared with.
#[derive(Debug)]
pub struct Comparison {
    /// Every attempt that lived.
    lived: BTreeSet<AttemptHash>,
    queues: BTreeMap<QueueName, Compared>,
}

#[derive(Debug, Default)]
struct Compared {
    /// The attempts that were open.
    open: Vec<AttemptHash>,
    /// How many members FreeSWITCH has beside them.
    others: usize,
}

impl Lifecycle {
    /// Tells the numbers that have changed.
    pub(super) fn tell_queue_counts(&mut self, effects: &mut Effects) {
        for (queue, change) in std::mem::take(&mut self.queues.changed) {
            let (count, longest) = self.queues.numbers(&queue, change.at);
            if count == change.before || !self.world.tells(EventName::QueueCount, &queue) {
                continue;
            }
            let event = EventName::QueueCount;
            let id = change.cause.moment(event.as_str(), None).twin(if change.began { "began" } else { "ceased" });
            let mut payload = self.payload_of_queue(event, &queue, id, change.at, change.source);
            payload.waiting = Some(number(count));
            payload.longest_wait_sec = longest;
            push(payload, &queue, effects);
        }
    }

    /// Notes what a snapshot will be compared with; nothing, where nobody hears of it.
    pub(super) fn begin_comparison(&self, snapshot: &Snapshot, open: &BTreeSet<AttemptHash>) -> Option<Comparison> {
        self.world.may_tell(EventName::Reconciled).then(|| {
            let mut queues: BTreeMap<QueueName, Compared> = BTreeMap::new();
            let alive = |hash: &&AttemptHash| self.attempt(**hash).filter(|attempt| attempt.loss.is_none());
            for (hash, attempt) in open.iter().filter_map(|hash| Some((*hash, alive(&hash)?))) {
                queues.entry(attempt.key.queue.clone()).or_default().open.push(hash);
            }
            for row in &snapshot.members {
                let (queue, member, session) = row.identity();
                let is_open = self.attempts.find(queue, member, session).is_some_and(|hash| open.contains(&hash));
                queues.entry(queue.into()).or_default().others += usize::from(!is_open);
            }
            Comparison { lived: self.open_attempts(), queues }
        })
    }

    /// Tells what comparing a snapshot has shown, of each queue that has members, attempts or agents.
    pub(super) fn tell_reconciled(&mut self, comparison: Option<Comparison>, effects: &mut Effects) {
        let Some(Comparison { lived, mut queues }) = comparison else { return };
        for queue in self.world.served_queues() {
            queues.entry(queue.clone()).or_default();
        }
        let mut opened: BTreeMap<QueueName, usize> = BTreeMap::new();
        for attempt in self.open_attempts().difference(&lived).filter_map(|hash| self.attempt(*hash)) {
            *opened.entry(attempt.key.queue.clone()).or_default() += 1;
        }
        for (queue, Compared { open, others }) in queues {
            let event = EventName::Reconciled;
            if !self.world.tells(event, &queue) {
                continue;
            }
            let is_over = |hash: &&AttemptHash| self.attempt(**hash).is_none_or(|attempt| attempt.loss.is_some());
            let (core, now) = (self.here.core.clone(), self.here.now);
            let id = place(&queue).moment_at(event.as_str(), core.as_ref(), now, "");
            let source = Source { core_uuid: core, event_sequence: None };
            let mut payload = self.payload_of_queue(event, &queue, id, now, source);
            payload.attempts_compared = Some(number(open.len() + others));
            payload.attempts_closed = Some(number(open.iter().filter(is_over).count()));
            payload.attempts_opened = Some(number(opened.get(&queue).copied().unwrap_or(0)));
            push(payload, &queue, effects);
        }
    }

    fn payload_of_queue(
        &self,
        event: EventName,
        queue: &QueueName,
        id: MomentId,
        at: Timestamp,
        source: Source,
    ) -> Payload {
        let settings = &self.world.config.queue(queue).settings;
        Payload {
            id,
            event,
            queue_name: Some(queue.clone()),
            queue_type: Some(settings.queue_type),
            node: self.here.name.clone(),
            channel: Some(settings.queue_type.medium()),
            timestamp: Time(at),
            source,
            variables: variables::of_queue(settings),
            ..Payload::default()
        }
    }
}

/// What stands in an attempt's place for moments of a queue.
fn place(queue: &QueueName) -> AttemptHash {
    AttemptHash::in_place_of("queue", queue.as_str())
}

fn push(mut payload: Payload, queue: &QueueName, effects: &mut Effects) {
    payload.clear_inapplicable();
    effects.moments.push(Moment { attempt: place(queue), payload });
}

fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
