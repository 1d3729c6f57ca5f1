//! A reference model: random calls, what truly happens in them, and what a daemon hears of it.
//!
//! The truth is written down while a call is told, by whoever makes it happen. It knows nothing of the lifecycle: what
//! hooks ought to say follows from what people and phones did.
//!
//! - [`script`]: what callers and agents do, at random.
//! - [`stage`], [`talk`]: it happens: events are sent, and the truth is written down.
//! - [`truth`]: what was true of each stay, and what hooks must therefore say.
//! - [`glance`]: what a survey finds at a time.
//! - [`journey`]: what becomes of events, connections and daemons on the way.
//! - [`watcher`]: a daemon that hears of it, as far as it concerns the lifecycle.
//! - [`verdict`]: what must hold of all that it tells.

mod glance;
pub(crate) mod journey;
pub(crate) mod script;
mod stage;
mod talk;
pub(crate) mod truth;
pub(crate) mod verdict;
pub(crate) mod watcher;

pub(crate) use stage::Stage;
