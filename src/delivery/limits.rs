//! How many requests may be under way, in all and to one receiver, and when one is left alone.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use dashmap::DashMap;
use tracing::{info, warn};
use url::Origin;

use super::breaker::{Breaker, Change, Health, Leave};
use super::gate::{Gate, Place};
use super::priority::Priority;

/// The limits of all receivers.
#[derive(Debug)]
pub struct Limits {
    total: Gate,
    per_receiver: usize,
    /// One for each scheme, host and port. Call data chooses at most among listed ones, so there are as many as the flows
    /// name.
    receivers: DashMap<Origin, Arc<Receiver>>,
}

/// Where requests go.
#[derive(Debug)]
struct Receiver {
    places: Gate,
    breaker: Mutex<Breaker>,
}

/// The right to send one request.
#[derive(Debug)]
pub struct Permit {
    origin: Origin,
    receiver: Arc<Receiver>,
    _place: Place,
    _total: Place,
    /// Its place on a way that is narrower.
    _turn: Option<Place>,
}

/// Nothing is sent to the receiver now.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{receiver} has not answered for a while, and is left alone")]
pub struct Held {
    /// The receiver.
    pub receiver: String,
    /// For how long.
    pub pause: Duration,
}

impl Default for Limits {
    /// 64 requests to one receiver are 640 a second at a tenth of a second each; 512 in all fit into the 1,024 open files
    /// that a process usually may have.
    fn default() -> Self {
        Self::new(512, 64)
    }
}

impl Limits {
    /// At most `total` requests, and at most `per_receiver` to one scheme, host and port.
    pub fn new(total: usize, per_receiver: usize) -> Self {
        Self { total: Gate::new(total), per_receiver, receivers: DashMap::new() }
    }

    /// Waits for the right to send to the receiver: first for its own, so that those who wait for a slow one hold nothing
    /// that others need. The breaker is asked last, because one who is let through has to send.
    pub(super) async fn permit(
        &self,
        origin: Origin,
        turn: Option<Place>,
        priority: Priority,
        is_asked: bool,
    ) -> Result<Permit, Held> {
        let receiver = self.receiver(&origin);
        let place = receiver.places.enter(priority).await;
        let total = self.total.enter(priority).await;
        match receiver.breaker().ask(is_asked, Instant::now()) {
            Leave::Granted => {}
            Leave::Held(pause) => return Err(Held { receiver: origin.ascii_serialization(), pause }),
        }
        Ok(Permit { origin, receiver, _place: place, _total: total, _turn: turn })
    }

    /// The receivers to whom something was sent, and whether each is left alone now.
    pub fn receivers(&self) -> Vec<(String, bool)> {
        let told = |entry: dashmap::mapref::multiple::RefMulti<'_, Origin, Arc<Receiver>>| {
            (entry.key().ascii_serialization(), entry.breaker().is_open())
        };
        let mut receivers: Vec<_> = self.receivers.iter().map(told).collect();
        receivers.sort_unstable();
        receivers
    }

    fn receiver(&self, origin: &Origin) -> Arc<Receiver> {
        let new = || Arc::new(Receiver { places: Gate::new(self.per_receiver), breaker: Mutex::default() });
        self.receivers.entry(origin.clone()).or_insert_with(new).clone()
    }
}

impl Receiver {
    fn breaker(&self) -> std::sync::MutexGuard<'_, Breaker> {
        // Its methods leave it whole.
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Permit {
    /// Takes note of how the request has ended. Says whether the receiver is left alone because of it.
    pub(super) fn note(&self, health: Health) -> bool {
        let change = self.receiver.breaker().note(health, Instant::now());
        let receiver = || self.origin.ascii_serialization();
        match change {
            Some(Change::Opened(pause)) => {
                warn!(
                    receiver = receiver(),
                    ?pause,
                    "the receiver does not answer; its runs wait without losing tries"
                );
            }
            Some(Change::Closed) => info!(receiver = receiver(), "the receiver answers again"),
            None => {}
        }
        matches!(change, Some(Change::Opened(_)))
    }
}
