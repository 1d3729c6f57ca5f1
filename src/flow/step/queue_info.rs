//! The step `queue_info`: asks FreeSWITCH who waits in a queue, and which of its agents are free.

use jiff::Timestamp;

use super::freeswitch::{Given, give};
use super::{Outcome, StepEnd, Surroundings};
use crate::esl::command::Command;
use crate::flow::action::QueueInfoStep;
use crate::flow::template::RenderError;
use crate::freeswitch::QueueInfo;
use crate::freeswitch::snapshot::callcenter_rows;
use crate::id::QueueName;

pub(super) async fn perform(step: &QueueInfoStep, path: &str, save: Option<&str>, around: Surroundings<'_>) -> StepEnd {
    let queue = match queue(step, around) {
        Ok(queue) => queue,
        Err(error) => return StepEnd::failed(error),
    };
    let given = give(Command::queue_members(&queue), step.timeout, path, around).await;
    let Ok(members) = given.answer else { return ended(given) };
    let given = give(Command::queue_agents(&queue), step.timeout, path, around).await;
    let Ok(agents) = &given.answer else { return ended(given) };
    let members = callcenter_rows("callcenter_config queue list members", &members);
    let agents = callcenter_rows("callcenter_config queue list agents", agents);
    let outcome = match (members, agents) {
        (Ok(members), Ok(agents)) => {
            let info = QueueInfo::new(queue, members, &agents, Timestamp::now());
            Outcome::done(save, || serde_json::to_value(&info).unwrap_or_default())
        }
        (Err(error), _) | (_, Err(error)) => Outcome::Failed { reason: error.to_string() },
    };
    StepEnd { attempted: Some(given.record), outcome }
}

/// The queue that is asked about.
pub(super) fn queue(step: &QueueInfoStep, around: Surroundings<'_>) -> Result<QueueName, RenderError> {
    match &step.queue {
        None => Ok(around.context.queue()),
        Some(queue) => queue.render(around.context.fields()).map(QueueName::new),
    }
}

/// A question without an answer.
fn ended(Given { record, answer }: Given) -> StepEnd {
    match answer {
        Ok(_) => unreachable!("asked only where there is no answer"),
        Err(outcome) => StepEnd { attempted: Some(record), outcome },
    }
}
