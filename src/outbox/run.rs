//! A run in the daemon's memory, and what is reported of it.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::clock::Reading;
use crate::delivery::TryRecord;
use crate::flow::names::FAILURE;
use crate::flow::{Definition, Flow};
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
    /// What the flow said when the run began.
    pub began_with: BeganWith,
    /// The moment's payload, as JSON.
    pub payload: Arc<str>,
    /// The step at hand: an index into the flow's steps.
    pub step: u32,
    /// How many tries of this step have failed.
    pub step_tries: u32,
    /// How many tries the run had in all.
    pub(super) tries: u32,
    /// When it is of no use any more.
    pub expires_at: Option<Timestamp>,
    /// The end of its latest `wait`.
    pub resumed_at: Option<Timestamp>,
    /// By how much the clock was set since the run was stored.
    pub(super) clock_step: SignedDuration,
    /// What the clocks said when it was taken from the outbox: the run's times are of this wall clock.
    pub(super) taken: Reading,
    /// When that was.
    pub(super) since: Instant,
    /// What its steps have saved: JSON objects, the latest last.
    pub saved: Vec<String>,
    /// Whether somebody has asked for its next try to be made now.
    pub is_asked: bool,
    /// Whether it tells of another run's failure, so that nobody is told of its own.
    pub(super) is_told: bool,
}

/// When a run is of no use any more.
#[derive(Clone, Copy, Debug)]
pub struct Expiry {
    at: Option<Timestamp>,
    taken: Reading,
}

impl Expiry {
    /// Whether it has come.
    pub fn has_come(self) -> bool {
        self.left().is_some_and(|left| left.is_zero())
    }

    /// What `waiting` waits for, if that comes before the end.
    pub async fn before<T>(self, waiting: impl Future<Output = T>) -> Option<T> {
        let over = async {
            while let Some(left) = self.left().filter(|left| !left.is_zero()) {
                tokio::time::sleep(left).await;
            }
            if self.at.is_none() {
                std::future::pending::<()>().await;
            }
        };
        let waited = tokio::select! {
            biased;
            waited = waiting => Some(waited),
            () = over => None,
        };
        waited.filter(|_| !self.has_come())
    }

    fn left(self) -> Option<Duration> {
        Some(Duration::try_from(self.at?.duration_since(self.taken.advanced())).unwrap_or_default())
    }
}

/// What a run's flow said when it began.
#[derive(Clone, Debug)]
pub enum BeganWith {
    /// The flow itself: the run has just been committed.
    Flow(Arc<Flow>),
    /// The text that was stored with it.
    Stored {
        /// The text.
        definition: Definition,
        /// Whether the run is to go on with the newest definition all the same.
        latest: bool,
    },
    /// Nothing is known of that; the run takes the flow that has the name.
    Unknown,
}

/// A step that is over, for the journal of a run with several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalEntry {
    /// The step's path.
    pub path: String,
    /// What kind of step it is.
    pub kind: &'static str,
    /// Why it failed, if it did and the run goes on all the same.
    pub error: Option<String>,
    /// What later steps can name: a JSON object.
    pub saved: Option<String>,
}

/// What somebody may want to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What has failed.
    pub kind: FailureKind,
    /// The path of the step at which it did; empty where the run could not be taken up.
    pub step: String,
    /// Why, for a person.
    pub reason: String,
}

/// What has failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// A run, for good.
    Run,
    /// A receiver, which is left alone from now on; the run that found it so goes on.
    Receiver,
}

impl Failure {
    /// What a flow is told, as what a step has saved: a JSON object.
    fn told(&self, run: RunId, flow: &FlowName, tries: u32) -> String {
        let Self { kind, step, reason } = self;
        let failure = json!({ "kind": kind, "run": run, "flow": flow, "step": step, "reason": reason, "tries": tries });
        json!({ FAILURE: failure }).to_string()
    }
}

/// A run that tells of another's failure.
#[derive(Clone, Debug)]
pub(super) struct FollowUp {
    pub(super) id: RunId,
    pub(super) flow: Arc<Flow>,
    /// What it is told, as what a step has saved: a JSON object.
    pub(super) told: String,
}

/// What a run has come to.
#[derive(Clone, Debug)]
pub struct Report {
    pub(super) row: i64,
    pub(super) run: RunId,
    pub(super) flow: FlowName,
    pub(super) step: u32,
    pub(super) step_tries: u32,
    pub(super) tries: u32,
    /// What the clocks said when the run was taken from the outbox.
    pub(super) taken: Reading,
    /// The number of the try within the run, and its record as JSON.
    pub(super) attempted: Option<(u32, String)>,
    pub(super) journal: Vec<JournalEntry>,
    /// The definition that the run has gone over to.
    pub(super) definition: Option<Definition>,
    is_told: bool,
    pub(super) follow_up: Option<FollowUp>,
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
    /// The step at hand is not to be begun before this time, or until its receiver answers. It keeps its place in the
    /// attempt's order, and its tries.
    PutOff {
        /// The receiver.
        receiver: String,
        /// When.
        at: Timestamp,
        /// Why, for a person.
        reason: String,
    },
    /// The run rests, and gives up its place in the attempt's order.
    Wait {
        /// The index of the step to be done then.
        step: u32,
        /// Until when.
        until: Timestamp,
    },
    /// All steps are done.
    Delivered,
    /// The program itself has failed in the run, which is a bug of it. It counts as a failed try of the step at hand.
    Panicked,
    /// The run has failed for good.
    Failed {
        /// Why, for a person.
        reason: String,
    },
    /// The run has become useless before it was done.
    Expired {
        /// What was too late.
        reason: String,
    },
    /// The run goes no further, because somebody has cancelled it.
    Cancelled,
}

impl Run {
    /// A run of a flow from its first step that is in no outbox, to try the flow. Whatever it does is meant to be done now.
    pub fn apart(id: RunId, flow: &Arc<Flow>, payload: impl Into<Arc<str>>) -> Self {
        Self {
            row: 0,
            id,
            flow: flow.name.clone(),
            began_with: BeganWith::Flow(flow.clone()),
            payload: payload.into(),
            step: 0,
            step_tries: 0,
            tries: 0,
            expires_at: None,
            resumed_at: Some(Timestamp::now()),
            clock_step: SignedDuration::ZERO,
            taken: Reading::now(),
            since: Instant::now(),
            saved: Vec::new(),
            is_asked: true,
            is_told: false,
        }
    }

    /// The present by the wall clock as it was when the run was taken from the outbox: a clock that is set meanwhile makes
    /// nothing late.
    pub fn now(&self) -> Timestamp {
        self.taken.advanced()
    }

    /// When it was taken from the outbox.
    pub fn since(&self) -> Instant {
        self.since
    }

    /// When it is of no use any more.
    pub fn expiry(&self) -> Expiry {
        Expiry { at: self.expires_at, taken: self.taken }
    }

    /// The time of the run's moment, by the same clock.
    pub fn moved(&self, happened_at: Timestamp) -> Timestamp {
        happened_at.saturating_add(self.clock_step).unwrap_or(happened_at)
    }

    /// The same run, being told that it has failed itself: a failure to try with.
    pub fn being_told(mut self, failure: &Failure) -> Self {
        self.saved.push(failure.told(self.id, &self.flow, 1));
        self
    }

    /// Reports a try of the step at hand, if the step is of a kind that tries, and how the run goes on.
    pub fn report(&mut self, attempted: Option<&TryRecord>, progress: Progress) -> Report {
        let attempted = attempted.map(|record| {
            let number = self.tries;
            self.tries += 1;
            (number, record.to_json())
        });
        self.is_asked = false;
        match progress {
            Progress::Next { step } | Progress::Wait { step, .. } => (self.step, self.step_tries) = (step, 0),
            Progress::Retry { .. } => self.step_tries += 1,
            Progress::PutOff { .. }
            | Progress::Panicked
            | Progress::Delivered
            | Progress::Failed { .. }
            | Progress::Expired { .. }
            | Progress::Cancelled => {}
        }
        self.plain_report(attempted, progress)
    }

    /// Why a run has failed in which the program failed, as the delivery log has it.
    pub const PANICKED: &str = "the program failed in this run, which is a bug of it; its log has the place";

    /// The report that the program itself has failed in the run.
    pub fn panicked(&self) -> Report {
        self.plain_report(None, Progress::Panicked)
    }

    fn plain_report(&self, attempted: Option<(u32, String)>, progress: Progress) -> Report {
        Report {
            row: self.row,
            run: self.id,
            flow: self.flow.clone(),
            step: self.step,
            step_tries: self.step_tries,
            tries: self.tries,
            taken: self.taken,
            attempted,
            journal: Vec::new(),
            definition: None,
            is_told: self.is_told,
            follow_up: None,
            progress,
        }
    }
}

impl Report {
    /// How the run goes on.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Adds the steps that are over since the last report.
    pub fn with_journal(self, journal: Vec<JournalEntry>) -> Self {
        Self { journal, ..self }
    }

    /// Has the run keep to another definition from now on.
    pub fn with_definition(self, definition: Option<Definition>) -> Self {
        Self { definition, ..self }
    }
}

impl Report {
    /// Has the flow begin with this report that is to be told of the failure: never of one of its own, which would have no
    /// end. Each failure of a run is told once, however often it is reported.
    pub fn telling(mut self, flow: &Arc<Flow>, failure: &Failure) -> Self {
        if !self.is_told {
            let id = self.run.follow_up(flow.name.as_str(), self.tries);
            let told = failure.told(self.run, &self.flow, self.tries);
            self.follow_up = Some(FollowUp { id, flow: flow.clone(), told });
        }
        self
    }
}

/// Where a run stands in the store.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, clap::ValueEnum, Serialize, Deserialize, JsonSchema,
)]
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
    /// It became useless before it was done.
    Expired,
    /// Somebody has cancelled it while it was being done: the try at hand ends, and nothing follows.
    Cancelling,
    /// Somebody has cancelled it.
    Cancelled,
}

impl RunState {
    /// Every state.
    pub const ALL: [Self; 8] = [
        Self::Waiting,
        Self::Pending,
        Self::Running,
        Self::Delivered,
        Self::Failed,
        Self::Expired,
        Self::Cancelling,
        Self::Cancelled,
    ];

    /// The state's name, as it is stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::Expired => "expired",
            Self::Cancelling => "cancelling",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether the run is over.
    pub const fn is_over(self) -> bool {
        match self {
            Self::Waiting | Self::Pending | Self::Running | Self::Cancelling => false,
            Self::Delivered | Self::Failed | Self::Expired | Self::Cancelled => true,
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
