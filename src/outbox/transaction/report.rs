//! Storing what runs have come to.

use jiff::Timestamp;
use rusqlite::{OptionalExtension, params};

use super::Work;
use crate::outbox::run::{JournalEntry, Progress, Report, RunState};

/// Where a report leaves its run.
struct Standing<'a> {
    state: RunState,
    /// When the run is looked at again, if it is.
    due_ms: i64,
    error: Option<&'a String>,
}

impl Work<'_> {
    /// Stores what a run has come to, and tells where it stands now: mostly where the report says.
    pub(in crate::outbox) fn record(&mut self, report: &Report) -> rusqlite::Result<RunState> {
        self.write_journal(report)?;
        let first_try = self.write_try(report)?;
        let Standing { state, due_ms, error } = self.standing(report)?;
        let ended_ms = state.is_over().then_some(self.now_ms);
        let sql = "UPDATE run SET state = ?2, step = ?3, step_tries = ?4, tries = ?5, due_at_ms = ?6, ended_at_ms = ?7, \
                   first_try = coalesce(first_try, ?8), error = ?9 WHERE id = ?1";
        self.connection.prepare_cached(sql)?.execute(params![
            report.row,
            state,
            report.step,
            report.step_tries,
            report.tries,
            due_ms,
            ended_ms,
            first_try,
            error
        ])?;
        if state != RunState::Running {
            self.desk.rise(&report.flow);
        }
        if state == RunState::Pending {
            self.desk.note_due(&report.flow, due_ms);
        }
        match &report.progress {
            Progress::Wait { until, .. } if state == RunState::Pending => {
                let sql = "UPDATE run SET ordered = 0, resumed_at_ms = ?2 WHERE id = ?1";
                self.connection.prepare_cached(sql)?.execute(params![report.row, until.as_millisecond()])?;
                self.promote_next(report)?;
            }
            _ if state.is_over() => self.promote_next(report)?,
            _ => {}
        }
        if let Some(follow_up) = &report.follow_up
            && state != RunState::Cancelled
        {
            self.follow_up(report.row, follow_up)?;
        }
        Ok(state)
    }

    /// Where the report leaves the run: what was cancelled meanwhile does not go on, and what was delivered all the same is
    /// delivered.
    fn standing<'a>(&self, report: &'a Report) -> rusqlite::Result<Standing<'a>> {
        let (state, due_ms, error) = match &report.progress {
            Progress::Next { .. } => (RunState::Running, self.now_ms, None),
            Progress::Retry { at, reason } => (RunState::Pending, due_ms(*at, report.expires_at), Some(reason)),
            Progress::Wait { until, .. } => (RunState::Pending, due_ms(*until, report.expires_at), None),
            Progress::Delivered => {
                return Ok(Standing { state: RunState::Delivered, due_ms: self.now_ms, error: None });
            }
            Progress::Failed { reason } => (RunState::Failed, self.now_ms, Some(reason)),
            Progress::Expired { reason } => (RunState::Expired, self.now_ms, Some(reason)),
            Progress::Cancelled => (RunState::Cancelled, self.now_ms, None),
        };
        let sql = "SELECT state FROM run WHERE id = ?1";
        let now = self.connection.prepare_cached(sql)?.query_row([report.row], |row| row.get(0)).optional()?;
        Ok(match now {
            Some(RunState::Cancelling) => Standing { state: RunState::Cancelled, due_ms: self.now_ms, error },
            _ => Standing { state, due_ms, error },
        })
    }

    /// Stores the record of a try, if there is one; gives the first one's, which is folded into the run's row.
    fn write_try<'a>(&self, report: &'a Report) -> rusqlite::Result<Option<&'a String>> {
        match &report.attempted {
            Some((0, record)) => return Ok(Some(record)),
            Some((number, record)) => {
                let sql = "INSERT OR REPLACE INTO try (run, number, record) VALUES (?1, ?2, ?3)";
                self.connection.prepare_cached(sql)?.execute(params![report.row, number, record])?;
            }
            None => {}
        }
        Ok(None)
    }

    /// Stores the steps that are over, and the definition that the run has gone over to.
    fn write_journal(&mut self, report: &Report) -> rusqlite::Result<()> {
        for JournalEntry { path, kind, error, saved } in &report.journal {
            let sql = "INSERT OR REPLACE INTO journal (run, path, kind, ended_at_ms, error, saved) \
                       VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
            let values = params![report.row, path, kind, self.now_ms, error, saved];
            self.connection.prepare_cached(sql)?.execute(values)?;
        }
        if let Some(definition) = &report.definition {
            self.store_definition(definition)?;
            let sql = "UPDATE run SET definition = ?2, latest = 0 WHERE id = ?1";
            self.connection.prepare_cached(sql)?.execute(params![report.row, definition.hash.as_bytes()])?;
        }
        Ok(())
    }
}

/// When a run that rests is looked at again: when it is to go on, or when it has expired.
fn due_ms(at: Timestamp, expires_at: Option<Timestamp>) -> i64 {
    expires_at.map_or(at, |expires_at| at.min(expires_at)).as_millisecond()
}
