//! How many are let in at once.

use tokio::sync::{Semaphore, SemaphorePermit};

/// The way into one destination. Who waits before it holds nothing that other destinations need.
#[derive(Debug)]
pub struct Door {
    name: String,
    permits: Semaphore,
}

impl Door {
    /// A door that lets in so many at once.
    pub(super) fn new(name: &str, concurrency: usize) -> Self {
        Self { name: name.to_owned(), permits: Semaphore::new(concurrency) }
    }

    /// The destination's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Waits for the right to go in.
    pub async fn permit(&self) -> SemaphorePermit<'_> {
        self.permits.acquire().await.expect("the semaphore is never closed")
    }
}
