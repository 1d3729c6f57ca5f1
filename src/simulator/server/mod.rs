//! The Event Socket: the server side of the protocol, around a simulation.
//!
//! ```text
//!            ┌────────────────── exchange ──────────────────┐
//!            │ owns the simulation, the journal, the clock   │
//!            └──▲────────────────┬──────────────────────────┘
//!   requests    │ 64             │ frames, one queue per client: 100,000, then dropped
//!   (one at a   │                ▼
//!   time each)  └────────── connection ◀──TCP──▶ client
//! ```
//!
//! - [`command`]: what clients send.
//! - [`subscription`]: which events a client wants.
//! - [`connection`]: one client.
//! - [`exchange`]: the task that owns the simulation.
//! - [`listener`]: what all of them share: addresses, options, the order of starting and ending.

mod command;
mod connection;
mod exchange;
mod listener;
mod subscription;

pub use listener::{DEFAULT_PASSWORD, JournalError, Server, ServerOptions};
