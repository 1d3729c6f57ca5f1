//! An event on its way through the lifecycle: it moves the clock on, comes once, and waits where it came too soon.

use jiff::{SignedDuration, Timestamp};

use super::anomaly::Anomaly;
use super::joining::{ends_a_stay, joined_time};
use super::machine::{Effects, Lifecycle};
use crate::esl::Event;
use crate::freeswitch::fact::{Fact, FactKind, Stamp};
use crate::id::CoreUuid;
use crate::moment::value::Source;

/// An event on its way through the lifecycle.
pub(super) struct Input<'a> {
    pub(super) event: &'a Event,
    pub(super) at: Timestamp,
    pub(super) source: Source,
    /// Whether the event was kept for an attempt, and is looked at again.
    pub(super) again: bool,
    /// Whether it has waited for its attempt in vain.
    pub(super) waited: bool,
    /// Whether it is a channel as a survey has found it.
    pub(super) is_snapshot: bool,
}

impl<'a> Input<'a> {
    /// A channel as a survey has found it: nothing that explains it is on its way.
    pub(super) fn of_snapshot(event: &'a Event, at: Timestamp, source: Source) -> Self {
        Self { event, at, source, again: false, waited: true, is_snapshot: true }
    }
}

impl Lifecycle {
    /// One event has come.
    pub fn handle_event(&mut self, event: &Event, effects: &mut Effects) {
        match Fact::read(event) {
            Ok(fact) => {
                if let Some(input) = self.begin(event, &fact.stamp, effects) {
                    self.apply(&input, fact.kind, effects);
                    self.tell_queue_counts(effects);
                }
            }
            Err(malformed) => {
                tracing::debug!(%malformed, "an event lacks what it must have");
                self.anomalies.count(Anomaly::Malformed);
            }
        }
    }

    /// Moves the clock on to the event's time; none if the event has come before.
    fn begin<'a>(&mut self, event: &'a Event, stamp: &Stamp<'_>, effects: &mut Effects) -> Option<Input<'a>> {
        if let Some(core) = stamp.core.as_deref()
            && self.here.core.as_ref().map(CoreUuid::as_str) != Some(core)
        {
            self.change_core(core.into(), effects);
        }
        if stamp.sequence.is_some_and(|sequence| !self.here.seen.note(sequence)) {
            self.anomalies.count(Anomaly::RepeatedEvent);
            return None;
        }
        let (at, step) = match stamp.at {
            Some(at) => self.here.clock.read(stamp.sequence, at, self.here.now),
            None => (self.here.now, None),
        };
        if let Some(step) = step {
            tracing::warn!(node = %self.here.name, seconds = step.as_secs_f64(), "the clock of FreeSWITCH was set");
            self.anomalies.count(Anomaly::ClockSet);
            self.set_clock_of_node(step, at, effects);
        }
        if self.next_deadline().is_some_and(|deadline| deadline < at) {
            // What was due before this event is decided without it; what falls due with it waits for it.
            self.advance(at - SignedDuration::from_nanos(1), effects);
        }
        self.here.now = self.here.now.max(at);
        self.here.connected_at.get_or_insert(at);
        self.here.followed_since.get_or_insert(at);
        Some(Input { event, at, source: self.source(stamp), again: false, waited: false, is_snapshot: false })
    }

    pub(super) fn source(&self, stamp: &Stamp<'_>) -> Source {
        Source { core_uuid: self.here.core.clone(), event_sequence: stamp.sequence }
    }

    /// Keeps an event for an attempt on that channel; tells whether there was room.
    pub(super) fn keep(&mut self, input: &Input<'_>, session: &str) -> bool {
        let has_room = self.here.early.keep(self.here.now, session, input.event);
        if !has_room {
            self.anomalies.count(Anomaly::TooManyEarlyEvents);
        }
        has_room
    }

    /// Applies the events that have waited, on whichever node, for what has just become known of a member's channel.
    pub(super) fn apply_early(&mut self, session: &str, effects: &mut Effects) {
        let waits = self.nodes().filter(|node| node.early.has(session));
        let (here, nodes) = (self.here.name.clone(), waits.map(|node| node.name.clone()).collect::<Vec<_>>());
        for node in nodes {
            for event in self.on(&node).here.early.take(session) {
                self.apply_kept(&event, false, effects);
            }
        }
        self.on(&here);
    }

    /// An event has waited for its attempt long enough, unless a survey may still find the member.
    pub(super) fn expire_early_event(&mut self, effects: &mut Effects) {
        let connected_at = self.here.connected_at;
        let began_since = |event: &Event| joined_time(event).is_some_and(|joined_at| connected_at < Some(joined_at));
        if self.here.early.wait_for_survey(self.here.now, began_since) {
            return;
        }
        let Some(early) = self.here.early.pop() else { return };
        let ends_a_stay = |event: &Event| ends_a_stay(event);
        let end = Some(&early.event).filter(|event| ends_a_stay(event)).cloned();
        if let Some(end) = end.or_else(|| self.here.early.find(&early.session, ends_a_stay)) {
            // It says when the member joined, and that it was in the queue until then.
            self.make_up(&end, effects);
        } else if joined_time(&early.event).is_none()
            && let Some(witness) = self.here.early.find(&early.session, |event| joined_time(event).is_some())
        {
            // The event does not say when the member joined, but one that came after it does.
            self.make_up(&witness, effects);
        }
        self.apply_kept(&early.event, true, effects);
        if !self.attempts.on_session(&early.session).is_empty() {
            self.apply_early(&early.session, effects);
        }
    }

    /// Makes up the attempt that an event is about, without applying the event.
    fn make_up(&mut self, event: &Event, effects: &mut Effects) {
        let Ok(Fact { stamp, kind }) = Fact::read(event) else { return };
        if let FactKind::Member(_, member, _) | FactKind::Offer(_, member, _, _) = kind {
            let at = stamp.at.unwrap_or(self.here.now);
            self.attempt_of(
                &Input { event, at, source: self.source(&stamp), again: true, waited: true, is_snapshot: false },
                &member,
                effects,
            );
        }
    }

    fn apply_kept(&mut self, event: &Event, waited: bool, effects: &mut Effects) {
        let Ok(fact) = Fact::read(event) else { return };
        let at = fact.stamp.at.unwrap_or(self.here.now);
        let input = Input { event, at, source: self.source(&fact.stamp), again: true, waited, is_snapshot: false };
        self.apply(&input, fact.kind, effects);
    }
}
