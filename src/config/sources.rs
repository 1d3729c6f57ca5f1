//! The files that a configuration was made of: its own, and every one that it names.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::file::further_files;

/// The files that a configuration was made of, as they were when they were read: also those that could not be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sources {
    /// None for one that was not there, or out of reach.
    files: BTreeMap<PathBuf, Option<Stamp>>,
    /// The directory of further files, and those in it; none where it could not be read.
    further: BTreeMap<PathBuf, Option<Vec<PathBuf>>>,
}

/// What tells a file, as it is, from what it was. The time of the change of its state tells of every other change as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    mode: u32,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    /// The stamp of the file that a path leads to, over however many links.
    fn of(path: &Path) -> Option<Self> {
        let metadata = path.metadata().ok()?;
        Some(Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            mode: metadata.mode(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        })
    }
}

impl Sources {
    /// Takes note of a file that is about to be read: what changes from now on is a change.
    pub(super) fn note_file(&mut self, path: &Path) {
        self.files.entry(path.to_owned()).or_insert_with(|| Stamp::of(path));
    }

    /// Takes note of the directory of further files, and what was in it.
    pub(super) fn note_directory(&mut self, path: &Path, files: Option<&Vec<PathBuf>>) {
        self.further.insert(path.to_owned(), files.cloned());
    }

    /// The same files as they are now.
    pub(super) fn now(&self) -> Self {
        Self {
            files: self.files.keys().map(|path| (path.clone(), Stamp::of(path))).collect(),
            further: self.further.keys().map(|path| (path.clone(), further_files(path).ok())).collect(),
        }
    }

    /// These, and those of a configuration before it: one that was refused may not have come to all that it names.
    pub(super) fn with_former(mut self, former: Self) -> Self {
        for (path, stamp) in former.files {
            self.files.entry(path).or_insert(stamp);
        }
        self
    }

    /// The files.
    pub(super) fn files(&self) -> impl Iterator<Item = &Path> {
        self.files.keys().map(PathBuf::as_path)
    }

    /// The directories of further files.
    pub(super) fn directories(&self) -> impl Iterator<Item = &Path> {
        self.further.keys().map(PathBuf::as_path)
    }
}
