//! `[outbox]`: where moments and runs are kept.

use std::path::PathBuf;
use std::time::Duration;

use super::section::Section;
use super::value::Value;

/// The database's file, where it is not configured.
const PATH: &str = "/var/lib/hookswitch/outbox.db";

/// A day.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The least size: less is soon taken by what is under way on a busy day, of which nothing is forgotten.
const MIN_SIZE: u64 = 10 * 1_000_000;

/// The greatest size: far more than any disk's.
const MAX_SIZE: u64 = 1_000 * 1_000_000_000_000;

/// The outbox's settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboxSettings {
    /// The database's file.
    pub path: PathBuf,
    /// How long what is done with is kept.
    pub keep: Duration,
    /// The size in bytes above which what is done with is forgotten sooner.
    pub max_size: Option<u64>,
}

impl OutboxSettings {
    #[expect(clippy::unnecessary_wraps, reason = "the shape of every section's reader")]
    pub(super) fn read(section: &mut Section<'_>) -> Option<Self> {
        let default = Self::default();
        let keep = section.optional("keep", |value| {
            value.duration_within("how long the outbox keeps what is done", Duration::from_secs(60), 3650 * DAY)
        });
        let max_size = |value: Value<'_>| value.size_within("the outbox's size", MIN_SIZE, MAX_SIZE);
        Some(Self {
            path: section.optional("path", Value::text).map_or(default.path, PathBuf::from),
            keep: keep.unwrap_or(default.keep),
            max_size: section.optional("max_size", max_size),
        })
    }
}

impl Default for OutboxSettings {
    fn default() -> Self {
        Self { path: PATH.into(), keep: 30 * DAY, max_size: None }
    }
}
