//! How many requests may be under way, in all and to one receiver.

use std::sync::Arc;

use dashmap::DashMap;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use url::Origin;

/// The limits of all destinations.
#[derive(Debug)]
pub struct Limits {
    total: Arc<Semaphore>,
    per_destination: usize,
    /// One for each scheme, host and port. Call data chooses at most among listed ones, so there are as many as the flows
    /// name.
    destinations: DashMap<Origin, Arc<Semaphore>>,
}

/// The right to send one request.
#[derive(Debug)]
pub struct Permit {
    _destination: OwnedSemaphorePermit,
    _total: OwnedSemaphorePermit,
}

impl Default for Limits {
    /// 64 requests to one destination are 640 a second at a tenth of a second each; 512 in all fit into the 1,024 open
    /// files that a process usually may have.
    fn default() -> Self {
        Self::new(512, 64)
    }
}

impl Limits {
    /// At most `total` requests, and at most `per_destination` to one scheme, host and port.
    pub fn new(total: usize, per_destination: usize) -> Self {
        Self { total: Arc::new(Semaphore::new(total)), per_destination, destinations: DashMap::new() }
    }

    /// Waits for the right to send to the destination: first for its own, so that those who wait for a slow destination
    /// hold nothing that others need.
    pub(super) async fn permit(&self, destination: Origin) -> Permit {
        let limit = self.destination(destination);
        Permit { _destination: acquire(limit).await, _total: acquire(self.total.clone()).await }
    }

    fn destination(&self, destination: Origin) -> Arc<Semaphore> {
        let new = || Arc::new(Semaphore::new(self.per_destination));
        self.destinations.entry(destination).or_insert_with(new).clone()
    }
}

async fn acquire(semaphore: Arc<Semaphore>) -> OwnedSemaphorePermit {
    semaphore.acquire_owned().await.expect("the semaphore is never closed")
}
