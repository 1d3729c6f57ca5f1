//! Hooks: which flows a moment starts.
//!
//! - [`subscription`]: one configured hook.
//! - [`mod@plan`]: the runs that a moment starts.
//! - [`mod@sample`]: a moment to try a flow with.

pub mod plan;
pub mod sample;
pub mod subscription;

pub use plan::{plan, start};
pub use sample::sample;
pub use subscription::Hook;
