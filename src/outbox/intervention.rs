//! What an operator does to runs, beside a daemon or without one: sending them again, and cancelling them.
//!
//! The daemon notices that another has written, takes up what is due, and lets go of what is cancelled.

use jiff::Timestamp;
use rusqlite::{Connection, params, params_from_iter};
use serde::Serialize;

use super::deliveries::{Deliveries, DeliveriesError};
use super::filter::Filter;
use super::run::RunState;
use crate::id::RunId;

/// How many runs are changed within one transaction: the daemon's writer waits for it.
const CHUNK: usize = 1_000;

/// What is done to runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Intervention {
    /// Those that are over and not delivered are done again, from the step that failed; those that wait for a time, at once.
    Retry {
        /// The flow that they go by.
        with: Definitions,
        /// Whether those whose time is over are done as well. All are then done as if they were meant for now, also by
        /// the expiries of their steps.
        expired: bool,
    },
    /// Those that are not over are not done. One that is being done ends the try at hand.
    Cancel,
}

/// Which definition of its flow a run goes on with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Definitions {
    /// The one that it began with.
    Own,
    /// The one that is configured now.
    Latest,
}

/// What has become of one run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// The run.
    pub run: RunId,
    /// Where it stood.
    pub was: RunState,
    /// What was done to it.
    pub effect: Effect,
}

/// What was done to a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// It is in this state now.
    Became(RunState),
    /// Nothing: in its state there is nothing to be done.
    Stayed,
    /// Nothing: its time is over.
    TooLate,
}

impl Intervention {
    /// The filter, meaning those runs alone in whose states there is something to be done, where neither runs nor states are
    /// named.
    pub fn aim(self, mut filter: Filter) -> Filter {
        if filter.runs.is_empty() && filter.states.is_empty() {
            filter.states = match self {
                Self::Retry { expired: false, .. } => vec![RunState::Failed],
                Self::Retry { expired: true, .. } => vec![RunState::Failed, RunState::Expired],
                Self::Cancel => vec![RunState::Waiting, RunState::Pending, RunState::Running],
            };
        }
        filter
    }
}

impl Deliveries {
    /// Does it to all runs that the filter means, and tells what has become of each.
    pub fn intervene(
        &mut self,
        intervention: Intervention,
        filter: &Filter,
        now: Timestamp,
    ) -> Result<Vec<Change>, DeliveriesError> {
        self.apply(intervention, filter, now, "COMMIT")
    }

    /// Tells what [`Deliveries::intervene`] would do, by doing it and taking it back.
    pub fn rehearse(
        &mut self,
        intervention: Intervention,
        filter: &Filter,
        now: Timestamp,
    ) -> Result<Vec<Change>, DeliveriesError> {
        self.apply(intervention, filter, now, "ROLLBACK")
    }

    fn apply(
        &mut self,
        intervention: Intervention,
        filter: &Filter,
        now: Timestamp,
        end: &str,
    ) -> Result<Vec<Change>, DeliveriesError> {
        let mut rows = self.rows(filter)?;
        if intervention == Intervention::Cancel {
            // The latest first: who waits for another must not be made ready in between.
            rows.reverse();
        }
        let mut changes = Vec::with_capacity(rows.len());
        for chunk in rows.chunks(CHUNK) {
            self.connection.execute_batch("BEGIN IMMEDIATE")?;
            let changed = chunk.iter().try_for_each(|row| {
                changes.extend(change(&self.connection, intervention, *row, now)?);
                Ok(())
            });
            self.connection.execute_batch(if changed.is_ok() { end } else { "ROLLBACK" })?;
            changed.map_err(DeliveriesError::Sqlite)?;
        }
        Ok(changes)
    }

    /// The rows of the runs that the filter means, the oldest first.
    fn rows(&self, filter: &Filter) -> Result<Vec<i64>, DeliveriesError> {
        let (condition, values) = filter.to_sql();
        let sql = format!("SELECT run.id FROM run JOIN moment ON moment.id = run.moment WHERE {condition}");
        let mut statement = self.connection.prepare(&sql)?;
        let rows = statement.query_map(params_from_iter(values), |row| row.get(0))?;
        let mut rows = rows.collect::<rusqlite::Result<Vec<i64>>>()?;
        // Sorted here, because the database would read all runs in their order rather than those of a state by its index.
        rows.sort_unstable();
        Ok(rows)
    }
}

/// Does it to one run; nothing has become of one that was forgotten meanwhile.
fn change(
    connection: &Connection,
    intervention: Intervention,
    row: i64,
    now: Timestamp,
) -> rusqlite::Result<Option<Change>> {
    let sql = "SELECT hash, state, expires_at_ms FROM run WHERE id = ?1";
    let mut statement = connection.prepare_cached(sql)?;
    let mut found = statement.query([row])?;
    let Some(found) = found.next()? else { return Ok(None) };
    let (run, was) = (RunId::from_bytes(found.get(0)?), found.get(1)?);
    let expires_at_ms: Option<i64> = found.get(2)?;
    let is_late = was == RunState::Expired || expires_at_ms.is_some_and(|at_ms| at_ms <= now.as_millisecond());
    let effect = match (intervention, was) {
        (
            Intervention::Retry { with, expired },
            RunState::Failed | RunState::Pending | RunState::Cancelled | RunState::Expired,
        ) => {
            if is_late && !expired {
                Effect::TooLate
            } else {
                Effect::Became(make_due(connection, row, with, expired, now)?)
            }
        }
        (Intervention::Cancel, RunState::Waiting | RunState::Pending | RunState::Running) => {
            Effect::Became(cancel(connection, row, now)?)
        }
        (
            Intervention::Retry { .. },
            RunState::Waiting | RunState::Running | RunState::Delivered | RunState::Cancelling,
        )
        | (
            Intervention::Cancel,
            RunState::Delivered | RunState::Failed | RunState::Expired | RunState::Cancelling | RunState::Cancelled,
        ) => Effect::Stayed,
    };
    Ok(Some(Change { run, was, effect }))
}

/// Makes the run due now, unless another is before it in its attempt's order.
fn make_due(
    connection: &Connection,
    row: i64,
    with: Definitions,
    expired: bool,
    now: Timestamp,
) -> rusqlite::Result<RunState> {
    let sql = "UPDATE run SET step_tries = 0, due_at_ms = ?2, ended_at_ms = NULL, latest = ?3, \
               expires_at_ms = CASE WHEN ?4 THEN NULL ELSE expires_at_ms END, \
               resumed_at_ms = CASE WHEN ?4 THEN ?2 ELSE resumed_at_ms END, \
               state = CASE WHEN ordered = 1 AND EXISTS (SELECT 1 FROM run AS earlier WHERE earlier.ended_at_ms IS NULL \
               AND earlier.attempt = run.attempt AND earlier.flow = run.flow AND earlier.ordered = 1 \
               AND earlier.id < run.id) THEN 'waiting' ELSE 'pending' END \
               WHERE id = ?1 RETURNING state";
    let values = params![row, now.as_millisecond(), with == Definitions::Latest, expired];
    connection.prepare_cached(sql)?.query_row(values, |row| row.get(0))
}

/// Ends the run, or has it end after the try at hand; who waited for it is ready then.
fn cancel(connection: &Connection, row: i64, now: Timestamp) -> rusqlite::Result<RunState> {
    let sql = "UPDATE run SET state = CASE state WHEN 'running' THEN 'cancelling' ELSE 'cancelled' END, \
               ended_at_ms = CASE state WHEN 'running' THEN NULL ELSE ?2 END WHERE id = ?1 RETURNING state";
    let values = params![row, now.as_millisecond()];
    let state = connection.prepare_cached(sql)?.query_row(values, |row| row.get(0))?;
    if state == RunState::Cancelled {
        let sql = "UPDATE run SET state = 'pending', due_at_ms = ?2 WHERE state = 'waiting' AND id = ( \
                   SELECT next.id FROM run AS next JOIN run AS gone ON gone.id = ?1 WHERE next.ended_at_ms IS NULL \
                   AND next.attempt = gone.attempt AND next.flow = gone.flow AND next.ordered = 1 \
                   ORDER BY next.id LIMIT 1)";
        connection.prepare_cached(sql)?.execute(values)?;
    }
    Ok(state)
}
