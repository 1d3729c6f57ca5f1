//! A FreeSWITCH that never was: an Event Socket server with callers, queues and agents behind it.
//!
//! It is for trying flows without a telephone, for the demonstration, and for tests that need more calls than anybody
//! would place by hand. What it says on the socket is what a real FreeSWITCH with mod_callcenter says: the same events,
//! headers, spelling and order, with the same oddities.
//!
//! ```text
//!  scenario ──> simulation ──SimulatedEvent──> server ──frames──> clients
//!               (pure; time                    (TCP; one queue
//!                and seed in)                   per client)
//!                    │                              ▲
//!                    └────────> truth               └── api ── commands
//! ```
//!
//! - [`scenario`]: who calls, who answers, how patient they are.
//! - [`chance`]: every draw, from one seed.
//! - [`simulation`]: the model, without I/O or clock: the same seed, scenario and start give the same events.
//! - [`channel`]: one leg of a call and the headers and variables that it puts on events.
//! - [`event`]: an event and its two forms on the wire.
//! - [`truth`]: what really became of each attempt, written from the model's decisions and never from its events.
//! - [`api`]: the answers to `api` commands.
//! - [`server`]: the Event Socket around all of it.

pub mod api;
pub mod chance;
pub mod channel;
pub mod event;
pub mod scenario;
pub mod server;
pub mod simulation;
pub mod truth;

pub use event::{SimulatedEvent, WireFormat};
pub use scenario::Scenario;
pub use server::{Server, ServerOptions};
pub use simulation::Simulation;
pub use truth::Truth;
