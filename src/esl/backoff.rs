//! How long to wait before the next connection.

use std::time::Duration;

/// The first wait: a reload of mod_event_socket takes about a second.
const FIRST: Duration = Duration::from_millis(500);

/// The longest wait: what happens meanwhile is not heard, and a connection that is refused every few seconds costs nobody
/// anything.
const LONGEST: Duration = Duration::from_secs(5);

/// The wait after FreeSWITCH refused the password: only a person ends that, and it looks like an attack to those who watch
/// FreeSWITCH's log.
const REFUSED: Duration = Duration::from_secs(30);

/// A connection that lasted this long was none of those that end as soon as they are made.
const HELD: Duration = Duration::from_secs(2);

/// How many connections in a row may end as soon as they are made before the waits grow.
const SHORT_CONNECTIONS: u32 = 5;

/// Waits that double from one failure to the next, and start over after each connection that was made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Backoff {
    failures: u32,
    /// How many connections in a row ended as soon as they were made.
    short: u32,
}

impl Backoff {
    /// The wait after one more failure, between one half and the whole of the step: `jitter` from 0 to 1 chooses, so that
    /// many clients of one FreeSWITCH don't come back at the same instant.
    pub fn next(&mut self, jitter: f64) -> Duration {
        let step = FIRST.saturating_mul(1 << self.failures.min(16)).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        step / 2 + (step / 2).mul_f64(jitter.clamp(0.0, 1.0))
    }

    /// The wait after the password, or the subscription, was refused.
    pub fn refused(&mut self) -> Duration {
        self.failures = self.failures.saturating_add(1);
        REFUSED
    }

    /// How often it failed since a connection was last made.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// A connection that was made has ended after that time: the waits start over. Where one after the other ends at once,
    /// they grow nevertheless.
    pub fn reset(&mut self, lasted: Duration) {
        self.short = if lasted < HELD { self.short.saturating_add(1) } else { 0 };
        self.failures = self.short.saturating_sub(SHORT_CONNECTIONS);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_start_over_after_a_connection() {
        let mut backoff = Backoff::default();
        let waits: Vec<_> = (0..6).map(|_| backoff.next(1.0).as_millis()).collect();
        assert_eq!(waits, [500, 1000, 2000, 4000, 5000, 5000]);
        backoff.reset(Duration::ZERO);
        assert_eq!(backoff.next(0.0).as_millis(), 250);
    }

    #[test]
    fn waits_grow_where_one_connection_after_the_other_ends_at_once() {
        let mut backoff = Backoff::default();
        let mut waits_after = |lasted| {
            backoff.reset(lasted);
            backoff.next(1.0).as_millis()
        };
        let waits: Vec<_> = (0..9).map(|_| waits_after(Duration::from_millis(100))).collect();
        assert_eq!(waits, [500, 500, 500, 500, 500, 1000, 2000, 4000, 5000]);
        assert_eq!(waits_after(HELD), 500);
        assert_eq!(waits_after(Duration::ZERO), 500);
    }

    #[test]
    fn no_jitter_and_no_count_of_failures_breaks_it() {
        let mut backoff = Backoff { failures: u32::MAX, short: u32::MAX };
        for jitter in [f64::NAN, -1.0, 2.0, f64::INFINITY] {
            assert!(backoff.next(if jitter.is_nan() { 0.5 } else { jitter }) <= LONGEST);
        }
        backoff.reset(Duration::ZERO);
        assert!(backoff.next(1.0) <= LONGEST);
    }
}
