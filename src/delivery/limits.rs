//! How many requests may be under way, in all and to one receiver, and when one is left alone.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use dashmap::DashMap;
use tokio::sync::Notify;
use tokio::time::timeout_at;
use tracing::{info, warn};
use url::{Origin, Url};

use super::breaker::{Breaker, Change, Health, Leave};
use super::gate::{Gate, Place};
use super::priority::Priority;
use super::way::Way;

/// The limits of all receivers.
#[derive(Debug)]
pub struct Limits {
    total: Gate,
    per_receiver: usize,
    /// One for each scheme, host and port. Call data chooses at most among listed ones, so there are as many as the flows
    /// name.
    receivers: DashMap<Origin, Arc<Receiver>>,
    recoveries: Arc<Recoveries>,
}

/// The receivers that have begun to answer again, until somebody takes note of them.
#[derive(Debug, Default)]
struct Recoveries {
    /// As many as the flows name at most.
    receivers: Mutex<BTreeSet<String>>,
    added: Notify,
}

/// Where requests go.
#[derive(Debug)]
struct Receiver {
    places: Gate,
    breaker: Mutex<Breaker>,
    /// Wakes those who wait for the outcome of a probe.
    probed: Notify,
    /// Until when it has asked that nothing be sent to it.
    hold: Mutex<Option<Hold>>,
}

/// That nothing is to be sent for a while.
#[derive(Clone, Copy, Debug)]
struct Hold {
    began: Instant,
    until: Instant,
}

/// How a try has come about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TryKind {
    /// It is the step's first: it waits while the receiver asks to be sent nothing.
    First {
        /// When the run was taken up: what was just going out when the receiver asked still goes.
        since: Instant,
    },
    /// It is a retry, whose time the receiver's own answer to the run has set.
    Retry,
    /// Somebody has asked for it: it waits for nothing but the outcome of a probe that is under way.
    Manual,
}

/// The right to send one request.
#[derive(Debug)]
pub struct Permit {
    origin: Origin,
    receiver: Arc<Receiver>,
    recoveries: Arc<Recoveries>,
    is_probe: bool,
    /// Whether the request's outcome is known.
    noted: AtomicBool,
    _place: Place,
    _total: Place,
    /// Its place on a way that is narrower.
    _turn: Option<Place>,
}

/// Nothing is sent to the receiver now.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{receiver} {reason}")]
pub struct Held {
    /// The receiver.
    pub receiver: String,
    /// Why not.
    pub reason: HeldReason,
    /// For how long.
    pub pause: Duration,
}

/// Why nothing is sent to a receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeldReason {
    /// Its circuit breaker is open.
    #[error("has not answered for a while, and is left alone")]
    Breaker,
    /// It has asked for it.
    #[error("has asked with `Retry-After` to be sent nothing for a while")]
    RetryAfter,
}

/// The longest that a receiver's `Retry-After` holds for all that goes to it: then it is asked again.
const LONGEST_HOLD: Duration = Duration::from_hours(1);

/// How long before a receiver asked to be sent nothing a run was taken up that goes out all the same: the runs of one moment
/// go out one after the other on a busy machine, and a backlog waits longer than that.
const BURST: Duration = Duration::from_secs(1);

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
        Self { total: Gate::new(total), per_receiver, receivers: DashMap::new(), recoveries: Arc::default() }
    }

    /// Waits for the right to send to the receiver: first for its own, so that those who wait for a slow one hold nothing
    /// that others need. The circuit breaker is asked last, because one who is let through has to send; who meets a probe
    /// waits for its outcome, holds nothing meanwhile, and takes its turn anew: a narrower way keeps its pace.
    pub(super) async fn permit(
        &self,
        origin: Origin,
        way: Option<&Way>,
        priority: Priority,
        kind: TryKind,
    ) -> Result<Permit, Held> {
        let receiver = self.receiver(&origin);
        loop {
            let turn = match way {
                Some(way) => way.turn(priority).await,
                None => None,
            };
            let place = receiver.places.enter(priority).await;
            let total = self.total.enter(priority).await;
            let held = |reason, pause| Held { receiver: origin.ascii_serialization(), reason, pause };
            if let TryKind::First { since } = kind
                && let Some(pause) = receiver.held_for(since, Instant::now())
            {
                return Err(held(HeldReason::RetryAfter, pause));
            }
            let mut probed = std::pin::pin!(receiver.probed.notified());
            // From now on, so that no outcome comes between the question and the wait.
            probed.as_mut().enable();
            let leave = receiver.breaker().ask(kind == TryKind::Manual, Instant::now());
            match leave {
                Leave::Granted | Leave::Probe => {
                    return Ok(Permit {
                        origin,
                        receiver: receiver.clone(),
                        recoveries: self.recoveries.clone(),
                        is_probe: leave == Leave::Probe,
                        noted: AtomicBool::new(false),
                        _place: place,
                        _total: total,
                        _turn: turn,
                    });
                }
                Leave::Held(pause) => return Err(held(HeldReason::Breaker, pause)),
                Leave::Probing { until } => {
                    drop((place, total, turn));
                    let _ = timeout_at(until.into(), probed).await;
                }
            }
        }
    }

    /// Waits until receivers answer again that did not, and gives them once: what was deferred for their sake is due.
    pub(super) async fn recovered(&self) -> BTreeSet<String> {
        loop {
            let receivers = std::mem::take(&mut *self.recoveries.receivers());
            if !receivers.is_empty() {
                return receivers;
            }
            self.recoveries.added.notified().await;
        }
    }

    /// Gives the receiver to [`Limits::recovered`] if it answers: it may have begun to between a run's question and the
    /// commit that defers the run.
    pub(super) fn recheck(&self, receiver: &str) {
        let origin = Url::parse(receiver).map(|url| url.origin());
        let is_away = |receiver: &Receiver| receiver.breaker().is_open() || receiver.is_held(Instant::now());
        if origin.is_ok_and(|origin| !self.receivers.get(&origin).is_some_and(|receiver| is_away(&receiver))) {
            self.recoveries.add(receiver.to_owned());
        }
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
        let new = || {
            Arc::new(Receiver {
                places: Gate::new(self.per_receiver),
                breaker: Mutex::default(),
                probed: Notify::new(),
                hold: Mutex::default(),
            })
        };
        self.receivers.entry(origin.clone()).or_insert_with(new).clone()
    }
}

impl Receiver {
    fn breaker(&self) -> std::sync::MutexGuard<'_, Breaker> {
        // Its methods leave it whole.
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For how long it has asked that nothing be sent to it.
    fn held_for(&self, since: Instant, now: Instant) -> Option<Duration> {
        let Hold { began, until } = (*self.hold.lock().unwrap_or_else(PoisonError::into_inner))?;
        let is_companion = since <= began && began - since <= BURST;
        until.checked_duration_since(now).filter(|left| !left.is_zero() && !is_companion)
    }

    /// Whether it has asked that nothing be sent to it.
    fn is_held(&self, now: Instant) -> bool {
        self.hold.lock().unwrap_or_else(PoisonError::into_inner).is_some_and(|hold| hold.until > now)
    }

    /// Sends nothing for so long; what was asked for before counts where it is longer.
    fn hold(&self, pause: Duration, now: Instant) {
        let until = now + pause.min(LONGEST_HOLD);
        let mut hold = self.hold.lock().unwrap_or_else(PoisonError::into_inner);
        *hold = Some(match *hold {
            Some(hold) if hold.until > now => Hold { until: hold.until.max(until), ..hold },
            _ => Hold { began: now, until },
        });
    }
}

impl Recoveries {
    fn receivers(&self) -> std::sync::MutexGuard<'_, BTreeSet<String>> {
        // Nothing in between leaves it halfway.
        self.receivers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, receiver: String) {
        self.receivers().insert(receiver);
        // Kept for who waits later.
        self.added.notify_one();
    }
}

impl Drop for Permit {
    /// A probe that says nothing of the receiver leaves its place to the next.
    fn drop(&mut self) {
        if self.is_probe && !*self.noted.get_mut() {
            self.receiver.breaker().release_probe(Instant::now());
            self.receiver.probed.notify_waiters();
        }
    }
}

impl Permit {
    /// Has nothing else sent to the receiver for so long, as it has asked.
    pub(super) fn hold(&self, pause: Duration) {
        self.receiver.hold(pause, Instant::now());
        info!(receiver = self.origin.ascii_serialization(), ?pause, "the receiver asks to be sent nothing for a while");
    }

    /// Takes note of how the request has ended. Says whether the receiver is left alone because of it.
    pub(super) fn note(&self, health: Health) -> bool {
        let change = self.receiver.breaker().note(health, Instant::now());
        self.noted.store(true, Ordering::Relaxed);
        self.receiver.probed.notify_waiters();
        let receiver = || self.origin.ascii_serialization();
        match change {
            Some(Change::Opened(pause)) => {
                warn!(
                    receiver = receiver(),
                    ?pause,
                    "the receiver does not answer; its runs wait without losing tries"
                );
            }
            Some(Change::Closed) => {
                info!(receiver = receiver(), "the receiver answers again");
                self.recoveries.add(receiver());
            }
            None => {}
        }
        matches!(change, Some(Change::Opened(_)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::credentials::Credentials;
    use crate::delivery::way::{Known, WaySettings};

    #[tokio::test]
    async fn what_a_receiver_asks_for_holds_for_all_but_those_whom_somebody_asked_for() {
        let limits = Limits::default();
        let origin = || url::Url::parse("https://crm.example/").expect("a URL").origin();
        let permit = limits
            .permit(origin(), None, Priority::Normal, TryKind::First { since: Instant::now() })
            .await
            .expect("nothing is held yet");
        permit.hold(Duration::MAX);
        permit.hold(Duration::from_secs(1));
        let held = limits
            .permit(origin(), None, Priority::Normal, TryKind::First { since: Instant::now() })
            .await
            .expect_err("is held");
        assert_eq!(held.reason, HeldReason::RetryAfter);
        assert!(held.pause <= LONGEST_HOLD && held.pause > LONGEST_HOLD / 2, "{:?}", held.pause);
        assert!(limits.permit(origin(), None, Priority::Normal, TryKind::Manual).await.is_ok());
        let other = url::Url::parse("https://other.example/").expect("a URL").origin();
        assert!(limits.permit(other, None, Priority::Normal, TryKind::First { since: Instant::now() }).await.is_ok());
    }

    #[tokio::test]
    async fn who_has_waited_for_a_probe_keeps_the_pace_of_the_way() {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let (limits, distance) = (Limits::default(), Duration::from_millis(200));
        let origin = || Url::parse("https://crm.example/").expect("a URL").origin();
        let settings = WaySettings { rate: Some(5), ..WaySettings::default() };
        let way = Way::new(&origin(), settings, Known::Fixed(Credentials::None)).expect("a way");
        let permit = |way, kind| limits.permit(origin(), way, Priority::Normal, kind);
        let first = permit(None, TryKind::First { since: Instant::now() }).await.expect("is well");
        while !first.note(Health::Ill) {}
        let probe = permit(None, TryKind::Manual).await.expect("the probe");
        let waiting = || async {
            permit(Some(&way), TryKind::First { since: Instant::now() }).await.map(|permit| (Instant::now(), permit))
        };
        let recovery = async {
            tokio::time::sleep(4 * distance).await;
            probe.note(Health::Well);
            Instant::now()
        };
        let (recovered, a, b, c) = tokio::join!(recovery, waiting(), waiting(), waiting());
        let mut begun = [a, b, c].map(|permit| permit.expect("is well again").0);
        begun.sort_unstable();
        assert!(begun[0] >= recovered && begun[2] >= begun[0] + 2 * distance - Duration::from_millis(20), "{begun:?}");
    }

    #[test]
    fn a_hold_is_over_when_its_time_is() {
        let limits = Limits::default();
        let receiver = limits.receiver(&url::Url::parse("https://crm.example/").expect("a URL").origin());
        let now = Instant::now();
        receiver.hold(Duration::from_secs(5), now);
        let held_for = |secs| receiver.held_for(now + Duration::from_secs(secs), now + Duration::from_secs(secs));
        assert_eq!(held_for(4), Some(Duration::from_secs(1)));
        assert_eq!(held_for(5), None);
        let (just_before, long_before) = (now - BURST / 2, now - 2 * BURST);
        assert_eq!(receiver.held_for(just_before, now), None, "it was going out already");
        assert!(receiver.held_for(long_before, now).is_some(), "it has waited in a backlog");
    }
}
