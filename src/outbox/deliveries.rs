//! The delivery log: what became of each run, read beside a daemon or without one.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use rusqlite::{Connection, InterruptHandle, OptionalExtension, Row, params_from_iter};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::value::RawValue;

use super::file;
use super::filter::{Filter, RunRef};
use super::prepared::whole_payload;
use super::run::RunState;
use super::schema::SchemaError;
use crate::delivery::TryRecord;
use crate::id::{AttemptHash, MomentId, RunId};
use crate::moment::Payload;
use crate::moment::value::Time;

/// The delivery log of one outbox.
#[derive(Debug)]
pub struct Deliveries {
    pub(super) connection: Connection,
}

/// Whether somebody waits for what is read. When it is dropped, the reading is ended.
#[derive(Default)]
pub struct Reader(Arc<Mutex<ReadState>>);

/// What a reading has of its [`Reader`].
#[derive(Clone, Default)]
pub struct ReaderHandle(Arc<Mutex<ReadState>>);

#[derive(Default)]
enum ReadState {
    #[default]
    ToBegin,
    UnderWay(InterruptHandle),
    Ended,
}

impl Reader {
    /// What the reading is given.
    pub fn handle(&self) -> ReaderHandle {
        ReaderHandle(self.0.clone())
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let former = std::mem::replace(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner), ReadState::Ended);
        if let ReadState::UnderWay(handle) = former {
            handle.interrupt();
        }
    }
}

/// A run, as a list shows it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Delivery {
    /// The run.
    pub id: RunId,
    /// Where it stands.
    pub state: RunState,
    /// The event that it tells of.
    pub event: String,
    /// The queue.
    pub queue: String,
    /// The attempt.
    pub attempt: AttemptHash,
    /// The hook that started it.
    pub hook: String,
    /// The flow.
    pub flow: String,
    /// When it was committed.
    pub created_at: Time,
    /// When it is to be done, if it is pending.
    pub due_at: Option<Time>,
    /// When it was over, if it is.
    pub ended_at: Option<Time>,
    /// When it is of no use any more.
    pub expires_at: Option<Time>,
    /// The index of the step at hand.
    pub step: u32,
    /// How many tries it had.
    pub tries: u32,
    /// Why its latest try failed.
    pub error: Option<String>,
}

/// A run with all that is known of it.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Story {
    /// The run.
    pub run: Delivery,
    /// The moment's payload.
    #[schemars(with = "Payload")]
    pub payload: Box<RawValue>,
    /// Its steps that are over, of a flow with several: the first one first.
    pub steps: Vec<StepRecord>,
    /// Its tries, the first one first.
    pub tries: Vec<TryRecord>,
}

/// A step that is over.
#[derive(Debug, Serialize, JsonSchema)]
pub struct StepRecord {
    /// Its path within the flow.
    pub path: String,
    /// What kind of step it is.
    pub kind: String,
    /// When it was over.
    pub ended_at: Time,
    /// Why it failed, if it did and the run went on all the same.
    pub error: Option<String>,
    /// What it gave to later steps.
    #[schemars(with = "Option<serde_json::Map<String, serde_json::Value>>")]
    pub saved: Option<Box<RawValue>>,
}

/// Why the delivery log can't be read or written.
#[derive(Debug, thiserror::Error)]
pub enum DeliveriesError {
    /// There is none.
    #[error("there is no outbox at {}", .0.display())]
    Missing(PathBuf),
    /// The file can't be used.
    #[error("can't use the outbox {}: {cause}", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: SchemaError,
    },
    /// SQLite failed while reading or writing.
    #[error("the outbox failed: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// Nobody waits for it any more.
    #[error("nobody waits for it any more")]
    Abandoned,
    /// There is no such run.
    #[error("there is no run {0}")]
    NoRun(RunRef),
    /// Several runs are called so.
    #[error("several runs begin with {0}: write more of its digits")]
    Ambiguous(RunRef),
    /// A stored text can't be read.
    #[error("what is stored of the run can't be read: {0}")]
    Stored(#[from] serde_json::Error),
}

const COLUMNS: &str = "run.hash, run.state, moment.event, moment.queue, run.attempt, run.hook, run.flow, \
                       run.created_at_ms, run.due_at_ms, run.ended_at_ms, run.step, run.tries, run.error, \
                       run.id, run.first_try, moment.payload, variables.json, run.expires_at_ms";

impl Deliveries {
    /// Opens the delivery log of the outbox at `path`.
    pub fn open(path: &Path) -> Result<Self, DeliveriesError> {
        if !path.exists() {
            return Err(DeliveriesError::Missing(path.to_owned()));
        }
        match file::connect_beside(path) {
            Ok(connection) => Ok(Self { connection }),
            Err(cause) => Err(DeliveriesError::Unusable { path: path.to_owned(), cause }),
        }
    }

    /// Reads on only while somebody waits for it.
    pub fn read_for(&self, reader: &ReaderHandle) -> Result<(), DeliveriesError> {
        let mut reading = reader.0.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(*reading, ReadState::Ended) {
            return Err(DeliveriesError::Abandoned);
        }
        *reading = ReadState::UnderWay(self.connection.get_interrupt_handle());
        Ok(())
    }

    /// The latest runs that the filter means, the newest first.
    pub fn list(&self, filter: &Filter, limit: u32) -> Result<Vec<Delivery>, DeliveriesError> {
        let (condition, mut values) = filter.to_sql();
        values.push(limit.into());
        let sql = format!(
            "SELECT {COLUMNS} FROM run JOIN moment ON moment.id = run.moment \
             JOIN variables ON variables.id = moment.variables WHERE {condition} ORDER BY run.id DESC LIMIT ?"
        );
        let mut statement = self.connection.prepare(&sql)?;
        let rows = statement.query_map(params_from_iter(values), read_delivery)?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// How many runs are not over, or have failed, by their state. Those alone have indexes, so that a log of any length
    /// is counted at once.
    pub fn open_runs(&self) -> Result<BTreeMap<RunState, u32>, DeliveriesError> {
        let sql = "SELECT state, count(*) FROM run WHERE ended_at_ms IS NULL GROUP BY state \
                   UNION ALL SELECT 'failed', count(*) FROM run WHERE state = 'failed'";
        let mut statement = self.connection.prepare(sql)?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// The run that a person means.
    pub fn find(&self, run: &RunRef) -> Result<RunId, DeliveriesError> {
        let (first, last) = run.range();
        let sql = "SELECT hash FROM run WHERE hash BETWEEN ? AND ? LIMIT 2";
        let mut statement = self.connection.prepare_cached(sql)?;
        let found = statement.query_map([first, last], |row| row.get(0).map(RunId::from_bytes))?;
        match *found.collect::<rusqlite::Result<Vec<_>>>()? {
            [] => Err(DeliveriesError::NoRun(run.clone())),
            [id] => Ok(id),
            [..] => Err(DeliveriesError::Ambiguous(run.clone())),
        }
    }

    /// The payload of a moment.
    pub fn payload(&self, id: MomentId) -> Result<Option<Box<RawValue>>, DeliveriesError> {
        let sql = "SELECT payload, json FROM moment JOIN variables ON variables.id = moment.variables WHERE hash = ?";
        let read = |row: &Row<'_>| Ok(whole_payload(&row.get::<_, String>(0)?, &row.get::<_, String>(1)?));
        let found = self.connection.query_row(sql, [id.as_bytes()], read).optional()?;
        Ok(found.map(|payload| RawValue::from_string(payload.as_ref().to_owned())).transpose()?)
    }

    /// All that is known of one run.
    pub fn show(&self, id: RunId) -> Result<Option<Story>, DeliveriesError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM run JOIN moment ON moment.id = run.moment \
             JOIN variables ON variables.id = moment.variables WHERE run.hash = ?"
        );
        let read = |row: &Row<'_>| {
            let (first_try, head, variables): (Option<String>, String, String) =
                (row.get(14)?, row.get(15)?, row.get(16)?);
            Ok((read_delivery(row)?, row.get::<_, i64>(13)?, first_try, whole_payload(&head, &variables)))
        };
        let found = self.connection.query_row(&sql, [id.as_bytes()], read).optional()?;
        let Some((run, row, first_try, payload)) = found else { return Ok(None) };
        let mut tries = Vec::from_iter(first_try);
        let mut statement = self.connection.prepare("SELECT record FROM try WHERE run = ? ORDER BY number")?;
        for record in statement.query_map([row], |row| row.get(0))? {
            tries.push(record?);
        }
        let tries = tries.iter().map(|record| serde_json::from_str(record)).collect::<Result<_, _>>()?;
        let payload = RawValue::from_string(payload.as_ref().to_owned())?;
        Ok(Some(Story { run, payload, steps: self.steps(row)?, tries }))
    }

    fn steps(&self, row: i64) -> Result<Vec<StepRecord>, DeliveriesError> {
        let sql = "SELECT path, kind, ended_at_ms, error, saved FROM journal WHERE run = ? ORDER BY rowid";
        let mut statement = self.connection.prepare(sql)?;
        let mut rows = statement.query([row])?;
        let mut steps = Vec::new();
        while let Some(row) = rows.next()? {
            steps.push(StepRecord {
                path: row.get(0)?,
                kind: row.get(1)?,
                ended_at: time(row.get(2)?),
                error: row.get(3)?,
                saved: row.get::<_, Option<String>>(4)?.map(RawValue::from_string).transpose()?,
            });
        }
        Ok(steps)
    }
}

fn read_delivery(row: &Row<'_>) -> rusqlite::Result<Delivery> {
    let state = row.get(1)?;
    let due_at = if state == RunState::Pending { row.get(8)? } else { None };
    Ok(Delivery {
        id: RunId::from_bytes(row.get(0)?),
        state,
        event: row.get(2)?,
        queue: row.get(3)?,
        attempt: AttemptHash::from_bytes(row.get(4)?),
        hook: row.get(5)?,
        flow: row.get(6)?,
        created_at: time(row.get(7)?),
        due_at: due_at.map(time),
        ended_at: row.get::<_, Option<i64>>(9)?.map(time),
        expires_at: row.get::<_, Option<i64>>(17)?.map(time),
        step: row.get(10)?,
        tries: row.get(11)?,
        error: row.get(12)?,
    })
}

fn time(millisecond: i64) -> Time {
    Time(Timestamp::from_millisecond(millisecond).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_nobody_waits_for_is_not_read_on() {
        let log = Deliveries { connection: Connection::open_in_memory().expect("opens") };
        let (waits, gone) = (Reader::default(), Reader::default());
        let handle = gone.handle();
        drop(gone);
        assert!(matches!(log.read_for(&handle), Err(DeliveriesError::Abandoned)), "it is not begun");
        log.read_for(&waits.handle()).expect("somebody waits");
        let goes = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(50));
            drop(waits);
        });
        let endless =
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n WHERE i < 0";
        let read = log.connection.query_row(endless, [], |row| row.get::<_, i64>(0));
        assert_eq!(read.expect_err("is ended").sqlite_error_code(), Some(rusqlite::ErrorCode::OperationInterrupted));
        goes.join().expect("ends");
    }
}
