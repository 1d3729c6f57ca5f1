//! Forgetting what is old: runs that are over with their moments, a little at a time, and definitions that no run has.

use std::time::Duration;

use rusqlite::{Connection, TransactionBehavior, params};
use tracing::warn;

/// How many moments are looked at in one go, which is once a second: 43 million a day, and some milliseconds that commits
/// wait.
const CHUNK: u32 = 500;

/// Deletes moments that are older than `keep`, unless one of their runs or their attempt is still open; and while all
/// together take more than `max_bytes`, the oldest of those whose runs are all delivered or cancelled. After a round that has
/// deleted something, so are the definitions that no run has any more; one that is still configured is stored again with the
/// next run.
#[derive(Debug)]
pub(super) struct Retention {
    keep: Duration,
    max_bytes: Option<u64>,
    /// The row up to which moments were looked at; what had to stay is not looked at again before the next round.
    position: i64,
    /// How many moments this round has deleted.
    deleted: usize,
    /// Whether it was said that it is too large and nothing can be deleted.
    complained: bool,
}

/// A moment to be looked at.
struct Candidate {
    row: i64,
    is_old: bool,
}

impl Retention {
    pub(super) fn new(keep: Duration, max_bytes: Option<u64>) -> Self {
        Self { keep, max_bytes, position: 0, deleted: 0, complained: false }
    }

    /// Goes on by one chunk, and tells how many rows were deleted: moments, or definitions. How old a moment is does not
    /// depend on how the clock was set since, so one that is set ahead by months deletes nothing.
    pub(super) fn advance(&mut self, connection: &mut Connection, now_ms: i64) -> rusqlite::Result<usize> {
        let keep_ms = i64::try_from(self.keep.as_millis()).unwrap_or(i64::MAX);
        let is_too_large = self.is_too_large(connection)?;
        let candidates = self.candidates(connection, now_ms.saturating_sub(keep_ms), is_too_large)?;
        if candidates.is_empty() {
            let definitions = if self.deleted > 0 { delete_definitions(connection)? } else { 0 };
            self.end_round(is_too_large);
            return Ok(definitions);
        }
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let (mut deleted, mut position) = (0, self.position);
        for candidate in candidates {
            if !candidate.is_old && !self.is_too_large(&transaction)? {
                break;
            }
            deleted += delete(&transaction, &candidate)?;
            position = candidate.row;
        }
        let sql = "DELETE FROM clock_step WHERE moment < coalesce((SELECT min(id) FROM moment), ?1)";
        transaction.prepare_cached(sql)?.execute([i64::MAX])?;
        transaction.commit()?;
        self.position = position;
        self.deleted += deleted;
        Ok(deleted)
    }

    /// Whether what is stored takes more than it should. What is deleted leaves room in the file, which does not shrink.
    fn is_too_large(&self, connection: &Connection) -> rusqlite::Result<bool> {
        let Some(max_bytes) = self.max_bytes else { return Ok(false) };
        let read = |sql| connection.prepare_cached(sql)?.query_row([], |row| row.get::<_, i64>(0));
        let pages = read("PRAGMA page_count")? - read("PRAGMA freelist_count")?;
        Ok(pages.saturating_mul(read("PRAGMA page_size")?).unsigned_abs() > max_bytes)
    }

    /// Begins again with the first moment.
    fn end_round(&mut self, is_too_large: bool) {
        let is_stuck = is_too_large && self.deleted == 0;
        if is_stuck && !self.complained {
            warn!(
                "the outbox is larger than `max_size`, and nothing more in it is delivered or cancelled: see `hookswitch deliveries`"
            );
        }
        self.complained = is_stuck;
        (self.position, self.deleted) = (0, 0);
    }

    /// The next moments that may go. Rows are in the order of their age, so the first young one ends the search, unless
    /// young ones may go as well.
    fn candidates(&self, connection: &Connection, before_ms: i64, young_too: bool) -> rusqlite::Result<Vec<Candidate>> {
        let sql = "SELECT id, committed_at_ms + (SELECT coalesce(sum(step_ms), 0) FROM clock_step AS step WHERE step.moment >= moment.id) \
                   FROM moment WHERE id > ?1 ORDER BY id LIMIT ?2";
        let mut statement = connection.prepare_cached(sql)?;
        let mut rows = statement.query(params![self.position, CHUNK])?;
        let mut candidates = Vec::new();
        while let Some(row) = rows.next()? {
            let is_old = row.get::<_, i64>(1)? < before_ms;
            if !is_old && !young_too {
                break;
            }
            candidates.push(Candidate { row: row.get(0)?, is_old });
        }
        Ok(candidates)
    }
}

/// Deletes one moment with its runs, and its variables if no other moment has them. One that is not done with stays; a run
/// that has failed for good can be sent again until it is old.
fn delete(connection: &Connection, candidate: &Candidate) -> rusqlite::Result<usize> {
    let Candidate { row: moment, is_old } = *candidate;
    let stays = "SELECT EXISTS (SELECT 1 FROM run WHERE moment = ?1 \
                 AND (ended_at_ms IS NULL OR (NOT ?2 AND state NOT IN ('delivered', 'cancelled')))) \
                 OR EXISTS (SELECT 1 FROM attempt JOIN moment ON moment.attempt = attempt.hash WHERE moment.id = ?1)";
    if connection.prepare_cached(stays)?.query_row(params![moment, is_old], |row| row.get(0))? {
        return Ok(0);
    }
    let variables = "SELECT variables FROM moment WHERE id = ?1";
    let variables: i64 = connection.prepare_cached(variables)?.query_row([moment], |row| row.get(0))?;
    for sql in [
        "DELETE FROM try WHERE run IN (SELECT id FROM run WHERE moment = ?1)",
        "DELETE FROM journal WHERE run IN (SELECT id FROM run WHERE moment = ?1)",
        "DELETE FROM run WHERE moment = ?1",
        "DELETE FROM moment WHERE id = ?1",
    ] {
        connection.prepare_cached(sql)?.execute([moment])?;
    }
    let orphan = "DELETE FROM variables WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM moment WHERE variables = ?1)";
    connection.prepare_cached(orphan)?.execute([variables])?;
    Ok(1)
}

fn delete_definitions(connection: &Connection) -> rusqlite::Result<usize> {
    let sql = "DELETE FROM definition WHERE NOT EXISTS (SELECT 1 FROM run WHERE run.definition = definition.hash)";
    connection.prepare_cached(sql)?.execute([])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outbox::clock::{self, Reading};

    const DAY_MS: i64 = 24 * 3_600_000;
    const KEEP: Duration = Duration::from_hours(31 * 24);

    fn store(connection: &Connection, row: i64, at_ms: i64) {
        let sql = "INSERT INTO moment (id, hash, attempt, queue, event, committed_at_ms, payload, variables) \
                   VALUES (?1, randomblob(16), x'00', 'q', 'joined', ?2, '{}', 1)";
        connection.execute(sql, [row, at_ms]).expect("stores");
    }

    fn rows(connection: &Connection) -> Vec<i64> {
        let mut statement = connection.prepare("SELECT id FROM moment ORDER BY id").expect("prepares");
        statement.query_map([], |row| row.get(0)).expect("reads").collect::<rusqlite::Result<_>>().expect("reads")
    }

    #[test]
    fn history_is_kept_as_long_as_it_was_meant_to_be_however_the_clock_is_set() {
        for step_days in [-4_000, -40, 40, 4_000] {
            let directory = tempfile::tempdir().expect("a directory");
            let mut connection = crate::outbox::file::connect(&directory.path().join("outbox.db")).expect("a database");
            connection.execute("INSERT INTO variables (id, json) VALUES (1, '{}')", []).expect("stores");
            let (start, step_ms) = (1_800_000_000_000, step_days * DAY_MS);
            store(&connection, 1, start - 10 * DAY_MS);
            store(&connection, 2, start);
            clock::follow(&connection, Reading::of_past(start), Reading::of_past(start + step_ms)).expect("follows");
            store(&connection, 3, start + step_ms);
            let mut retention = Retention::new(KEEP, None);
            let mut after = |days: i64| {
                let now_ms = start + step_ms + days * DAY_MS;
                while retention.advance(&mut connection, now_ms).expect("goes on") > 0 {}
                rows(&connection)
            };
            assert_eq!(after(20), [1, 2, 3], "set by {step_days} days");
            assert_eq!(after(22), [2, 3], "set by {step_days} days");
            assert_eq!(after(32), [0; 0], "set by {step_days} days");
            let steps = connection.query_row("SELECT count(*) FROM clock_step", [], |row| row.get::<_, i64>(0));
            assert_eq!(steps, Ok(0), "what no moment needs is forgotten");
        }
    }
}
