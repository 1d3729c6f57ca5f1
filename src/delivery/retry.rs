//! When a failed try is repeated.

use std::time::Duration;

/// The longest wait that a receiver may ask for with `Retry-After`: it must not park a run for longer than a shift that
/// somebody could notice it in.
pub const LONGEST_RETRY_AFTER: Duration = Duration::from_hours(24);

/// By how much a wait is moved at most, to either side, so that what failed together does not come back together.
const SPREAD: f64 = 0.1;

/// The waits between tries: after the last one the run has failed for good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetrySchedule {
    /// The wait before each further try.
    pub waits: Vec<Duration>,
}

impl Default for RetrySchedule {
    /// Eight tries within 28 hours: the first ones for a receiver that restarts, the last ones for somebody to come to work
    /// and mend it.
    fn default() -> Self {
        const MINUTE: u64 = 60;
        const HOUR: u64 = 60 * MINUTE;
        let seconds = [5, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR, 10 * HOUR, 10 * HOUR];
        Self { waits: seconds.map(Duration::from_secs).into() }
    }
}

impl RetrySchedule {
    /// The wait before the next try, or none when the tries are used up.
    ///
    /// `failed` counts the tries that have failed, `retry_after` is what the receiver asked for: the wait is never shorter
    /// than that, up to [`LONGEST_RETRY_AFTER`]. `jitter` is a random number from 0 to 1.
    pub fn wait(&self, failed: u32, retry_after: Option<Duration>, jitter: f64) -> Option<Duration> {
        let jitter = if jitter.is_finite() { jitter.clamp(0.0, 1.0) } else { 0.5 };
        let index = usize::try_from(failed.checked_sub(1)?).ok()?;
        let scheduled = scale(*self.waits.get(index)?, 1.0 - SPREAD + 2.0 * SPREAD * jitter);
        let asked = retry_after.map(|asked| scale(asked.min(LONGEST_RETRY_AFTER), 1.0 + SPREAD * jitter));
        Some(scheduled.max(asked.unwrap_or_default()))
    }
}

/// A wait of a configuration may be of any length, and its product with a factor out of range.
fn scale(wait: Duration, factor: f64) -> Duration {
    Duration::try_from_secs_f64(wait.as_secs_f64() * factor).unwrap_or(wait)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_tries_are_used_up_after_the_last_wait() {
        let schedule = RetrySchedule::default();
        assert_eq!(schedule.wait(0, None, 0.5), None);
        assert_eq!(schedule.wait(1, None, 0.5), Some(Duration::from_secs(5)));
        assert_eq!(schedule.wait(7, None, 0.5), Some(Duration::from_hours(10)));
        assert_eq!(schedule.wait(8, None, 0.5), None);
        assert_eq!(schedule.wait(8, Some(Duration::from_secs(1)), 0.5), None);
    }

    #[test]
    fn a_receiver_may_ask_for_a_longer_wait_but_not_for_a_shorter_one() {
        let schedule = RetrySchedule::default();
        assert_eq!(schedule.wait(1, Some(Duration::from_secs(60)), 0.0), Some(Duration::from_secs(60)));
        assert_eq!(schedule.wait(1, Some(Duration::ZERO), 0.5), Some(Duration::from_secs(5)));
        assert_eq!(schedule.wait(1, Some(Duration::MAX), 0.0), Some(LONGEST_RETRY_AFTER));
    }

    proptest! {
        #[test]
        fn a_wait_stays_within_a_tenth_of_its_schedule(wait in any::<Duration>(), jitter in any::<f64>()) {
            let schedule = RetrySchedule { waits: vec![wait] };
            let given = schedule.wait(1, None, jitter).expect("one wait");
            prop_assert!(given.as_secs_f64() >= wait.as_secs_f64() * 0.899);
            prop_assert!(given.as_secs_f64() <= wait.as_secs_f64() * 1.101);
        }
    }
}
