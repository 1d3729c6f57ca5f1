//! The connections that are open, and which of them is closed when there is no room for one more.
//!
//! A connection waits for its client from its beginning until a request is there whole, and again from the answer's
//! beginning until the next request; each byte that the client takes of an answer begins that time anew. One more connection
//! than there may be closes the one that has waited longest, of the address that has most. So no address keeps others out,
//! and clients that send nothing or read nothing keep nobody out; a request that is worked on is never closed.
//!
//! Where none can be closed, because all are worked for or have just come, some more connections are spare: probes are
//! answered on them, and other requests wait for the end of one that is worked on, or are refused. So a connection can be
//! taken at any time.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Resource, getrlimit};
use tokio::sync::{Notify, Semaphore};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::gate::network;

/// How many connections there may be: each takes an open file, of which a process usually may have 1,024, and requests to
/// receivers take up to half of these.
const CONNECTIONS: usize = 256;

/// How many open files there are for each connection: where a process may have fewer, there are fewer connections.
const FILES_OF_EACH: u64 = 4;

/// The least connections there may be, however few files.
const LEAST: usize = 8;

/// The least spare ones: clients that send nothing are closed for others the slower, the fewer there are.
const LEAST_SPARE: usize = 16;

/// How long a connection has waited at least that is closed for another before it has sent a request: one that has just
/// come may be about to.
const WAITED: Duration = Duration::from_millis(500);

/// The same for one that is spare: what is sent at once is read in this time, and many can come.
const SPARE_WAITED: Duration = Duration::from_millis(50);

/// The same for any that was answered: the answer is on its way in this time.
const ANSWERED: Duration = Duration::from_millis(5);

/// How long a request on a spare connection waits for one that is worked on to end.
const PLACE_WAIT: Duration = Duration::from_secs(2);

/// How long it waits at most before it looks again.
const BREATH: Duration = Duration::from_millis(50);

/// What stands for a request that is worked on.
const WORKING: u64 = u64::MAX;

/// The open connections.
#[derive(Debug)]
pub struct Connections {
    limits: Limits,
    open: Mutex<Open>,
    /// Told when one ends.
    ended: Notify,
    /// Permits of requests on spare connections to wait.
    waiting: Semaphore,
}

/// How many connections there may be.
#[derive(Clone, Copy, Debug)]
struct Limits {
    /// In all, beside the spare ones.
    most: usize,
    /// Of one address, while one of its own can be closed instead: a reverse proxy on this machine has enough, and others
    /// find room at once.
    share: usize,
    /// Beside those, while none of them can be closed.
    spare: usize,
}

#[derive(Debug, Default)]
struct Open {
    next: u64,
    by_id: HashMap<u64, Known>,
}

#[derive(Debug)]
struct Known {
    network: String,
    is_spare: bool,
    activity: Activity,
    closed: CancellationToken,
}

/// A connection among the others; it is none of them any more when this is dropped.
#[derive(Debug)]
pub struct Permit {
    id: u64,
    connections: Arc<Connections>,
    /// What it does.
    pub activity: Activity,
    /// Cancelled when it is to be closed for another.
    pub closed: CancellationToken,
}

/// Since when a connection waits for its client; clones are handles to the same.
#[derive(Clone, Debug)]
pub struct Activity(Arc<State>);

#[derive(Debug)]
struct State {
    began: Instant,
    /// In milliseconds since it began.
    waits_since: AtomicU64,
    /// Whether a request was answered.
    is_answered: AtomicBool,
}

impl Activity {
    fn new() -> Self {
        let (waits_since, is_answered) = (AtomicU64::new(0), AtomicBool::new(false));
        Self(Arc::new(State { began: Instant::now(), waits_since, is_answered }))
    }

    /// The client is waited for, from now on.
    pub fn wait(&self) {
        let elapsed = u64::try_from(self.0.began.elapsed().as_millis()).unwrap_or(WORKING - 1);
        self.0.waits_since.store(elapsed, Ordering::Relaxed);
    }

    /// A request is worked on.
    pub fn work(&self) {
        self.0.waits_since.store(WORKING, Ordering::Relaxed);
    }

    /// There is an answer, which the client is waited for to read.
    pub fn answer(&self) {
        self.0.is_answered.store(true, Ordering::Relaxed);
        self.wait();
    }

    /// The client has taken something.
    pub fn progress(&self) {
        if self.0.waits_since.load(Ordering::Relaxed) != WORKING {
            self.wait();
        }
    }

    /// How long the client has been waited for; none while a request is worked on.
    fn waited(&self, now: Instant) -> Option<Duration> {
        let since = self.0.waits_since.load(Ordering::Relaxed);
        let waited = || now.saturating_duration_since(self.0.began + Duration::from_millis(since));
        (since != WORKING).then(waited)
    }

    /// Whether nothing was answered yet.
    fn is_new(&self) -> bool {
        !self.0.is_answered.load(Ordering::Relaxed)
    }
}

impl Limits {
    /// As many as open files allow for, so that clients take none from receivers and the outbox.
    fn of_files(files: Option<u64>) -> Self {
        let files = files.and_then(|files| usize::try_from(files / FILES_OF_EACH).ok()).unwrap_or(CONNECTIONS);
        let most = files.clamp(LEAST, CONNECTIONS);
        Self { most, share: most * 3 / 4, spare: (most / 4).max(LEAST_SPARE) }
    }
}

impl Default for Connections {
    fn default() -> Self {
        Self::new(Limits::of_files(getrlimit(Resource::Nofile).current))
    }
}

impl Connections {
    fn new(limits: Limits) -> Self {
        // The other half of the spare ones is for probes.
        let waiting = Semaphore::new(limits.spare / 2);
        Self { limits, open: Mutex::default(), ended: Notify::new(), waiting }
    }

    /// Takes one more in; none while there are too many, of which none can be closed.
    pub fn admit(self: &Arc<Self>, address: IpAddr, now: Instant) -> Option<Permit> {
        let network = network(address);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let is_spare = !open.has_place(self.limits, &network, now);
        if is_spare && !open.has_spare(self.limits, now) {
            return None;
        }
        let (id, activity, closed) = (open.next, Activity::new(), CancellationToken::new());
        open.next += 1;
        open.by_id.insert(id, Known { network, is_spare, activity: activity.clone(), closed: closed.clone() });
        Some(Permit { id, connections: self.clone(), activity, closed })
    }

    /// Waits until one has ended, for a short time.
    pub async fn ended(&self) {
        let _ = timeout(BREATH, self.ended.notified()).await;
    }

    /// Closes one, so that something else has its open file.
    pub async fn make_room(&self) {
        let mut ended = std::pin::pin!(self.ended.notified());
        ended.as_mut().enable();
        self.open.lock().unwrap_or_else(PoisonError::into_inner).close(Instant::now(), Duration::ZERO, |_| true);
        let _ = timeout(BREATH, ended).await;
    }
}

impl Open {
    fn count(&self, is_meant: impl Fn(&Known) -> bool) -> usize {
        self.by_id.values().filter(|known| is_meant(known)).count()
    }

    /// Whether there is a place for one more of a network, or one was made.
    fn has_place(&mut self, limits: Limits, network: &str, now: Instant) -> bool {
        let is_full = self.count(|known| !known.is_spare) >= limits.most;
        let is_own = |known: &Known| !known.is_spare && known.network == network;
        if self.count(is_own) >= limits.share {
            return self.close(now, WAITED, is_own) || !is_full;
        }
        !is_full || self.close(now, WAITED, |known| !known.is_spare)
    }

    fn has_spare(&mut self, limits: Limits, now: Instant) -> bool {
        self.count(|known| known.is_spare) < limits.spare || self.close(now, SPARE_WAITED, |known| known.is_spare)
    }

    /// Closes the one that has waited longest, of the network that has most, and no new one that has waited less than that.
    /// Says whether there was one.
    fn close(&mut self, now: Instant, least: Duration, is_meant: impl Fn(&Known) -> bool) -> bool {
        let mut counts: HashMap<&str, usize> = HashMap::new();
        for known in self.by_id.values() {
            *counts.entry(&known.network).or_default() += 1;
        }
        let waited = |known: &Known| {
            let least = if known.activity.is_new() { least } else { least.min(ANSWERED) };
            known.activity.waited(now).filter(|waited| *waited >= least)
        };
        let candidates = self.by_id.iter().filter(|(_, known)| is_meant(known));
        let longest = candidates
            .filter_map(|(id, known)| Some(((counts.get(&*known.network).copied(), waited(known)?), *id)))
            .max();
        let Some(closed) = longest.and_then(|(_, id)| self.by_id.remove(&id)) else { return false };
        closed.closed.cancel();
        true
    }
}

impl Permit {
    /// Whether it may have more than a probe answered, at once or in a moment.
    pub(super) async fn has_place(&self) -> bool {
        if self.take_place() {
            return true;
        }
        let Ok(_waiting) = self.connections.waiting.try_acquire() else { return false };
        let wait = async {
            while !self.take_place() {
                self.connections.ended().await;
            }
        };
        timeout(PLACE_WAIT, wait).await.is_ok()
    }

    /// Whether it is not spare, or is not any more.
    fn take_place(&self) -> bool {
        let mut open = self.connections.open.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(known) = open.by_id.get(&self.id) else { return false };
        if !known.is_spare {
            return true;
        }
        let network = known.network.clone();
        let has_place = open.has_place(self.connections.limits, &network, Instant::now());
        if let Some(known) = open.by_id.get_mut(&self.id) {
            known.is_spare = !has_place;
        }
        has_place
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut open = self.connections.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.by_id.remove(&self.id);
        drop(open);
        self.connections.ended.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 1));
    const THERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 2));

    fn connections(most: usize, share: usize, spare: usize) -> Arc<Connections> {
        Arc::new(Connections::new(Limits { most, share, spare }))
    }

    fn closed(permits: &[Permit]) -> Vec<usize> {
        permits.iter().enumerate().filter(|(_, permit)| permit.closed.is_cancelled()).map(|(i, _)| i).collect()
    }

    #[test]
    fn the_one_that_waits_longest_of_the_address_with_most_is_closed_for_another() {
        let (connections, now) = (connections(6, 6, 0), Instant::now());
        let others: Vec<_> = (0..2).map(|_| connections.admit(THERE, now).expect("room")).collect();
        let many: Vec<_> = (0..4).map(|_| connections.admit(HERE, now).expect("room")).collect();
        assert!(connections.admit(THERE, now).is_none(), "all have just come");
        let later = now + Duration::from_secs(5);
        many[0].activity.work();
        std::thread::sleep(Duration::from_millis(20));
        many[1].activity.progress();
        many[3].activity.progress();
        let _one = connections.admit(THERE, later).expect("room is made");
        assert_eq!((closed(&many), closed(&others)), (vec![2], vec![]));
        let (_two, _three) = (connections.admit(THERE, later), connections.admit(THERE, later));
        assert_eq!(closed(&many).len() + closed(&others).len(), 3);
        assert!(!many[0].closed.is_cancelled(), "a request that is worked on goes on");
    }

    #[test]
    fn an_address_with_its_share_closes_one_of_its_own() {
        let (connections, now) = (connections(6, 3, 0), Instant::now());
        let (other, own) = (connections.admit(THERE, now), [HERE; 3].map(|here| connections.admit(here, now)));
        let own: Vec<_> = own.into_iter().map(|permit| permit.expect("room")).collect();
        let _more = connections.admit(HERE, now + WAITED * 2).expect("room is made");
        assert_eq!((closed(&own).len(), other.expect("room").closed.is_cancelled()), (1, false));
    }

    #[test]
    fn no_request_that_is_worked_on_is_closed_and_an_end_makes_room() {
        let (connections, now) = (connections(2, 2, 0), Instant::now());
        let [a, b] = [HERE, THERE].map(|address| connections.admit(address, now).expect("room"));
        a.activity.work();
        b.activity.work();
        a.activity.progress();
        let later = now + Duration::from_mins(10);
        assert!(connections.admit(HERE, later).is_none() && connections.admit(THERE, later).is_none());
        b.activity.wait();
        let later = Instant::now() + Duration::from_mins(10);
        let c = connections.admit(HERE, later).expect("room is made");
        assert!(b.closed.is_cancelled());
        drop(b);
        c.activity.work();
        assert!(connections.admit(THERE, later).is_none(), "one that was closed counts once");
        drop(a);
        assert!(connections.admit(THERE, later).is_some());
    }

    #[test]
    fn one_that_asks_again_and_again_gives_way_as_well() {
        let (connections, now) = (connections(2, 2, 0), Instant::now());
        let busy = [HERE, HERE].map(|address| connections.admit(address, now).expect("room"));
        assert!(connections.admit(HERE, now).is_none(), "they may be about to send");
        busy.iter().for_each(|permit| permit.activity.answer());
        assert!(connections.admit(HERE, Instant::now() + ANSWERED).is_some(), "each of them was answered");
        assert_eq!(closed(&busy).len(), 1);
    }

    #[tokio::test]
    async fn while_all_are_worked_for_the_spare_ones_wait_for_a_place() {
        let (connections, now) = (connections(2, 2, 4), Instant::now());
        let mut working = Vec::from([HERE, HERE].map(|address| connections.admit(address, now).expect("room")));
        working.iter().for_each(|permit| permit.activity.work());
        let spare: Vec<_> = (0..4).map(|_| connections.admit(HERE, now).expect("one of the spare")).collect();
        assert!(connections.admit(THERE, now).is_none(), "all have just come");
        let probe = connections.admit(THERE, now + SPARE_WAITED * 2).expect("room is made");
        assert_eq!(closed(&spare).len(), 1, "one of the spare");
        let waits = spare.iter().find(|permit| !permit.closed.is_cancelled()).expect("three");
        let (has_place, ()) = tokio::join!(waits.has_place(), async {
            tokio::task::yield_now().await;
            working.pop();
        });
        assert!(has_place && working[0].has_place().await);
        waits.activity.work();
        let began = Instant::now();
        assert!(!probe.has_place().await && began.elapsed() >= PLACE_WAIT);
        let _all = connections.waiting.acquire_many(2).await.expect("is open");
        assert!(!probe.has_place().await, "no more than half of them wait");
    }

    #[test]
    fn few_open_files_make_few_connections() {
        let of = |files| Limits::of_files(files);
        assert_eq!((of(None).most, of(Some(1_024)).most, of(Some(1_000_000)).most), (256, 256, 256));
        assert_eq!((of(Some(64)).most, of(Some(64)).spare, of(Some(0)).most), (16, 16, LEAST));
    }
}
