//! What the configuration says of a queue, once all patterns that match its name are merged.

use crate::moment::value::QueueType;

/// The settings of one queue that its attempts' story depends on.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct QueueSettings {
    /// What kind of queue it is.
    pub queue_type: QueueType,
    /// Whether post-processing is on; unset: read from the agents' wrap-up times.
    pub processing: Option<bool>,
    /// Variables that every payload of the queue carries; the member's own win.
    pub variables: serde_json::Map<String, serde_json::Value>,
    /// Which of the member's variables payloads carry.
    pub variable_filter: VariableFilter,
    /// Whether a member who left by the queue's timeout counts as `abandoned`.
    pub timeout_is_abandoned: bool,
}

/// Which channel variables payloads carry, beside the built-in list of FreeSWITCH's own, which are left out.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct VariableFilter {
    /// Patterns of names that are carried although they are on the built-in list.
    pub include: Vec<String>,
    /// Patterns of names that are left out; they win over `include`.
    pub exclude: Vec<String>,
}

/// What the configuration's directory says of an agent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AgentCard {
    /// The agent's identifier.
    pub id: Option<i64>,
    /// The user's identifier.
    pub user_id: Option<i64>,
    /// The extension.
    pub extension: Option<String>,
}
