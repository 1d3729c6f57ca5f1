//! Opening the store: the lock, the file, its tables, and what a former daemon left in it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::{mpsc, watch};
use tracing::{error, warn};

use super::cancellations::Cancellations;
use super::checkpointer::Checkpointer;
use super::clock::{self, Reading};
use super::desk::{Desk, Turns};
use super::figures::Figures;
use super::file;
use super::lock::{Lock, LockError};
use super::outbox::{Health, Outbox};
use super::retention::Retention;
use super::run::Run;
use super::salvage;
use super::schema::SchemaError;
use super::trouble;
use super::writer::{Ends, Writer};
use crate::id::{AttemptKey, FlowName};

/// How many commands may wait for the writer. As many as it takes into one transaction: while one is flushed, the next
/// gathers, and who would be behind it waits.
const COMMANDS: usize = 1_024;

/// How many runs may be on their way to the runner, which takes them at once.
const HANDOVER: usize = 4_096;

/// How long the delivery log is kept by default: as long as somebody may ask what became of a call of last month.
const KEEP: Duration = Duration::from_hours(31 * 24);

/// Where the outbox is and how large it may become.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The database file.
    pub path: PathBuf,
    /// The database's greatest size in pages of 4 KiB; unset: as large as the disk.
    pub max_pages: Option<u32>,
    /// How many runs of one flow may be in memory at once; further ones stay on disk until others are done.
    pub seats_per_flow: u32,
    /// How long moments and runs are kept once all is done with them.
    pub keep: Duration,
    /// How much they may take, in bytes; beyond it the oldest that are delivered are forgotten sooner.
    pub max_bytes: Option<u64>,
    /// Whose turn it is at the start.
    pub turns: Turns,
}

/// An open outbox.
#[derive(Debug)]
pub struct Opened {
    /// The handle.
    pub outbox: Outbox,
    /// The runs to be done now, for the runner.
    pub runs: mpsc::Receiver<Run>,
    /// What a former daemon left.
    pub recovered: Recovered,
    /// The writer's end.
    pub ending: Ending,
}

/// What a former daemon left in the store.
#[derive(Clone, Debug, Default)]
pub struct Recovered {
    /// The attempts that were open or could be continued, each with its state as it was given.
    pub attempts: Vec<(AttemptKey, String)>,
    /// How many runs are to be done.
    pub open_runs: u64,
    /// Where a damaged file was set aside to; the outbox then began with what could be read of it.
    pub set_aside: Option<PathBuf>,
}

/// The end of the writer's thread.
#[derive(Debug)]
pub struct Ending(JoinHandle<()>);

/// Why the outbox could not be opened.
#[derive(Debug, thiserror::Error)]
#[error("can't open the outbox {}: {cause}{}", path.display(), remedy(cause))]
pub struct OpenError {
    path: PathBuf,
    /// The cause.
    #[source]
    pub cause: OpenErrorCause,
}

/// The cause of an [`OpenError`].
#[derive(Debug, thiserror::Error)]
pub enum OpenErrorCause {
    /// The file is in use.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// Its tables can't be used.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// A damaged file could not be renamed, or the new one put into its place.
    #[error("it is damaged{} and can't be set aside: {source}", said(damage))]
    SetAside {
        /// What SQLite said of the file; none: it was found damaged by a process that was cut off.
        damage: Option<rusqlite::Error>,
        /// What the system said of renaming it.
        source: std::io::Error,
    },
    /// The writer's thread can't be started.
    #[error("can't start its thread: {0}")]
    Thread(std::io::Error),
}

impl OpenError {
    pub(super) fn new(path: &Path, cause: OpenErrorCause) -> Self {
        Self { path: path.to_owned(), cause }
    }
}

fn said(damage: &Option<rusqlite::Error>) -> String {
    damage.as_ref().map(|damage| format!(" ({damage})")).unwrap_or_default()
}

/// What a person can do, as the error's end.
fn remedy(cause: &OpenErrorCause) -> String {
    let advice = match cause {
        OpenErrorCause::Lock(LockError::Io { source, .. }) | OpenErrorCause::SetAside { source, .. } => {
            trouble::advice_for_io(source)
        }
        OpenErrorCause::Schema(SchemaError::Sqlite(error)) => trouble::advice(error),
        OpenErrorCause::Schema(_) | OpenErrorCause::Lock(LockError::Held { .. }) | OpenErrorCause::Thread(_) => None,
    };
    advice.map(|advice| format!("; {advice}")).unwrap_or_default()
}

impl Settings {
    /// The outbox at `path`, with defaults for all else.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            max_pages: None,
            seats_per_flow: 1_024,
            keep: KEEP,
            max_bytes: None,
            turns: Turns::default(),
        }
    }
}

impl Opened {
    /// Opens the outbox, creates it where there is none, and starts its writer.
    pub fn open(settings: &Settings) -> Result<Self, OpenError> {
        let path = &settings.path;
        open(settings).map_err(|cause| OpenError::new(path, cause))
    }
}

impl Ending {
    /// Waits until the writer has ended, which it does once all handles are dropped.
    pub async fn ended(self) {
        let joined = tokio::task::spawn_blocking(move || self.0.join().is_ok()).await;
        if !matches!(joined, Ok(true)) {
            error!("the outbox's writer has panicked");
        }
    }
}

fn open(settings: &Settings) -> Result<Opened, OpenErrorCause> {
    let mut lock = Lock::take(&settings.path)?;
    let finished = salvage::finish(&settings.path)?;
    if finished.is_some() {
        lock.follow()?;
    }
    let turns = Arc::new(settings.turns.clone());
    let mut desk = Desk::new(settings.seats_per_flow, turns.clone());
    let clock = Reading::now();
    let (connection, recovered) = match connect_and_recover(settings, &mut desk, clock) {
        Err(SchemaError::Sqlite(damage)) if trouble::is_damage(&damage) => {
            let set_aside = salvage::replace(&settings.path, damage)?;
            lock.follow()?;
            let (connection, recovered) = connect_and_recover(settings, &mut desk, clock)?;
            (connection, Recovered { set_aside: Some(set_aside), ..recovered })
        }
        other => {
            let (connection, recovered) = other?;
            (connection, Recovered { set_aside: finished, ..recovered })
        }
    };
    let (commands, commands_in) = mpsc::channel(COMMANDS);
    let (runs_out, runs) = mpsc::channel(HANDOVER);
    let (health_out, health) = watch::channel(Health::Writing);
    let (turns, turns_in) = watch::channel(turns);
    let (cancellations_out, cancellations) = Cancellations::channel();
    let figures = Arc::new(Figures::default());
    let retention = Retention::new(settings.keep, settings.max_bytes);
    let checkpointer = Checkpointer::new(settings.path.clone());
    let ends = Ends {
        commands: commands_in,
        runs: runs_out,
        health: health_out,
        turns: turns_in,
        cancellations: cancellations_out,
        figures: figures.clone(),
    };
    let writer =
        Writer::new(connection, lock, ends, desk, retention, checkpointer, clock).map_err(SchemaError::from)?;
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().build().map_err(OpenErrorCause::Thread)?;
    let path = settings.path.clone();
    let work = move || {
        // Its connection is closed when it returns.
        let (ended, lock) = writer.run(&runtime);
        if let Err(damage) = ended
            && let Err(error) = salvage::replace(&path, damage)
        {
            error!(%error, "the damaged outbox stays where it is");
        }
        drop(lock);
    };
    let thread = thread::Builder::new().name("outbox".into()).spawn(work).map_err(OpenErrorCause::Thread)?;
    Ok(Opened {
        outbox: Outbox { commands, health, turns, cancellations, figures },
        runs,
        recovered,
        ending: Ending(thread),
    })
}

fn connect_and_recover(
    settings: &Settings,
    desk: &mut Desk,
    clock: Reading,
) -> Result<(Connection, Recovered), SchemaError> {
    let mut connection = file::connect(&settings.path)?;
    if let Some(max_pages) = settings.max_pages {
        // This one answers with the value that it has set.
        connection.pragma_update_and_check(None, "max_page_count", max_pages, |_| Ok(()))?;
    }
    let recovered = recover(&mut connection, clock)?;
    load_due(&connection, desk)?;
    Ok((connection, recovered))
}

/// Finds what was open. Runs that were in memory are to be done again, unless somebody has cancelled them, and runs whose
/// turn it is wait no longer.
fn recover(connection: &mut Connection, clock: Reading) -> rusqlite::Result<Recovered> {
    let transaction = connection.transaction()?;
    let now_ms = clock.wall_ms();
    let step_ms = clock::resume(&transaction, clock)?;
    if step_ms != 0 {
        warn!(step_ms, "the clock was set while no daemon ran; what waits for a time waits as long as before");
    }
    // A new process knows of no receiver that does not answer.
    let sql = "UPDATE run SET due_at_ms = min(due_at_ms, ?1), deferred_by = NULL WHERE deferred_by IS NOT NULL";
    transaction.execute(sql, [now_ms])?;
    let sql = "UPDATE run SET state = 'cancelled', ended_at_ms = ?1 WHERE state = 'cancelling'";
    transaction.execute(sql, [now_ms])?;
    // Each says first that the run is open, so that the index of open runs serves it.
    transaction.execute("UPDATE run SET state = 'pending' WHERE ended_at_ms IS NULL AND state = 'running'", [])?;
    transaction.execute(
        "UPDATE run SET state = 'pending' WHERE ended_at_ms IS NULL AND state = 'waiting' \
         AND NOT EXISTS (SELECT 1 FROM run AS earlier WHERE earlier.ended_at_ms IS NULL \
         AND earlier.attempt = run.attempt AND earlier.flow = run.flow AND earlier.ordered = 1 AND earlier.id < run.id)",
        [],
    )?;
    let sql = "SELECT count(*) FROM run WHERE ended_at_ms IS NULL";
    let open_runs: i64 = transaction.query_row(sql, [], |row| row.get(0))?;
    let mut statement = transaction.prepare("SELECT key, state FROM attempt ORDER BY rowid")?;
    let attempts = statement.query_map([], read_attempt)?.collect::<rusqlite::Result<_>>()?;
    drop(statement);
    transaction.commit()?;
    Ok(Recovered { attempts, open_runs: open_runs.unsigned_abs(), set_aside: None })
}

fn read_attempt(row: &rusqlite::Row<'_>) -> rusqlite::Result<(AttemptKey, String)> {
    let key: String = row.get(0)?;
    let key = serde_json::from_str(&key)
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, error.into()))?;
    Ok((key, row.get(1)?))
}

/// Finds when each flow's next run on disk is due.
pub(super) fn load_due(connection: &Connection, desk: &mut Desk) -> rusqlite::Result<()> {
    let sql = "SELECT flow, min(due_at_ms) FROM run WHERE state = 'pending' GROUP BY flow";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let flow: String = row.get(0)?;
        desk.set_next_due(&FlowName::new(flow), row.get(1)?);
    }
    Ok(())
}
