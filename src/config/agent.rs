//! `[agents."NAME"]`: what mod_callcenter does not know of its agents.

use super::section::Section;
use super::value::Value;

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

impl AgentCard {
    pub(super) fn read(section: &mut Section<'_>) -> Self {
        Self {
            id: section.optional("id", Value::integer),
            user_id: section.optional("user_id", Value::integer),
            extension: section.optional("extension", Value::text).map(ToOwned::to_owned),
        }
    }
}
