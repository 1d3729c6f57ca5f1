//! The Event Socket client: bytes to frames, frames to events and replies, and the connections that carry them.

pub mod event;

pub use event::Event;
