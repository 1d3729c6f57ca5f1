//! What is committed: moments, the attempts' new states and the runs that hooks start, whole or not at all.

use std::sync::Arc;
use std::time::Duration;

use crate::flow::Flow;
use crate::id::{AttemptHash, AttemptKey, RunId};
use crate::moment::Moment;

/// One unit of commitment: what one input to the lifecycle brought forth.
#[derive(Debug, Default)]
pub struct Entry {
    /// Moments in their order, each with the runs that its hooks start.
    pub moments: Vec<(Moment, Vec<PlannedRun>)>,
    /// The attempts that changed.
    pub attempts: Vec<AttemptChange>,
}

/// A run that a hook starts.
#[derive(Clone, Debug)]
pub struct PlannedRun {
    /// The run's identifier: a hash of moment, hook and flow.
    pub id: RunId,
    /// The hook, as the configuration names it.
    pub hook: String,
    /// The flow.
    pub flow: Arc<Flow>,
    /// How long after its moment the run is of use; unset: always.
    pub expires_after: Option<Duration>,
}

/// What became of an attempt's state.
#[derive(Clone, Debug)]
pub enum AttemptChange {
    /// The attempt is open, or a later one may continue it; its state is to be found again after a restart.
    Keep {
        /// Its key.
        key: AttemptKey,
        /// Its state, as the lifecycle writes it (JSON).
        state: String,
    },
    /// The attempt is over, and nothing can come of it any more.
    Forget(AttemptHash),
}
