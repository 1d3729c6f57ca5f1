//! Doing one step: one file for each kind.

mod http;
mod log;

pub use http::webhook_id;

use super::context::Context;
use super::definition::{Step, StepKind};
use crate::delivery::{Client, RetrySchedule, TryRecord, Verdict};
use crate::id::RunId;

/// What a step has come to.
#[derive(Debug)]
pub struct StepEnd {
    /// The try's record, of a step that sends something.
    pub attempted: Option<TryRecord>,
    /// How it ended.
    pub verdict: Verdict,
}

impl StepEnd {
    /// A step that failed before it could do anything, and would fail again.
    fn failed(reason: impl std::fmt::Display) -> Self {
        Self { attempted: None, verdict: Verdict::Failed { reason: reason.to_string() } }
    }

    /// A step in which the program itself failed.
    pub(super) fn panicked() -> Self {
        Self::failed("the program failed in this step, which is a bug of it")
    }
}

impl Step {
    /// Does the step once, for the given run.
    pub async fn perform(&self, run: RunId, context: &Context, client: &Client) -> StepEnd {
        match &self.kind {
            StepKind::Http(step) => http::perform(step, &self.path, run, context, client).await,
            StepKind::Log(step) => log::perform(step, run, context),
        }
    }

    /// When the step is tried again, where its kind is.
    pub fn retry(&self) -> Option<&RetrySchedule> {
        match &self.kind {
            StepKind::Http(step) => Some(&step.retry),
            StepKind::Log(_) => None,
        }
    }
}
