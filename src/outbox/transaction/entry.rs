//! Storing what is committed: moments, the runs that they start, and the attempts' new states.

use std::time::Instant;

use jiff::{SignedDuration, Timestamp};
use rusqlite::params;

use super::Work;
use crate::flow::Flow;
use crate::id::RunId;
use crate::outbox::entry::PlannedRun;
use crate::outbox::outbox::Committed;
use crate::outbox::prepared::{PreparedChange, PreparedEntry, PreparedMoment};
use crate::outbox::run::{BeganWith, Run, RunState};

/// A run that is to be stored.
pub(super) struct NewRun<'a> {
    pub(super) id: RunId,
    /// The moment's row.
    pub(super) moment: i64,
    pub(super) attempt: &'a [u8],
    pub(super) hook: &'a str,
    pub(super) flow: &'a Flow,
    pub(super) state: RunState,
    pub(super) expires_at: Option<Timestamp>,
    /// By how much the clock was set since the moment.
    pub(super) clock_step_ms: i64,
}

impl Work<'_> {
    /// Stores an entry. Moments that are there already are passed over with their runs.
    pub(in crate::outbox) fn commit(&mut self, entry: &PreparedEntry) -> rusqlite::Result<Committed> {
        let mut committed = Committed::default();
        // It may have waited for a disk.
        let clock_step_ms = self.clock.step_since(entry.given);
        for moment in &entry.moments {
            let Some(row) = self.insert_moment(moment)? else { continue };
            committed.moments.push(moment.id);
            for run in &moment.runs {
                if self.insert_run(row, moment, run, clock_step_ms)? {
                    committed.runs.push(run.id);
                }
            }
        }
        for change in &entry.attempts {
            self.change_attempt(change)?;
        }
        Ok(committed)
    }

    fn insert_moment(&mut self, moment: &PreparedMoment) -> rusqlite::Result<Option<i64>> {
        let known = "SELECT EXISTS (SELECT 1 FROM moment WHERE hash = ?1)";
        if self.connection.prepare_cached(known)?.query_row([moment.id.as_bytes()], |row| row.get(0))? {
            return Ok(None);
        }
        let variables = self.store_variables(moment)?;
        let sql = "INSERT INTO moment (hash, attempt, queue, event, committed_at_ms, payload, variables) \
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
        let row = self.connection.prepare_cached(sql)?.insert(params![
            moment.id.as_bytes(),
            moment.attempt.as_bytes(),
            moment.queue,
            moment.event.as_str(),
            self.now_ms(),
            moment.payload.head,
            variables
        ])?;
        Ok(Some(row))
    }

    fn insert_run(
        &mut self,
        moment_row: i64,
        moment: &PreparedMoment,
        run: &PlannedRun,
        clock_step_ms: i64,
    ) -> rusqlite::Result<bool> {
        let PlannedRun { id, hook, flow, expires_after } = run;
        let clock_step = SignedDuration::from_millis(clock_step_ms);
        let expires_at = expires_after.map(|after| {
            let expires_at = moment.happened_at.saturating_add(after).unwrap_or(Timestamp::MAX);
            expires_at.saturating_add(clock_step).unwrap_or(expires_at)
        });
        let state = if flow.ordered && self.first_open(moment.attempt.as_bytes(), &flow.name)?.is_some() {
            RunState::Waiting
        } else if self.desk.sit(&flow.name, self.now_ms()) {
            RunState::Running
        } else {
            RunState::Pending
        };
        let attempt = moment.attempt.as_bytes();
        let row = NewRun { id: *id, moment: moment_row, attempt, hook, flow, state, expires_at, clock_step_ms };
        let is_new = self.insert(&row)?;
        match state {
            RunState::Running if !is_new => self.desk.rise(&flow.name),
            RunState::Running => self.ready.push(Run {
                row: self.connection.last_insert_rowid(),
                id: *id,
                flow: flow.name.clone(),
                began_with: BeganWith::Flow(flow.clone()),
                payload: moment.whole.clone(),
                step: 0,
                step_tries: 0,
                tries: 0,
                expires_at,
                resumed_at: None,
                clock_step,
                taken: self.clock,
                since: Instant::now(),
                saved: Vec::new(),
                is_asked: false,
                is_told: false,
            }),
            RunState::Pending => self.desk.note_due(&flow.name, self.now_ms()),
            RunState::Waiting
            | RunState::Delivered
            | RunState::Failed
            | RunState::Expired
            | RunState::Cancelling
            | RunState::Cancelled => {}
        }
        Ok(is_new)
    }

    /// Stores a run, unless it is there already.
    pub(super) fn insert(&mut self, run: &NewRun<'_>) -> rusqlite::Result<bool> {
        let NewRun { id, moment, attempt, hook, flow, state, expires_at, clock_step_ms } = run;
        if let Some(definition) = &flow.definition {
            self.store_definition(definition)?;
        }
        let sql = "INSERT OR IGNORE INTO run (hash, moment, attempt, hook, flow, ordered, state, created_at_ms, due_at_ms, \
                   definition, expires_at_ms, clock_step_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?8, ?9, ?10, ?11)";
        let inserted = self.connection.prepare_cached(sql)?.execute(params![
            id.as_bytes(),
            moment,
            attempt,
            hook,
            flow.name.as_str(),
            flow.ordered,
            state,
            self.now_ms(),
            flow.definition.as_ref().map(|definition| definition.hash.as_bytes()),
            expires_at.map(Timestamp::as_millisecond),
            clock_step_ms
        ])?;
        Ok(inserted == 1)
    }

    fn change_attempt(&mut self, change: &PreparedChange) -> rusqlite::Result<()> {
        match change {
            PreparedChange::Keep { hash, key, state } => {
                let sql = "INSERT INTO attempt (hash, key, state) VALUES (?1, ?2, ?3) \
                           ON CONFLICT (hash) DO UPDATE SET state = excluded.state";
                self.connection.prepare_cached(sql)?.execute(params![hash.as_bytes(), key, state])?;
            }
            PreparedChange::Forget(hash) => {
                let sql = "DELETE FROM attempt WHERE hash = ?1";
                self.connection.prepare_cached(sql)?.execute([hash.as_bytes()])?;
                self.stored.variables.remove(hash);
            }
        }
        Ok(())
    }
}
