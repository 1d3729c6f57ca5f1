//! FreeSWITCH nodes, followed: their events into the lifecycle, the lifecycle's moments into the outbox.
//!
//! ```text
//!                       ┌────────────── one for each cluster ──────────────┐
//! config ──> Fleet ─────┤ Order ──> Follower ── Entry ──> outbox           │
//!            1 task     │   16      1 task, owns Lifecycle                 │
//!                       │             ├─ Post: link, clock, survey         │
//!                       │             └─ … one for each node               │
//!                       └──────────────────────────────────────────────────┘
//! ```
//!
//! - [`fleet`]: all nodes that are followed, as the configuration in force says.
//! - [`follower`]: the task that owns the lifecycle of a cluster.
//! - [`reception`]: the task that takes what is told over HTTP, in the place of a node.
//! - [`surroundings`]: what these share.
//! - [`post`]: its end of the connection to one node.
//! - [`clock`]: the node's clock, which ticks by its events.
//! - [`survey`]: asking FreeSWITCH what it has.
//! - [`live`]: the live attempts, for whoever wants to look.

pub mod clock;
pub mod fleet;
pub mod follower;
pub mod live;
pub mod post;
pub mod reception;
pub mod surroundings;
pub mod survey;

pub use fleet::Fleet;
pub use follower::Follower;
pub use live::LiveAttempts;
pub use reception::{Desk, Reception};
pub use surroundings::Surroundings;
