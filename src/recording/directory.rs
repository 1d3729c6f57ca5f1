//! The directory into which a daemon records its nodes.

use std::io;
use std::path::PathBuf;

use jiff::Timestamp;

use super::mark::Writer;
use super::recorder::{self, Recorder, Recording, Settings};
use super::redaction::{Key, Redaction};
use crate::id::NodeName;

/// Where a daemon records, and how.
#[derive(Clone, Debug)]
pub struct Directory {
    /// The directory, which is there.
    pub path: PathBuf,
    /// Whether numbers and names are hidden.
    pub redact: bool,
}

impl Directory {
    /// Begins to record a node, into a file of the node's and the time's name: `fs1-20261123T081846.202Z.esl.zst`.
    pub fn begin(&self, node: NodeName) -> io::Result<(Recorder, Recording)> {
        let redaction = if self.redact { Some(Redaction::new(Key::random()?)) } else { None };
        let file = self.path.join(format!("{node}-{}.esl.zst", Timestamp::now().strftime("%Y%m%dT%H%M%S%.3fZ")));
        recorder::begin(Settings { file, node, by: Writer::Daemon, redaction })
    }
}
