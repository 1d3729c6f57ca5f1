//! `[agents."PATTERN"]`: what mod_callcenter does not know of its agents, and where it is found.

use super::document::Kind;
use super::fault::Fault;
use super::pattern;
use super::section::Section;
use super::value::Value;

/// The text that stands for what the pattern's `*` matched.
const STAR: &str = "*";

/// The longest name of a variable or parameter.
const MAX_NAME: usize = 128;

/// What the configuration's directory says of the agents of one name or pattern.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AgentCard {
    /// The agent's identifier.
    pub id: Option<Origin<i64>>,
    /// The user's identifier.
    pub user_id: Option<Origin<i64>>,
    /// The extension.
    pub extension: Option<Origin<String>>,
}

/// Where something that is said of an agent comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin<T> {
    /// It stands in the configuration.
    Constant(T),
    /// It is a variable of the agent's leg.
    Variable(String),
    /// It is a variable or parameter of the agent's user in FreeSWITCH's directory.
    Directory(String),
    /// It is what the pattern's `*` matched.
    Star,
}

impl AgentCard {
    pub(super) fn read(section: &mut Section<'_>, pattern: &str) -> Self {
        Self {
            id: section.optional("id", |value| Origin::read(value, pattern, Value::integer)),
            user_id: section.optional("user_id", |value| Origin::read(value, pattern, Value::integer)),
            extension: section
                .optional("extension", |value| Origin::read(value, pattern, |value| value.text().map(str::to_owned))),
        }
    }

    /// The variables of agents' legs that are read.
    pub(super) fn variables(&self) -> impl Iterator<Item = &str> {
        let numbers = [&self.id, &self.user_id].into_iter().flatten().filter_map(Origin::variable);
        numbers.chain(self.extension.as_ref().and_then(Origin::variable))
    }

    /// Whether anything is read from FreeSWITCH's directory.
    pub(super) fn asks_directory(&self) -> bool {
        let mut numbers = [&self.id, &self.user_id].into_iter().flatten();
        numbers.any(|origin| matches!(origin, Origin::Directory(_)))
            || matches!(self.extension, Some(Origin::Directory(_)))
    }
}

impl<T> Origin<T> {
    fn read<'a>(value: Value<'a>, pattern: &str, constant: impl FnOnce(Value<'a>) -> Option<T>) -> Option<Self> {
        match &value.node().kind {
            Kind::Table(_) => value.section(Self::read_table),
            Kind::Text(text) if text == STAR => {
                let has_one = pattern.matches('*').count() == 1;
                if !has_one {
                    value.refuse(Fault::NoStar(pattern.to_owned()));
                }
                has_one.then_some(Self::Star)
            }
            _ if !pattern::is_exact(pattern) => {
                value.refuse(Fault::ConstantOfPattern);
                None
            }
            _ => constant(value).map(Self::Constant),
        }
    }

    fn read_table(section: &mut Section<'_>) -> Option<Self> {
        let variable = section.optional("variable", name);
        let directory = section.optional("directory", name);
        let found = usize::from(section.has("variable")) + usize::from(section.has("directory"));
        if found != 1 {
            section.refuse(Fault::NotOne { what: "this", choices: "`variable` and `directory`", found });
            return None;
        }
        variable.map(Self::Variable).or(directory.map(Self::Directory))
    }

    /// The variable of the agent's leg.
    fn variable(&self) -> Option<&str> {
        match self {
            Self::Variable(name) => Some(name),
            Self::Constant(_) | Self::Directory(_) | Self::Star => None,
        }
    }
}

/// The name of a variable or parameter: one word of a command.
fn name(value: Value<'_>) -> Option<String> {
    let name = value.text()?;
    let is_word = |name: &str| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.:".contains(&byte));
    if name.is_empty() || name.starts_with('-') || name.len() > MAX_NAME || !is_word(name) {
        value.refuse(Fault::VariableName(name.to_owned()));
        return None;
    }
    Some(name.to_owned())
}
