//! What a service manager (systemd) is told: readiness, reloading, the end, and at intervals that all is well.
//!
//! Nothing is told, and nothing fails, where none listens: `NOTIFY_SOCKET` says whether one does.

use sd_notify::NotifyState;
use tokio::task::AbortHandle;
use tokio::time::MissedTickBehavior;
use tracing::debug;

/// The daemon has started; `status` is shown to whoever asks the service manager.
pub fn ready(status: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// The configuration is read again, until [`ready`] is told.
pub fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => debug!(%error, "the service manager is not told of a reload"),
    }
}

/// The daemon ends.
pub fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// Tells as often as the service manager wants it that tasks get their turn. What it is not told in time, it kills and
/// starts again.
#[derive(Debug)]
pub struct Watchdog(Option<AbortHandle>);

impl Watchdog {
    /// Begins, if the service manager wants it.
    pub fn begin() -> Self {
        // Twice within the limit, so that one that is late does no harm.
        let period = sd_notify::watchdog_enabled().map(|limit| limit / 2).filter(|period| !period.is_zero());
        let task = period.map(|period| {
            let mut ticks = tokio::time::interval(period);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            tokio::spawn(async move {
                loop {
                    ticks.tick().await;
                    tell(&[NotifyState::Watchdog]);
                }
            })
        });
        Self(task.map(|task| task.abort_handle()))
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        if let Some(task) = &self.0 {
            task.abort();
        }
    }
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        debug!(%error, "the service manager can't be told");
    }
}
