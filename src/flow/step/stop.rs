//! The step `stop`: ends the run, as done or as failed.

use super::{Outcome, StepEnd, Surroundings};
use crate::flow::action::StopStep;

pub(super) fn perform(step: &StopStep, around: Surroundings<'_>) -> StepEnd {
    let reason = step.reason.as_ref().map(|reason| reason.render(around.context.fields())).transpose();
    match reason {
        Err(error) => StepEnd::failed(error),
        Ok(reason) if step.failed => {
            StepEnd::untried(Outcome::Refused { reason: reason.unwrap_or_else(|| "the flow says so".into()) })
        }
        Ok(reason) => {
            tracing::debug!(run = %around.run, reason, "the flow ends the run");
            StepEnd::untried(Outcome::Stop)
        }
    }
}
