//! The model: callers, queues and agents, and what FreeSWITCH would say of them. No I/O, no clock, and no randomness but
//! that of the seed.
//!
//! Everything that will happen is an entry of the [`agenda`]: a caller's patience running out, an agent picking up, a
//! conversation's end. [`world`] takes the entries that are due and the other files carry them out, in a call's order:
//! [`arrival`], [`distribution`], [`offering`], [`conversation`], [`departure`]. [`announcement`] writes mod_callcenter's
//! events, [`operation`] is what commands can see and change.

mod agenda;
mod agent;
mod announcement;
mod arrival;
mod call;
mod conversation;
mod departure;
mod distribution;
mod node;
mod offering;
mod operation;
mod world;

pub use agent::{Agent, AgentState, Status};
pub use operation::{MemberView, OperationError};
pub use world::Simulation;
