//! A node's clock: its latest event's time, plus what has passed since that came.
//!
//! Times of events and times of waiting are thus measured alike, and neither by this machine's calendar. What has passed is
//! measured by the link's [`RunningClock`](crate::esl::running_clock::RunningClock): what waits in the socket after a pause of
//! this process is older than the time that a system's clock would show then.

use std::time::{Duration, Instant};

use jiff::Timestamp;

/// The clock.
#[derive(Clone, Copy, Debug)]
pub struct NodeClock {
    /// What the node's clock showed when it was last set.
    shown: Timestamp,
    /// When that was.
    set_at: Instant,
    /// The time to which it was last set.
    latest: Timestamp,
}

impl NodeClock {
    /// A clock that shows `shown` at `now`.
    pub fn new(shown: Timestamp, now: Instant) -> Self {
        Self { shown, set_at: now, latest: shown }
    }

    /// What it shows.
    pub fn read(&self, now: Instant) -> Timestamp {
        let passed = now.saturating_duration_since(self.set_at);
        self.shown.saturating_add(passed).unwrap_or(Timestamp::MAX)
    }

    /// Sets it to the node's time as it is known by now, unless it shows a later one already: events can be late. A time
    /// that is earlier than the one before is that of a node whose clock was set back.
    pub fn set(&mut self, shown: Timestamp, now: Instant) {
        if shown > self.read(now) || shown < self.latest {
            *self = Self::new(shown, now);
        }
        self.latest = shown;
    }

    /// How long it is until the clock shows that time.
    pub fn until(&self, time: Timestamp, now: Instant) -> Duration {
        let left = time.as_microsecond().saturating_sub(self.read(now).as_microsecond());
        // A deadline is never missed for a rounding: it comes up to a microsecond later.
        Duration::from_micros(u64::try_from(left).unwrap_or(0).saturating_add(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_goes_on_between_events_and_back_only_with_the_node() {
        let start = Instant::now();
        let noon = Timestamp::from_second(43_200).expect("in range");
        let mut clock = NodeClock::new(noon, start);
        let later = start + Duration::from_secs(10);
        assert_eq!(clock.read(later), Timestamp::from_second(43_210).expect("in range"));
        clock.set(Timestamp::from_second(43_205).expect("in range"), later);
        assert_eq!(clock.read(later), Timestamp::from_second(43_210).expect("in range"), "an event that is late");
        assert_eq!(clock.read(later), Timestamp::from_second(43_210).expect("in range"));
        clock.set(Timestamp::from_second(43_220).expect("in range"), later);
        assert_eq!(clock.read(later), Timestamp::from_second(43_220).expect("in range"));
        let mut set_back = clock;
        set_back.set(Timestamp::from_second(43_000).expect("in range"), later);
        assert_eq!(set_back.read(later), Timestamp::from_second(43_000).expect("in range"));
        let deadline = Timestamp::from_second(43_222).expect("in range");
        assert!(clock.until(deadline, later) >= Duration::from_secs(2));
    }
}
