//! `[flows.NAME]`: what hooks start.

use tracing::Level;

use super::delivery::DeliverySettings;
use super::fault::Fault;
use super::http;
use super::secret::Lookup;
use super::section::Section;
use super::value::Value;
use crate::flow::Flow;
use crate::flow::definition::{LogStep, Step, StepKind};
use crate::flow::template::TextTemplate;
use crate::id::FlowName;

/// The levels of log lines.
const LEVELS: [(&str, Level); 5] = [
    ("error", Level::ERROR),
    ("warn", Level::WARN),
    ("info", Level::INFO),
    ("debug", Level::DEBUG),
    ("trace", Level::TRACE),
];

/// Reads the flow `name`.
pub(super) fn read(
    name: &str,
    section: &mut Section<'_>,
    defaults: &DeliverySettings,
    lookup: &Lookup,
) -> Option<Flow> {
    let ordered = section.optional("ordered", Value::boolean).unwrap_or(true);
    let steps = section.required("steps", |value| {
        let steps = value.list(|i, element| element.section(|section| step(i, section, defaults, lookup)))?;
        if steps.is_empty() {
            value.refuse(Fault::NoSteps);
        }
        Some(steps)
    });
    Some(Flow { name: FlowName::new(name), steps: steps?, ordered })
}

/// Reads a step: a record of which exactly one key names its kind.
fn step(i: usize, section: &mut Section<'_>, defaults: &DeliverySettings, lookup: &Lookup) -> Option<Step> {
    let found = ["http", "log"].into_iter().filter(|kind| section.has(kind)).count();
    if found != 1 {
        section.refuse(Fault::NotOne { what: "a step", choices: "`http` and `log`", found });
    }
    let http = section.optional("http", |value| value.section(|section| http::read(section, defaults, lookup)));
    let log = section.optional("log", |value| value.section(log));
    let kind = http.map(StepKind::Http).or_else(|| log.map(StepKind::Log));
    Some(Step { path: i.to_string(), kind: kind? })
}

fn log(section: &mut Section<'_>) -> Option<LogStep> {
    let level = section.optional("level", |value| value.word("level", &LEVELS)).unwrap_or(Level::INFO);
    let message = section.required("message", |value| value.compiled(TextTemplate::compile));
    Some(LogStep { level, message: message? })
}
