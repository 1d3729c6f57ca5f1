//! Sign-ins: how often somebody may try, and how many passwords are compared at once.
//!
//! A sign-in is counted as failed before anything is compared, and taken back when it was right: so those that come together
//! are counted as those that come one after the other, and those whose client has hung up as all others. The permit to
//! compare belongs to the comparison, not to the request, which may end before it.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use crate::admin::gate::network;
use crate::admin::password::Comparer;

/// How many may fail before a caller has to wait: a person who has mistyped it.
const FREE: u32 = 5;

/// How long is waited for each that fails beyond those.
const WAIT: Duration = Duration::from_secs(30);

/// How long a failure is remembered.
const REMEMBERED: Duration = Duration::from_mins(15);

/// How many callers are remembered; the one that failed longest ago is forgotten for one more.
const CALLERS: usize = 10_000;

/// How many passwords are compared at once: each takes 19 MiB and a core for a while.
const AT_ONCE: usize = 2;

/// How many sign-ins are compared or wait for it: the last of them waits for a second or two. As many more may be of names
/// from where they have signed in before, so that strangers at many addresses keep nobody out.
const WAITING: usize = 16;

/// How much of a name tells it from others: a form may send far more.
const NAME_CHARS: usize = 128;

/// Failures by caller, and the permits to compare.
#[derive(Debug)]
pub struct Tries {
    shared: Arc<Shared>,
    waiting: Arc<Semaphore>,
    known_waiting: Arc<Semaphore>,
    comparing: Arc<Semaphore>,
    comparer: Arc<Comparer>,
}

#[derive(Debug, Default)]
struct Shared {
    counts: Mutex<Counts>,
    /// Told when a sign-in is over.
    ended: Notify,
}

#[derive(Debug, Default)]
struct Counts {
    failed: HashMap<String, Failures>,
    /// Names with the networks that they have signed in from.
    known: HashSet<(String, String)>,
}

#[derive(Clone, Copy, Debug)]
struct Failures {
    /// How many have failed, or may yet.
    count: u32,
    /// How many of these are not over.
    under_way: u32,
    last: Instant,
}

/// Why a sign-in is not compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Too many of this address or name have failed.
    #[error("too many sign-ins have failed: wait half a minute")]
    TooMany(Duration),
    /// Too many wait for their comparison.
    #[error("too many people sign in just now: try again in a moment")]
    Busy,
}

/// Whether a sign-in may be compared.
enum Verdict {
    Now([String; 2]),
    /// When others of this address or name are over, which may be right.
    Later,
    Refused(Duration),
}

/// A sign-in that is counted, with its permit to wait for a comparison.
#[derive(Debug)]
pub struct Attempted {
    shared: Arc<Shared>,
    name: String,
    network: String,
    keys: [String; 2],
    _waiting: OwnedSemaphorePermit,
}

impl Default for Tries {
    fn default() -> Self {
        Self {
            shared: Arc::default(),
            waiting: Arc::new(Semaphore::new(WAITING)),
            known_waiting: Arc::new(Semaphore::new(WAITING)),
            comparing: Arc::new(Semaphore::new(AT_ONCE)),
            comparer: Arc::default(),
        }
    }
}

impl Refused {
    /// After how many seconds another may be tried.
    pub fn retry_after_secs(self) -> u64 {
        match self {
            Self::TooMany(wait) => wait.as_secs() + 1,
            Self::Busy => 2,
        }
    }
}

impl Tries {
    /// Counts a sign-in as failed, unless there were too many. Those that would be too many if all failed that are under way
    /// wait for these: many people can have one address.
    pub async fn begin(&self, address: IpAddr, name: &str) -> Result<Attempted, Refused> {
        let name: String = name.chars().take(NAME_CHARS).collect();
        let (network, shared) = (network(address), self.shared.clone());
        let is_known = shared.counts().is_known(&name, &network);
        let waiting = if is_known { &self.known_waiting } else { &self.waiting };
        let waiting = waiting.clone().try_acquire_owned().map_err(|_| Refused::Busy)?;
        let keys = loop {
            let mut ended = std::pin::pin!(self.shared.ended.notified());
            ended.as_mut().enable();
            let verdict = self.shared.counts().take(&name, &network, Instant::now());
            match verdict {
                Verdict::Now(keys) => break keys,
                Verdict::Later => ended.await,
                Verdict::Refused(wait) => return Err(Refused::TooMany(wait)),
            }
        };
        Ok(Attempted { shared, name, network, keys, _waiting: waiting })
    }

    /// Whether it is the password of that hash; then it has not failed.
    pub async fn compare(&self, attempted: Attempted, password: String, hash: Option<String>) -> bool {
        // The semaphore is never closed.
        let Ok(permit) = self.comparing.clone().acquire_owned().await else { return false };
        let comparer = self.comparer.clone();
        let compare = move || {
            let _permit = permit;
            let is_it = comparer.verify(&password, hash.as_deref());
            if is_it {
                attempted.succeed();
            }
            is_it
        };
        tokio::task::spawn_blocking(compare).await.unwrap_or(false)
    }
}

impl Attempted {
    /// It was right: what has failed before it is forgotten.
    pub fn succeed(self) {
        self.shared.counts().forgive(&self);
    }
}

impl Drop for Attempted {
    fn drop(&mut self) {
        let mut counts = self.shared.counts();
        for key in &self.keys {
            if let Some(failures) = counts.failed.get_mut(key) {
                failures.under_way = failures.under_way.saturating_sub(1);
            }
        }
        drop(counts);
        self.shared.ended.notify_waiters();
    }
}

impl Shared {
    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counts {
    /// What failures are counted under: the address, and the name; for an address that the name has signed in from, the
    /// name there, so that nobody elsewhere locks its owner out.
    fn keys(&self, name: &str, network: &str) -> [String; 2] {
        let of_name =
            if self.is_known(name, network) { format!("name {network} {name}") } else { format!("name {name}") };
        [format!("address {network}"), of_name]
    }

    /// Whether the name has signed in from there.
    fn is_known(&self, name: &str, network: &str) -> bool {
        self.known.contains(&(name.to_owned(), network.to_owned()))
    }

    fn take(&mut self, name: &str, network: &str, now: Instant) -> Verdict {
        let keys = self.keys(name, network);
        let full = keys.iter().filter_map(|key| self.failed.get(key)).filter_map(|failures| failures.wait(now));
        match full.max_by_key(|(wait, under_way)| (!under_way, *wait)) {
            Some((_, true)) => return Verdict::Later,
            Some((wait, false)) => return Verdict::Refused(wait),
            None => {}
        }
        for key in &keys {
            self.count(key, now);
        }
        Verdict::Now(keys)
    }

    fn count(&mut self, key: &str, now: Instant) {
        if self.failed.len() >= CALLERS && !self.failed.contains_key(key) {
            self.failed.retain(|_, failures| !failures.is_old(now));
            let last = |failures: &Failures| (failures.under_way > 0, failures.last);
            if self.failed.len() >= CALLERS
                && let Some(oldest) = self.failed.iter().min_by_key(|(_, failures)| last(failures)).map(|(key, _)| key)
            {
                let oldest = oldest.clone();
                self.failed.remove(&oldest);
            }
        }
        let failures = self.failed.entry(key.to_owned()).or_insert(Failures { count: 0, under_way: 0, last: now });
        if failures.is_old(now) {
            failures.count = failures.under_way;
        }
        failures.count += 1;
        failures.under_way += 1;
        failures.last = now;
    }

    fn forgive(&mut self, attempted: &Attempted) {
        for key in &attempted.keys {
            if let Some(failures) = self.failed.get_mut(key) {
                // Others that are under way may fail yet.
                failures.count = failures.under_way.saturating_sub(1);
            }
        }
        if self.known.len() >= CALLERS {
            self.known.clear();
        }
        self.known.insert((attempted.name.clone(), attempted.network.clone()));
    }
}

impl Failures {
    fn is_old(&self, now: Instant) -> bool {
        now.duration_since(self.last) >= REMEMBERED
    }

    /// How long the next has to wait, and whether some are under way that may yet be right.
    fn wait(&self, now: Instant) -> Option<(Duration, bool)> {
        let over = self.last + WAIT;
        let is_full = self.count >= FREE && (now < over || self.under_way > 0);
        is_full.then(|| (over.saturating_duration_since(now), self.under_way > 0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: &str = "10.0.0.1";
    const THERE: &str = "10.0.0.2";

    /// A sign-in that fails at once; how long it would have to wait.
    fn fail(tries: &Tries, network: &str, name: &str, now: Instant) -> Option<Duration> {
        begin(tries, network, name, now).err()
    }

    fn begin(tries: &Tries, network: &str, name: &str, now: Instant) -> Result<Attempted, Duration> {
        let waiting = tries.waiting.clone().try_acquire_owned().expect("room");
        let (shared, name, network) = (tries.shared.clone(), name.to_owned(), network.to_owned());
        let verdict = tries.shared.counts().take(&name, &network, now);
        match verdict {
            Verdict::Now(keys) => Ok(Attempted { shared, name, network, keys, _waiting: waiting }),
            Verdict::Later => Err(Duration::ZERO),
            Verdict::Refused(wait) => Err(wait),
        }
    }

    #[test]
    fn a_caller_who_fails_again_and_again_has_to_wait_and_others_have_not() {
        let (tries, start) = (Tries::default(), Instant::now());
        for _ in 0..FREE {
            assert_eq!(fail(&tries, HERE, "a", start), None);
        }
        assert_eq!(fail(&tries, HERE, "a", start), Some(WAIT));
        assert_eq!(fail(&tries, HERE, "b", start), Some(WAIT), "by its address");
        assert_eq!(fail(&tries, THERE, "a", start), Some(WAIT), "by its name");
        assert_eq!(fail(&tries, THERE, "b", start), None);
        assert_eq!(fail(&tries, HERE, "a", start + WAIT), None);
        assert_eq!(fail(&tries, HERE, "a", start + WAIT), Some(WAIT), "one each time");
        begin(&tries, HERE, "a", start + WAIT * 2).expect("another").succeed();
        assert_eq!(fail(&tries, HERE, "a", start + WAIT * 2), None);
    }

    #[test]
    fn those_that_come_together_wait_for_those_under_way() {
        let (tries, now) = (Tries::default(), Instant::now());
        let mut under_way: Vec<_> =
            (0..FREE).map(|i| begin(&tries, HERE, &format!("n{i}"), now).expect("one of the first")).collect();
        assert_eq!(fail(&tries, HERE, "n9", now), Some(Duration::ZERO), "later");
        under_way.pop().expect("one").succeed();
        assert_eq!(fail(&tries, HERE, "n9", now), None, "it fails");
        assert_eq!(fail(&tries, HERE, "n8", now), Some(Duration::ZERO), "four may fail yet");
        drop(under_way);
        assert_eq!(fail(&tries, HERE, "n8", now), Some(WAIT), "all have");
        let late = begin(&tries, HERE, "n8", now + WAIT).expect("another");
        assert_eq!(
            fail(&tries, HERE, "n8", now + WAIT * 3),
            Some(Duration::ZERO),
            "one each time, however long it takes"
        );
        drop(late);
    }

    #[test]
    fn what_fails_elsewhere_does_not_lock_out_the_owner_of_a_name() {
        let (tries, start) = (Tries::default(), Instant::now());
        begin(&tries, HERE, "a", start).expect("the first").succeed();
        for _ in 0..FREE {
            assert_eq!(fail(&tries, THERE, "a", start), None);
        }
        assert_eq!(fail(&tries, THERE, "a", start), Some(WAIT));
        for _ in 0..FREE {
            assert_eq!(fail(&tries, HERE, "a", start), None);
        }
        assert_eq!(fail(&tries, HERE, "a", start), Some(WAIT), "who guesses there has to wait as well");
    }

    #[tokio::test]
    async fn no_more_are_remembered_and_wait_than_there_is_room_for() {
        let (tries, start) = (Tries::default(), Instant::now());
        let address = |i: u32| IpAddr::V4(std::net::Ipv4Addr::from(i));
        let mut begun = Vec::new();
        tries.begin(address(98), "owner").await.expect("the first").succeed();
        for i in 0..WAITING as u32 {
            begun.push(tries.begin(address(i), &i.to_string()).await.expect("room"));
        }
        assert_eq!(tries.begin(address(99), "b").await.map(drop), Err(Refused::Busy));
        assert_eq!(tries.begin(address(99), "owner").await.map(drop), Err(Refused::Busy), "from elsewhere");
        assert!(tries.begin(address(98), "owner").await.is_ok(), "who has signed in from there is not kept out");
        drop(begun);
        for i in 0..CALLERS as u32 {
            assert_eq!(fail(&tries, &i.to_string(), &format!("n{i}"), start), None);
        }
        assert!(tries.begin(address(99), &"n".repeat(1_000_000)).await.is_ok());
        let counts = tries.shared.counts();
        assert!(counts.failed.len() <= CALLERS && counts.failed.keys().all(|key| key.len() < 1_000));
    }

    #[tokio::test]
    async fn a_comparison_keeps_its_permit_when_nobody_waits_for_it() {
        use argon2::password_hash::phc::PasswordHash;
        use argon2::{Argon2, Params, password_hash::CustomizedPasswordHasher as _};
        // One that takes far longer than what follows.
        let params = Params::new(19_456, 20, 1, None).expect("good");
        let slow: PasswordHash =
            Argon2::default().hash_password_customized(b"x", b"some salt of it", None, None, params).expect("hashes");
        let tries = Tries::default();
        let here = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
        let attempted = tries.begin(here, "a").await.expect("the first");
        {
            let comparing = std::pin::pin!(tries.compare(attempted, "y".into(), Some(slow.to_string())));
            let mut context = std::task::Context::from_waker(std::task::Waker::noop());
            assert!(comparing.poll(&mut context).is_pending());
        }
        assert_eq!(tries.comparing.available_permits(), AT_ONCE - 1, "it goes on although its request is gone");
        assert_eq!(tries.waiting.available_permits(), WAITING - 1);
        let all = tries.comparing.acquire_many(AT_ONCE as u32).await.expect("is open");
        drop(all);
        let attempted = tries.begin(here, "a").await.expect("the second");
        assert_eq!(tries.shared.counts().failed["name a"].count, 2, "the first was counted");
        assert!(tries.compare(attempted, "x".into(), Some(slow.to_string())).await);
        assert_eq!(tries.shared.counts().failed["name a"].count, 0, "it was right");
    }
}
