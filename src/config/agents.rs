//! `[agents."PATTERN"]`: what is known of agents, and the hooks that hear of them.
//!
//! Of all names and patterns that match an agent's name, the most specific wins, key by key. Hooks add up: those of the most
//! general pattern first.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::agent::{AgentCard, Origin};
use super::hook::{self, Flows, Owner};
use super::pattern;
use super::queues::refuse_ties;
use super::value::Value;
use crate::hook::Hook;
use crate::id::AgentName;

/// Every `[agents."PATTERN"]`.
#[derive(Debug, Default)]
pub(super) struct Agents {
    /// Who the agents are, by name.
    cards: BTreeMap<AgentName, AgentCard>,
    /// Who they are by patterns of names, the most specific first.
    globs: Vec<(String, AgentCard)>,
    /// The variables of agents' legs that are read.
    variables: BTreeSet<String>,
    /// Whether anything is read from FreeSWITCH's directory.
    ask_directory: bool,
    /// The hooks by name or pattern, the most general first.
    hooks: Vec<(String, Vec<Arc<Hook>>)>,
}

/// Where what is said of one agent comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AgentOrigins<'c> {
    /// The agent's identifier.
    pub id: Option<AgentOrigin<'c, i64>>,
    /// The user's identifier.
    pub user_id: Option<AgentOrigin<'c, i64>>,
    /// The extension.
    pub extension: Option<AgentOrigin<'c, String>>,
}

/// Where something that is said of one agent comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AgentOrigin<'c, T> {
    /// It is configured, or a part of the name.
    Known(T),
    /// It is a variable of the agent's leg.
    Variable(&'c str),
    /// It is a variable or parameter in FreeSWITCH's directory.
    Directory(&'c str),
}

impl Agents {
    pub(super) fn read(value: Value<'_>, flows: &Flows) -> Option<Self> {
        let mut agents = Self::default();
        let mut globs = Vec::new();
        for (name, value) in value.entries()? {
            let Some(name) = name.checked("agent") else { continue };
            value.section(|section| {
                let card = AgentCard::read(section, name);
                agents.variables.extend(card.variables().map(str::to_owned));
                agents.ask_directory |= card.asks_directory();
                if pattern::is_exact(name) {
                    agents.cards.insert(AgentName::new(name), card);
                } else {
                    agents.globs.push((name.to_owned(), card));
                    globs.push((name, value));
                }
                let hooks = section.optional("hooks", |value| hook::read_all(name, value, flows, Owner::Agent));
                agents.hooks.extend(hooks.map(|hooks| (name.to_owned(), hooks)));
                Some(())
            });
        }
        refuse_ties(Owner::Agent, &globs);
        agents.globs.sort_by_key(|(glob, _)| std::cmp::Reverse(pattern::literals(glob)));
        agents.hooks.sort_by_key(|(pattern, _)| (pattern::is_exact(pattern), pattern::literals(pattern)));
        Some(agents)
    }

    /// Where what is said of an agent comes from.
    pub(super) fn origins(&self, name: &AgentName) -> AgentOrigins<'_> {
        let exact = self.cards.get(name).map(|card| (name.as_str(), card));
        let globs = self.globs.iter().map(|(glob, card)| (glob.as_str(), card));
        let mut origins = AgentOrigins::default();
        for (glob, card) in exact.into_iter().chain(globs.filter(|(glob, _)| pattern::matches(glob, name.as_str()))) {
            let star = || pattern::star(glob, name.as_str()).filter(|star| !is_uuid(star));
            let number = || star()?.parse().ok();
            let text = || star().map(str::to_owned);
            origins.id = origins.id.take().or_else(|| AgentOrigin::of(card.id.as_ref()?, number));
            origins.user_id = origins.user_id.take().or_else(|| AgentOrigin::of(card.user_id.as_ref()?, number));
            origins.extension = origins.extension.take().or_else(|| AgentOrigin::of(card.extension.as_ref()?, text));
        }
        origins
    }

    /// The variables of agents' legs that are read.
    pub(super) fn variables(&self) -> &BTreeSet<String> {
        &self.variables
    }

    /// Whether anything is read from FreeSWITCH's directory.
    pub(super) fn ask_directory(&self) -> bool {
        self.ask_directory
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

impl AgentOrigins<'_> {
    /// The names under which FreeSWITCH's directory is asked for the agent.
    pub fn directory_names(&self) -> BTreeSet<&str> {
        let numbers = [&self.id, &self.user_id].into_iter().flatten().filter_map(AgentOrigin::directory_name);
        numbers.chain(self.extension.as_ref().and_then(AgentOrigin::directory_name)).collect()
    }
}

impl<'c, T: Clone> AgentOrigin<'c, T> {
    fn of(origin: &'c Origin<T>, star: impl FnOnce() -> Option<T>) -> Option<Self> {
        match origin {
            Origin::Constant(constant) => Some(Self::Known(constant.clone())),
            Origin::Star => star().map(Self::Known),
            Origin::Variable(name) => Some(Self::Variable(name)),
            Origin::Directory(name) => Some(Self::Directory(name)),
        }
    }
}

impl<T> AgentOrigin<'_, T> {
    fn directory_name(&self) -> Option<&str> {
        match self {
            Self::Directory(name) => Some(name),
            Self::Known(_) | Self::Variable(_) => None,
        }
    }
}

/// Whether the text is a UUID, with dashes or without: a number in it identifies nobody.
pub fn is_uuid(text: &str) -> bool {
    let dashes = text.bytes().filter(|byte| *byte == b'-').count();
    let digits = text.bytes().filter(u8::is_ascii_hexdigit).count();
    digits == 32 && digits + dashes == text.len() && matches!(dashes, 0 | 4)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn config(text: &str) -> Config {
        Config::from_toml("agents.toml", text).expect("a good configuration")
    }

    #[test]
    fn the_most_specific_pattern_wins_key_by_key() {
        let config = config(
            "[agents.\"*\"]\nid = { variable = \"crm_id\" }\nextension = { directory = \"extension\" }\n\
             [agents.\"*@sales\"]\nid = \"*\"\nuser_id = { directory = \"user_id\" }\n\
             [agents.\"1000@sales\"]\nuser_id = 4\n",
        );
        let of = |name: &str| config.agent(&name.into());
        let boss = of("1000@sales");
        assert_eq!(boss.id, Some(AgentOrigin::Known(1000)));
        assert_eq!(boss.user_id, Some(AgentOrigin::Known(4)));
        assert_eq!(boss.extension, Some(AgentOrigin::Directory("extension")));
        assert_eq!(boss.directory_names(), BTreeSet::from(["extension"]));
        assert_eq!(of("1001@sales").directory_names(), BTreeSet::from(["extension", "user_id"]));
        // What the star matched is no number.
        assert_eq!(of("smith@sales").id, Some(AgentOrigin::Variable("crm_id")));
        assert_eq!(of("1000").user_id, None);
        assert!(config.agent_variables().contains("crm_id") && config.agent_variables().len() == 1);
    }

    #[test]
    fn a_uuid_gives_no_number_and_no_extension() {
        let config = config("[agents.\"*\"]\nid = \"*\"\nextension = \"*\"\n");
        for name in ["10203040-5060-4708-8090-100200300400", "10203040506047088090100200300400", ""] {
            let origins = config.agent(&name.into());
            assert_eq!((origins.id, origins.extension.is_some()), (None, name.is_empty()), "{name}");
        }
    }

    #[test]
    fn what_can_not_be_meant_is_refused() {
        for (text, fault) in [
            ("[agents.\"*\"]\nid = 17\n", "say the same"),
            ("[agents.\"1000\"]\nid = \"*\"\n", "one `*`"),
            ("[agents.\"*@*\"]\nid = \"*\"\n", "one `*`"),
            ("[agents.\"1000\"]\nid = { variable = \"a\", directory = \"b\" }\n", "exactly one"),
            ("[agents.\"1000\"]\nid = {}\n", "exactly one"),
            ("[agents.\"1000\"]\nid = { directory = \"a b\" }\n", "`a b`"),
            ("[agents.\"1000\"]\nid = { directory = \"a\\nb\" }\n", "variable"),
            ("[agents.\"1000\"]\nid = \"x\"\n", "expected an integer"),
            ("[agents.\"1*\"]\nid = \"*\"\n[agents.\"*1\"]\nid = { variable = \"x\" }\n", "equally specific"),
        ] {
            let problems = Config::from_toml("agents.toml", text).expect_err(text);
            let told = format!("{problems:?} {problems}");
            assert!(told.contains(fault), "{text}: {told}");
        }
    }
}
