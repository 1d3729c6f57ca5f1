//! What the daemon says of itself.
//!
//! - [`log`]: in lines.
//! - [`histogram`]: durations that are measured; [`exposition`]: figures as Prometheus reads them.
//!
//! Each part of the program counts what it does in figures of its own; who wants to see them all gathers them when asked
//! (`/metrics`). Nothing is registered anywhere, so several daemons in one process, as in tests, don't mix.

pub mod exposition;
pub mod histogram;
pub mod log;

pub use exposition::Exposition;
pub use histogram::Histogram;
