//! The hours before the demonstration, made up by the simulator, so that the page has something to show from the start.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

use super::workplace::NODE;
use crate::config::Config;
use crate::esl::Event;
use crate::id::NodeName;
use crate::lifecycle::{Effects, Lifecycle};
use crate::moment::Moment;
use crate::outbox::history;
use crate::outbox::store::OpenError;
use crate::simulator::{Scenario, SimulatedEvent, Simulation, WireFormat};

/// What these hours' seed differs in from the demonstration's own, whose calls are others.
const ANOTHER_SEED: u64 = 0x5eed;

/// The time between both, in which the last of these calls are ended.
const PAUSE: Duration = Duration::from_secs(60);

/// How much is simulated at once, so that the events of hours are never in memory together.
const SLICE: Duration = Duration::from_secs(60);

/// Writes so much of today as is already over, at most `span`, into the outbox at `path`.
pub(super) fn write(path: &Path, seed: u64, span: Duration) -> Result<(), OpenError> {
    let now = Timestamp::now();
    let start = now.saturating_sub(span).unwrap_or(now).max(midnight());
    let end = now.saturating_sub(PAUSE).unwrap_or(now).max(start);
    history::write(path, moments(seed ^ ANOTHER_SEED, start, end))
}

/// What a lifecycle tells of calls that begin between `start` and `end`, when FreeSWITCH goes down.
fn moments(seed: u64, start: Timestamp, end: Timestamp) -> Vec<Moment> {
    let mut simulation = Simulation::new(seed, Scenario::plausible_day(), start);
    let node = NodeName::from(NODE);
    let mut lifecycle = Lifecycle::new(node.clone(), Arc::new(Config::default()));
    let mut effects = Effects::default();
    let mut hear = |events: Vec<SimulatedEvent>, effects: &mut Effects| {
        for event in events {
            lifecycle.handle_event(&Event::from_plain(event.to_text(WireFormat::Plain).into()), effects);
        }
    };
    let mut now = start;
    while now < end {
        now = now.saturating_add(SLICE).unwrap_or(end).min(end);
        hear(simulation.advance(now), &mut effects);
    }
    hear(simulation.shut_down(end), &mut effects);
    lifecycle.on(&node).finish(&mut effects);
    let mut moments = effects.moments;
    moments.sort_by_key(|moment| moment.payload.timestamp.0);
    moments
}

/// When today began.
fn midnight() -> Timestamp {
    let now = Zoned::new(Timestamp::now(), TimeZone::system());
    now.start_of_day().map_or_else(|_| Timestamp::now(), |start| start.timestamp())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::moment::EventName;
    use crate::outbox::deliveries::Deliveries;

    #[test]
    fn every_call_before_the_demonstration_has_a_beginning_and_an_end_within_it() {
        let start: Timestamp = "2026-11-23T08:00:00Z".parse().expect("a time");
        let end = start + Duration::from_secs(20 * 60);
        let moments = moments(7, start, end);
        let mut ends: BTreeMap<_, Vec<EventName>> = BTreeMap::new();
        for Moment { attempt, payload } in &moments {
            assert!((start..=end + PAUSE).contains(&payload.timestamp.0), "{payload:?}");
            if [EventName::Joined, EventName::Leaving].contains(&payload.event) {
                ends.entry(attempt.to_string()).or_default().push(payload.event);
            }
        }
        assert!(ends.len() > 100, "{} calls", ends.len());
        assert!(ends.values().all(|ends| *ends == [EventName::Joined, EventName::Leaving]), "{ends:?}");

        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("outbox.db");
        let written = moments.len();
        history::write(&path, moments).expect("writes");
        let log = Deliveries::open(&path).expect("opens");
        let all = log.moments_after(0, u32::MAX).expect("reads");
        assert_eq!(all.len(), written);
        let half = log.place_at(start + Duration::from_secs(10 * 60)).expect("reads");
        let first = &log.moments_after(half.moment, 1).expect("reads")[0];
        let since = first.payload.timestamp.0.duration_since(start).as_secs();
        assert!((600..640).contains(&since), "kept as of when it happened: {since}");
    }
}
