//! Hooks: which flows a moment starts.
//!
//! - [`subscription`]: one configured hook.
//! - [`mod@plan`]: the runs that a moment starts.

pub mod plan;
pub mod subscription;

pub use plan::{plan, start};
pub use subscription::Hook;
