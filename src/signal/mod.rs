//! What is told of queues outside FreeSWITCH: chats, tasks, queues of other programs (`source = "api"`).
//!
//! - [`key`]: the caller's own name for an attempt.
//! - [`opening`]: an attempt is opened; [`step`]: what happens to it then.
//! - [`event`]: the same, told by an event of FreeSWITCH's from a dialplan or a script.
//!
//! What each means for an attempt is decided in [`crate::lifecycle::told`].

pub mod event;
pub mod key;
pub mod opening;
pub mod step;

pub use key::{SignalId, TellersKey};
pub use opening::Opening;
pub use step::{LeavingReason, Signal, Step};

/// What is told of an attempt.
#[derive(Clone, Debug, PartialEq)]
pub enum Telling {
    /// That it begins.
    Opening(Opening),
    /// That something happened to it.
    Signal(Signal),
}
