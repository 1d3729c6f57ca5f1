//! The step `freeswitch`: gives a command to the FreeSWITCH that the attempt is on.
//!
//! FreeSWITCH tells no repeats by a name, so a command whose answer is lost may be given twice. And a call goes on meanwhile:
//! each command has an expiry, after which it is not given any more.

use std::time::{Duration, Instant};

use bytes::Bytes;
use jiff::Timestamp;
use serde_json::Value as Json;

use super::{Outcome, StepEnd, Surroundings};
use crate::delivery::TryRecord;
use crate::delivery::record::{CommandRecord, millis};
use crate::esl::command::{Command, InvalidCommand};
use crate::esl::commands::CommandError;
use crate::failpoint;
use crate::flow::action::{CommandPlan, FreeswitchStep};
use crate::flow::template::{CommandTemplate, RenderError};
use crate::id::{AgentName, ChannelUuid};
use crate::moment::value::Time;

/// How much of an answer the delivery log keeps: an error is a line.
const ANSWER_KEPT: usize = 1_024;

/// What FreeSWITCH answers for a variable that is not set.
const UNDEFINED: &str = "_undef_";

/// Why a command can't be made.
#[derive(Debug, thiserror::Error)]
pub(super) enum PlanError {
    #[error(transparent)]
    Template(#[from] RenderError),
    /// Says not what was refused, which is a call's data.
    #[error("a value can't be an argument: it would end the command, or become another argument")]
    Argument(#[from] InvalidCommand),
}

pub(super) async fn perform(
    step: &FreeswitchStep,
    path: &str,
    save: Option<&str>,
    around: Surroundings<'_>,
) -> StepEnd {
    let expired = || Outcome::Expired {
        reason: format!("{:?} have passed since the command was to be given", step.expires_after),
    };
    let Some(left) = left(around.meant_for, step.expires_after, around.now) else { return StepEnd::untried(expired()) };
    let command = match step.command.fill_in(around) {
        Ok(command) => command,
        Err(error) => return StepEnd::failed(error),
    };
    let Given { record, answer } = give(command, step.timeout.min(left), path, around).await;
    let outcome = match answer {
        Ok(text) => Outcome::done(save, || step.command.result(&text)),
        Err(outcome) => outcome,
    };
    StepEnd { attempted: Some(record), outcome }
}

/// How long the command may still be given.
fn left(meant_for: Timestamp, expires_after: Duration, now: Timestamp) -> Option<Duration> {
    let late = Duration::try_from(now.duration_since(meant_for)).unwrap_or_default();
    expires_after.checked_sub(late).filter(|left| !left.is_zero())
}

/// A command that was given, and what came of it.
pub(super) struct Given {
    pub(super) record: TryRecord,
    pub(super) answer: Result<String, Outcome>,
}

/// Gives a command to the attempt's node.
pub(super) async fn give(command: Command, limit: Duration, path: &str, around: Surroundings<'_>) -> Given {
    let (started_at, started) = (Timestamp::now(), Instant::now());
    let (node, line) = (around.context.node(), command.line().to_owned());
    failpoint::before_command();
    let answer = match around.nodes.get(&node) {
        Some(commands) => commands.api_within(command, limit).await.map(text).map_err(outcome),
        None => Err(Outcome::Retry { reason: format!("the FreeSWITCH `{node}` is not followed"), after: None }),
    };
    failpoint::after_answer();
    let error = match &answer {
        Err(Outcome::Retry { reason, .. } | Outcome::Failed { reason }) => Some(reason.clone()),
        Ok(_) | Err(_) => None,
    };
    let kept = answer.as_ref().ok().map(|text| text.chars().take(ANSWER_KEPT).collect());
    let record = TryRecord {
        step: path.to_owned(),
        started_at: Time(started_at),
        duration_ms: millis(started.elapsed()),
        request: None,
        response: None,
        command: Some(CommandRecord { node, line, answer: kept }),
        parcel: None,
        error,
        left_alone: false,
    };
    Given { record, answer }
}

fn text(answer: Bytes) -> String {
    String::from_utf8_lossy(&answer).trim_end_matches(['\r', '\n']).to_owned()
}

/// What FreeSWITCH refuses it refuses again; all else may pass.
fn outcome(error: CommandError) -> Outcome {
    match error {
        CommandError::Refused(refusal) => Outcome::Failed { reason: format!("FreeSWITCH refused: {refusal}") },
        CommandError::NotConnected(Some(exit)) => {
            Outcome::Retry { reason: format!("FreeSWITCH is not connected: {exit}"), after: None }
        }
        CommandError::NotConnected(None) | CommandError::TimedOut | CommandError::Lost(_) | CommandError::ShutDown => {
            Outcome::Retry { reason: error.to_string(), after: None }
        }
    }
}

impl CommandPlan {
    /// Makes the command, whose type refuses whatever would be more than one.
    pub(super) fn fill_in(&self, around: Surroundings<'_>) -> Result<Command, PlanError> {
        let fields = around.context.fields();
        let channel = |channel: &CommandTemplate| channel.render(fields).map(ChannelUuid::new);
        Ok(match self {
            Self::SetVariable { channel: of, name, value } => {
                Command::uuid_setvar(&channel(of)?, name, &value.render(fields)?)?
            }
            Self::GetVariable { channel: of, name } => Command::uuid_getvar(&channel(of)?, name)?,
            Self::Transfer { channel: of, destination, context } => {
                Command::uuid_transfer(&channel(of)?, &destination.render(fields)?, context)?
            }
            Self::Broadcast { channel: of, file, leg } => {
                Command::uuid_broadcast(&channel(of)?, &file.render(fields)?, *leg)?
            }
            Self::Kill { channel: of, cause } => Command::uuid_kill(&channel(of)?, cause.as_deref())?,
            Self::AgentStatus { agent, status } => {
                Command::agent_set_status(&AgentName::new(agent.render(fields)?), &status.render(fields)?)?
            }
            Self::AgentState { agent, state } => {
                Command::agent_set_state(&AgentName::new(agent.render(fields)?), &state.render(fields)?)?
            }
        })
    }

    /// What the answer means to later steps: a variable's value, or what FreeSWITCH said.
    fn result(&self, answer: &str) -> Json {
        match self {
            Self::GetVariable { .. } if answer == UNDEFINED => Json::Null,
            _ => answer.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_given_until_its_time_is_over() {
        let meant_for: Timestamp = "2026-11-23T08:00:00Z".parse().expect("a time");
        let after = |seconds: i64| {
            left(meant_for, Duration::from_secs(30), meant_for + jiff::SignedDuration::from_secs(seconds))
        };
        assert_eq!(after(10), Some(Duration::from_secs(20)));
        assert_eq!(after(30), None);
        assert_eq!(after(3_600), None);
        assert_eq!(after(-5), Some(Duration::from_secs(30)), "a clock that is behind takes nothing away");
    }
}
