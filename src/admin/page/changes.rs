//! Who changed what: a line of JSON for each change, in a file beside the outbox.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::visitor::Visitor;
use crate::admin::problem::Problem;
use crate::moment::value::Time;

/// How much of the file's end is read: some hundreds of changes, more than anybody looks through.
const READ: u64 = 256 * 1_024;

/// The file. It grows by a line for each change that a person makes, and whoever wants to may move it away.
#[derive(Debug)]
pub struct ChangeLog {
    path: PathBuf,
}

/// A change. Stored as JSON; fields may be added.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// When it was made.
    pub at: Time,
    /// By whom.
    pub who: String,
    /// With which role.
    pub role: String,
    /// What was done, in a word or two.
    pub action: String,
    /// To what.
    pub target: String,
    /// More of it, for a person.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
}

impl ChangeLog {
    /// The log of the outbox at that path.
    pub fn beside(outbox: &Path) -> Self {
        let mut name = outbox.as_os_str().to_owned();
        name.push(".changes.jsonl");
        Self { path: name.into() }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens it to note a change: before that is made, because what can't be noted is not to be done.
    pub fn open(&self) -> Result<Pen, Problem> {
        let mut options = OpenOptions::new();
        options.append(true).create(true);
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let unwritable = |error| {
            Problem::unavailable(format!("nothing was changed: {} can't be written: {error}", self.path.display()))
        };
        options.open(&self.path).map(Pen).map_err(unwritable)
    }

    /// The latest changes, the newest first.
    pub fn latest(&self) -> io::Result<Vec<Change>> {
        let mut file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let start = file.metadata()?.len().saturating_sub(READ);
        file.seek(SeekFrom::Start(start))?;
        let mut bytes = Vec::new();
        file.take(READ).read_to_end(&mut bytes)?;
        let text = String::from_utf8_lossy(&bytes);
        // The first line may have been cut, and one that a power failure has cut can't be read either.
        Ok(text.lines().rev().filter_map(|line| serde_json::from_str(line).ok()).collect())
    }
}

/// The opened log.
#[derive(Debug)]
pub struct Pen(File);

impl Pen {
    /// Notes a change, durably.
    pub fn note(mut self, visitor: &Visitor, action: &str, target: &str, detail: &str) {
        let change = Change {
            at: Time(Timestamp::now()),
            who: visitor.called().to_owned(),
            role: visitor.role.as_str().to_owned(),
            action: action.to_owned(),
            target: target.to_owned(),
            detail: detail.to_owned(),
        };
        tracing::info!(who = change.who, action, target, "changed from the page");
        let line = serde_json::to_string(&change).expect("texts are JSON") + "\n";
        if let Err(error) = self.0.write_all(line.as_bytes()).and_then(|()| self.0.sync_data()) {
            tracing::error!(%error, line, "a change was made and can't be noted");
        }
    }
}
