//! Moments: what happened to an attempt, a queue or an agent, named by its meaning, with the fields that hooks carry.
//!
//! - [`event`]: the eight events, and those beyond.
//! - [`payload`]: the fields, each declared once; `sample`: moments to try flows with.
//! - [`value`]: the types of their values.
//! - [`format`](mod@format): the shapes in which a payload is sent.

pub mod event;
pub mod format;
pub mod payload;
mod sample;
pub mod value;

pub use event::EventName;
pub use format::Format;
pub use payload::Payload;

use crate::id::AttemptHash;

/// One occurrence of an event.
#[derive(Clone, Debug, PartialEq)]
pub struct Moment {
    /// The attempt, or what stands in its place ([`AttemptHash::in_place_of`]).
    pub attempt: AttemptHash,
    /// What it tells.
    pub payload: Payload,
}
