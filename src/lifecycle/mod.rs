//! The life of an attempt: pure state machines from typed facts to moments.
//!
//! No I/O, no clock, no randomness: events and times go in, moments come out, and any story can be played back.
//!
//! - [`machine`]: a cluster of nodes and the passing of time over its attempts; [`attempts`]: which there are;
//!   [`node`]: what is known of one of the nodes.
//! - `clock`: a FreeSWITCH's clock that is set.
//! - [`input`]: an event on its way through; [`callcenter`]: what mod_callcenter's events mean for attempts; [`survey`]:
//!   what comparing them with FreeSWITCH means.
//! - [`dialer`], [`dialled`]: what the channels mean that a dialer makes without mod_callcenter; [`fifo`]: what mod_fifo's
//!   events mean.
//! - [`told`]: what others tell of queues outside FreeSWITCH; [`following`]: what that changes.
//! - [`joining`]: how an attempt is opened; `subscriber`: who the subscriber is.
//! - [`attempt`]: one stay of a member in one queue; [`offer`]: one offering of it to an agent; [`leg`]: a leg on which
//!   the agent is called.
//! - [`offering`]: what facts about agents change of an attempt; [`verdict`]: why an offer failed.
//! - [`bridge`]: the connection of member and agent; [`hold`]: the time that it spends on hold.
//! - [`wrap_up`]: the agent's post-processing, and its end.
//! - [`agents`], [`queues`]: what becomes of agents and queues, for whoever hears of it.
//! - [`ending`]: when offers and attempts are over; [`result`]: how an attempt ended; `judgement`: who ended
//!   it.
//! - [`telling`]: how a moment's payload is made from the facts; [`variables`]: which variables it carries.
//! - [`directory`]: what FreeSWITCH's directory says of agents.
//! - [`kept`]: what a restart of the daemon finds again.
//! - [`channels`], [`early`], [`memory`], [`seen`]: what is kept of channels, of events that came too soon, of attempts
//!   that are over, and of events at all.
//! - [`anomaly`]: facts that fit no story.

pub mod agents;
pub mod anomaly;
pub mod attempt;
pub mod attempts;
pub mod bridge;
pub mod callcenter;
pub mod channels;
mod clock;
pub mod dialer;
pub mod dialled;
pub mod directory;
pub mod early;
pub mod ending;
pub mod fifo;
pub mod following;
pub mod hold;
pub mod input;
pub mod joining;
mod judgement;
pub mod kept;
pub mod leg;
pub mod machine;
pub mod memory;
pub mod node;
pub mod offer;
pub mod offering;
pub mod queues;
pub mod result;
pub mod seen;
mod subscriber;
pub mod survey;
pub mod telling;
pub mod told;
pub mod variables;
pub mod verdict;
pub mod world;
pub mod wrap_up;

pub use machine::{Effects, Lifecycle};
