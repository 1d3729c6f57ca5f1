//! The outbox: what is committed here is delivered at least once, or visible as failed.

pub mod entry;

pub use entry::{AttemptChange, Entry, PlannedRun};
