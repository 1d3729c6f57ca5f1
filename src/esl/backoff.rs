//! How long to wait before the next connection.

use std::time::Duration;

/// The first wait: a reload of mod_event_socket takes about a second.
const FIRST: Duration = Duration::from_millis(500);

/// The longest wait: long enough to bother nobody, short enough that a FreeSWITCH that came back is soon followed.
const LONGEST: Duration = Duration::from_secs(30);

/// Waits that double from one failure to the next.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The wait after one more failure, between one half and the whole of the step: `jitter` from 0 to 1 chooses, so that
    /// many clients of one FreeSWITCH don't come back at the same instant.
    pub fn next(&mut self, jitter: f64) -> Duration {
        let step = FIRST.saturating_mul(1 << self.failures.min(16)).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        step / 2 + (step / 2).mul_f64(jitter.clamp(0.0, 1.0))
    }

    /// The longest wait: for failures that only a person can end.
    pub fn longest(&mut self) -> Duration {
        self.failures = self.failures.saturating_add(1);
        LONGEST
    }

    /// How often it failed since it last held.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// Begins anew, after a connection that held.
    pub fn reset(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_start_over_after_a_reset() {
        let mut backoff = Backoff::default();
        let waits: Vec<_> = (0..8).map(|_| backoff.next(1.0).as_millis()).collect();
        assert_eq!(waits, [500, 1000, 2000, 4000, 8000, 16000, 30000, 30000]);
        backoff.reset();
        assert_eq!(backoff.next(0.0).as_millis(), 250);
    }

    #[test]
    fn no_jitter_and_no_count_of_failures_breaks_it() {
        let mut backoff = Backoff { failures: u32::MAX };
        for jitter in [f64::NAN, -1.0, 2.0, f64::INFINITY] {
            assert!(backoff.next(if jitter.is_nan() { 0.5 } else { jitter }) <= LONGEST);
        }
    }
}
