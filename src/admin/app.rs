//! What the endpoints see of the daemon.

use std::ops::Deref;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use super::answer;
use super::page::Pages;
use super::problem::Problem;
use super::rate::Rates;
use crate::config::{Config, HttpSettings};
use crate::delivery::Client;
use crate::esl::Nodes;
use crate::id::QueueName;
use crate::lifecycle::told::{Acknowledgement, Refusal};
use crate::node::reception::TellError;
use crate::node::{Desk, LiveAttempts};
use crate::outbox::deliveries::{DeliveriesError, Reader};
use crate::outbox::{Deliveries, Outbox};
use crate::signal::Telling;

/// How many read the outbox's file at once: each takes a thread, a core and some megabytes while it does.
const READERS: usize = 4;

/// How many of these search, which may read the whole log: the others are for what has an index.
const SEARCHES: usize = 2;

/// How long is waited for others to have read.
const READER_WAIT: Duration = Duration::from_secs(2);

/// How many bytes of requests' bodies may be held at once.
const BODIES: usize = 32 * 1_024 * 1_024;

/// What all endpoints share; clones are handles to the same.
#[derive(Clone, Debug)]
pub struct App(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    shared: Shared,
    readers: Arc<Semaphore>,
    searches: Arc<Semaphore>,
    bodies: Arc<Semaphore>,
    answers: Arc<Semaphore>,
}

/// What the daemon shares with its endpoints.
#[derive(Debug)]
pub struct Shared {
    /// The configuration in force.
    pub config: watch::Receiver<Arc<Config>>,
    /// The HTTP interface's settings in force.
    pub settings: watch::Receiver<Arc<HttpSettings>>,
    /// The outbox's handle.
    pub outbox: Outbox,
    /// The outbox's file, which the delivery log is read from.
    pub outbox_path: PathBuf,
    /// The live attempts.
    pub live: LiveAttempts,
    /// The links to all nodes.
    pub nodes: Nodes,
    /// What sends.
    pub client: Arc<Client>,
    /// Where what happens in queues outside FreeSWITCH is told.
    pub desk: Desk,
    /// How many requests came from whom.
    pub rates: Rates,
    /// What the pages keep.
    pub pages: Pages,
}

impl App {
    /// Shares this.
    pub fn new(shared: Shared) -> Self {
        let [readers, searches, bodies, answers] =
            [READERS, SEARCHES, BODIES, answer::HELD].map(|permits| Arc::new(Semaphore::new(permits)));
        Self(Arc::new(Inner { shared, readers, searches, bodies, answers }))
    }

    /// The configuration in force.
    pub fn config(&self) -> Arc<Config> {
        self.config.borrow().clone()
    }

    /// The HTTP interface's settings in force.
    pub fn settings(&self) -> Arc<HttpSettings> {
        self.settings.borrow().clone()
    }

    /// Tells something of a queue outside FreeSWITCH; it is durable when it is acknowledged.
    pub async fn tell(&self, queue: String, key: &str, telling: Telling) -> Result<Acknowledgement, Problem> {
        // An attempt that can't be named isn't there.
        let key = key.parse().map_err(|error| Problem::not_found(format!("`{key}`: {error}")))?;
        self.desk.tell(QueueName::new(queue), key, telling).await.map_err(Problem::from)
    }

    /// Permits for bytes of requests' bodies.
    pub(super) fn bodies(&self) -> &Arc<Semaphore> {
        &self.0.bodies
    }

    /// Permits for bytes of answers.
    pub(super) fn answers(&self) -> &Arc<Semaphore> {
        &self.0.answers
    }

    /// Reads the delivery log, or does something to its runs, on a thread of its own. Only some may at once; the permit is
    /// the reading's own, which goes on when nobody waits for it any more.
    pub async fn deliveries<T: Send + 'static>(
        &self,
        read: impl FnOnce(Deliveries) -> Result<T, DeliveriesError> + Send + 'static,
    ) -> Result<T, Problem> {
        let path = self.outbox_path.clone();
        let permit = permit(&self.0.readers).await?;
        let read = move || {
            let _permit = permit;
            Deliveries::open(&path).and_then(read)
        };
        let read = tokio::task::spawn_blocking(read).await;
        match read {
            Ok(Ok(read)) => Ok(read),
            Ok(Err(error @ (DeliveriesError::NoRun(_) | DeliveriesError::Ambiguous(_)))) => {
                Err(Problem::not_found(error.to_string()))
            }
            Ok(Err(error)) => Err(Problem::unavailable(error.to_string())),
            Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
        }
    }

    /// Searches the delivery log, which may take long: fewer may at once, and a search ends when nobody waits for it any
    /// more, because the client has gone or its time is over.
    pub async fn search<T: Send + 'static>(
        &self,
        read: impl FnOnce(Deliveries) -> Result<T, DeliveriesError> + Send + 'static,
    ) -> Result<T, Problem> {
        let permit = permit(&self.0.searches).await?;
        let reader = Reader::default();
        let handle = reader.handle();
        self.deliveries(move |log| {
            let _permit = permit;
            log.read_for(&handle)?;
            read(log)
        })
        .await
    }
}

async fn permit(permits: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, Problem> {
    let permit = tokio::time::timeout(READER_WAIT, permits.clone().acquire_owned()).await;
    let busy = || Problem::unavailable("too many read the delivery log just now");
    permit.ok().and_then(Result::ok).ok_or_else(busy)
}

impl From<TellError> for Problem {
    fn from(error: TellError) -> Self {
        let detail = error.to_string();
        let conflict = |kind, title| Self::of_kind(StatusCode::CONFLICT, kind, title, &*detail);
        let refusal = match error {
            TellError::Closed(_) => return Self::unavailable(detail),
            TellError::Refused(refusal) => refusal,
        };
        match refusal {
            Refusal::Queue(_) | Refusal::Attempt { .. } => Self::not_found(detail),
            Refusal::TooManyAttempts | Refusal::TooManyBytes => Self::unavailable(detail),
            Refusal::OtherContent(_) => conflict("urn:hookswitch:other-content", "Told before with another content"),
            Refusal::HasLeft => conflict("urn:hookswitch:has-left", "The attempt has left"),
            Refusal::Order(_) => conflict("urn:hookswitch:wrong-order", "This can't follow what was told before"),
            Refusal::TooEarly { .. } | Refusal::InFuture { .. } | Refusal::LongAgo(_) => {
                conflict("urn:hookswitch:wrong-time", "This can't have happened then")
            }
            Refusal::TooManySignals => conflict("urn:hookswitch:too-many-signals", "Too many signals"),
        }
    }
}

impl Deref for App {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0.shared
    }
}
