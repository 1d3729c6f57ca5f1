//! Sign-ins that failed, so that nobody guesses a password.

use std::time::{Duration, Instant};

use dashmap::DashMap;
use tokio::sync::Semaphore;

/// How many may fail before whoever tries has to wait: a person who has mistyped it.
const FREE: u32 = 5;

/// How long is waited for each that fails beyond those.
const WAIT: Duration = Duration::from_secs(30);

/// How long a failure is remembered.
const REMEMBERED: Duration = Duration::from_mins(15);

/// How many callers are remembered before those are forgotten whose failures are old.
const CALLERS: usize = 10_000;

/// How many passwords are compared at once: each takes 19 MiB and a core for a while.
const AT_ONCE: usize = 2;

/// Failures by who tried: an address, or the name that was tried.
#[derive(Debug)]
pub struct Tries {
    failed: DashMap<String, (u32, Instant)>,
    places: Semaphore,
}

impl Default for Tries {
    fn default() -> Self {
        Self { failed: DashMap::new(), places: Semaphore::new(AT_ONCE) }
    }
}

impl Tries {
    /// How long this one has to wait before the next.
    pub fn wait(&self, who: &str, now: Instant) -> Option<Duration> {
        let (count, last) = self.failed.get(who).map(|failed| *failed)?;
        let over = last + WAIT;
        (count >= FREE && now < over).then(|| over - now)
    }

    /// One more has failed.
    pub fn fail(&self, who: &str, now: Instant) {
        if self.failed.len() >= CALLERS {
            self.failed.retain(|_, (_, last)| now.duration_since(*last) < REMEMBERED);
        }
        let mut failed = self.failed.entry(who.to_owned()).or_insert((0, now));
        let is_old = now.duration_since(failed.1) >= REMEMBERED;
        *failed = (if is_old { 1 } else { failed.0 + 1 }, now);
    }

    /// It was right.
    pub fn forget(&self, who: &str) {
        self.failed.remove(who);
    }

    /// A place to compare a password at.
    pub async fn place(&self) -> Option<tokio::sync::SemaphorePermit<'_>> {
        self.places.acquire().await.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_fails_again_and_again_has_to_wait_and_others_have_not() {
        let (tries, start) = (Tries::default(), Instant::now());
        for _ in 0..FREE {
            assert_eq!(tries.wait("a", start), None);
            tries.fail("a", start);
        }
        assert_eq!(tries.wait("a", start), Some(WAIT));
        assert_eq!(tries.wait("b", start), None);
        assert_eq!(tries.wait("a", start + WAIT), None);
        tries.fail("a", start + WAIT);
        assert_eq!(tries.wait("a", start + WAIT), Some(WAIT), "one each time");
        tries.forget("a");
        assert_eq!(tries.wait("a", start + WAIT), None);
    }
}
