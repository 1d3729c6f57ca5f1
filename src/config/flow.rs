//! `[flows.NAME]`: what hooks start.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value as Json, json};

use super::definition::{self, Literals};
use super::delivery::DeliverySettings;
use super::destinations::Destinations;
use super::fault::Fault;
use super::hook::Flows;
use super::outline::Outlines;
use super::secret::Lookup;
use super::section::Section;
use super::step;
use super::value::Value;
use crate::delivery::Priority;
use crate::flow::layout::{Block, LayoutError, lay_out};
use crate::flow::{Definition, Flow, SavedNames};
use crate::id::FlowName;

/// The longest that a hook or a flow may say it is of use: with more, it need not say it.
const LONGEST_USE: Duration = Duration::from_hours(365 * 24);

/// What a step's reader needs to know beside the step.
pub(super) struct Reading<'a> {
    /// The flow that is read.
    pub(super) flow: &'a str,
    /// The flows that there are, and which calls which.
    pub(super) outlines: &'a Outlines<'a>,
    /// What templates may name beside a payload's fields.
    pub(super) names: SavedNames,
    /// What a step leaves out.
    pub(super) defaults: &'a DeliverySettings,
    /// The brokers, databases and mail servers that steps can name.
    pub(super) destinations: &'a Destinations,
    /// Where secrets are.
    pub(super) lookup: &'a Lookup,
}

impl Reading<'_> {
    /// Whether the flow is a stored one, which was checked when it was configured: a run goes on by it, although the rest of
    /// the configuration would not allow it any more.
    pub(super) fn is_checked_before(&self) -> bool {
        self.names == SavedNames::Any
    }

    /// What the flow's steps save, as far as the flows are there.
    pub(super) fn saved(&self) -> SavedNames {
        self.outlines.names(self.flow)
    }
}

/// A flow that was read and is not laid out yet.
struct Draft {
    ordered: bool,
    priority: Priority,
    paused: bool,
    newest_first: bool,
    expires_after: Option<Duration>,
    block: Block,
    json: Json,
}

/// Reads all flows, and lays each out with those that it calls. What was checked before may name what it likes: the steps
/// that save it may be in flows that are not there.
pub(super) fn read_all(
    value: Value<'_>,
    checked_before: bool,
    on_failure: Option<&str>,
    defaults: &DeliverySettings,
    destinations: &Destinations,
    lookup: &Lookup,
    literals: &mut Literals,
) -> Option<Flows> {
    let outlines = Outlines::of(value, on_failure)?;
    let mut drafts: BTreeMap<FlowName, Option<Draft>> = BTreeMap::new();
    for (name, value) in value.entries()? {
        let names = if checked_before { SavedNames::Any } else { outlines.names(name.text) };
        let reading = Reading { flow: name.text, outlines: &outlines, names, defaults, destinations, lookup };
        let draft = value.section(|section| read(section, &reading)).and_then(|draft| {
            let json = definition::seal(value.json()?, literals);
            Some(Draft { json, ..draft })
        });
        if let Some(name) = name.checked("flow") {
            drafts.insert(FlowName::new(name), draft);
        }
    }
    let blocks =
        drafts.iter().filter_map(|(name, draft)| Some((name.clone(), draft.as_ref()?.block.clone()))).collect();
    let mut flows = Flows::new();
    for (name, _) in value.entries()? {
        let Some(draft) = drafts.get(name.text) else { continue };
        let steps = draft.as_ref().map(|draft| lay_out(&draft.block, &blocks));
        let flow = match (draft, steps) {
            (Some(draft), Some(Ok(steps))) => Some(Flow {
                name: FlowName::new(name.text),
                steps,
                ordered: draft.ordered,
                priority: draft.priority,
                paused: draft.paused,
                newest_first: draft.newest_first,
                expires_after: draft.expires_after,
                definition: Some(describe(name.text, &outlines, &drafts)),
            }),
            (Some(_), Some(Err(error @ (LayoutError::TooManySteps | LayoutError::TooDeep)))) => {
                name.refuse(Fault::Layout(error));
                None
            }
            // It has a problem of its own, or calls a flow that has.
            _ => None,
        };
        flows.insert(FlowName::new(name.text), flow.map(Arc::new));
    }
    Some(flows)
}

fn read(section: &mut Section<'_>, reading: &Reading<'_>) -> Option<Draft> {
    let ordered = section.optional("ordered", Value::boolean).unwrap_or(true);
    let priority = section.optional("priority", priority).unwrap_or_default();
    let paused = section.optional("paused", Value::boolean).unwrap_or_default();
    let newest_first = section.optional("newest_first", Value::boolean).unwrap_or_default();
    let expires_after = section.optional("expires_after", expires_after);
    let block = section.required("steps", |value| {
        let block = step::block(value, reading)?;
        if block.is_empty() {
            value.refuse(Fault::NoSteps);
        }
        Some(block)
    });
    Some(Draft { ordered, priority, paused, newest_first, expires_after, block: block?, json: Json::Null })
}

fn priority(value: Value<'_>) -> Option<Priority> {
    value.word("priority", &Priority::ALL.map(|priority| (priority.name(), priority)))
}

/// Reads how long after its moment a run is of use.
pub(super) fn expires_after(value: Value<'_>) -> Option<Duration> {
    value.duration_within("`expires_after`", Duration::from_millis(1), LONGEST_USE)
}

/// The definition of a flow: its own text, and those of all flows that it calls.
fn describe(name: &str, outlines: &Outlines<'_>, drafts: &BTreeMap<FlowName, Option<Draft>>) -> Definition {
    let texts = outlines.called_by(name).into_iter().chain([name]).filter_map(|name| {
        let draft = drafts.get(name)?.as_ref()?;
        Some((name.to_owned(), draft.json.clone()))
    });
    // In the order of their names, so that the same flows have the same text.
    let texts: BTreeMap<String, Json> = texts.collect();
    Definition::new(json!({ "flow": name, "flows": texts }).to_string())
}
