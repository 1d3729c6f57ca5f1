//! The values that a payload's fields hold: times, durations and small vocabularies.

use std::sync::Arc;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;

use crate::id::{AgentName, CoreUuid};

/// A point in time: RFC 3339 in UTC with milliseconds (`2026-11-23T08:18:46.202Z`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(description = "RFC 3339, UTC, milliseconds")]
pub struct Time(pub Timestamp);

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:.3}", self.0))
    }
}

/// A duration in seconds, with up to three decimals.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(description = "seconds, up to three decimals")]
pub struct Seconds(pub f64);

impl Seconds {
    /// From `start` to `end`, in whole milliseconds; zero where `end` is before `start` (FreeSWITCH's clocks tick in steps
    /// of 20 ms, and two facts of one instant can carry neighbouring ticks).
    pub fn between(start: Timestamp, end: Timestamp) -> Self {
        Self::from_micros(end.as_microsecond().saturating_sub(start.as_microsecond()))
    }

    /// From a number of microseconds; zero where it is negative.
    pub fn from_micros(micros: i64) -> Self {
        let millis = (micros.max(0) + 500) / 1_000;
        Self(millis as f64 / 1_000.0)
    }
}

/// What carries the attempt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Medium {
    /// A telephone call.
    #[default]
    Call,
    /// A chat.
    Chat,
    /// A task.
    Task,
}

/// What kind of queue the attempt is in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum QueueType {
    /// Callers wait for an agent.
    #[default]
    Inbound,
    /// Agents call back from a list, when they like.
    Offline,
    /// The dialer calls, and a dialplan talks.
    OutboundIvr,
    /// The agent sees the member before the call is made.
    Preview,
    /// The dialer calls one member for each free agent.
    Progressive,
    /// The dialer calls more members than agents are free.
    Predictive,
    /// Chats.
    Chat,
    /// Tasks.
    Task,
}

impl QueueType {
    /// Every type.
    pub const ALL: [Self; 8] = [
        Self::Inbound,
        Self::Offline,
        Self::OutboundIvr,
        Self::Preview,
        Self::Progressive,
        Self::Predictive,
        Self::Chat,
        Self::Task,
    ];

    /// Whether its members are called, rather than call.
    pub const fn calls_members(self) -> bool {
        match self {
            Self::Offline | Self::OutboundIvr | Self::Preview | Self::Progressive | Self::Predictive => true,
            Self::Inbound | Self::Chat | Self::Task => false,
        }
    }

    /// What carries the attempts of such a queue.
    pub const fn medium(self) -> Medium {
        match self {
            Self::Chat => Medium::Chat,
            Self::Task => Medium::Task,
            Self::Inbound
            | Self::Offline
            | Self::OutboundIvr
            | Self::Preview
            | Self::Progressive
            | Self::Predictive => Medium::Call,
        }
    }
}

/// What an answering machine detector found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum AmdResult {
    /// A person.
    Human,
    /// A machine.
    Machine,
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CcResult {
    /// The member was connected with an agent.
    Success,
    /// The member was taken out of the queue.
    Cancel,
    /// The member hung up before an agent was connected.
    Abandoned,
}

/// Why an attempt ended without an agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CancelReason {
    /// The member hung up.
    Hangup,
    /// The queue's longest waiting time passed.
    Timeout,
    /// No agent was there for longer than the queue waits.
    NoAgentTimeout,
    /// The member pressed an exit key.
    ExitWithKey,
    /// The member was transferred or broken out of the queue; the call goes on.
    BreakOut,
    /// An operator, the API or a shutdown ended it.
    Killed,
    /// It was found gone after a reconnect or a crash.
    Lost,
}

/// Who or what ended something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// The member's far end.
    Member,
    /// The bridged agent's far end.
    Agent,
    /// FreeSWITCH, by itself or by order.
    System,
}

/// Why an offer was missed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MissedReason {
    /// The agent's phone rang and nobody answered.
    NoAnswer,
    /// The agent's phone was busy.
    Busy,
    /// The agent declined.
    Rejected,
    /// The agent's phone could not be reached.
    Unavailable,
    /// The member hung up while the phone rang.
    Abandoned,
    /// The offer was taken back: exit key, transfer, the agent set on break.
    Withdrawn,
    /// Anything else.
    Failed,
}

/// How an offer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The agent was connected with the member.
    Bridged,
    /// Another agent was faster.
    LostRace,
    /// The agent's phone rang and nobody answered.
    NoAnswer,
    /// The agent's phone was busy.
    Busy,
    /// The agent declined.
    Rejected,
    /// The agent's phone could not be reached.
    Unavailable,
    /// The member hung up while the phone rang.
    Abandoned,
    /// The offer was taken back.
    Withdrawn,
    /// The agent answered and was never connected, or anything else.
    Failed,
    /// Its end was not seen.
    Lost,
}

impl From<MissedReason> for Outcome {
    fn from(reason: MissedReason) -> Self {
        match reason {
            MissedReason::NoAnswer => Self::NoAnswer,
            MissedReason::Busy => Self::Busy,
            MissedReason::Rejected => Self::Rejected,
            MissedReason::Unavailable => Self::Unavailable,
            MissedReason::Abandoned => Self::Abandoned,
            MissedReason::Withdrawn => Self::Withdrawn,
            MissedReason::Failed => Self::Failed,
        }
    }
}

/// One offer of an attempt, as `leaving` tells of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OfferSummary {
    /// The agent.
    pub agent: AgentName,
    /// How it ended.
    pub outcome: Outcome,
    /// From the offer to the agent's answer, or to the offer's end.
    pub ring_sec: Seconds,
}

/// The FreeSWITCH event that a moment was read from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Source {
    /// The FreeSWITCH process.
    pub core_uuid: Option<CoreUuid>,
    /// The event's number within that process; null for a moment that no single event told.
    pub event_sequence: Option<u64>,
}

/// The variables of the member and of the queue: a JSON object, written once and shared by the moments that carry it.
#[derive(Clone, Debug, Deserialize)]
#[serde(transparent)]
pub struct Variables(Arc<RawValue>);

impl Variables {
    /// From the text of a JSON object.
    pub fn from_object(object: &serde_json::Map<String, serde_json::Value>) -> Self {
        Self(serde_json::value::to_raw_value(object).expect("a map of JSON values is JSON").into())
    }

    /// The JSON text.
    pub fn as_json(&self) -> &str {
        self.0.get()
    }
}

impl Default for Variables {
    fn default() -> Self {
        Self::from_object(&serde_json::Map::new())
    }
}

impl PartialEq for Variables {
    fn eq(&self, other: &Self) -> bool {
        self.as_json() == other.as_json()
    }
}

impl Serialize for Variables {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl JsonSchema for Variables {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Variables".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "object" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_milliseconds() {
        let time = Time(Timestamp::from_microsecond(1_795_421_926_202_271).expect("in range"));
        assert_eq!(serde_json::to_string(&time).expect("serializes"), r#""2026-11-23T08:18:46.202Z""#);
        let whole = Time(Timestamp::from_second(1_795_421_926).expect("in range"));
        assert_eq!(serde_json::to_string(&whole).expect("serializes"), r#""2026-11-23T08:18:46.000Z""#);
    }

    #[test]
    fn seconds_have_up_to_three_decimals_and_are_never_negative() {
        let json = |micros| serde_json::to_string(&Seconds::from_micros(micros)).expect("serializes");
        assert_eq!(json(1_640_030), "1.64");
        assert_eq!(json(4_400_499), "4.4");
        assert_eq!(json(5_000_000), "5.0");
        assert_eq!(json(-1), "0.0");
    }
}
