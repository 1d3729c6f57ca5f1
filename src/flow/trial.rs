//! Trying a flow: its steps are done once each and told of, and nothing is recorded. So there is no second try, and what may
//! work later has failed: whoever tries a flow wants to know now.

use jiff::SignedDuration;
use serde_json::{Map, json};

use super::action::Action;
use super::definition::{Flow, Step, StepKind};
use super::step::{Done, Intent, Outcome, StepEnd, Surroundings};
use super::walk::{After, Walk};
use crate::delivery::{Client, Priority};
use crate::esl::Nodes;
use crate::outbox::{Cancellations, Progress};

/// What a flow is tried with.
#[derive(Clone, Copy, Debug)]
pub struct Trial<'a> {
    /// What sends requests.
    pub client: &'a Client,
    /// Where commands are given.
    pub nodes: &'a Nodes,
    /// Whether nothing is sent. What a step would save is then taken to be a bare 200, or null.
    pub dry_run: bool,
    /// Whether it really rests at a `wait`.
    pub waits: bool,
}

/// What is told of a trial, in its order.
#[derive(Clone, Copy, Debug)]
pub enum Told<'a> {
    /// A step is about to be done.
    Begins {
        /// The step.
        step: &'a Step,
        /// What it is about to do; nothing where that can't be made out.
        intent: Option<&'a Intent>,
    },
    /// A step has been done.
    Ended {
        /// The step.
        step: &'a Step,
        /// What it was about to do.
        intent: Option<&'a Intent>,
        /// What it has come to.
        end: &'a StepEnd,
        /// How often the daemon would try it again.
        retries: usize,
    },
    /// A `wait` is passed over.
    WaitSkipped,
    /// Where it goes on after a step.
    GoesOn {
        /// The step.
        step: &'a Step,
        /// The next; none at the end.
        next: Option<&'a Step>,
    },
}

/// How a trial ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The run would have been delivered.
    Delivered,
    /// It would have failed.
    Failed {
        /// Why, for a person.
        reason: String,
    },
}

impl Trial<'_> {
    /// Goes from step to step to the end.
    pub async fn walk<E>(&self, mut walk: Walk, mut tell: impl FnMut(Told<'_>) -> Result<(), E>) -> Result<Ending, E> {
        let flow = walk.flow();
        while let Some(step) = flow.step(walk.place()) {
            let (end, intent) = self.perform(step, &walk, &mut tell).await?;
            let retries = match &end.outcome {
                Outcome::Retry { .. } => retries(step),
                _ => 0,
            };
            let end = StepEnd { outcome: without_retry(end.outcome), ..end };
            tell(Told::Ended { step, intent: intent.as_ref(), end: &end, retries })?;
            let after = walk.take(step, end);
            tell(Told::GoesOn { step, next: flow.step(walk.place()) })?;
            let After::Record(report) = after else { continue };
            match report.progress() {
                Progress::Next { .. } => {}
                Progress::Wait { until, .. } if self.waits && !self.dry_run => {
                    rest(until.duration_since(walk.now())).await;
                }
                Progress::Wait { .. } => tell(Told::WaitSkipped)?,
                Progress::Delivered => break,
                Progress::Failed { reason }
                | Progress::Expired { reason }
                | Progress::Retry { reason, .. }
                | Progress::PutOff { reason, .. } => {
                    return Ok(Ending::Failed { reason: reason.clone() });
                }
                Progress::Panicked => {
                    return Ok(Ending::Failed { reason: "the program failed, which is a bug of it".into() });
                }
                Progress::Cancelled => return Ok(Ending::Failed { reason: "cancelled".into() }),
            }
        }
        Ok(Ending::Delivered)
    }

    /// Does one step, or pretends to.
    async fn perform<E>(
        &self,
        step: &Step,
        walk: &Walk,
        tell: &mut impl FnMut(Told<'_>) -> Result<(), E>,
    ) -> Result<(StepEnd, Option<Intent>), E> {
        let cancellations = Cancellations::none();
        let around = Surroundings {
            run: walk.id(),
            context: walk.context(),
            now: walk.now(),
            meant_for: walk.meant_for(),
            expiry: walk.expires(),
            // Somebody waits for what it comes to.
            priority: Priority::High,
            kind: walk.try_kind(),
            client: self.client,
            nodes: self.nodes,
            cancellations: &cancellations,
        };
        let intent = match step.intent(around) {
            Ok(intent) => intent,
            Err(reason) => {
                tell(Told::Begins { step, intent: None })?;
                return Ok((StepEnd { attempted: None, outcome: Outcome::Failed { reason } }, None));
            }
        };
        tell(Told::Begins { step, intent: Some(&intent) })?;
        let end = match &intent {
            Intent::Request(_) | Intent::Commands { .. } | Intent::Parcel(_) if self.dry_run => {
                pretended(step, &intent)
            }
            // Its text has just been shown.
            Intent::Line(_) => pretended(step, &intent),
            Intent::Request(_) | Intent::Commands { .. } | Intent::Parcel(_) | Intent::Nothing => {
                step.perform(around).await
            }
        };
        Ok((end, Some(intent)))
    }
}

/// Whether a step of the flow has a command for FreeSWITCH.
pub fn has_commands(flow: &Flow) -> bool {
    let has_command = |step: &Step| match &step.kind {
        StepKind::Do(action) => matches!(**action, Action::Freeswitch(_) | Action::QueueInfo(_)),
        StepKind::If { .. } | StepKind::Switch { .. } | StepKind::Call(_) => false,
    };
    flow.steps.iter().any(has_command)
}

async fn rest(left: SignedDuration) {
    tokio::time::sleep(left.try_into().unwrap_or_default()).await;
}

/// How often the daemon would try the step again.
fn retries(step: &Step) -> usize {
    match &step.kind {
        StepKind::Do(action) => action.retry().map_or(0, |retry| retry.waits.len()),
        StepKind::If { .. } | StepKind::Switch { .. } | StepKind::Call(_) => 0,
    }
}

fn without_retry(outcome: Outcome) -> Outcome {
    match outcome {
        Outcome::Retry { reason, .. } | Outcome::PutOff { reason, .. } => Outcome::Failed { reason },
        outcome => outcome,
    }
}

/// The end of a step that has done nothing.
fn pretended(step: &Step, intent: &Intent) -> StepEnd {
    let result = match intent {
        Intent::Request(_) => json!({ "status": 200, "headers": {}, "body": null, "truncated": false }),
        Intent::Commands { .. } | Intent::Parcel(_) | Intent::Line(_) | Intent::Nothing => json!(null),
    };
    let saved = step.save.iter().map(|name| (name.clone(), result.clone())).collect::<Map<_, _>>();
    StepEnd { attempted: None, outcome: Outcome::Done(Done { saved, next: None }) }
}
