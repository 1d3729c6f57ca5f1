//! The store's file: opening it, to write alone or beside the daemon, and putting it aside.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::checkpointer;
use super::lock::{beside, with_suffix};
use super::schema::{self, SchemaError};

/// How long a transaction waits for another process's to end. The command line's take milliseconds.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// The write-ahead log's length, in pages, at which commits wait until it is moved: more than there is where the
/// checkpointer keeps up, and little for a disk.
const CHECKPOINT_PAGES: u32 = 2 * checkpointer::LONG;

/// A page's size, in bytes: SQLite's default.
const PAGE_BYTES: u32 = 4_096;

/// How many statements are kept prepared: more than the writer has.
const STATEMENTS: usize = 64;

/// SQLite's page cache, in KiB: room for the indexes of hashes, whose every insertion touches another page.
const CACHE_KIB: i64 = 65_536;

/// Opens the file for the one who writes it, made and brought up to date.
pub(super) fn connect(path: &Path) -> Result<Connection, SchemaError> {
    let mut connection = Connection::open(path)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    // A plan is made once for each statement; otherwise some are made anew for every value that is bound.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    // A log that has grown behind a reader is cut when it begins anew. This one answers with its value as well.
    let limit = checkpointer::LONG * PAGE_BYTES;
    connection.pragma_update_and_check(None, "journal_size_limit", limit, |_| Ok(()))?;
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
    // What is freed within a page is overwritten, so that nothing lingers there that is later erased; costs no reading or
    // writing. This one answers with its value as well.
    connection.pragma_update_and_check(None, "secure_delete", "fast", |_| Ok(()))?;
    schema::migrate(&mut connection)?;
    Ok(connection)
}

/// Opens the store beside a daemon, or without one, never creating it.
pub(super) fn connect_beside(path: &Path) -> Result<Connection, SchemaError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_update(None, "synchronous", "full")?;
    schema::check(&connection)?;
    Ok(connection)
}

/// A number that changes when another connection has written.
pub(super) fn data_version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get(0))
}

/// Renames the database and what belongs to it, by the reason and the time, so that SQLite's own tools can still read it
/// under the new name. The write-ahead log goes first: it must never lie beside another database.
pub(super) fn set_aside(path: &Path, reason: &str) -> io::Result<PathBuf> {
    let aside = beside(path, &format!("{reason}-{}", Timestamp::now().strftime("%Y%m%dT%H%M%S%.3fZ")));
    for suffix in ["-wal", "-shm", ""] {
        match std::fs::rename(with_suffix(path, suffix), with_suffix(&aside, suffix)) {
            Err(error) if suffix.is_empty() || error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
    }
    Ok(aside)
}

/// Makes renames in the file's directory durable.
pub(super) fn sync_directory(path: &Path) -> io::Result<()> {
    let directory = path.parent().filter(|parent| *parent != Path::new("")).unwrap_or(Path::new("."));
    File::open(directory)?.sync_all()
}
