//! Which flow calls which, and what each saves, as far as that can be seen before their steps are read.

use std::collections::{BTreeMap, BTreeSet};

use super::document::{Kind, Node};
use super::value::Value;
use crate::flow::SavedNames;
use crate::flow::names::{ERROR, FAILURE};

/// The keys of a step under which there are further steps.
const BLOCKS: [&str; 3] = ["then", "else", "default"];

/// Every flow by its name.
pub(super) struct Outlines<'a> {
    flows: BTreeMap<&'a str, Outline<'a>>,
    /// The one that is told of failures.
    on_failure: Option<&'a str>,
}

/// What one flow says.
#[derive(Default)]
struct Outline<'a> {
    saved: BTreeSet<&'a str>,
    calls: BTreeSet<&'a str>,
}

impl<'a> Outlines<'a> {
    pub(super) fn of(flows: Value<'a>, on_failure: Option<&'a str>) -> Option<Self> {
        let outlines = flows.entries()?.map(|(name, value)| {
            let mut outline = Outline::default();
            if let Some(steps) = member(value.node(), "steps") {
                outline.add_steps(steps);
            }
            (name.text, outline)
        });
        Some(Self { flows: outlines.collect(), on_failure })
    }

    /// The flows' names.
    pub(super) fn flows(&self) -> impl Iterator<Item = &'a str> {
        self.flows.keys().copied()
    }

    /// Whether there is such a flow.
    pub(super) fn has(&self, flow: &str) -> bool {
        self.flows.contains_key(flow)
    }

    /// The flows that this one calls, and those that they call. It is among them if it calls itself.
    pub(super) fn called_by(&self, flow: &str) -> BTreeSet<&'a str> {
        reached(flow, |flow| self.flows.get(flow).into_iter().flat_map(|outline| outline.calls.iter().copied()))
    }

    /// What the flow's steps may name: what is saved by itself, by the flows it calls, and by those that call it, which all
    /// share one run.
    pub(super) fn names(&self, flow: &str) -> SavedNames {
        let mut related = self.called_by(flow);
        let callers = self.flows.iter().filter(|(_, outline)| !outline.calls.is_empty()).map(|(name, _)| *name);
        related.extend(callers.filter(|caller| self.called_by(caller).contains(flow)));
        related.extend(self.flows.get_key_value(flow).map(|(name, _)| *name));
        let saved =
            related.iter().filter_map(|flow| self.flows.get(flow)).flat_map(|outline| outline.saved.iter().copied());
        // Where no flow has the name, that is the problem to be told of.
        let told = self.on_failure.filter(|told| !self.has(told) || related.contains(told)).map(|_| FAILURE);
        saved.chain([ERROR]).chain(told).map(ToOwned::to_owned).collect()
    }
}

impl<'a> Outline<'a> {
    /// The depth of this recursion is bounded by the parser, which refuses deeper nesting.
    fn add_steps(&mut self, steps: &'a Node) {
        let Kind::List(steps) = &steps.kind else { return };
        for step in steps {
            let text = |key| member(step, key).and_then(as_text);
            self.saved.extend(text("save"));
            self.calls.extend(["flow", "on_error"].into_iter().filter_map(text));
            if let Some(Kind::Table(values)) = member(step, "set").map(|set| &set.kind) {
                self.saved.extend(values.keys().map(String::as_str));
            }
            BLOCKS.into_iter().filter_map(|key| member(step, key)).for_each(|block| self.add_steps(block));
            if let Some(Kind::Table(cases)) = member(step, "cases").map(|cases| &cases.kind) {
                cases.values().for_each(|case| self.add_steps(&case.value));
            }
        }
    }
}

fn member<'a>(node: &'a Node, key: &str) -> Option<&'a Node> {
    match &node.kind {
        Kind::Table(table) => table.get(key).map(|member| &member.value),
        _ => None,
    }
}

fn as_text(node: &Node) -> Option<&str> {
    match &node.kind {
        Kind::Text(text) => Some(text),
        _ => None,
    }
}

/// All that is reached from `start` by one step or more.
fn reached<'a, I: Iterator<Item = &'a str>>(start: &str, next: impl Fn(&str) -> I) -> BTreeSet<&'a str> {
    let mut reached: BTreeSet<&'a str> = next(start).collect();
    let mut fresh: Vec<&'a str> = reached.iter().copied().collect();
    while let Some(from) = fresh.pop() {
        for to in next(from) {
            if reached.insert(to) {
                fresh.push(to);
            }
        }
    }
    reached
}
