//! Moments: what happened to an attempt, named by its meaning, with the fields that hooks carry.
//!
//! - [`event`]: the eight events.
//! - [`payload`]: the fields, each declared once.
//! - [`value`]: the types of their values.
//! - [`format`](mod@format): the shapes in which a payload is sent.

pub mod event;
pub mod format;
pub mod payload;
pub mod value;

pub use event::EventName;
pub use format::Format;
pub use payload::Payload;

use crate::id::AttemptHash;

/// One occurrence of an event for one attempt.
#[derive(Clone, Debug, PartialEq)]
pub struct Moment {
    /// The attempt.
    pub attempt: AttemptHash,
    /// What it tells.
    pub payload: Payload,
}
