//! Backup and restoration: whole copies of the file, as of one instant.

use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

use super::file;
use super::lock::{Lock, LockError, beside};
use super::schema::{self, SchemaError};

/// Why there is no copy.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// A file that is to be copied can't be used.
    #[error("can't use {}: {cause}", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: SchemaError,
    },
    /// The file to be restored is damaged.
    #[error("{} is damaged: {damage}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What SQLite found first.
        damage: String,
    },
    /// A file can't be written, or is there already.
    #[error("can't write {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// SQLite could not copy.
    #[error("can't copy into {}: {source}", path.display())]
    Copy {
        /// The copy.
        path: PathBuf,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// A daemon uses the outbox.
    #[error(transparent)]
    Lock(#[from] LockError),
}

/// Copies the outbox into a new file, beside a running daemon or without one.
pub fn backup(outbox: &Path, copy: &Path) -> Result<(), ArchiveError> {
    let unusable = |cause| ArchiveError::Unusable { path: outbox.to_owned(), cause };
    let connection = file::connect_beside(outbox).map_err(unusable)?;
    copy_into(&connection, copy)
}

/// Puts a backup in the outbox's place, while no daemon uses it. What was there is kept under the name that is given back.
pub fn restore(outbox: &Path, from: &Path) -> Result<Option<PathBuf>, ArchiveError> {
    let is_there = outbox.exists();
    let _lock = Lock::take(outbox)?;
    let connection = open_whole(from)?;
    let new = beside(outbox, "restored");
    // Left behind by a restoration that was cut off.
    let _ = fs::remove_file(&new);
    copy_into(&connection, &new)?;
    let write = |path: &Path| {
        let path = path.to_owned();
        |source| ArchiveError::Write { path, source }
    };
    let set_aside = file::set_aside(outbox, "replaced").map_err(write(outbox))?;
    fs::rename(&new, outbox).map_err(write(outbox))?;
    file::sync_directory(outbox).map_err(write(outbox))?;
    if is_there {
        return Ok(Some(set_aside));
    }
    // Taking the lock has made an empty one.
    let _ = fs::remove_file(set_aside);
    Ok(None)
}

/// Opens a backup, which must be undamaged and of a version that this program knows.
fn open_whole(path: &Path) -> Result<Connection, ArchiveError> {
    let unusable = |cause| ArchiveError::Unusable { path: path.to_owned(), cause };
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(|error| unusable(error.into()))?;
    match schema::check(&connection) {
        // The daemon brings an older one up to date.
        Ok(()) | Err(SchemaError::Older { found: 1.. }) => {}
        Err(cause) => return Err(unusable(cause)),
    }
    let found: String = connection
        .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
        .map_err(|error| ArchiveError::Damaged { path: path.to_owned(), damage: error.to_string() })?;
    match found.as_str() {
        "ok" => Ok(connection),
        _ => Err(ArchiveError::Damaged { path: path.to_owned(), damage: found }),
    }
}

/// Copies all that is committed into a new file that only its owner can read. A copy that fails leaves nothing.
fn copy_into(connection: &Connection, path: &Path) -> Result<(), ArchiveError> {
    let write = |source| ArchiveError::Write { path: path.to_owned(), source };
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path).map_err(write)?;
    // SQLite takes an empty file for a new one.
    let copied = connection
        .execute("VACUUM INTO ?1", [path.to_string_lossy()])
        .map_err(|source| ArchiveError::Copy { path: path.to_owned(), source })
        .and_then(|_| file.sync_all().map_err(write));
    copied.inspect_err(|_| {
        let _ = fs::remove_file(path);
    })
}
