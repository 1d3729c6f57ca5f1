//! Moving the write-ahead log into the database beside the writer, because what takes the disk long must not make commits
//! wait.
//!
//! A log that has grown long is moved by a thread with a connection of its own. Meanwhile commits come behind it, and the
//! log begins anew only once all of it was moved; so the thread goes after what came, and the writer moves the last pages.

use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};

use rusqlite::Connection;
use tracing::warn;

use super::file::BUSY_TIMEOUT;

/// The log's length, in pages of 4 KiB, from which it is moved although there is work: 32 MiB are read back quickly after a
/// crash.
pub(super) const LONG: u32 = 8_192;

/// The log's length that is not moved yet from which the work waits until it is: a slow disk must not let it grow without
/// end.
pub(super) const TOO_LONG: u32 = 2 * LONG;

/// The log's length from which a reader must be what keeps it: it is cut whenever it has been moved whole.
pub(super) const KEPT: u32 = 4 * LONG;

/// How many pages are left to the writer: they take it some milliseconds.
const REST: u32 = 256;

/// How often the thread goes after what came meanwhile: each time less, unless the disk is too slow for the work.
const PASSES: usize = 8;

/// What moves the log.
pub(super) struct Checkpointer {
    path: PathBuf,
    at_work: Option<JoinHandle<()>>,
}

impl Checkpointer {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, at_work: None }
    }

    /// Begins to move the log beside the work.
    pub(super) fn begin(&mut self) {
        if self.at_work.is_some() {
            return;
        }
        let path = self.path.clone();
        let work = move || {
            if let Err(error) = move_log(&path) {
                warn!(%error, "the outbox's log could not be moved into the database; it is tried again");
            }
        };
        match thread::Builder::new().name("outbox-log".into()).spawn(work) {
            Ok(thread) => self.at_work = Some(thread),
            Err(error) => warn!(%error, "the outbox's log could not be moved into the database; it is tried again"),
        }
    }

    /// Waits until what was begun is done.
    pub(super) fn finish(&mut self) {
        if let Some(thread) = self.at_work.take() {
            let _ = thread.join();
        }
    }

    /// Whether the log was moved but for its last pages. True once.
    pub(super) fn has_ended(&mut self) -> bool {
        self.at_work.take_if(|thread| thread.is_finished()).is_some()
    }
}

impl Drop for Checkpointer {
    /// The file belongs to whoever comes next only when nobody works on it any more.
    fn drop(&mut self) {
        self.finish();
    }
}

fn move_log(path: &Path) -> rusqlite::Result<()> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    for _ in 0..PASSES {
        if checkpoint(&connection)?.unmoved <= REST {
            break;
        }
    }
    Ok(())
}

/// How long the log is, in pages of 4 KiB.
#[derive(Clone, Copy, Debug)]
pub(super) struct LogLength {
    /// In all.
    pub(super) pages: u32,
    /// What is not in the database yet.
    pub(super) unmoved: u32,
}

impl LogLength {
    pub(super) fn bytes(self) -> u64 {
        u64::from(self.pages) * 4_096
    }
}

/// Moves what is in the log, as far as readers allow, and says what it is then.
pub(super) fn checkpoint(connection: &Connection) -> rusqlite::Result<LogLength> {
    ask(connection, "PRAGMA wal_checkpoint(PASSIVE)")
}

/// How long the log is.
pub(super) fn length(connection: &Connection) -> rusqlite::Result<LogLength> {
    ask(connection, "PRAGMA wal_checkpoint(NOOP)")
}

fn ask(connection: &Connection, sql: &str) -> rusqlite::Result<LogLength> {
    connection.query_row(sql, [], |row| {
        let (pages, moved): (i64, i64) = (row.get(1)?, row.get(2)?);
        let count = |pages: i64| u32::try_from(pages).unwrap_or(0);
        Ok(LogLength { pages: count(pages), unmoved: count(pages - moved) })
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::outbox::file::connect;

    /// A row of about a page.
    fn write(connection: &Connection, rows: u32) {
        let sql = "INSERT INTO variables (json) VALUES (hex(zeroblob(2000)))";
        let transaction = connection.unchecked_transaction().expect("a transaction");
        for _ in 0..rows {
            transaction.execute(sql, []).expect("a row");
        }
        transaction.commit().expect("a commit");
    }

    #[test]
    fn a_long_log_is_moved_beside_the_work_and_then_begins_anew() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("outbox.db");
        let connection = connect(&path).expect("a database");
        let mut checkpointer = Checkpointer::new(path);
        write(&connection, 100);
        while length(&connection).expect("its length").unmoved < LONG {
            write(&connection, 1_000);
        }
        checkpointer.begin();
        while !checkpointer.has_ended() {
            write(&connection, 1);
            thread::sleep(Duration::from_millis(1));
        }
        assert!(length(&connection).expect("the rest").unmoved < LONG, "what is left is little");
        checkpoint(&connection).expect("the rest is moved");
        write(&connection, 1);
        let length = length(&connection).expect("the log's length").pages;
        assert!(length < 100, "the log has {length} pages");
        assert!(!checkpointer.has_ended(), "an end is told once");
    }
}
