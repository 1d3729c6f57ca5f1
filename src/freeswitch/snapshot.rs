//! What FreeSWITCH has right now, from its answers to commands.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::esl::Event;
use crate::id::{AgentName, ChannelUuid, CoreUuid, QueueName};

/// What FreeSWITCH has at one time. Recordings hold it, so fields may be added, and read as their default where they are
/// missing; the dumps are marks of their own there, because together they can be too long for one.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Snapshot {
    /// The process.
    pub core: Option<CoreUuid>,
    /// Its channels.
    pub channels: BTreeSet<ChannelUuid>,
    /// The members of its queues.
    pub members: Vec<MemberRow>,
    /// The channel data of members about whom something was not known.
    #[serde(skip)]
    pub dumps: BTreeMap<ChannelUuid, Event>,
    /// Its agents.
    pub agents: Vec<AgentRow>,
    /// Which agents serve which queue.
    pub tiers: Vec<TierRow>,
    /// What its directory says of agents who were asked for.
    pub directory: Vec<DirectoryRow>,
    /// What FreeSWITCH's clock showed when all this had been answered.
    pub taken_at: Option<Timestamp>,
}

/// A member, as `callcenter_config queue list members` tells it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberRow {
    /// The queue.
    pub queue: String,
    /// The member's UUID.
    pub uuid: String,
    /// The member's channel; empty once it has abandoned.
    pub session_uuid: String,
    /// `Waiting`, `Trying`, `Answered`, `Abandoned`.
    pub state: String,
    /// When the member joined first, in seconds.
    #[serde(default)]
    pub joined_epoch: Value,
    /// When the member resumed, in seconds; 0 if it did not.
    #[serde(default)]
    pub rejoined_epoch: Value,
    /// The caller's name.
    #[serde(default)]
    pub cid_name: String,
    /// The caller's number.
    #[serde(default)]
    pub cid_number: String,
}

impl MemberRow {
    /// What tells this stay from others: queue, member, channel.
    pub fn identity(&self) -> (&str, &str, &str) {
        (&self.queue, &self.uuid, &self.session_uuid)
    }

    /// Whether mod_callcenter says that an agent was connected.
    pub fn is_answered(&self) -> bool {
        self.state == "Answered"
    }

    /// Whether the member came back after hanging up.
    pub fn is_resumed(&self) -> bool {
        number(&self.rejoined_epoch).is_some_and(|second| second > 0)
    }

    /// When this stay began, to the second.
    pub fn joined_at(&self) -> Option<Timestamp> {
        let second = number(if self.is_resumed() { &self.rejoined_epoch } else { &self.joined_epoch })?;
        Timestamp::from_second(i64::try_from(second).ok()?).ok()
    }
}

/// A number, which FreeSWITCH writes as a text in most of its JSON.
fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

/// An agent, as `callcenter_config agent list` tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentRow {
    /// The agent's name.
    pub name: String,
    /// Where it is called.
    #[serde(default)]
    pub contact: String,
    /// What the agent wants: `Available`, `On Break`, `Logged Out`, …
    #[serde(default)]
    pub status: String,
    /// What mod_callcenter has it do: `Waiting`, `Receiving`, `In a queue call`, …
    #[serde(default)]
    pub state: String,
    /// When the status was last set, in seconds: a text in FreeSWITCH's JSON.
    #[serde(default)]
    pub last_status_change: Value,
    /// The wrap-up time in seconds: a text in FreeSWITCH's JSON.
    #[serde(default)]
    pub wrap_up_time: Value,
}

impl AgentRow {
    /// The wrap-up time in seconds.
    pub fn wrap_up_seconds(&self) -> u64 {
        number(&self.wrap_up_time).unwrap_or(0)
    }

    /// When the status was last set, to the second; none if it never was.
    pub fn status_since(&self) -> Option<Timestamp> {
        let second = number(&self.last_status_change).filter(|second| *second > 0)?;
        Timestamp::from_second(i64::try_from(second).ok()?).ok()
    }
}

/// A tier, as `callcenter_config tier list` tells it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TierRow {
    /// The queue.
    pub queue: String,
    /// The agent.
    pub agent: String,
}

/// What FreeSWITCH's directory says of an agent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DirectoryRow {
    /// The agent.
    pub agent: String,
    /// The variables and parameters that were found.
    pub values: BTreeMap<String, String>,
}

/// An answer that could not be read.
#[derive(Debug, thiserror::Error)]
pub enum UnreadableAnswer {
    /// It is not the JSON that the command gives.
    #[error("the answer to `{command}` is not the JSON that was asked for: {source}")]
    Json {
        /// The command.
        command: &'static str,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// FreeSWITCH refused.
    #[error("FreeSWITCH refused `{command}`: {answer}")]
    Refused {
        /// The command.
        command: &'static str,
        /// Its answer's first line, or the message in it.
        answer: String,
    },
}

#[derive(Deserialize)]
struct ChannelsAnswer {
    #[serde(default)]
    rows: Vec<ChannelRow>,
}

#[derive(Deserialize)]
struct ChannelRow {
    uuid: String,
}

#[derive(Deserialize)]
struct CallcenterAnswer<R> {
    status: Option<String>,
    /// Why the status is `error`.
    message: Option<String>,
    /// `null` beside an error.
    response: Option<Vec<R>>,
}

/// The channels in the answer to `show channels as json`.
pub fn channels(answer: &str) -> Result<BTreeSet<ChannelUuid>, UnreadableAnswer> {
    const COMMAND: &str = "show channels as json";
    refuse(COMMAND, answer)?;
    let parsed: ChannelsAnswer =
        serde_json::from_str(answer.trim()).map_err(|source| UnreadableAnswer::Json { command: COMMAND, source })?;
    Ok(parsed.rows.into_iter().map(|row| ChannelUuid::new(row.uuid)).collect())
}

/// The rows in the answer to one of `callcenter_config`'s lists, asked for as JSON.
pub fn callcenter_rows<R: serde::de::DeserializeOwned>(
    command: &'static str,
    answer: &str,
) -> Result<Vec<R>, UnreadableAnswer> {
    refuse(command, answer)?;
    let parsed: CallcenterAnswer<R> =
        serde_json::from_str(answer.trim()).map_err(|source| UnreadableAnswer::Json { command, source })?;
    match parsed.status.as_deref() {
        None | Some("success") => Ok(parsed.response.unwrap_or_default()),
        Some(other) => {
            let answer = parsed.message.unwrap_or_else(|| other.to_owned());
            Err(UnreadableAnswer::Refused { command, answer })
        }
    }
}

fn refuse(command: &'static str, answer: &str) -> Result<(), UnreadableAnswer> {
    if answer.starts_with("-ERR") || answer.starts_with("-USAGE") {
        let answer = answer.lines().next().unwrap_or_default().to_owned();
        return Err(UnreadableAnswer::Refused { command, answer });
    }
    Ok(())
}

impl Snapshot {
    /// The agents of each queue.
    pub fn queue_agents(&self) -> BTreeMap<QueueName, Vec<AgentName>> {
        let mut queues: BTreeMap<QueueName, Vec<AgentName>> = BTreeMap::new();
        for tier in &self.tiers {
            queues.entry(tier.queue.as_str().into()).or_default().push(tier.agent.as_str().into());
        }
        queues
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_channels_are_no_rows() {
        assert!(channels("{\"row_count\":0}\n").expect("readable").is_empty());
        let one = channels(r#"{"row_count":1,"rows":[{"uuid":"u","state":"CS_EXECUTE"}]}"#).expect("readable");
        assert!(one.contains("u"));
    }

    #[test]
    fn rows_are_read_from_freeswitchs_json() {
        let answer = r#"{"command":"callcenter_config","data":{"arguments":"agent list"},"status":"success",
            "response":[{"name":"agent1","type":"callback","wrap_up_time":"3","last_status_change":"0"},
                {"name":"agent2","last_status_change":"1795421926"}]}"#;
        let agents: Vec<AgentRow> = callcenter_rows("callcenter_config agent list", answer).expect("readable");
        let told: Vec<_> =
            agents.iter().map(|row| (row.name.as_str(), row.wrap_up_seconds(), row.status_since())).collect();
        assert_eq!(told, [("agent1", 3, None), ("agent2", 0, Timestamp::from_second(1_795_421_926).ok())]);
    }

    #[test]
    fn a_refusal_and_garbage_are_told_apart() {
        let refused = callcenter_rows::<TierRow>("callcenter_config tier list", "-ERR no such command\n");
        assert!(matches!(refused, Err(UnreadableAnswer::Refused { .. })));
        let garbage = callcenter_rows::<TierRow>("callcenter_config tier list", "queue|agent|state\n");
        assert!(matches!(garbage, Err(UnreadableAnswer::Json { .. })));
        // As FreeSWITCH answers without mod_callcenter.
        let unloaded = r#"{"command":"callcenter_config","data":{"arguments":"tier list"},"status":"error",
            "message":"Invalid request or non-existant command","response":null}"#;
        let unloaded = callcenter_rows::<TierRow>("callcenter_config tier list", unloaded);
        let Err(UnreadableAnswer::Refused { answer, .. }) = unloaded else { panic!("read {unloaded:?}") };
        assert_eq!(answer, "Invalid request or non-existant command");
    }
}
