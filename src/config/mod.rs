//! The configuration: one TOML file, with what lies in `conf.d/` beside it, checked as a whole.
//!
//! ```text
//! file ──> document ──────────> section, value ────────────────> config
//! text     one tree of all      each section's reader takes      what the program uses: nodes, outbox, delivery,
//!          files, with places   its keys; what is left over      queues' settings and hooks, agents, flows
//!                               is unknown
//! ```
//!
//! Nothing here stops at the first problem: a reader records it in the report and goes on, so a person who runs
//! `hookswitch check` sees all of them at once, each with its file, line and remedy.
//!
//! [`edit`] changes the files. [`watch`] notices that the files, or any that they name, have changed, and reads all of them
//! again.

pub mod agent;
pub mod agents;
pub mod configuration;
pub mod daemon;
mod definition;
pub mod delivery;
mod destinations;
mod document;
pub mod edit;
pub mod fault;
mod file;
mod flow;
pub mod freeswitch;
mod hook;
pub mod http;
pub mod outbox;
mod outline;
pub mod pattern;
pub mod problem;
pub mod queue;
mod queues;
mod receivers;
mod redaction;
mod report;
pub mod secret;
mod section;
mod size;
mod sources;
mod step;
pub(crate) mod suggestion;
mod value;
pub mod watch;

pub use agents::{AgentOrigin, AgentOrigins};
pub use configuration::Config;
pub use daemon::{DaemonSettings, WaitingAtStart};
pub use definition::StoredFlows;
pub use http::{HttpSettings, HttpToken, HttpUser};
pub use problem::{Problem, Problems};
pub use queue::{QueueSettings, ResolvedQueue};
pub use sources::Sources;
pub use watch::{ConfigWatch, Reading};
