//! Sign-ins: how often somebody may try, and how many passwords are compared at once.
//!
//! A sign-in is counted as failed before anything is compared, and taken back when it was right: so those that come together
//! are counted as those that come one after the other, and those whose client has hung up as all others. The permit to
//! compare belongs to the comparison, not to the request, which may end before it.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

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

/// How many sign-ins are compared or wait for it: the last of them waits for a second or two.
const WAITING: usize = 16;

/// How much of a name tells it from others: a form may send far more.
const NAME_CHARS: usize = 128;

/// Failures by caller, and the permits to compare.
#[derive(Debug)]
pub struct Tries {
    counts: Mutex<Counts>,
    waiting: Arc<Semaphore>,
    comparing: Arc<Semaphore>,
    comparer: Arc<Comparer>,
}

#[derive(Debug, Default)]
struct Counts {
    failed: HashMap<String, (u32, Instant)>,
    /// Names with the networks that they have signed in from.
    known: HashSet<(String, String)>,
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

/// A sign-in that is counted, with its permit to wait for a comparison.
#[derive(Debug)]
pub struct Attempted {
    _waiting: OwnedSemaphorePermit,
}

impl Default for Tries {
    fn default() -> Self {
        Self {
            counts: Mutex::default(),
            waiting: Arc::new(Semaphore::new(WAITING)),
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
    /// Counts a sign-in as failed, unless there were too many.
    pub fn begin(&self, address: IpAddr, name: &str, now: Instant) -> Result<Attempted, Refused> {
        let waiting = self.waiting.clone().try_acquire_owned().map_err(|_| Refused::Busy)?;
        let name: String = name.chars().take(NAME_CHARS).collect();
        let network = network(address);
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).take(&name, &network, now)?;
        Ok(Attempted { _waiting: waiting })
    }

    /// Forgets what has failed before a sign-in that was right.
    pub fn forgive(&self, name: &str, address: IpAddr) {
        let name: String = name.chars().take(NAME_CHARS).collect();
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).forgive(&name, &network(address));
    }

    /// Whether it is the password of that hash.
    pub async fn compare(&self, attempted: Attempted, password: String, hash: Option<String>) -> bool {
        // The semaphore is never closed.
        let Ok(permit) = self.comparing.clone().acquire_owned().await else { return false };
        let comparer = self.comparer.clone();
        let compare = move || {
            let _permits = (permit, attempted);
            comparer.verify(&password, hash.as_deref())
        };
        tokio::task::spawn_blocking(compare).await.unwrap_or(false)
    }
}

impl Counts {
    /// What failures are counted under: the address, and the name; for an address that the name has signed in from, the
    /// name there, so that nobody elsewhere locks its owner out.
    fn keys(&self, name: &str, network: &str) -> [String; 2] {
        let is_known = self.known.contains(&(name.to_owned(), network.to_owned()));
        let of_name = if is_known { format!("name {network} {name}") } else { format!("name {name}") };
        [format!("address {network}"), of_name]
    }

    fn take(&mut self, name: &str, network: &str, now: Instant) -> Result<(), Refused> {
        let keys = self.keys(name, network);
        if let Some(wait) = keys.iter().filter_map(|key| self.wait(key, now)).max() {
            return Err(Refused::TooMany(wait));
        }
        for key in keys {
            self.fail(key, now);
        }
        Ok(())
    }

    fn wait(&self, key: &str, now: Instant) -> Option<Duration> {
        let (count, last) = *self.failed.get(key)?;
        let over = last + WAIT;
        (count >= FREE && now < over).then(|| over - now)
    }

    fn fail(&mut self, key: String, now: Instant) {
        if self.failed.len() >= CALLERS && !self.failed.contains_key(&key) {
            self.failed.retain(|_, (_, last)| now.duration_since(*last) < REMEMBERED);
            if self.failed.len() >= CALLERS
                && let Some(oldest) = self.failed.iter().min_by_key(|(_, (_, last))| *last).map(|(key, _)| key.clone())
            {
                self.failed.remove(&oldest);
            }
        }
        let failed = self.failed.entry(key).or_insert((0, now));
        let is_old = now.duration_since(failed.1) >= REMEMBERED;
        *failed = (if is_old { 1 } else { failed.0 + 1 }, now);
    }

    fn forgive(&mut self, name: &str, network: &str) {
        for key in self.keys(name, network) {
            self.failed.remove(&key);
        }
        if self.known.len() >= CALLERS {
            self.known.clear();
        }
        self.known.insert((name.to_owned(), network.to_owned()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));
    const THERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 2));

    fn fail(tries: &Tries, address: IpAddr, name: &str, now: Instant) -> Result<(), Refused> {
        tries.begin(address, name, now).map(drop)
    }

    #[test]
    fn a_caller_who_fails_again_and_again_has_to_wait_and_others_have_not() {
        let (tries, start) = (Tries::default(), Instant::now());
        for _ in 0..FREE {
            assert_eq!(fail(&tries, HERE, "a", start), Ok(()));
        }
        assert_eq!(fail(&tries, HERE, "a", start), Err(Refused::TooMany(WAIT)));
        assert_eq!(fail(&tries, HERE, "b", start), Err(Refused::TooMany(WAIT)), "by its address");
        assert_eq!(fail(&tries, THERE, "a", start), Err(Refused::TooMany(WAIT)), "by its name");
        assert_eq!(fail(&tries, THERE, "b", start), Ok(()));
        assert_eq!(fail(&tries, HERE, "a", start + WAIT), Ok(()));
        assert_eq!(fail(&tries, HERE, "a", start + WAIT), Err(Refused::TooMany(WAIT)), "one each time");
        tries.forgive("a", HERE);
        assert_eq!(fail(&tries, HERE, "a", start + WAIT), Ok(()));
    }

    #[test]
    fn what_fails_elsewhere_does_not_lock_out_the_owner_of_a_name() {
        let (tries, start) = (Tries::default(), Instant::now());
        tries.forgive("a", HERE);
        for _ in 0..FREE {
            assert_eq!(fail(&tries, THERE, "a", start), Ok(()));
        }
        assert!(fail(&tries, THERE, "a", start).is_err());
        for _ in 0..FREE {
            assert_eq!(fail(&tries, HERE, "a", start), Ok(()));
        }
        assert!(fail(&tries, HERE, "a", start).is_err(), "who guesses there has to wait as well");
    }

    #[test]
    fn no_more_are_remembered_and_wait_than_there_is_room_for() {
        let (tries, start) = (Tries::default(), Instant::now());
        let begun: Vec<_> = (0..WAITING).map(|i| tries.begin(HERE, &i.to_string(), start + WAIT * i as u32)).collect();
        assert!(begun.iter().all(Result::is_ok));
        assert_eq!(fail(&tries, THERE, "b", start), Err(Refused::Busy));
        drop(begun);
        for i in 0..2 * CALLERS as u32 {
            fail(&tries, IpAddr::V4(i.into()), &i.to_string(), start).expect("the first");
        }
        assert!(fail(&tries, THERE, &"n".repeat(1_000_000), start).is_ok());
        let counts = tries.counts.lock().expect("nothing panics");
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
        let attempted = tries.begin(HERE, "a", Instant::now()).expect("the first");
        {
            let comparing = std::pin::pin!(tries.compare(attempted, "x".into(), Some(slow.to_string())));
            let mut context = std::task::Context::from_waker(std::task::Waker::noop());
            assert!(comparing.poll(&mut context).is_pending());
        }
        assert_eq!(tries.comparing.available_permits(), AT_ONCE - 1, "it goes on although its request is gone");
        assert_eq!(tries.waiting.available_permits(), WAITING - 1);
        let all = tries.comparing.acquire_many(AT_ONCE as u32).await.expect("is open");
        drop(all);
        assert_eq!(fail(&tries, HERE, "a", Instant::now()), Ok(()), "the second");
        assert_eq!(tries.counts.lock().expect("nothing panics").failed["name a"].0, 2, "the first was counted");
    }
}
