//! Forgetting what is old: delivered and failed runs with their moments, a little at a time.

use std::time::Duration;

use rusqlite::{Connection, TransactionBehavior, params};

/// How many moments are looked at in one go, which is once a second: 43 million a day, and some milliseconds that commits
/// wait.
const CHUNK: u32 = 500;

/// Deletes moments that are older than `keep`, unless one of their runs or their attempt is still open.
#[derive(Debug)]
pub(super) struct Retention {
    keep: Duration,
    /// The row up to which moments were looked at; what had to stay is not looked at again before the next round.
    position: i64,
}

impl Retention {
    pub(super) fn new(keep: Duration) -> Self {
        Self { keep, position: 0 }
    }

    /// Goes on by one chunk, and tells how many moments were deleted.
    pub(super) fn advance(&mut self, connection: &mut Connection, now_ms: i64) -> rusqlite::Result<usize> {
        let keep_ms = i64::try_from(self.keep.as_millis()).unwrap_or(i64::MAX);
        let old = self.next_old(connection, now_ms.saturating_sub(keep_ms))?;
        let Some(last) = old.last().copied() else {
            self.position = 0;
            return Ok(0);
        };
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut deleted = 0;
        for row in old {
            deleted += delete(&transaction, row)?;
        }
        transaction.commit()?;
        self.position = last;
        Ok(deleted)
    }

    /// The next moments that are old enough. Rows are in the order of their age, so the first young one ends the search.
    fn next_old(&self, connection: &Connection, before_ms: i64) -> rusqlite::Result<Vec<i64>> {
        let sql = "SELECT id, committed_at_ms FROM moment WHERE id > ?1 ORDER BY id LIMIT ?2";
        let mut statement = connection.prepare_cached(sql)?;
        let mut rows = statement.query(params![self.position, CHUNK])?;
        let mut old = Vec::new();
        while let Some(row) = rows.next()? {
            if row.get::<_, i64>(1)? >= before_ms {
                break;
            }
            old.push(row.get(0)?);
        }
        Ok(old)
    }
}

/// Deletes one moment with its runs, and its variables if no other moment has them.
fn delete(connection: &Connection, moment: i64) -> rusqlite::Result<usize> {
    let is_open = "SELECT EXISTS (SELECT 1 FROM run WHERE moment = ?1 AND ended_at_ms IS NULL) \
                   OR EXISTS (SELECT 1 FROM attempt JOIN moment ON moment.attempt = attempt.hash WHERE moment.id = ?1)";
    if connection.prepare_cached(is_open)?.query_row([moment], |row| row.get(0))? {
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
