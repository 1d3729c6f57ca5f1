//! The delivery log: reading runs and sending them again, beside a daemon or without one.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::value::RawValue;

use super::prepared::whole_payload;
use super::run::RunState;
use super::schema::SchemaError;
use super::store;
use crate::delivery::TryRecord;
use crate::id::{AttemptHash, RunId};
use crate::moment::Payload;
use crate::moment::value::Time;

/// How many runs are made due within one transaction: the daemon's writer waits for it.
const RETRY_CHUNK: usize = 1_000;

/// The delivery log of one outbox.
#[derive(Debug)]
pub struct Deliveries {
    connection: Connection,
}

/// Which runs are meant; what is unset leaves none out.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Of this queue.
    pub queue: Option<String>,
    /// Of this flow.
    pub flow: Option<String>,
    /// Of this attempt.
    pub attempt: Option<AttemptRef>,
    /// In this state.
    pub state: Option<RunState>,
    /// Committed at or after this time.
    pub since: Option<Timestamp>,
}

/// Which definition of its flow a run goes on with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Definitions {
    /// The one that it began with.
    Own,
    /// The one that is configured now.
    Latest,
}

/// An attempt, as a person names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttemptRef {
    /// By its hash.
    Hash(AttemptHash),
    /// By its number, which is the hash's beginning.
    Number(u64),
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
    /// A stored text can't be read.
    #[error("what is stored of the run can't be read: {0}")]
    Stored(#[from] serde_json::Error),
}

const COLUMNS: &str = "run.hash, run.state, moment.event, moment.queue, run.attempt, run.hook, run.flow, \
                       run.created_at_ms, run.due_at_ms, run.ended_at_ms, run.step, run.tries, run.error, \
                       run.id, run.first_try, moment.payload, variables.json";

impl Deliveries {
    /// Opens the delivery log of the outbox at `path`.
    pub fn open(path: &Path) -> Result<Self, DeliveriesError> {
        if !path.exists() {
            return Err(DeliveriesError::Missing(path.to_owned()));
        }
        match store::connect_beside(path) {
            Ok(connection) => Ok(Self { connection }),
            Err(cause) => Err(DeliveriesError::Unusable { path: path.to_owned(), cause }),
        }
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

    /// Has one run done again, from the step that failed, or at once if it waits. Tells its state; none if there is no such
    /// run. One that is delivered, expired, being done, or waiting for another stays as it is.
    pub fn retry(&self, id: RunId, with: Definitions, now: Timestamp) -> Result<Option<RunState>, DeliveriesError> {
        let sql = "SELECT id, state FROM run WHERE hash = ?";
        let found = self.connection.query_row(sql, [id.as_bytes()], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
        let Some((row, state)) = found else { return Ok(None) };
        self.make_due(row, with, now)?;
        Ok(Some(state))
    }

    /// Has all runs done again that the filter means and that have failed, the oldest first. Tells how many.
    pub fn retry_all(&mut self, filter: &Filter, with: Definitions, now: Timestamp) -> Result<usize, DeliveriesError> {
        let (condition, values) = Filter { state: Some(RunState::Failed), ..filter.clone() }.to_sql();
        let sql = format!("SELECT run.id FROM run JOIN moment ON moment.id = run.moment WHERE {condition}");
        let mut statement = self.connection.prepare(&sql)?;
        let rows = statement.query_map(params_from_iter(values), |row| row.get(0))?;
        let mut rows = rows.collect::<rusqlite::Result<Vec<i64>>>()?;
        drop(statement);
        // Sorted here, because the database would read all runs in their order rather than the failed ones by their index.
        rows.sort_unstable();
        let mut retried = 0;
        for chunk in rows.chunks(RETRY_CHUNK) {
            self.connection.execute_batch("BEGIN IMMEDIATE")?;
            let made_due: rusqlite::Result<usize> = chunk.iter().map(|row| self.make_due(*row, with, now)).sum();
            self.connection.execute_batch(if made_due.is_ok() { "COMMIT" } else { "ROLLBACK" })?;
            retried += made_due?;
        }
        Ok(retried)
    }

    fn make_due(&self, row: i64, with: Definitions, now: Timestamp) -> rusqlite::Result<usize> {
        let sql = "UPDATE run SET state = 'pending', step_tries = 0, due_at_ms = ?2, ended_at_ms = NULL, latest = ?3 \
                   WHERE id = ?1 AND state IN ('failed', 'pending')";
        self.connection.prepare_cached(sql)?.execute(params![row, now.as_millisecond(), with == Definitions::Latest])
    }
}

impl Filter {
    /// The condition and its values. State and time are compared in the words of the index of failed runs.
    fn to_sql(&self) -> (String, Vec<Value>) {
        let mut conditions = vec!["1".to_owned()];
        let mut values = Vec::new();
        let mut add = |condition: &str, added: Vec<Value>| {
            conditions.push(condition.to_owned());
            values.extend(added);
        };
        if let Some(queue) = &self.queue {
            add("moment.queue = ?", vec![queue.clone().into()]);
        }
        if let Some(flow) = &self.flow {
            add("run.flow = ?", vec![flow.clone().into()]);
        }
        if let Some(since) = self.since {
            add("run.created_at_ms >= ?", vec![since.as_millisecond().into()]);
        }
        if let Some(state) = self.state {
            add(&format!("run.state = '{state}'"), Vec::new());
        }
        if let Some(attempt) = self.attempt {
            let (first, last) = attempt.range();
            add("moment.attempt BETWEEN ? AND ?", vec![first.to_vec().into(), last.to_vec().into()]);
        }
        (conditions.join(" AND "), values)
    }
}

impl AttemptRef {
    /// The first and the last hash that it may mean.
    fn range(self) -> ([u8; 16], [u8; 16]) {
        match self {
            Self::Hash(hash) => (*hash.as_bytes(), *hash.as_bytes()),
            Self::Number(number) => {
                let first = u128::from(number) << 75;
                (first.to_be_bytes(), (first | ((1 << 75) - 1)).to_be_bytes())
            }
        }
    }
}

impl std::str::FromStr for AttemptRef {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(hash) = text.parse() {
            return Ok(Self::Hash(hash));
        }
        match text.parse::<u64>() {
            Ok(number) if number < 1 << 53 => Ok(Self::Number(number)),
            Ok(_) | Err(_) => Err("neither an attempt's hash nor its number"),
        }
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
    use super::*;

    #[test]
    fn an_attempts_number_means_its_hash() {
        for byte in 0..=255 {
            let hash = AttemptHash::from_bytes([byte; 16]);
            let (first, last) = AttemptRef::Number(hash.attempt_id()).range();
            assert!(first <= *hash.as_bytes() && *hash.as_bytes() <= last);
        }
    }
}
