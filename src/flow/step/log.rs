//! The step `log`: writes a log line.

use tracing::Level;

use super::{Done, Outcome, StepEnd, Surroundings};
use crate::flow::action::LogStep;

pub(super) fn perform(step: &LogStep, around: Surroundings<'_>) -> StepEnd {
    let message = match step.render(around.context) {
        Ok(message) => message,
        Err(error) => return StepEnd::failed(error),
    };
    let run = around.run;
    // The level of a log line is fixed where it is written, so there is one for each.
    match step.level {
        Level::ERROR => tracing::error!(target: "flow", %run, message),
        Level::WARN => tracing::warn!(target: "flow", %run, message),
        Level::INFO => tracing::info!(target: "flow", %run, message),
        Level::DEBUG => tracing::debug!(target: "flow", %run, message),
        Level::TRACE => tracing::trace!(target: "flow", %run, message),
    }
    StepEnd::untried(Outcome::Done(Done::default()))
}
