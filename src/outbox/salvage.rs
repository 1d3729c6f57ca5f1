//! What can still be read of a damaged file, taken over into a new one.
//!
//! Each table is read by itself, without its indexes, from both of its ends up to where it can't be read any more. Rows that
//! refer to what could not be read are left behind.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rusqlite::config::DbConfig;
use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags, TransactionBehavior, params_from_iter};
use tracing::{error, warn};

use super::file;
use super::lock::{beside, with_suffix};
use super::schema::{self, SchemaError};
use super::store::OpenErrorCause;
use super::trouble;

/// Puts a new file into the place of a damaged one that nobody uses, with what could be read of it. Gives where the damaged
/// one is kept.
///
/// A crash at any instant loses nothing: what is being salvaged has a name of its own until it is whole, and what is whole
/// is put into its place by [`finish`] at the next start.
pub(super) fn replace(path: &Path, damage: rusqlite::Error) -> Result<PathBuf, OpenErrorCause> {
    error!(%damage, outbox = %path.display(), "the outbox is damaged");
    let (unfinished, whole) = (beside(path, "salvaging"), beside(path, "salvaged"));
    // Left behind by one that was cut off.
    for suffix in ["-wal", "-shm", ""] {
        let _ = std::fs::remove_file(with_suffix(&unfinished, suffix));
    }
    let rows = salvage(path, &unfinished)?;
    let set_aside = |source| OpenErrorCause::SetAside { damage: Some(damage), source };
    let placed = std::fs::rename(&unfinished, &whole)
        .and_then(|()| file::sync_directory(path))
        .and_then(|()| put_in_place(path, &whole));
    let kept = match placed {
        Ok(kept) => kept,
        Err(source) => return Err(set_aside(source)),
    };
    error!(
        set_aside = %kept.display(),
        rows,
        "the damaged file is kept, and a new outbox begins with what could be read of it",
    );
    Ok(kept)
}

/// Goes on with a replacement that was cut off after all was salvaged. Gives where the damaged file is kept, if there was
/// such a replacement.
pub(super) fn finish(path: &Path) -> Result<Option<PathBuf>, OpenErrorCause> {
    let whole = beside(path, "salvaged");
    if !whole.exists() {
        return Ok(None);
    }
    let kept = put_in_place(path, &whole).map_err(|source| OpenErrorCause::SetAside { damage: None, source })?;
    error!(set_aside = %kept.display(), "the replacement of a damaged outbox, which was cut off, is finished");
    Ok(Some(kept))
}

/// Sets the damaged file aside, and puts the whole one into its place.
fn put_in_place(path: &Path, whole: &Path) -> io::Result<PathBuf> {
    let kept = file::set_aside(path, "damaged")?;
    std::fs::rename(whole, path)?;
    file::sync_directory(path)?;
    Ok(kept)
}

/// Copies what can be read into a new file, and gives the number of its rows.
fn salvage(damaged: &Path, new: &Path) -> Result<usize, SchemaError> {
    let mut new = connect_private(new)?;
    let rows = match open(damaged) {
        Ok(from) => copy_all(&from, &mut new)?,
        Err(error) => {
            warn!(%error, "nothing can be read of the damaged outbox");
            0
        }
    };
    // Its log is moved into it, so that it is one file.
    new.close().map_err(|(_, error)| error)?;
    Ok(rows)
}

/// Opens a new file, which is for its owner alone.
fn connect_private(path: &Path) -> Result<Connection, SchemaError> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    // SQLite says what is wrong if there can be no file.
    let _ = options.open(path);
    file::connect(path)
}

fn copy_all(from: &Connection, new: &mut Connection) -> Result<usize, SchemaError> {
    let transaction = new.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Rows come before those that they refer to.
    transaction.pragma_update(None, "defer_foreign_keys", true)?;
    let mut rows = 0;
    for table in texts(&transaction, "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY rowid", [])? {
        rows += copy(&table, from, &transaction)?;
    }
    rows -= drop_dangling(&transaction)?;
    transaction.commit()?;
    Ok(rows)
}

/// Opens the damaged file, which stays as it is, of this version or an older one.
fn open(path: &Path) -> Result<Connection, SchemaError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.pragma_update(None, "query_only", true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    match schema::check(&connection) {
        Ok(()) | Err(SchemaError::Older { found: 1.. }) => Ok(connection),
        Err(error) => Err(error),
    }
}

fn copy(table: &str, from: &Connection, to: &Connection) -> rusqlite::Result<usize> {
    let columns_of = |file| texts(file, "SELECT name FROM pragma_table_info(?1)", [table]);
    let old = columns_of(from)?;
    let columns: Vec<String> = columns_of(to)?.into_iter().filter(|column| old.contains(column)).collect();
    if columns.is_empty() {
        // The damaged file is of a version that has no such table.
        return Ok(0);
    }
    let places = vec!["?"; columns.len()].join(", ");
    let insert = format!("INSERT OR IGNORE INTO {table} ({}) VALUES ({places})", columns.join(", "));
    let mut insert = to.prepare(&insert)?;
    let (mut copied, mut last) = (0, i64::MIN);
    for direction in ["ASC", "DESC"] {
        let select = format!(
            "SELECT rowid, {} FROM {table} NOT INDEXED WHERE rowid > ?1 ORDER BY rowid {direction}",
            columns.join(", ")
        );
        let mut read = || -> rusqlite::Result<()> {
            let mut select = from.prepare(&select)?;
            let mut rows = select.query([last])?;
            while let Some(row) = rows.next()? {
                let values: Vec<Value> = (1..=columns.len()).map(|at| row.get(at)).collect::<rusqlite::Result<_>>()?;
                copied += insert.execute(params_from_iter(values))?;
                if direction == "ASC" {
                    last = row.get(0)?;
                }
            }
            Ok(())
        };
        match read() {
            Ok(()) => break,
            Err(damage) if trouble::is_damage(&damage) => warn!(table, %damage, "a part of the outbox can't be read"),
            Err(error) => return Err(error),
        }
    }
    Ok(copied)
}

/// Deletes rows that refer to others which are not there, until there are none.
fn drop_dangling(connection: &Connection) -> rusqlite::Result<usize> {
    let mut dropped = 0;
    loop {
        let mut statement = connection.prepare("SELECT DISTINCT \"table\", rowid FROM pragma_foreign_key_check")?;
        let dangling = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let dangling: Vec<(String, i64)> = dangling.collect::<rusqlite::Result<_>>()?;
        if dangling.is_empty() {
            return Ok(dropped);
        }
        for (table, row) in dangling {
            dropped += connection.execute(&format!("DELETE FROM {table} WHERE rowid = ?1"), [row])?;
        }
    }
}

fn texts<P: rusqlite::Params>(connection: &Connection, sql: &str, params: P) -> rusqlite::Result<Vec<String>> {
    connection.prepare(sql)?.query_map(params, |row| row.get(0))?.collect()
}
