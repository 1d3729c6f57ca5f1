//! What FreeSWITCH has right now, from its answers to commands.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use crate::id::{AgentName, ChannelUuid, QueueName};

/// What FreeSWITCH has at one time.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Its channels.
    pub channels: BTreeSet<ChannelUuid>,
    /// The members of its queues.
    pub members: Vec<MemberRow>,
    /// Its agents.
    pub agents: Vec<AgentRow>,
    /// Which agents serve which queue.
    pub tiers: Vec<TierRow>,
}

/// A member, as `callcenter_config queue list members` tells it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct MemberRow {
    /// The queue.
    pub queue: String,
    /// The member's UUID.
    pub uuid: String,
    /// The member's channel; empty once it has abandoned.
    pub session_uuid: String,
    /// `Waiting`, `Trying`, `Answered`, `Abandoned`.
    pub state: String,
}

/// An agent, as `callcenter_config agent list` tells it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct AgentRow {
    /// The agent's name.
    pub name: String,
    /// The wrap-up time in seconds.
    #[serde(default)]
    pub wrap_up_time: String,
}

/// A tier, as `callcenter_config tier list` tells it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct TierRow {
    /// The queue.
    pub queue: String,
    /// The agent.
    pub agent: String,
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
        /// Its answer's first line.
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
    #[serde(default = "Vec::new")]
    response: Vec<R>,
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
        None | Some("success") => Ok(parsed.response),
        Some(other) => Err(UnreadableAnswer::Refused { command, answer: other.to_owned() }),
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
    /// The wrap-up time of each agent, in seconds.
    pub fn wrap_up_seconds(&self) -> BTreeMap<AgentName, u64> {
        let row = |row: &AgentRow| (AgentName::from(row.name.as_str()), row.wrap_up_time.parse().unwrap_or(0));
        self.agents.iter().map(row).collect()
    }

    /// The agents of each queue.
    pub fn queue_agents(&self) -> BTreeMap<QueueName, Vec<AgentName>> {
        let mut queues: BTreeMap<QueueName, Vec<AgentName>> = BTreeMap::new();
        for tier in &self.tiers {
            queues.entry(tier.queue.as_str().into()).or_default().push(tier.agent.as_str().into());
        }
        queues
    }
}
