//! Runs that tell of others' failures: stored with what they tell of, so that no crash comes in between.

use jiff::Timestamp;
use rusqlite::params;

use super::Work;
use super::entry::NewRun;
use crate::flow::names::FAILURE;
use crate::outbox::run::{FollowUp, RunState};

/// What stands in the place of the hook that has started a run. A hook's own name has a slash.
pub(super) const ON_FAILURE: &str = "on_failure";

impl Work<'_> {
    /// Stores the run that follows on the one in `row`. It is about the same moment, and is taken up like one on disk.
    pub(super) fn follow_up(&mut self, row: i64, follow_up: &FollowUp) -> rusqlite::Result<()> {
        let FollowUp { id, flow, told } = follow_up;
        let sql = "SELECT moment, attempt, clock_step_ms FROM run WHERE id = ?1";
        let (moment, attempt, clock_step_ms): (i64, Vec<u8>, i64) =
            self.connection.prepare_cached(sql)?.query_row([row], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        let state = match flow.ordered && self.first_open(&attempt, &flow.name)?.is_some() {
            true => RunState::Waiting,
            false => RunState::Pending,
        };
        let now = Timestamp::from_millisecond(self.now_ms()).unwrap_or(Timestamp::MAX);
        let expires_at = flow.expires_after.map(|after| now.saturating_add(after).unwrap_or(Timestamp::MAX));
        let hook = ON_FAILURE;
        let run = NewRun { id: *id, moment, attempt: &attempt, hook, flow, state, expires_at, clock_step_ms };
        if !self.insert(&run)? {
            return Ok(());
        }
        let sql = "INSERT INTO journal (run, path, kind, ended_at_ms, saved) VALUES (?1, ?2, ?2, ?3, ?4)";
        let values = params![self.connection.last_insert_rowid(), FAILURE, self.now_ms(), told];
        self.connection.prepare_cached(sql)?.execute(values)?;
        if state == RunState::Pending {
            self.desk.note_due(&flow.name, self.now_ms());
        }
        Ok(())
    }
}
