//! Runs that somebody cancels while they are being done, for those who do them.

use std::collections::BTreeSet;
use std::sync::Arc;

use rusqlite::Connection;
use tokio::sync::watch;

use crate::id::RunId;

/// The runs in the daemon's memory that are not to go on. What was begun is ended, because nobody knows how much of it has
/// come about; what was not is not begun.
#[derive(Clone, Debug)]
pub struct Cancellations(watch::Receiver<Arc<BTreeSet<RunId>>>);

/// The writer's end.
#[derive(Debug)]
pub(super) struct CancellationsSender(watch::Sender<Arc<BTreeSet<RunId>>>);

impl Cancellations {
    pub(super) fn channel() -> (CancellationsSender, Self) {
        let (sender, receiver) = watch::channel(Arc::default());
        (CancellationsSender(sender), Self(receiver))
    }

    /// Where nobody cancels anything.
    pub fn none() -> Self {
        Self::channel().1
    }

    /// Whether the run is not to go on.
    pub fn contains(&self, run: RunId) -> bool {
        self.0.borrow().contains(&run)
    }
}

impl CancellationsSender {
    /// Reads which runs are being cancelled.
    pub(super) fn read(&self, connection: &Connection) -> rusqlite::Result<()> {
        let sql = "SELECT hash FROM run WHERE state = 'cancelling'";
        let mut statement = connection.prepare_cached(sql)?;
        let runs = statement.query_map([], |row| row.get(0).map(RunId::from_bytes))?;
        let runs: BTreeSet<RunId> = runs.collect::<rusqlite::Result<_>>()?;
        self.0.send_if_modified(|known| {
            let changed = **known != runs;
            if changed {
                *known = Arc::new(runs);
            }
            changed
        });
        Ok(())
    }

    /// Forgets a run that is over: somebody may have it done again.
    pub(super) fn forget(&self, run: RunId) {
        self.0.send_if_modified(|known| known.contains(&run) && Arc::make_mut(known).remove(&run));
    }
}
