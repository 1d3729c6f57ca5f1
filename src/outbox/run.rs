//! A run in the daemon's memory, and what is reported of it.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;

use crate::delivery::TryRecord;
use crate::flow::Flow;
use crate::id::{FlowName, RunId};

/// One run, taken from the outbox to be done now.
#[derive(Clone, Debug)]
pub struct Run {
    /// Its row in the store.
    pub(super) row: i64,
    /// The run's identifier.
    pub id: RunId,
    /// The flow's name.
    pub flow: FlowName,
    /// The flow, where the run has just been committed; a run from the store finds its flow by name.
    pub definition: Option<Arc<Flow>>,
    /// The moment's payload, as JSON.
    pub payload: Arc<str>,
    /// The step at hand: an index into the flow's steps.
    pub step: u32,
    /// How many tries of this step have failed.
    pub step_tries: u32,
    /// How many tries the run had in all.
    pub(super) tries: u32,
}

/// What a run has come to.
#[derive(Clone, Debug)]
pub struct Report {
    /// The run, as it goes on.
    pub(super) run: Run,
    /// The number of the try within the run, and its record as JSON.
    pub(super) attempted: Option<(u32, String)>,
    pub(super) progress: Progress,
}

/// How a run goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// A step is done and this one is next; the run stays in memory.
    Next {
        /// The index of the step to be done now.
        step: u32,
    },
    /// The step is to be tried again.
    Retry {
        /// When.
        at: Timestamp,
        /// Why, for a person.
        reason: String,
    },
    /// All steps are done.
    Delivered,
    /// The run has failed for good.
    Failed {
        /// Why, for a person.
        reason: String,
    },
}

impl Run {
    /// Reports a try of the step at hand, if the step is of a kind that tries, and how the run goes on.
    pub fn report(&mut self, attempted: Option<&TryRecord>, progress: Progress) -> Report {
        let attempted = attempted.map(|record| {
            let number = self.tries;
            self.tries += 1;
            (number, record.to_json())
        });
        match progress {
            Progress::Next { step } => (self.step, self.step_tries) = (step, 0),
            Progress::Retry { .. } => self.step_tries += 1,
            Progress::Delivered | Progress::Failed { .. } => {}
        }
        Report { run: self.clone(), attempted, progress }
    }
}

/// Where a run stands in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, clap::ValueEnum, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// An earlier run of the same flow for the same attempt is open.
    Waiting,
    /// It is done when it is due.
    Pending,
    /// It is in the daemon's memory, being done.
    Running,
    /// All its steps are done.
    Delivered,
    /// It has failed for good.
    Failed,
}

impl RunState {
    /// Every state.
    pub const ALL: [Self; 5] = [Self::Waiting, Self::Pending, Self::Running, Self::Delivered, Self::Failed];

    /// The state's name, as it is stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
        }
    }

    /// Whether the run is over.
    pub const fn is_over(self) -> bool {
        match self {
            Self::Waiting | Self::Pending | Self::Running => false,
            Self::Delivered | Self::Failed => true,
        }
    }
}

impl fmt::Display for RunState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl rusqlite::types::FromSql for RunState {
    fn column_result(value: rusqlite::types::ValueRef<'_>) -> rusqlite::types::FromSqlResult<Self> {
        let text = value.as_str()?;
        Self::ALL.into_iter().find(|state| state.as_str() == text).ok_or(rusqlite::types::FromSqlError::InvalidType)
    }
}

impl rusqlite::types::ToSql for RunState {
    fn to_sql(&self) -> rusqlite::Result<rusqlite::types::ToSqlOutput<'_>> {
        Ok(self.as_str().into())
    }
}
