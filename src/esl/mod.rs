//! The Event Socket client: bytes to frames, frames to events and replies, and the connections that carry them.
//!
//! ```text
//! socket ──> codec ──> session ──┬─> event feed ─> EventStream      (the events connection)
//!            frames    auth,     └─> replies ────> Commands         (the commands connection)
//! recording ─┘         subscribe, who waits for what
//! ```
//!
//! - [`event`]: one event; its two notations are read in `plain` and `json`.
//! - [`frame`], [`codec`]: the framing, with no trust in lengths. No I/O.
//! - [`command`]: commands, built so that no argument can start a second one.
//! - [`session`]: sign-in, subscription, which reply belongs to whom, and deadlines. No I/O, no clock.
//! - [`exit`]: every way in which a connection ends, and what to do about it.
//! - [`backoff`]: how long to wait before the next connection. No clock, no randomness.
//! - [`link`]: both connections to one FreeSWITCH, kept up; [`feed`] and [`commands`] are what it hands out.
//! - [`running_clock`]: the clock by which all time limits of a link are measured.
//! - [`nodes`]: the commands connections of all nodes.
//! - [`recording`]: what a client got, byte for byte, read again.
//!
//! FreeSWITCH serves a connection with one thread, so an `api` command holds up that connection's events, and a command
//! is read only once the backlog of events is drained: hence two connections.

pub mod backoff;
pub mod codec;
pub mod command;
pub mod commands;
mod connection;
pub mod event;
pub mod exit;
pub mod feed;
pub mod frame;
mod json;
pub mod link;
pub mod nodes;
mod plain;
pub mod recording;
pub mod running_clock;
pub mod session;

pub use command::Command;
pub use commands::{CommandError, Commands};
pub use event::Event;
pub use exit::Exit;
pub use feed::{EventItem, EventStream};
pub use link::{Link, LinkState, NodeAddress};
pub use nodes::Nodes;
