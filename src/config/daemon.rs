//! `[daemon]`: how the program itself behaves.

use std::time::Duration;

use super::section::Section;
use super::value::Value;

/// How long runs that are under way may take to finish when the daemon ends: most receivers answer within it.
const DRAIN: Duration = Duration::from_secs(10);

/// The longest drain: service managers kill what has not ended after some 90 seconds.
const MAX_DRAIN: Duration = Duration::from_secs(60);

/// The daemon's settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DaemonSettings {
    /// How long runs that are under way may take to finish when the daemon ends.
    pub drain: Duration,
    /// Whether hooks only log what they would start.
    pub dry_run: bool,
    /// What becomes of members who already wait when the daemon first sees them.
    pub waiting_at_start: WaitingAtStart,
}

/// What becomes of members who joined before the daemon's first connection to their node, and of whom nothing is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WaitingAtStart {
    /// They are followed from the connection on; a synthetic `joined` tells of them.
    #[default]
    TakeOver,
    /// They are left alone until they are gone.
    Ignore,
}

/// The ways as they are written.
const WAYS: [(&str, WaitingAtStart); 2] = [("take_over", WaitingAtStart::TakeOver), ("ignore", WaitingAtStart::Ignore)];

impl DaemonSettings {
    #[expect(clippy::unnecessary_wraps, reason = "the shape of every section's reader")]
    pub(super) fn read(section: &mut Section<'_>) -> Option<Self> {
        let default = Self::default();
        let drain = |value: Value<'_>| value.duration_within("`drain`", Duration::ZERO, MAX_DRAIN);
        let waiting = |value: Value<'_>| value.word("way", &WAYS);
        Some(Self {
            drain: section.optional("drain", drain).unwrap_or(default.drain),
            dry_run: section.optional("dry_run", Value::boolean).unwrap_or_default(),
            waiting_at_start: section.optional("waiting_at_start", waiting).unwrap_or(default.waiting_at_start),
        })
    }
}

impl Default for DaemonSettings {
    fn default() -> Self {
        Self { drain: DRAIN, dry_run: false, waiting_at_start: WaitingAtStart::default() }
    }
}
