//! Storing what runs have come to.

use jiff::Timestamp;
use rusqlite::{OptionalExtension, params};

use super::Work;
use crate::outbox::run::{JournalEntry, Progress, Report, Run, RunState};

/// How often the program may fail in a step of a run before the run has failed.
const PANICS: u32 = 3;

/// How long a run waits after the program has failed in it; twice as long each time.
const FIRST_PAUSE_MS: i64 = 5_000;

/// Where a report leaves its run.
struct Standing<'a> {
    state: RunState,
    /// When the run is looked at again, if it is.
    due_ms: i64,
    error: Option<&'a String>,
    /// The receiver that deferred it.
    deferred_by: Option<&'a String>,
}

impl Work<'_> {
    /// Stores what a run has come to, and tells where it stands now: mostly where the report says.
    pub(in crate::outbox) fn record(&mut self, report: &Report) -> rusqlite::Result<RunState> {
        if report.progress == Progress::Panicked {
            return self.record_panic(report);
        }
        self.write_journal(report)?;
        let first_try = self.write_try(report)?;
        let Standing { state, due_ms, error, deferred_by } = self.standing(report)?;
        let ended_ms = state.is_over().then_some(self.now_ms());
        // Written as a literal, so that each variant is prepared once.
        macro_rules! update {
            ($end:literal) => {
                concat!(
                    "UPDATE run SET state = ?2, step = ?3, step_tries = ?4, tries = ?5, \
                     due_at_ms = min(?6, coalesce(expires_at_ms, ?6)), ended_at_ms = ?7, \
                     first_try = coalesce(first_try, ?8), error = ?9, deferred_by = ?10, asked = 0 WHERE id = ?1",
                    $end
                )
            };
        }
        let values = params![
            report.row,
            state,
            report.step,
            report.step_tries,
            report.tries,
            due_ms,
            ended_ms,
            first_try,
            error,
            deferred_by.filter(|_| state == RunState::Pending)
        ];
        if state == RunState::Pending {
            let mut update = self.connection.prepare_cached(update!(" RETURNING due_at_ms"))?;
            if let Some(due_ms) = update.query_row(values, |row| row.get(0)).optional()? {
                self.desk.note_due(&report.flow, due_ms);
            }
        } else {
            self.connection.prepare_cached(update!(""))?.execute(values)?;
        }
        if state != RunState::Running {
            self.desk.rise(&report.flow);
        }
        match &report.progress {
            Progress::Wait { until, .. } if state == RunState::Pending => {
                let sql = "UPDATE run SET ordered = 0, resumed_at_ms = ?2 WHERE id = ?1";
                self.connection.prepare_cached(sql)?.execute(params![report.row, self.moved(*until, report)])?;
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
        let now_ms = self.now_ms();
        let (state, due_ms, error) = match &report.progress {
            Progress::Next { .. } => (RunState::Running, now_ms, None),
            Progress::Retry { at, reason } | Progress::PutOff { at, reason, .. } => {
                (RunState::Pending, self.moved(*at, report), Some(reason))
            }
            Progress::Wait { until, .. } => (RunState::Pending, self.moved(*until, report), None),
            Progress::Delivered => {
                return Ok(Standing { state: RunState::Delivered, due_ms: now_ms, error: None, deferred_by: None });
            }
            Progress::Failed { reason } => (RunState::Failed, now_ms, Some(reason)),
            Progress::Expired { reason } => (RunState::Expired, now_ms, Some(reason)),
            Progress::Cancelled | Progress::Panicked => (RunState::Cancelled, now_ms, None),
        };
        let deferred_by = match &report.progress {
            Progress::PutOff { receiver, .. } => Some(receiver),
            _ => None,
        };
        let sql = "SELECT state FROM run WHERE id = ?1";
        let now = self.connection.prepare_cached(sql)?.query_row([report.row], |row| row.get(0)).optional()?;
        Ok(match now {
            Some(RunState::Cancelling) => {
                Standing { state: RunState::Cancelled, due_ms: now_ms, error, deferred_by: None }
            }
            _ => Standing { state, due_ms, error, deferred_by },
        })
    }

    /// Stores that the program has failed in the run: it stands at the step that the store has, because what the task knew
    /// is gone. It is tried again some times, and then it has failed.
    fn record_panic(&mut self, report: &Report) -> rusqlite::Result<RunState> {
        let now_ms = self.now_ms();
        let sql = "UPDATE run SET step_tries = step_tries + 1, asked = 0, error = ?2, \
                   due_at_ms = min(?3 + (?4 << min(step_tries, 10)), coalesce(expires_at_ms, ?3 + (?4 << 10))), \
                   ended_at_ms = CASE WHEN state = 'cancelling' OR step_tries + 1 >= ?5 THEN ?3 END, \
                   state = CASE WHEN state = 'cancelling' THEN 'cancelled' WHEN step_tries + 1 >= ?5 THEN 'failed' \
                   ELSE 'pending' END WHERE id = ?1 AND ended_at_ms IS NULL RETURNING state, due_at_ms";
        let values = params![report.row, Run::PANICKED, now_ms, FIRST_PAUSE_MS, PANICS];
        let changed = self.connection.prepare_cached(sql)?.query_row(values, |row| Ok((row.get(0)?, row.get(1)?)));
        let Some((state, due_ms)): Option<(RunState, i64)> = changed.optional()? else { return Ok(RunState::Failed) };
        self.desk.rise(&report.flow);
        if state == RunState::Pending {
            self.desk.note_due(&report.flow, due_ms);
        } else {
            self.promote_next(report)?;
        }
        if let Some(follow_up) = &report.follow_up
            && state == RunState::Failed
        {
            self.follow_up(report.row, follow_up)?;
        }
        Ok(state)
    }

    /// A time that the run's report names, by the wall clock as it is now, in milliseconds since 1970.
    fn moved(&self, at: Timestamp, report: &Report) -> i64 {
        at.as_millisecond().saturating_add(self.clock.step_since(report.taken))
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
            let values = params![report.row, path, kind, self.now_ms(), error, saved];
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
