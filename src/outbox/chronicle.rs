//! What happened, read for whoever looks: moments and runs in the order in which they were committed. Every question is
//! answered by an index or by a bounded stretch of rows, however long the log is.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Row, params, params_from_iter};
use serde_json::value::RawValue;

use super::deliveries::{Deliveries, DeliveriesError};
use super::prepared::whole_payload;
use super::run::RunState;
use crate::id::{AttemptHash, FlowName, RunId};
use crate::moment::Payload;

/// How many of the latest moments are looked through for those of one queue.
const LATEST: i64 = 20_000;

/// A moment, with its place in the log.
#[derive(Clone, Debug)]
pub struct Told {
    /// Its place.
    pub row: i64,
    /// The attempt.
    pub attempt: AttemptHash,
    /// What is told, without variables.
    pub payload: Payload,
}

/// A run, as it was begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Begun {
    /// Its place in the log.
    pub row: i64,
    /// The run.
    pub id: RunId,
    /// The hook that began it.
    pub hook: String,
    /// Its flow.
    pub flow: FlowName,
    /// When it was committed.
    pub at: Timestamp,
}

/// Which rows of the log are of a stretch of time: those after these.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The last moment before it.
    pub moment: i64,
    /// The last run before it.
    pub run: i64,
}

impl Deliveries {
    /// Where the log was at that time.
    pub fn place_at(&self, time: Timestamp) -> Result<Place, DeliveriesError> {
        let before = time.as_millisecond();
        let moment = last_before(&self.connection, "moment", "committed_at_ms", before)?;
        Ok(Place { moment, run: last_before(&self.connection, "run", "created_at_ms", before)? })
    }

    /// The moments behind that row, the first one first.
    pub fn moments_after(&self, row: i64, limit: u32) -> Result<Vec<Told>, DeliveriesError> {
        let sql = "SELECT id, attempt, payload FROM moment WHERE id > ? ORDER BY id LIMIT ?";
        read_moments(&self.connection, sql, params![row, limit])
    }

    /// The latest moments, of a queue if one is named, the newest first.
    pub fn latest_moments(&self, queue: Option<&str>, limit: u32) -> Result<Vec<Told>, DeliveriesError> {
        let sql = "SELECT id, attempt, payload FROM moment WHERE id > (SELECT coalesce(max(id), 0) FROM moment) - ?1 \
                   AND (?2 IS NULL OR queue = ?2) ORDER BY id DESC LIMIT ?3";
        read_moments(&self.connection, sql, params![LATEST, queue, limit])
    }

    /// An attempt's moments, the first one first.
    pub fn moments_of(&self, attempt: AttemptHash) -> Result<Vec<Told>, DeliveriesError> {
        let sql = "SELECT id, attempt, payload FROM moment WHERE attempt = ? ORDER BY id LIMIT 1000";
        read_moments(&self.connection, sql, params![attempt.as_bytes()])
    }

    /// The payload of a moment by its place, variables and all.
    pub fn payload_at(&self, row: i64) -> Result<Option<Box<RawValue>>, DeliveriesError> {
        let sql =
            "SELECT payload, json FROM moment JOIN variables ON variables.id = moment.variables WHERE moment.id = ?";
        let read = |row: &Row<'_>| Ok(whole_payload(&row.get::<_, String>(0)?, &row.get::<_, String>(1)?));
        let found = self.connection.query_row(sql, [row], read).optional()?;
        Ok(found.map(|payload| RawValue::from_string(payload.as_ref().to_owned())).transpose()?)
    }

    /// The runs that were begun behind that row, the first one first.
    pub fn runs_after(&self, row: i64, limit: u32) -> Result<Vec<Begun>, DeliveriesError> {
        let sql = "SELECT id, hash, hook, flow, created_at_ms FROM run WHERE id > ? ORDER BY id LIMIT ?";
        let mut statement = self.connection.prepare_cached(sql)?;
        let read = |row: &Row<'_>| {
            let at = Timestamp::from_millisecond(row.get(4)?).unwrap_or_default();
            let flow = FlowName::new(row.get::<_, String>(3)?);
            Ok(Begun { row: row.get(0)?, id: RunId::from_bytes(row.get(1)?), hook: row.get(2)?, flow, at })
        };
        Ok(statement.query_map(params![row, limit], read)?.collect::<rusqlite::Result<_>>()?)
    }

    /// Where the runs stand that are not over, by their flows: the index of open runs serves it.
    pub fn open_by_flow(&self) -> Result<BTreeMap<FlowName, BTreeMap<RunState, u64>>, DeliveriesError> {
        let sql = "SELECT flow, state, count(*) FROM run WHERE ended_at_ms IS NULL GROUP BY flow, state";
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query([])?;
        let mut states: BTreeMap<FlowName, BTreeMap<RunState, u64>> = BTreeMap::new();
        while let Some(row) = rows.next()? {
            let flow = FlowName::new(row.get::<_, String>(0)?);
            states.entry(flow).or_default().insert(row.get(1)?, row.get::<_, u32>(2)?.into());
        }
        Ok(states)
    }

    /// How many runs have failed, by hook: the index of failed runs serves it.
    pub fn failures_by_hook(&self) -> Result<BTreeMap<String, u64>, DeliveriesError> {
        let mut statement =
            self.connection.prepare_cached("SELECT hook, count(*) FROM run WHERE state = 'failed' GROUP BY hook")?;
        Ok(statement
            .query_map([], |row| Ok((row.get(0)?, row.get::<_, u32>(1)?.into())))?
            .collect::<rusqlite::Result<_>>()?)
    }

    /// How many runs have failed, by flow and the index of the step.
    pub fn failures_by_step(&self) -> Result<BTreeMap<(FlowName, u32), u64>, DeliveriesError> {
        let sql = "SELECT flow, step, count(*) FROM run WHERE state = 'failed' GROUP BY flow, step";
        let mut statement = self.connection.prepare_cached(sql)?;
        let read =
            |row: &Row<'_>| Ok(((FlowName::new(row.get::<_, String>(0)?), row.get(1)?), row.get::<_, u32>(2)?.into()));
        Ok(statement.query_map([], read)?.collect::<rusqlite::Result<_>>()?)
    }

    /// Where these runs stand.
    pub fn states_of(&self, runs: &[RunId]) -> Result<BTreeMap<RunId, RunState>, DeliveriesError> {
        let places = vec!["?"; runs.len()].join(", ");
        let mut statement =
            self.connection.prepare(&format!("SELECT hash, state FROM run WHERE hash IN ({places})"))?;
        let read = |row: &Row<'_>| Ok((RunId::from_bytes(row.get(0)?), row.get(1)?));
        let found = statement.query_map(params_from_iter(runs.iter().map(RunId::as_bytes)), read)?;
        Ok(found.collect::<rusqlite::Result<_>>()?)
    }
}

/// The last row from before that time, found by halving: rows are in the order of their times, whose column has no index.
fn last_before(connection: &Connection, table: &str, column: &str, before: i64) -> rusqlite::Result<i64> {
    let bounds = format!("SELECT coalesce(min(id), 1), coalesce(max(id), 0) FROM {table}");
    let (mut first, mut last): (i64, i64) = connection.query_row(&bounds, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let mut statement =
        connection.prepare(&format!("SELECT id, {column} FROM {table} WHERE id >= ? ORDER BY id LIMIT 1"))?;
    while first <= last {
        let middle = first + (last - first) / 2;
        let found =
            statement.query_row([middle], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?))).optional()?;
        match found {
            Some((row, time)) if time < before => first = row + 1,
            Some(_) | None => last = middle - 1,
        }
    }
    Ok(first - 1)
}

fn read_moments(
    connection: &Connection,
    sql: &str,
    values: impl rusqlite::Params,
) -> Result<Vec<Told>, DeliveriesError> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(values)?;
    let mut moments = Vec::new();
    while let Some(row) = rows.next()? {
        let head: String = row.get(2)?;
        let payload = serde_json::from_str(&whole_payload(&head, "{}"))?;
        moments.push(Told { row: row.get(0)?, attempt: AttemptHash::from_bytes(row.get(1)?), payload });
    }
    Ok(moments)
}
