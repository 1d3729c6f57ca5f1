//! `[queues."PATTERN"]`: settings and hooks by patterns of names.
//!
//! All patterns that match a queue's name are merged key by key: an exact name wins over a pattern, a pattern with more
//! literal characters over one with fewer. Hooks add up.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::document::{Kind, Member, Table};
use super::fault::Fault;
use super::hook::{self, Flows, Owner};
use super::pattern;
use super::queue::{PartialSettings, QueueSettings, QueueSource, ResolvedQueue, too_long};
use super::value::Value;
use crate::hook::Hook;

/// The key that does not compete: hooks add up.
const ADDING_UP: &str = "hooks";

/// The key whose members compete one by one.
const BY_NAME: &str = "variables";

/// Every `[queues."PATTERN"]`.
#[derive(Debug, Default)]
pub(super) struct Queues {
    /// The most general first.
    globs: Vec<(String, Entry)>,
    exact: BTreeMap<String, Entry>,
    /// The queues that have another source than mod_callcenter.
    sources: BTreeMap<String, QueueSource>,
}

/// What one pattern sets.
#[derive(Debug, Default)]
struct Entry {
    settings: PartialSettings,
    hooks: Vec<Arc<Hook>>,
}

impl Queues {
    pub(super) fn read(value: Value<'_>, flows: &Flows) -> Option<Self> {
        let mut queues = Self::default();
        let (mut globs, mut exact) = (Vec::new(), Vec::new());
        for (name, value) in value.entries()? {
            if name.text.is_empty() || name.text.chars().count() > pattern::MAX_CHARS {
                name.refuse(too_long("a queue's name or pattern"));
                continue;
            }
            let is_exact = pattern::is_exact(name.text);
            let entry = value.section(|section| {
                let settings = PartialSettings::read(section, is_exact);
                let hooks = section.optional(ADDING_UP, |value| hook::read_all(name.text, value, flows, Owner::Queue));
                Some(Entry { settings, hooks: hooks.unwrap_or_default() })
            });
            let entry = entry.unwrap_or_default();
            if is_exact {
                let source = entry.settings.source();
                queues.sources.extend((source != QueueSource::Callcenter).then(|| (name.text.to_owned(), source)));
                queues.exact.insert(name.text.to_owned(), entry);
                exact.push((name.text, value));
            } else {
                globs.push((name.text, value));
                queues.globs.push((name.text.to_owned(), entry));
            }
        }
        refuse_ties(Owner::Queue, &globs);
        queues.globs.sort_by_key(|(glob, _)| pattern::literals(glob));
        for (name, value) in exact {
            queues.refuse_foreign_type(name, value);
        }
        Some(queues)
    }

    /// Records that a queue is of a type of which its source knows nothing; patterns may have set the type.
    fn refuse_foreign_type(&self, name: &str, value: Value<'_>) {
        let settings = self.resolve(name).settings;
        let (Some(types), Kind::Table(table)) = (settings.source.lacks(settings.queue_type), &value.node().kind) else {
            return;
        };
        if let Some(member) = table.get("source") {
            value.refuse_at(Fault::SourceOfType { source_name: settings.source.as_str(), types }, &member.key);
        }
    }

    /// The source of the queue `name`.
    pub(super) fn source(&self, name: &str) -> QueueSource {
        self.sources.get(name).copied().unwrap_or_default()
    }

    /// The sources other than mod_callcenter, one for each queue that has one.
    pub(super) fn sources(&self) -> impl Iterator<Item = QueueSource> {
        self.sources.values().copied()
    }

    /// What is said of the queue `name`.
    pub(super) fn resolve(&self, name: &str) -> ResolvedQueue {
        let mut settings = QueueSettings::default();
        let mut queue = ResolvedQueue::default();
        let globs = self.globs.iter().filter(|(glob, _)| pattern::matches(glob, name)).map(|(_, entry)| entry);
        for entry in globs.chain(self.exact.get(name)) {
            entry.settings.apply(&mut queue, &mut settings);
            queue.hooks.extend(entry.hooks.iter().cloned());
        }
        queue.settings = Arc::new(settings);
        queue.heard = hook::heard(&queue.hooks);
        queue
    }

    /// The names and patterns that match the name, the most specific first.
    pub(super) fn patterns(&self, name: &str) -> Vec<&str> {
        let globs = self.globs.iter().map(|(glob, _)| glob.as_str()).filter(|glob| pattern::matches(glob, name));
        let exact = self.exact.get_key_value(name).map(|(name, _)| name.as_str());
        globs.chain(exact).rev().collect()
    }

    /// How many patterns and names there are.
    pub(super) fn count(&self) -> usize {
        self.globs.len() + self.exact.len()
    }

    /// The names that are no patterns.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.exact.keys().map(String::as_str)
    }

    /// Every hook, by its pattern.
    pub(super) fn hooks(&self) -> impl Iterator<Item = &Arc<Hook>> {
        self.globs.iter().map(|(_, entry)| entry).chain(self.exact.values()).flat_map(|entry| &entry.hooks)
    }
}

/// Records where two equally specific patterns, both of which some name matches, set a key differently.
pub(super) fn refuse_ties(what: Owner, globs: &[(&str, Value<'_>)]) {
    let mut by_literals: BTreeMap<usize, Vec<&(&str, Value<'_>)>> = BTreeMap::new();
    for glob in globs {
        by_literals.entry(pattern::literals(glob.0)).or_default().push(glob);
    }
    for rivals in by_literals.values() {
        for (i, here) in rivals.iter().enumerate() {
            rivals[..i].iter().for_each(|rival| refuse_tie(what, here, rival));
        }
    }
}

fn refuse_tie(what: Owner, (pattern, value): &(&str, Value<'_>), (rival, other): &(&str, Value<'_>)) {
    let (Kind::Table(table), Kind::Table(others)) = (&value.node().kind, &other.node().kind) else { return };
    let clashes = clashes(table, others);
    // Comparing keys is quicker than comparing patterns.
    if clashes.is_empty() || !pattern::overlap(pattern, rival) {
        return;
    }
    for (key, member, other) in clashes {
        let (pattern, rival) = ((*pattern).to_owned(), (*rival).to_owned());
        let (key, other) = (key.to_owned(), other.key.to_string());
        let tie = match what {
            Owner::Queue => Fault::Tie { pattern, rival, key, other },
            Owner::Agent => Fault::AgentTie { patterns: format!("`{pattern}` and `{rival}`"), key, other },
        };
        value.refuse_at(tie, &member.key);
    }
}

/// A key that two tables set differently, with its member in each.
type Clash<'a> = (&'a str, &'a Member, &'a Member);

/// The keys that both patterns set, and differently.
fn clashes<'a>(table: &'a Table, others: &'a Table) -> Vec<Clash<'a>> {
    let competing = differing(table, others).filter(|(key, ..)| *key != ADDING_UP);
    let single = |clash: Clash<'a>| match (clash.0, &clash.1.value.kind, &clash.2.value.kind) {
        (BY_NAME, Kind::Table(table), Kind::Table(others)) => differing(table, others).collect(),
        _ => vec![clash],
    };
    competing.flat_map(single).collect()
}

fn differing<'a>(table: &'a Table, others: &'a Table) -> impl Iterator<Item = Clash<'a>> {
    let both = table.iter().filter_map(|(key, member)| Some((key.as_str(), member, others.get(key)?)));
    both.filter(|(_, member, other)| member != other)
}
