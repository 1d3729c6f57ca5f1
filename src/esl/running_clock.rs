//! A clock that counts only the time in which this process could run.
//!
//! After a pause (`SIGSTOP`, `docker pause`, the cgroup freezer, a suspended machine, a runtime that got no CPU) every timer
//! is overdue, and timers fire before the sockets are looked at. Measured by the system's clock, a FreeSWITCH that talked all
//! the time would then have been silent for as long as the pause was. So all time limits of a link are measured by this clock:
//! whoever waits wakes up once a step, and of a step that took much longer than it should, only [`MOST`] counts.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::time::sleep;

/// How often somebody who waits looks at the clock. Short against the shortest silence limit (1 s), long enough to cost
/// nothing.
pub const STEP: Duration = Duration::from_millis(250);

/// The most that counts between two looks: a step, and the lateness of a timer on a busy machine.
const MOST: Duration = Duration::from_millis(500);

/// Two looks that are further apart than this had a pause in between.
const PAUSE: Duration = Duration::from_millis(1_500);

/// The clock. All tasks of one link share one, so that any of them that waits keeps it going.
#[derive(Debug)]
pub struct RunningClock(Mutex<Reading>);

/// What the clock showed when it was last looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Reading {
    shown: Instant,
    looked_at: Instant,
    pauses: u64,
}

/// The time passed in which something should have happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the time limit has passed")]
pub struct Elapsed;

impl Default for RunningClock {
    fn default() -> Self {
        let now = system_now();
        Self(Mutex::new(Reading { shown: now, looked_at: now, pauses: 0 }))
    }
}

impl RunningClock {
    /// What it shows. Only to be compared with other readings of the same clock.
    pub fn now(&self) -> Instant {
        self.look().shown
    }

    /// How many pauses there were.
    pub fn pauses(&self) -> u64 {
        self.look().pauses
    }

    /// Waits for the deadline, but no longer than one step.
    pub async fn step_towards(&self, deadline: Instant) {
        sleep(deadline.saturating_duration_since(self.now()).min(STEP)).await;
    }

    /// Waits until the clock shows that time.
    pub async fn sleep_until(&self, deadline: Instant) {
        while self.now() < deadline {
            self.step_towards(deadline).await;
        }
    }

    /// Waits for that long.
    pub async fn sleep(&self, span: Duration) {
        self.sleep_until(self.now() + span).await;
    }

    /// Waits for a future until the clock shows that time.
    pub async fn timeout_at<T>(&self, deadline: Instant, future: impl Future<Output = T>) -> Result<T, Elapsed> {
        tokio::select! {
            biased;
            output = future => Ok(output),
            () = self.sleep_until(deadline) => Err(Elapsed),
        }
    }

    /// Waits for a future for that long.
    pub async fn timeout<T>(&self, span: Duration, future: impl Future<Output = T>) -> Result<T, Elapsed> {
        self.timeout_at(self.now() + span, future).await
    }

    fn look(&self) -> Reading {
        let mut reading: MutexGuard<'_, _> = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        reading.look(system_now());
        *reading
    }
}

impl Reading {
    fn look(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.looked_at);
        self.looked_at = self.looked_at.max(now);
        self.shown += passed.min(MOST);
        self.pauses += u64::from(passed > PAUSE);
    }
}

/// The time of tokio's clock, which tests can hold still.
fn system_now() -> Instant {
    tokio::time::Instant::now().into_std()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_counts_as_a_step_and_steps_count_in_full() {
        let start = Instant::now();
        let mut reading = Reading { shown: start, looked_at: start, pauses: 0 };
        (1..=40).for_each(|step| reading.look(start + STEP * step));
        assert_eq!((reading.shown - start, reading.pauses), (Duration::from_secs(10), 0));
        reading.look(start + Duration::from_secs(3_600));
        assert_eq!((reading.shown - start, reading.pauses), (Duration::from_secs(10) + MOST, 1));
        reading.look(start);
        reading.look(start + Duration::from_secs(3_600) + STEP);
        assert_eq!((reading.shown - start, reading.pauses), (Duration::from_secs(10) + MOST + STEP, 1));
    }

    #[tokio::test]
    async fn a_stopped_runtime_makes_nothing_late() {
        let clock = RunningClock::default();
        let waited = clock.timeout(Duration::from_secs(2), async {
            sleep(Duration::from_millis(10)).await;
            // All tasks stand still.
            std::thread::sleep(Duration::from_secs(3));
            sleep(Duration::from_millis(10)).await;
        });
        assert_eq!(waited.await, Ok(()));
        assert_eq!(clock.pauses(), 1);
        assert_eq!(clock.timeout(Duration::from_millis(20), std::future::pending::<()>()).await, Err(Elapsed));
    }
}
