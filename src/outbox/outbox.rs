//! The handle with which entries and reports are committed.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot, watch};

use super::cancellations::Cancellations;
use super::desk::Turns;
use super::entry::Entry;
use super::figures::Figures;
use super::prepared::PreparedEntry;
use super::run::{Report, RunState};
use crate::id::{MomentId, RunId};

/// The outbox. Clones are handles to the same one; its writer ends when the last is dropped, after it has committed what
/// was given to it.
#[derive(Clone, Debug)]
pub struct Outbox {
    pub(super) commands: mpsc::Sender<Command>,
    pub(super) health: watch::Receiver<Health>,
    pub(super) turns: watch::Sender<Arc<Turns>>,
    pub(super) cancellations: Cancellations,
    pub(super) figures: Arc<Figures>,
}

/// What the writer is asked to do.
#[derive(Debug)]
pub(super) enum Command {
    Commit { entry: PreparedEntry, done: oneshot::Sender<Committed> },
    Record { report: Box<Report>, done: oneshot::Sender<RunState> },
    Wake { receiver: String, done: oneshot::Sender<usize> },
}

/// What a committed entry brought that was not there before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Committed {
    /// The moments.
    pub moments: Vec<MomentId>,
    /// The runs.
    pub runs: Vec<RunId>,
}

/// Whether the outbox can write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// It can.
    Writing,
    /// It can't. What was given to it waits, is tried again and again, and is not lost; when the channel to the writer is
    /// full too, those who commit wait.
    Stalled {
        /// What SQLite said, and what can be done about it.
        reason: String,
    },
}

/// The writer has ended.
#[derive(Debug, thiserror::Error)]
#[error("the outbox is closed")]
pub struct Closed;

/// A promise that something is durable.
#[derive(Debug)]
#[must_use = "nothing is known to be durable before the receipt says so"]
pub struct Receipt<T>(oneshot::Receiver<T>);

impl<T> Receipt<T> {
    /// Waits until it is durable.
    pub async fn durable(self) -> Result<T, Closed> {
        self.0.await.map_err(|_| Closed)
    }
}

impl Outbox {
    /// Gives an entry to the writer, which commits entries in the order in which they were given. Waits while too many are
    /// before it.
    pub async fn submit(&self, entry: Entry) -> Result<Receipt<Committed>, Closed> {
        let (done, receipt) = oneshot::channel();
        self.commands.send(Command::Commit { entry: PreparedEntry::new(entry), done }).await.map_err(|_| Closed)?;
        Ok(Receipt(receipt))
    }

    /// Commits an entry, and returns once it is durable.
    pub async fn commit(&self, entry: Entry) -> Result<Committed, Closed> {
        self.submit(entry).await?.durable().await
    }

    /// Commits a report of a run, and tells once it is durable where the run stands: somebody may have cancelled it
    /// meanwhile, and then it is not to go on.
    pub async fn record(&self, report: Report) -> Result<RunState, Closed> {
        let (done, receipt) = oneshot::channel();
        self.commands.send(Command::Record { report: Box::new(report), done }).await.map_err(|_| Closed)?;
        Receipt(receipt).durable().await
    }

    /// Makes the runs due that were deferred because the receiver did not answer.
    pub async fn wake(&self, receiver: &str) -> Result<(), Closed> {
        loop {
            let (done, receipt) = oneshot::channel();
            let receiver = receiver.to_owned();
            self.commands.send(Command::Wake { receiver, done }).await.map_err(|_| Closed)?;
            if Receipt(receipt).durable().await? == 0 {
                return Ok(());
            }
        }
    }

    /// Sets whose turn it is. Runs of paused flows stay in the outbox; those that are under way go on until they rest or end.
    pub fn set_turns(&self, turns: Turns) {
        self.turns.send_replace(Arc::new(turns));
    }

    /// The runs that somebody cancels while they are being done.
    pub fn cancellations(&self) -> &Cancellations {
        &self.cancellations
    }

    /// Whether the outbox can write, now and whenever that changes.
    pub fn health(&self) -> watch::Receiver<Health> {
        self.health.clone()
    }

    /// What it has counted since the start.
    pub fn figures(&self) -> &Figures {
        &self.figures
    }
}
