//! One FreeSWITCH node, followed: its events into the lifecycle, the lifecycle's moments into the outbox.
//!
//! - [`follower`]: the task that owns a node's lifecycle.
//! - [`clock`]: the node's clock, which ticks by its events.
//! - [`survey`]: asking FreeSWITCH what it has.
//! - [`live`]: the live attempts, for whoever wants to look.

pub mod clock;
pub mod follower;
pub mod live;
pub mod survey;

pub use follower::Follower;
pub use live::LiveAttempts;
