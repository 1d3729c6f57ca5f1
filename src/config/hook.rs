//! `hooks = [{ … }]` of a queue or an agent: which flow an event starts.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::fault::Fault;
use super::flow::expires_after;
use super::problem::Place;
use super::section::Section;
use super::suggestion;
use super::value::{Value, is_name};
use crate::flow::{Expression, Flow, SavedNames};
use crate::hook::Hook;
use crate::id::FlowName;
use crate::moment::EventName;
use crate::moment::event::EventSet;

/// The flows that were read; those with problems of their own are known by name only.
pub(super) type Flows = BTreeMap<FlowName, Option<Arc<Flow>>>;

/// Whose hooks they are, which says what they can hear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    /// A queue's.
    Queue,
    /// An agent's.
    Agent,
}

impl Owner {
    /// How the identifier of a hook begins: a queue's and an agent's are never alike.
    fn prefix(self) -> &'static str {
        match self {
            Self::Queue => "",
            Self::Agent => "agents/",
        }
    }

    /// Where hooks stand that hear other events.
    fn other(self) -> &'static str {
        match self {
            Self::Queue => "agents",
            Self::Agent => "queues",
        }
    }

    fn hears(self, event: EventName) -> bool {
        event.is_of_agent() == (self == Self::Agent)
    }
}

/// The events that the hooks hear.
pub(super) fn heard<'a>(hooks: impl IntoIterator<Item = &'a Arc<Hook>>) -> EventSet {
    hooks.into_iter().filter(|hook| hook.enabled).map(|hook| hook.event).collect()
}

/// Reads the hooks of one pattern, whose names within it must differ.
pub(super) fn read_all(pattern: &str, value: Value<'_>, flows: &Flows, owner: Owner) -> Option<Vec<Arc<Hook>>> {
    let mut names: BTreeMap<String, &Place> = BTreeMap::new();
    value.list(|i, element| {
        element.section(|section| {
            // A hook without a name is called by its place in the list.
            let name = section.optional("name", name).unwrap_or_else(|| i.to_string());
            if let Some(first) = names.get(&name) {
                section.refuse(Fault::SameName { what: "hook", name: name.clone(), other: first.to_string() });
            } else {
                names.insert(name.clone(), section.place());
            }
            read(format!("{}{pattern}/{name}", owner.prefix()), section, flows, owner).map(Arc::new)
        })
    })
}

fn read(id: String, section: &mut Section<'_>, flows: &Flows, owner: Owner) -> Option<Hook> {
    let event = section.required("event", |value| event(value, owner));
    let flow = section.required("flow", |value| flow(value, flows));
    let has_condition = section.has("when");
    let when = section.optional("when", |value| value.compiled(|text| Expression::compile(text, &SavedNames::none())));
    let enabled = section.optional("enabled", Value::boolean).unwrap_or(true);
    let dry_run = section.optional("dry_run", Value::boolean).unwrap_or_default();
    let expires_after = section.optional("expires_after", expires_after);
    if has_condition && when.is_none() {
        return None;
    }
    let mut hook = Hook::new(id, event?, flow?);
    (hook.when, hook.enabled, hook.dry_run, hook.expires_after) = (when, enabled, dry_run, expires_after);
    Some(hook)
}

fn event(value: Value<'_>, owner: Owner) -> Option<EventName> {
    let word = value.text()?;
    if EventName::parse(word).is_some_and(|event| !owner.hears(event)) {
        value.refuse(Fault::EventOfOthers { event: word.to_owned(), belongs_to: owner.other() });
        return None;
    }
    let heard = EventName::ALL.into_iter().filter(|event| owner.hears(*event));
    let events: Vec<_> = heard.map(|event| (event.as_str(), event)).collect();
    value.word("event", &events)
}

fn name(value: Value<'_>) -> Option<String> {
    let text = value.text()?;
    if !is_name(text) {
        value.refuse(Fault::Name("hook"));
        return None;
    }
    Some(text.to_owned())
}

/// Reads the name of a flow that is started.
pub(super) fn flow(value: Value<'_>, flows: &Flows) -> Option<Arc<Flow>> {
    let name = value.text()?;
    if let Some(flow) = flows.get(name) {
        return flow.clone();
    }
    let remedy = suggestion::among(name, flows.keys().map(FlowName::as_str));
    value.refuse(Fault::UnknownWord { what: "flow", word: name.to_owned(), remedy });
    None
}
