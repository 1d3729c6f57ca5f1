//! The connections that are open, and which of them is closed when there is no room for one more.
//!
//! A connection waits for its client from its beginning until a request is there whole, and again from the answer's
//! beginning until the next request; each byte that the client takes of an answer begins that time anew. One more connection
//! than there may be closes the one that has waited longest, of the address that has most. So no address keeps others out,
//! and clients that send nothing or read nothing keep nobody out; a request that is worked on is never closed.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::gate::network;

/// How many connections there may be: each takes an open file, of which a process usually may have 1,024, and requests to
/// receivers take up to half of these.
pub const CONNECTIONS: usize = 256;

/// How many of them one address may have while one of its own can be closed instead: a reverse proxy on this machine has
/// enough, and others find room at once.
pub const SHARE: usize = 192;

/// How long a connection has waited at least that is closed for another: one that has just come may be about to send.
const WAITED: Duration = Duration::from_millis(500);

/// What stands for a request that is worked on.
const WORKING: u64 = u64::MAX;

/// The open connections.
#[derive(Debug)]
pub struct Connections {
    most: usize,
    share: usize,
    open: Mutex<Open>,
    /// Told when one ends.
    pub ended: Notify,
}

#[derive(Debug, Default)]
struct Open {
    next: u64,
    by_id: HashMap<u64, Known>,
}

#[derive(Debug)]
struct Known {
    network: String,
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
pub struct Activity(Arc<(Instant, AtomicU64)>);

impl Activity {
    fn new() -> Self {
        Self(Arc::new((Instant::now(), AtomicU64::new(0))))
    }

    /// The client is waited for, from now on.
    pub fn wait(&self) {
        let elapsed = u64::try_from(self.0.0.elapsed().as_millis()).unwrap_or(WORKING - 1);
        self.0.1.store(elapsed, Ordering::Relaxed);
    }

    /// A request is worked on.
    pub fn work(&self) {
        self.0.1.store(WORKING, Ordering::Relaxed);
    }

    /// The client has taken something.
    pub fn progress(&self) {
        if self.0.1.load(Ordering::Relaxed) != WORKING {
            self.wait();
        }
    }

    /// How long the client has been waited for; none while a request is worked on.
    fn waited(&self, now: Instant) -> Option<Duration> {
        let since = self.0.1.load(Ordering::Relaxed);
        let waited = || now.saturating_duration_since(self.0.0 + Duration::from_millis(since));
        (since != WORKING).then(waited)
    }
}

impl Default for Connections {
    fn default() -> Self {
        Self::new(CONNECTIONS, SHARE)
    }
}

impl Connections {
    fn new(most: usize, share: usize) -> Self {
        Self { most, share, open: Mutex::default(), ended: Notify::new() }
    }

    /// Takes one more in; none while there are too many, of which none can be closed.
    pub fn admit(self: &Arc<Self>, address: IpAddr, now: Instant) -> Option<Permit> {
        let network = network(address);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let is_full = open.by_id.len() >= self.most;
        let own = open.by_id.values().filter(|known| known.network == network).count();
        if own >= self.share {
            let is_closed = open.close(now, |known| known.network == network);
            if is_full && !is_closed {
                return None;
            }
        } else if is_full && !open.close(now, |_| true) {
            return None;
        }
        let (id, activity, closed) = (open.next, Activity::new(), CancellationToken::new());
        open.next += 1;
        open.by_id.insert(id, Known { network, activity: activity.clone(), closed: closed.clone() });
        Some(Permit { id, connections: self.clone(), activity, closed })
    }

    /// Closes one, so that something else has its open file.
    pub fn make_room(&self, now: Instant) {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).close(now, |_| true);
    }
}

impl Open {
    /// Closes the one that has waited longest, of the network that has most; says whether there was one.
    fn close(&mut self, now: Instant, is_meant: impl Fn(&Known) -> bool) -> bool {
        let mut counts: HashMap<&str, usize> = HashMap::new();
        for known in self.by_id.values() {
            *counts.entry(&known.network).or_default() += 1;
        }
        let waited = |known: &Known| known.activity.waited(now).filter(|waited| *waited >= WAITED);
        let candidates = self.by_id.iter().filter(|(_, known)| is_meant(known));
        let longest = candidates
            .filter_map(|(id, known)| Some(((counts.get(&*known.network).copied(), waited(known)?), *id)))
            .max();
        let Some(closed) = longest.and_then(|(_, id)| self.by_id.remove(&id)) else { return false };
        closed.closed.cancel();
        true
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut open = self.connections.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.by_id.remove(&self.id);
        drop(open);
        self.connections.ended.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 1));
    const THERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 2));

    fn closed(permits: &[Permit]) -> Vec<usize> {
        permits.iter().enumerate().filter(|(_, permit)| permit.closed.is_cancelled()).map(|(i, _)| i).collect()
    }

    #[test]
    fn the_one_that_waits_longest_of_the_address_with_most_is_closed_for_another() {
        let (connections, now) = (Arc::new(Connections::new(6, 6)), Instant::now());
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
        let (connections, now) = (Arc::new(Connections::new(6, 3)), Instant::now());
        let (other, own) = (connections.admit(THERE, now), [HERE; 3].map(|here| connections.admit(here, now)));
        let own: Vec<_> = own.into_iter().map(|permit| permit.expect("room")).collect();
        let _more = connections.admit(HERE, now + WAITED * 2).expect("room is made");
        assert_eq!((closed(&own).len(), other.expect("room").closed.is_cancelled()), (1, false));
    }

    #[test]
    fn no_request_that_is_worked_on_is_closed_and_an_end_makes_room() {
        let (connections, now) = (Arc::new(Connections::new(2, 2)), Instant::now());
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
}
