//! What a person can do where the store's file can't be read or written.

use std::io;

use rusqlite::ErrorCode;

/// What to do about an error of SQLite's; nothing is said of one that a person can do nothing about.
pub(super) fn advice(error: &rusqlite::Error) -> Option<&'static str> {
    Some(match error.sqlite_error_code()? {
        ErrorCode::DiskFull => "make room on its disk",
        ErrorCode::ReadOnly => {
            "check that its file system is mounted for writing, and who owns the file and its directory"
        }
        ErrorCode::SystemIoFailure => "check the disk, and what the system's log says of it",
        ErrorCode::CannotOpen | ErrorCode::PermissionDenied => DIRECTORY,
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => "end the program that holds a transaction open on it",
        _ => return None,
    })
}

/// What to do about an error of the system's.
pub(super) fn advice_for_io(error: &io::Error) -> Option<&'static str> {
    Some(match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "make room on its disk",
        io::ErrorKind::ReadOnlyFilesystem => "check that its file system is mounted for writing",
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::PermissionDenied => DIRECTORY,
        _ => return None,
    })
}

const DIRECTORY: &str = "check that its directory is there, and that the user who runs hookswitch may write in it";

/// Whether the file is not as SQLite left it.
pub(super) fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
}
