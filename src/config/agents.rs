//! `[agents."PATTERN"]`: what is known of agents, and the hooks that hear of them.
//!
//! A name says who one agent is; a pattern has hooks alone. Hooks add up: those of the most general pattern first.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::agent::AgentCard;
use super::hook::{self, Flows, Owner};
use super::pattern;
use super::value::Value;
use crate::hook::Hook;
use crate::id::AgentName;

/// Every `[agents."PATTERN"]`.
#[derive(Debug, Default)]
pub(super) struct Agents {
    /// Who the agents are.
    cards: BTreeMap<AgentName, AgentCard>,
    /// The hooks by name or pattern, the most general first.
    hooks: Vec<(String, Vec<Arc<Hook>>)>,
}

impl Agents {
    pub(super) fn read(value: Value<'_>, flows: &Flows) -> Option<Self> {
        let mut agents = Self::default();
        for (name, value) in value.entries()? {
            let Some(name) = name.checked("agent") else { continue };
            value.section(|section| {
                if pattern::is_exact(name) {
                    agents.cards.insert(AgentName::new(name), AgentCard::read(section));
                }
                let hooks = section.optional("hooks", |value| hook::read_all(name, value, flows, Owner::Agent));
                agents.hooks.extend(hooks.map(|hooks| (name.to_owned(), hooks)));
                Some(())
            });
        }
        agents.hooks.sort_by_key(|(pattern, _)| (pattern::is_exact(pattern), pattern::literals(pattern)));
        Some(agents)
    }

    /// What is configured of an agent.
    pub(super) fn card(&self, name: &AgentName) -> Option<&AgentCard> {
        self.cards.get(name)
    }

    /// The hooks that hear of an agent.
    pub(super) fn hooks_of(&self, agent: &str) -> impl Iterator<Item = &Arc<Hook>> {
        let matching = move |(pattern, _): &&(String, _)| {
            if pattern::is_exact(pattern) { pattern == agent } else { pattern::matches(pattern, agent) }
        };
        self.hooks.iter().filter(matching).flat_map(|(_, hooks)| hooks)
    }

    /// Every hook, by its pattern.
    pub(super) fn hooks(&self) -> impl Iterator<Item = &Arc<Hook>> {
        self.hooks.iter().flat_map(|(_, hooks)| hooks)
    }
}
