//! `[outbox]`: where moments and runs are kept.

use std::path::PathBuf;
use std::time::Duration;

use super::section::Section;
use super::value::Value;

/// The database's file, where it is not configured.
const PATH: &str = "/var/lib/hookswitch/outbox.db";

/// A day.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The outbox's settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboxSettings {
    /// The database's file.
    pub path: PathBuf,
    /// How long what is done with is kept.
    pub keep: Duration,
}

impl OutboxSettings {
    #[expect(clippy::unnecessary_wraps, reason = "the shape of every section's reader")]
    pub(super) fn read(section: &mut Section<'_>) -> Option<Self> {
        let default = Self::default();
        let keep = section.optional("keep", |value| {
            value.duration_within("how long the outbox keeps what is done", Duration::from_secs(60), 3650 * DAY)
        });
        Some(Self {
            path: section.optional("path", Value::text).map_or(default.path, PathBuf::from),
            keep: keep.unwrap_or(default.keep),
        })
    }
}

impl Default for OutboxSettings {
    fn default() -> Self {
        Self { path: PATH.into(), keep: 30 * DAY }
    }
}
