//! The step `set`: saves values for later steps.

use super::{Done, Outcome, StepEnd, Surroundings};
use crate::flow::action::SetStep;

pub(super) fn perform(step: &SetStep, around: Surroundings<'_>) -> StepEnd {
    let fields = around.context.fields();
    let saved = step.values.iter().map(|(name, value)| Ok((name.clone(), value.render(fields)?)));
    match saved.collect::<Result<_, crate::flow::template::RenderError>>() {
        Ok(saved) => StepEnd::untried(Outcome::Done(Done { saved, next: None })),
        Err(error) => StepEnd::failed(error),
    }
}
