//! What FreeSWITCH's directory says of agents, as surveys have read it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use crate::config::Config;
use crate::freeswitch::Snapshot;
use crate::freeswitch::snapshot::DirectoryRow;
use crate::id::AgentName;

/// How long what was read holds: who an agent is hardly ever changes.
const TIME_TO_LIVE: SignedDuration = SignedDuration::from_hours(1);

/// The most agents of whom something is kept, and the most who wait to be asked for.
const AGENTS_LIMIT: usize = 50_000;
const SIGHTED_LIMIT: usize = 1_000;

/// What is known.
#[derive(Debug, Default)]
pub struct Directory {
    agents: BTreeMap<AgentName, Entry>,
    /// Agents who were seen, and of whom nothing was read yet.
    sighted: BTreeSet<AgentName>,
    /// Whether agents are listed who were not asked for yet.
    is_incomplete: bool,
}

/// What was read of an agent.
#[derive(Debug)]
struct Entry {
    values: BTreeMap<String, String>,
    read_at: Timestamp,
}

/// What a survey is to read in FreeSWITCH's directory.
#[derive(Clone, Debug)]
pub struct DirectoryQuestions {
    /// The configuration, which says what of whom.
    pub config: Arc<Config>,
    /// The agents of whom it is known.
    pub known: BTreeSet<AgentName>,
    /// Agents who were seen, and may not be listed.
    pub sighted: BTreeSet<AgentName>,
}

impl Directory {
    /// What the directory says of an agent under that name.
    pub fn value(&self, agent: &AgentName, name: &str) -> Option<&str> {
        self.agents.get(agent)?.values.get(name).map(String::as_str)
    }

    /// An agent was seen.
    pub fn sight(&mut self, config: &Config, agent: &str) {
        if !config.asks_directory() || self.agents.contains_key(agent) || self.sighted.len() >= SIGHTED_LIMIT {
            return;
        }
        let agent = AgentName::from(agent);
        if !config.agent(&agent).directory_names().is_empty() {
            self.sighted.insert(agent);
        }
    }

    /// Whether agents are still to be asked for.
    pub fn want_survey(&self) -> bool {
        self.is_incomplete || !self.sighted.is_empty()
    }

    /// What a survey is to ask; none where the directory is not configured.
    pub fn questions(&self, config: &Arc<Config>, now: Timestamp) -> Option<DirectoryQuestions> {
        let is_known = |entry: &Entry| now.duration_since(entry.read_at).abs() < TIME_TO_LIVE;
        let known = self.agents.iter().filter(|(_, entry)| is_known(entry)).map(|(agent, _)| agent.clone());
        let questions =
            || DirectoryQuestions { config: Arc::clone(config), known: known.collect(), sighted: self.sighted.clone() };
        config.asks_directory().then(questions)
    }

    /// Takes what a survey has read.
    pub fn read(&mut self, config: &Config, snapshot: &Snapshot, now: Timestamp) {
        for DirectoryRow { agent, values } in &snapshot.directory {
            self.sighted.remove(agent.as_str());
            if self.agents.len() < AGENTS_LIMIT || self.agents.contains_key(agent.as_str()) {
                let entry = Entry { values: values.clone(), read_at: now };
                self.agents.insert(agent.as_str().into(), entry);
            }
        }
        let is_missing =
            |name: &str| !self.agents.contains_key(name) && !config.agent(&name.into()).directory_names().is_empty();
        // Where nothing could be read, the next routine survey tries again.
        self.is_incomplete =
            !snapshot.directory.is_empty() && snapshot.agents.iter().any(|row| is_missing(row.name.as_str()));
        if snapshot.directory.is_empty() {
            self.sighted.clear();
        }
    }

    /// Other things may be asked for from now on: what was read holds until it is read anew.
    pub fn configure(&mut self) {
        for entry in self.agents.values_mut() {
            entry.read_at = Timestamp::UNIX_EPOCH;
        }
    }
}
