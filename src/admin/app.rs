//! What the endpoints see of the daemon.

use std::ops::Deref;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::watch;

use super::problem::Problem;
use super::rate::Rates;
use crate::config::{Config, HttpSettings};
use crate::delivery::Client;
use crate::esl::Nodes;
use crate::node::LiveAttempts;
use crate::outbox::deliveries::DeliveriesError;
use crate::outbox::{Deliveries, Outbox};

/// What all endpoints share; clones are handles to the same.
#[derive(Clone, Debug)]
pub struct App(Arc<Shared>);

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
    /// How many requests came from whom.
    pub rates: Rates,
}

impl App {
    /// Shares this.
    pub fn new(shared: Shared) -> Self {
        Self(Arc::new(shared))
    }

    /// The configuration in force.
    pub fn config(&self) -> Arc<Config> {
        self.config.borrow().clone()
    }

    /// The HTTP interface's settings in force.
    pub fn settings(&self) -> Arc<HttpSettings> {
        self.settings.borrow().clone()
    }

    /// Reads the delivery log, on a thread of its own.
    pub async fn deliveries<T: Send + 'static>(
        &self,
        read: impl FnOnce(Deliveries) -> Result<T, DeliveriesError> + Send + 'static,
    ) -> Result<T, Problem> {
        let path = self.outbox_path.clone();
        let read = tokio::task::spawn_blocking(move || Deliveries::open(&path).and_then(read)).await;
        match read {
            Ok(Ok(read)) => Ok(read),
            Ok(Err(error)) => Err(Problem::unavailable(error.to_string())),
            Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
        }
    }
}

impl Deref for App {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}
