//! One daemon for one database, by whatever path it is reached.
//!
//! The lock is on the database's file itself, so a link, a bind mount or another name leads to the same one. It is a lock of
//! the whole file by `flock`, which SQLite does not use. The lock file beside it says who has it, and keeps two daemons apart
//! while the database is being replaced.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// The lock, held until it is dropped or the process ends, however it ends.
///
/// It must outlive every connection of the process to the database: when any of a process's descriptors of a file is
/// closed, the system drops all of the process's other locks on that file, SQLite's among them.
#[derive(Debug)]
pub(super) struct Lock {
    path: PathBuf,
    beside: File,
    database: File,
    /// What SQLite's files beside the database were when they were first seen, in the order of [`BESIDE`].
    others: [Option<Identity>; BESIDE.len()],
}

/// What SQLite keeps beside a database, to which links lead: the write-ahead log, and the index of it, in which all
/// processes lock it. With another index each would write over what others write.
const BESIDE: [&str; 2] = ["-wal", "-shm"];

/// Which file it is, whatever its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
}

/// Why the lock could not be had.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process has it.
    #[error("another daemon ({holder}) uses it; only one can")]
    Held {
        /// The other process, as it wrote itself into the lock file.
        holder: String,
    },
    /// A file can't be made or locked.
    #[error("can't lock {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Why what is written now would be gone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Displaced {
    /// There is no file at the path.
    #[error(
        "{} was deleted or moved away; what is written now would be lost: put it back, or end hookswitch and start it with a backup",
        _0.display()
    )]
    Gone(PathBuf),
    /// There is another file at the path.
    #[error(
        "{} is another file than the one that was opened; what is written now would be lost: put the former one back, or start hookswitch again",
        _0.display()
    )]
    Replaced(PathBuf),
    /// The write-ahead log or its index is gone, or another one.
    #[error(
        "{} was deleted, moved or replaced; what is written now would be lost: start hookswitch again",
        _0.display()
    )]
    Log(PathBuf),
}

impl Lock {
    /// Takes the lock of the database at `database`, and creates an empty one where there is none.
    pub(super) fn take(database: &Path) -> Result<Self, LockError> {
        let path = beside(database, "lock");
        let mut beside = open(&path)?;
        lock(&path, &beside, &mut beside.try_clone().map_err(|source| io_error(&path, source))?)?;
        let file = open(database)?;
        lock(database, &file, &mut beside)?;
        write_holder(&mut beside).map_err(|source| io_error(&path, source))?;
        if file.metadata().is_ok_and(|found| found.nlink() > 1) {
            tracing::warn!(
                outbox = %database.display(),
                "the outbox's file has several names (hard links), but only one log; always use the same name",
            );
        }
        Ok(Self { path: database.to_owned(), beside, database: file, others: [None; BESIDE.len()] })
    }

    /// Goes over to the file that is at the path now: the daemon itself has put it there.
    pub(super) fn follow(&mut self) -> Result<(), LockError> {
        let file = open(&self.path)?;
        lock(&self.path, &file, &mut self.beside)?;
        (self.database, self.others) = (file, [None; BESIDE.len()]);
        Ok(())
    }

    /// Looks whether the database and what SQLite keeps beside it are still where they were opened: whoever opens the path
    /// next must find them all.
    pub(super) fn check(&mut self) -> Result<(), Displaced> {
        let whole = self.path.canonicalize().map_err(|_| Displaced::Gone(self.path.clone()))?;
        match Identity::at(&whole) {
            None => return Err(Displaced::Gone(self.path.clone())),
            found if found == Identity::of(&self.database) => {}
            Some(_) => return Err(Displaced::Replaced(self.path.clone())),
        }
        for (suffix, opened) in BESIDE.into_iter().zip(&mut self.others) {
            let path = with_suffix(&whole, suffix);
            let found = Identity::at(&path);
            if opened.is_some() && found != *opened {
                return Err(Displaced::Log(path));
            }
            *opened = found;
        }
        Ok(())
    }

    /// Makes the lock file anew where it is gone; until then the lock on the database keeps others out.
    pub(super) fn keep_beside(&mut self) {
        let path = beside(&self.path, "lock");
        if Identity::at(&path) != Identity::of(&self.beside)
            && let Ok(mut file) = open(&path)
            && file.try_lock().is_ok()
            && write_holder(&mut file).is_ok()
        {
            tracing::warn!(lock = %path.display(), "the outbox's lock file was deleted or replaced, and is made anew");
            self.beside = file;
        }
    }
}

impl Identity {
    fn of(file: &File) -> Option<Self> {
        file.metadata().ok().map(|found| Self { device: found.dev(), inode: found.ino() })
    }

    fn at(path: &Path) -> Option<Self> {
        std::fs::metadata(path).ok().map(|found| Self { device: found.dev(), inode: found.ino() })
    }
}

/// Opens a file to lock it. One that is created is for its owner alone, because a database holds the numbers and names of
/// callers.
fn open(path: &Path) -> Result<File, LockError> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    options.open(path).map_err(|source| io_error(path, source))
}

fn lock(path: &Path, file: &File, beside: &mut File) -> Result<(), LockError> {
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => Err(LockError::Held { holder: holder(beside) }),
        Err(TryLockError::Error(source)) => Err(io_error(path, source)),
    }
}

fn io_error(path: &Path, source: io::Error) -> LockError {
    LockError::Io { path: path.to_owned(), source }
}

/// The file's path with a suffix, as SQLite names what belongs to a database.
pub(super) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// The file's path with a further extension.
pub(super) fn beside(database: &Path, extension: &str) -> PathBuf {
    with_suffix(database, &format!(".{extension}"))
}

fn write_holder(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    write!(file, "{}", std::process::id())
}

fn holder(file: &mut File) -> String {
    let mut text = String::new();
    let _ = file.rewind();
    match file.take(16).read_to_string(&mut text).map(|_| text.trim().parse::<u32>()) {
        Ok(Ok(pid)) => format!("process {pid}"),
        Ok(Err(_)) | Err(_) => "process unknown".into(),
    }
}
