//! The life of an attempt: pure state machines from typed facts to moments.
//!
//! No I/O, no clock, no randomness: events and times go in, moments come out, and any story can be played back.
//!
//! - [`machine`]: the live attempts of a cluster of nodes and the passing of time over them; [`node`]: what is known of
//!   one of these nodes.
//! - [`callcenter`]: what mod_callcenter's events mean for them.
//! - [`dialer`], [`dialled`]: what channels mean that a dialer makes without mod_callcenter; [`fifo`]: what mod_fifo's
//!   events mean.
//! - [`attempt`]: one stay of a member in one queue; [`offer`]: one offering of it to an agent.
//! - [`bridge`]: the connection of member and agent.
//! - [`wrap_up`]: the agent's post-processing, and its end.
//! - [`agents`], [`queues`]: what becomes of agents and queues, for whoever hears of it.
//! - [`ending`]: when both are over, and how they ended.
//! - [`telling`]: how a moment's payload is made from the facts; [`variables`]: which variables it carries.
//! - [`kept`]: what a restart of the daemon finds again.
//! - [`channels`], [`early`], [`memory`], [`seen`]: what is kept of channels, of events that came too soon, of attempts
//!   that are over, and of events at all.
//! - [`anomaly`]: facts that fit no story.

pub mod agents;
pub mod anomaly;
pub mod attempt;
pub mod bridge;
pub mod callcenter;
pub mod channels;
pub mod dialer;
pub mod dialled;
pub mod early;
pub mod ending;
pub mod fifo;
pub mod kept;
pub mod machine;
pub mod memory;
pub mod node;
pub mod offer;
pub mod queues;
pub mod seen;
pub mod telling;
pub mod variables;
pub mod world;
pub mod wrap_up;

pub use machine::{Effects, Lifecycle};
