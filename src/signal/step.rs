//! What happens to an attempt that is told of.

use jiff::Timestamp;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use super::key::SignalId;
use crate::id::{AgentName, ContentHash};
use crate::moment::value::{CancelReason, MissedReason, Side};

/// The most characters of an agent's name.
const LONGEST_AGENT: usize = 255;

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Signal {
    /// The teller's own name for it: told again under the same one, it has the same answer.
    pub id: SignalId,
    /// What happened.
    #[serde(deserialize_with = "step")]
    pub signal: Step,
    /// When; unset: now. Not in the future, and not before what was told before.
    #[serde(default)]
    pub at: Option<Timestamp>,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Step {
    /// The attempt is offered to an agent.
    Offering {
        /// The agent.
        #[serde(deserialize_with = "agent")]
        #[schemars(schema_with = "agent_schema")]
        agent: AgentName,
    },
    /// An agent to whom it is offered has answered.
    Answered {
        /// The agent.
        #[serde(deserialize_with = "agent")]
        #[schemars(schema_with = "agent_schema")]
        agent: AgentName,
    },
    /// Member and agent are connected. That the agent has answered is inferred, if it was not told.
    Bridged {
        /// The agent.
        #[serde(deserialize_with = "agent")]
        #[schemars(schema_with = "agent_schema")]
        agent: AgentName,
    },
    /// An agent to whom it is offered did not answer.
    Missed {
        /// The agent.
        #[serde(deserialize_with = "agent")]
        #[schemars(schema_with = "agent_schema")]
        agent: AgentName,
        /// Why.
        #[serde(default = "no_answer")]
        reason: MissedReason,
    },
    /// The conversation is over, and the agent enters post-processing.
    Processing {
        /// The agent.
        #[serde(deserialize_with = "agent")]
        #[schemars(schema_with = "agent_schema")]
        agent: AgentName,
    },
    /// The member leaves the queue.
    Leaving {
        /// Why, where no agent was connected; unset: the member gave up.
        #[serde(default)]
        reason: Option<LeavingReason>,
        /// Who ended it; unset: the member, or the system where the reason is none of the member's.
        #[serde(default)]
        ended_by: Option<Side>,
    },
}

/// Why a member leaves without an agent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LeavingReason {
    /// The member gave up: the result is `abandoned`.
    #[default]
    Hangup,
    /// The queue's longest waiting time passed.
    Timeout,
    /// No agent was there for longer than the queue waits.
    NoAgentTimeout,
    /// The member chose to leave.
    ExitWithKey,
    /// The member was taken elsewhere.
    BreakOut,
    /// An operator or a program ended it.
    Killed,
}

impl From<LeavingReason> for CancelReason {
    fn from(reason: LeavingReason) -> Self {
        match reason {
            LeavingReason::Hangup => Self::Hangup,
            LeavingReason::Timeout => Self::Timeout,
            LeavingReason::NoAgentTimeout => Self::NoAgentTimeout,
            LeavingReason::ExitWithKey => Self::ExitWithKey,
            LeavingReason::BreakOut => Self::BreakOut,
            LeavingReason::Killed => Self::Killed,
        }
    }
}

impl Signal {
    /// The hash of all of it.
    pub fn content(&self) -> ContentHash {
        ContentHash::of(&serde_json::to_string(self).expect("a signal is plain data"))
    }
}

/// Reads a step: a record, never a list of its fields.
fn step<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Step, D::Error> {
    let said = Map::<String, Value>::deserialize(deserializer)?;
    if !said.values().all(Value::is_object) {
        return Err(serde::de::Error::custom("what is said of a step is an object"));
    }
    Step::deserialize(Value::Object(said)).map_err(serde::de::Error::custom)
}

const fn no_answer() -> MissedReason {
    MissedReason::NoAnswer
}

fn agent_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "minLength": 1, "maxLength": LONGEST_AGENT })
}

fn agent<'de, D: Deserializer<'de>>(deserializer: D) -> Result<AgentName, D::Error> {
    let agent = AgentName::deserialize(deserializer)?;
    let is_name = (1..=LONGEST_AGENT).contains(&agent.as_str().chars().count());
    is_name
        .then_some(agent)
        .ok_or_else(|| serde::de::Error::custom(format_args!("an agent's name has 1 to {LONGEST_AGENT} characters")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> serde_json::Result<Signal> {
        serde_json::from_str(text)
    }

    #[test]
    fn a_signal_says_one_thing_and_nothing_beside() {
        let missed = read(r#"{"id":"1","signal":{"missed":{"agent":"anna"}}}"#).expect("reads");
        let reason = MissedReason::NoAnswer;
        assert_eq!(missed.signal, Step::Missed { agent: "anna".into(), reason });
        for wrong in [
            r#"{"id":"1","signal":{}}"#,
            r#"{"id":"1","signal":"leaving"}"#,
            r#"{"id":"1","signal":{"offering":["anna"]}}"#,
            r#"{"id":"1","signal":{"offering":{}}}"#,
            r#"{"id":"1","signal":{"offering":{"agent":""}}}"#,
            r#"{"id":"1","signal":{"offering":{"agent":"a","reason":"busy"}}}"#,
            r#"{"id":"1","signal":{"leaving":{"reason":"lost"}}}"#,
            r#"{"id":"","signal":{"leaving":{}}}"#,
            r#"{"id":"1","signal":{"leaving":{}},"when":"now"}"#,
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
