//! The outbox: what is committed here is delivered at least once, or visible as failed.
//!
//! ```text
//!                 ┌──────────────────── writer (a thread, the only one that writes) ────────────────────┐
//! lifecycle ─1,024┤► takes what waits into one transaction ─► COMMIT ─► tells who waits                  │
//! runner ────────┘│                                               └──► hands ready runs over ─4,096──────┼► runner
//!                 └─ when runs on disk are due and there are seats: takes them in the same transaction ──┘
//! ```
//!
//! A run is `running` while it has a seat in memory; without a seat it is `pending` on disk. An ordered flow's run whose
//! predecessor for the same attempt is open is `waiting`, and the transaction that ends the predecessor makes it ready. So
//! order and pace are facts of the store, which a crash leaves as they are: at the next start what was `running` is
//! `pending` again, and what was `cancelling` is `cancelled`. A run that rests at a `wait` is `pending` until then, and nobody waits for it any more.
//!
//! A run of several steps has a journal, written with its row; a run of one pays nothing for that. What its flow said when it
//! began is stored once for each text.
//!
//! - [`entry`]: what is committed.
//! - [`outbox`]: the handle.
//! - [`run`]: a run in memory, and what is reported of it.
//! - [`store`] opens it.
//! - [`deliveries`]: reading what became of runs, beside the daemon; [`filter`]: which; [`intervention`]: doing them again, and
//!   cancelling them; [`cancellations`]: how those hear of it who do them.
//! - [`chronicle`]: what happened, for whoever looks.
//! - [`archive`], [`erasure`]: backup and restoration, and erasing what is stored of a person.
//! - [`history`]: what happened before there was an outbox.
//! - [`clock`]: due times that follow the wall clock when it is set.
//! - `figures`: what is counted.
//! - [`inspection`]: whether it can be used.
//! - `prepared`, `writer`, `transaction`, `desk`: the way into the file.
//! - `retention`: the way out of it.
//! - `file`, `schema`, `lock`: the file; `trouble`, `salvage`: what to do where it can't be used.

pub mod archive;
pub mod cancellations;
mod checkpointer;
pub mod chronicle;
pub mod clock;
pub mod deliveries;
mod desk;
pub mod entry;
pub mod erasure;
mod figures;
mod file;
pub mod filter;
pub mod history;
pub mod inspection;
pub mod intervention;
mod lock;
#[expect(clippy::module_inception, reason = "the handle bears the module's name")]
pub mod outbox;
mod prepared;
mod retention;
pub mod run;
mod salvage;
mod schema;
pub mod store;
mod transaction;
mod trouble;
mod writer;

pub use cancellations::Cancellations;
pub use clock::Reading;
pub use deliveries::Deliveries;
pub use desk::Turns;
pub use entry::{AttemptChange, Entry, PlannedRun};
pub use figures::Figures;
pub use filter::Filter;
pub use lock::LockError;
pub use outbox::{Closed, Committed, Health, Outbox, Receipt};
pub use run::{BeganWith, Expiry, Failure, FailureKind, JournalEntry, Progress, Report, Run, RunState};
pub use schema::SchemaError;
pub use store::{Ending, OpenError, OpenErrorCause, Opened, Recovered, Settings};
