//! Where readers record what is wrong, so that none of them has to stop.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::fault::Fault;
use super::problem::{Place, Problem, Problems};
use super::sources::Sources;

/// How many problems are recorded: patterns can clash each with each, and nobody reads more than a few at once.
const MAX_PROBLEMS: usize = 1_000;

/// The problems found so far.
#[derive(Debug, Default)]
pub(super) struct Report {
    problems: RefCell<Vec<Problem>>,
    files_with_secrets: RefCell<BTreeSet<String>>,
    secret_files: RefCell<BTreeSet<PathBuf>>,
    sources: RefCell<Sources>,
}

impl Report {
    /// Records a fault at its place.
    pub(super) fn refuse(&self, fault: Fault, place: &Place) {
        self.record(Problem::new(fault, Some(place.clone())));
    }

    /// Records a fault of no place.
    pub(super) fn refuse_whole(&self, fault: Fault) {
        self.record(Problem::new(fault, None));
    }

    fn record(&self, problem: Problem) {
        let mut problems = self.problems.borrow_mut();
        if problems.len() < MAX_PROBLEMS {
            problems.push(problem);
        }
    }

    /// Records that a secret is written here, rather than looked up elsewhere.
    pub(super) fn note_secret(&self, place: &Place) {
        self.files_with_secrets.borrow_mut().insert(place.file.name().to_owned());
    }

    /// The files in which secrets are written.
    pub(super) fn files_with_secrets(&self) -> BTreeSet<String> {
        self.files_with_secrets.take()
    }

    /// Records that a file is about to be read.
    pub(super) fn note_file(&self, path: &Path) {
        self.sources.borrow_mut().note_file(path);
    }

    /// Records what is in the directory of further files.
    pub(super) fn note_directory(&self, path: &Path, files: Option<&Vec<PathBuf>>) {
        self.sources.borrow_mut().note_directory(path, files);
    }

    /// The files that were read, or should have been.
    pub(super) fn sources(&self) -> Sources {
        self.sources.take()
    }

    /// Records that a secret is looked up in this file.
    pub(super) fn note_secret_file(&self, path: PathBuf) {
        self.note_file(&path);
        self.secret_files.borrow_mut().insert(path);
    }

    /// The files in which secrets are looked up.
    pub(super) fn secret_files(&self) -> BTreeSet<PathBuf> {
        self.secret_files.take()
    }

    /// All problems, or what was read if there are none.
    pub(super) fn finish<T>(self, read: Option<T>) -> Result<T, Problems> {
        match (Problems::new(self.problems.into_inner()), read) {
            (Some(problems), _) => Err(problems),
            (None, Some(read)) => Ok(read),
            (None, None) => unreachable!("a reader gives nothing only where it has recorded a problem"),
        }
    }

    /// Whether nothing is wrong so far.
    pub(super) fn is_empty(&self) -> bool {
        self.problems.borrow().is_empty()
    }
}
