//! The step `log`: writes a log line.

use tracing::Level;

use super::StepEnd;
use crate::delivery::Verdict;
use crate::flow::context::Context;
use crate::flow::definition::LogStep;
use crate::id::RunId;

pub(super) fn perform(step: &LogStep, run: RunId, context: &Context) -> StepEnd {
    let message = match step.render(context) {
        Ok(message) => message,
        Err(error) => return StepEnd::failed(error),
    };
    // The level of a log line is fixed where it is written, so there is one for each.
    match step.level {
        Level::ERROR => tracing::error!(target: "flow", %run, message),
        Level::WARN => tracing::warn!(target: "flow", %run, message),
        Level::INFO => tracing::info!(target: "flow", %run, message),
        Level::DEBUG => tracing::debug!(target: "flow", %run, message),
        Level::TRACE => tracing::trace!(target: "flow", %run, message),
    }
    StepEnd { attempted: None, verdict: Verdict::Delivered }
}
