//! The daemon's durability, proven at the level of whole processes.
//!
//! ```text
//!  hookswitch simulate ──ESL──> hookswitch run ──webhooks──> receiver (this process)
//!   (a process; writes   │       (a process; killed and       (verifies, records, sometimes
//!    its journal)        │        started again)               answers 500 or breaks off)
//!                        └────> witness (this process; never disconnected)
//! ```
//!
//! When all is over the [`oracle`] holds what arrived against the simulator's journal, the outbox and what the witness saw.
//!
//! The fail points are part of `cargo test`; the random kills are run by command, six rounds unless told otherwise:
//!
//! ```text
//! HOOKSWITCH_KILL_ROUNDS=50  cargo test --test crash kills -- --ignored --nocapture     (about three minutes)
//! HOOKSWITCH_KILL_ROUNDS=500 cargo test --test crash kills -- --ignored --nocapture     (about half an hour)
//! ```
//!
//! `HOOKSWITCH_KILL_SEED` repeats the times of the kills and the calls of a run that printed it; what falls between two
//! instructions is never the same twice. A run that fails keeps its directory and prints where it is: the witness's
//! recording in it can be given to `hookswitch replay`.
//!
//! - [`kills`], [`fail_points`], [`disks`]: the tests.
//! - [`stage`]: everything that runs, started together and ended in order.
//! - [`own_mounts`]: disks to be filled and broken, which nobody else sees.
//! - [`process`]: a child process that does not outlive the test.
//! - [`inbox`]: the webhooks that arrived.
//! - [`witness`]: the events that the simulator sent.
//! - [`oracle`]: what must hold of them; [`story`]: what must hold of each attempt by itself.

#![cfg(unix)]

#[cfg(target_os = "linux")]
mod disks;
mod fail_points;
mod inbox;
mod kills;
mod oracle;
#[cfg(target_os = "linux")]
mod own_mounts;
mod process;
#[path = "../outbox/receiver.rs"]
#[expect(dead_code, reason = "it can answer worse than is needed here")]
mod receiver;
mod stage;
mod story;
#[path = "../truth/mod.rs"]
#[expect(dead_code, reason = "recordings are read from files, a journal line by line")]
mod truth;
mod witness;
