//! What the daemon says of itself.

pub mod log;
