//! When a failed try is repeated.

use std::time::Duration;

/// The waits between tries: after the last one the run has failed for good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetrySchedule {
    /// The wait before each further try.
    pub waits: Vec<Duration>,
}
