//! Looking whether a daemon could work with the outbox, beside one or without one, and without making anything.

use std::io;
use std::path::Path;

use rustix::fs::{Access, access, statvfs};

use super::file;
use super::lock::{LockError, beside};
use super::schema::SchemaError;
use super::store::{OpenError, OpenErrorCause};

/// The least room that a disk must have left: as much as the write-ahead log takes before it is checkpointed.
pub const LEAST_ROOM_BYTES: u64 = 32 << 20;

/// An outbox that can be used.
#[derive(Clone, Debug)]
pub struct Inspection {
    /// The file's size; none: it is made at the first start.
    pub size_bytes: Option<u64>,
    /// What is left of its disk.
    pub room_bytes: u64,
}

/// Looks at the outbox at `path`; an error is what a daemon that starts would meet.
pub fn inspect(path: &Path) -> Result<Inspection, OpenError> {
    let directory = path.parent().filter(|parent| *parent != Path::new("")).unwrap_or(Path::new("."));
    let look = || -> Result<Inspection, OpenErrorCause> {
        let unusable = |source: rustix::io::Errno| LockError::Io { path: beside(path, "lock"), source: source.into() };
        access(directory, Access::WRITE_OK | Access::EXEC_OK).map_err(unusable)?;
        let disk = statvfs(directory).map_err(unusable)?;
        let room_bytes = disk.f_bavail.saturating_mul(disk.f_frsize);
        let size_bytes = match path.metadata() {
            Ok(file) => Some(file.len()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(source) => return Err(LockError::Io { path: path.to_owned(), source }.into()),
        };
        if size_bytes.is_some_and(|size| size > 0) {
            let connection = file::connect_beside(path)?;
            connection.execute_batch("BEGIN IMMEDIATE; ROLLBACK").map_err(SchemaError::from)?;
        }
        Ok(Inspection { size_bytes, room_bytes })
    };
    look().map_err(|cause| OpenError::new(path, cause))
}
