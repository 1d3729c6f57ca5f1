//! Doing one step: one file for each kind.

mod choice;
mod email;
mod freeswitch;
mod http;
mod intent;
mod log;
mod parcel;
mod publish;
mod queue_info;
mod set;
mod sql;
mod stop;
mod wait;

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Map, Value as Json};

pub use http::webhook_id;
pub use intent::Intent;
pub use parcel::Parcel;
pub use wait::parse_wait;

use super::action::Action;
use super::context::Context;
use super::definition::{Step, StepKind};
use crate::delivery::mask::SecretValues;
use crate::delivery::{Client, Priority, TryKind, TryRecord, Verdict};
use crate::esl::Nodes;
use crate::id::RunId;
use crate::outbox::{Cancellations, Expiry};

/// All that a step works with.
#[derive(Clone, Copy, Debug)]
pub struct Surroundings<'a> {
    /// The run.
    pub run: RunId,
    /// What its texts can name.
    pub context: &'a Context,
    /// The present, by the clock of the run's times.
    pub now: Timestamp,
    /// When the step was meant to be done: at the run's moment, or at the end of its latest `wait`.
    pub meant_for: Timestamp,
    /// When the run is of no use any more: nothing is sent from then on.
    pub expiry: Expiry,
    /// Whose turn it is before the same receiver or destination.
    pub priority: Priority,
    /// How the try has come about.
    pub kind: TryKind,
    /// What sends requests.
    pub client: &'a Client,
    /// Where commands are given.
    pub nodes: &'a Nodes,
    /// The runs that are not to go on.
    pub cancellations: &'a Cancellations,
}

/// What a step has come to.
#[derive(Debug)]
pub struct StepEnd {
    /// The try's record, of a step that sends something.
    pub attempted: Option<TryRecord>,
    /// How it ended.
    pub outcome: Outcome,
}

/// How a step ended.
#[derive(Debug)]
pub enum Outcome {
    /// It is done.
    Done(Done),
    /// It is done once this time has come.
    Wait {
        /// The time.
        until: Timestamp,
    },
    /// It is done, and so is the run.
    Stop,
    /// It may work later.
    Retry {
        /// Why, for a person.
        reason: String,
        /// How long the other side asked to wait.
        after: Option<Duration>,
    },
    /// It was not begun, because it would not work now; that is no try.
    PutOff {
        /// The receiver that does not answer.
        receiver: String,
        /// Why, for a person.
        reason: String,
        /// For how long.
        pause: Duration,
    },
    /// It will not work.
    Failed {
        /// Why, for a person.
        reason: String,
    },
    /// It was to be done earlier or not at all.
    Expired {
        /// What was too late.
        reason: String,
    },
    /// It says that the run has failed.
    Refused {
        /// Why, for a person.
        reason: String,
    },
    /// It was not begun, because the run is cancelled.
    Cancelled,
    /// It was not begun, because the run has expired while it waited for its turn.
    Late,
}

/// What a step that is done leaves behind.
#[derive(Debug, Default)]
pub struct Done {
    /// What it saved, by names.
    pub saved: Map<String, Json>,
    /// The step that follows, where it is not the next one.
    pub next: Option<u32>,
}

impl StepEnd {
    /// A step without tries that ended so.
    fn untried(outcome: Outcome) -> Self {
        Self { attempted: None, outcome }
    }

    /// A step that failed before it could do anything, and would fail again.
    fn failed(reason: impl std::fmt::Display) -> Self {
        Self::untried(Outcome::Failed { reason: reason.to_string() })
    }

    /// The same without secrets in what is recorded and told of it.
    fn masked(mut self, secrets: &SecretValues) -> Self {
        if let Some(record) = &mut self.attempted {
            record.mask(secrets);
        }
        match &mut self.outcome {
            Outcome::Retry { reason, .. }
            | Outcome::PutOff { reason, .. }
            | Outcome::Failed { reason }
            | Outcome::Expired { reason }
            | Outcome::Refused { reason } => secrets.mask_in_place(reason),
            Outcome::Done(_) | Outcome::Wait { .. } | Outcome::Stop | Outcome::Cancelled | Outcome::Late => {}
        }
        self
    }

    /// A step in which the program itself failed: that is a failed try.
    fn panicked() -> Self {
        let reason = "the program failed in this step, which is a bug of it".to_owned();
        Self::untried(Outcome::Retry { reason, after: None })
    }
}

impl Outcome {
    /// A step that is done, with a result for those that want one.
    fn done(save: Option<&str>, result: impl FnOnce() -> Json) -> Self {
        let saved = save.map(|name| (name.to_owned(), result())).into_iter().collect();
        Self::Done(Done { saved, next: None })
    }
}

impl From<Verdict> for Outcome {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Delivered => Self::Done(Done::default()),
            Verdict::Retry { reason, after } => Self::Retry { reason, after },
            Verdict::Failed { reason } => Self::Failed { reason },
        }
    }
}

impl Step {
    /// Does the step once. A panic in it, which is a bug of ours, leaves it with an end.
    pub async fn perform(&self, around: Surroundings<'_>) -> StepEnd {
        let mut performed = pin!(self.perform_by_kind(around));
        let poll = |context: &mut std::task::Context<'_>| {
            let polled = catch_unwind(AssertUnwindSafe(|| performed.as_mut().poll(context)));
            polled.unwrap_or_else(|_| Poll::Ready(StepEnd::panicked()))
        };
        poll_fn(poll).await.masked(&around.client.secrets())
    }

    async fn perform_by_kind(&self, around: Surroundings<'_>) -> StepEnd {
        let save = self.save.as_deref();
        match &self.kind {
            StepKind::Do(action) => match &**action {
                Action::Http(step) => http::perform(step, &self.path, save, around).await,
                Action::Log(step) => log::perform(step, around),
                Action::Set(step) => set::perform(step, around),
                Action::Wait(step) => wait::perform(step, around),
                Action::Stop(step) => stop::perform(step, around),
                Action::Freeswitch(step) => freeswitch::perform(step, &self.path, save, around).await,
                Action::Sql(step) => sql::perform(step, &self.path, save, around).await,
                Action::Publish(step) => publish::perform(step, &self.path, save, around).await,
                Action::Email(step) => email::perform(step, &self.path, around).await,
                Action::QueueInfo(step) => queue_info::perform(step, &self.path, save, around).await,
            },
            StepKind::If { condition, then, otherwise } => choice::perform_if(condition, *then, *otherwise, around),
            StepKind::Switch { value, cases, default } => choice::perform_switch(value, cases, *default, around),
            StepKind::Call(first) => choice::go_to(*first),
        }
    }
}
