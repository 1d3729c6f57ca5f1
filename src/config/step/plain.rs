//! `log`, `set`, `wait`, `stop`, `if` and `switch`: steps that ask nobody.

use std::sync::Arc;

use tracing::Level;

use super::http::document;
use super::{block, saved_name};
use crate::config::fault::Fault;
use crate::config::flow::Reading;
use crate::config::section::Section;
use crate::config::value::{Value, is_name};
use crate::flow::action::{LONGEST_WAIT, LogStep, SetStep, StopStep, WaitStep};
use crate::flow::layout::{Block, PieceKind};
use crate::flow::step::parse_wait;
use crate::flow::template::TextTemplate;
use crate::flow::{Action, Expression};

/// The levels of log lines.
const LEVELS: [(&str, Level); 5] = [
    ("error", Level::ERROR),
    ("warn", Level::WARN),
    ("info", Level::INFO),
    ("debug", Level::DEBUG),
    ("trace", Level::TRACE),
];

/// The longest name of a case, which is a part of its steps' paths and so of webhook ids.
const MAX_CASE_CHARS: usize = 64;

/// Reads a step that does something by itself.
pub(super) fn action(section: &mut Section<'_>, reading: &Reading<'_>) -> Option<Action> {
    let log = section.optional("log", |value| value.section(|section| log(section, reading)));
    let set = section.optional("set", |value| set(value, reading));
    let wait = section.optional("wait", |value| wait(value, reading));
    let stop = match section.has("stop") {
        true => stop(section, reading),
        false => None,
    };
    let stop = stop.map(Action::Stop);
    log.map(Action::Log).or(set.map(Action::Set)).or(wait.map(Action::Wait)).or(stop)
}

/// Reads a step that chooses among blocks.
pub(super) fn choice(section: &mut Section<'_>, reading: &Reading<'_>) -> Option<PieceKind> {
    let expression = |value: Value<'_>| value.compiled(|text| Expression::compile(text, &reading.names)).map(Arc::new);
    let condition = section.optional("if", expression);
    let value = section.optional("switch", expression);
    let branches = if section.has("if") {
        let then = section.required("then", |value| block(value, reading));
        let otherwise = optional_block(section, "else", reading);
        Some((then?, otherwise?))
    } else {
        None
    };
    let cases = if section.has("switch") {
        let cases = section.required("cases", |value| cases(value, reading));
        let default = optional_block(section, "default", reading);
        Some((cases?, default?))
    } else {
        None
    };
    match (condition, branches, value, cases) {
        (Some(condition), Some((then, otherwise)), _, _) => Some(PieceKind::If { condition, then, otherwise }),
        (_, _, Some(value), Some((cases, default))) => Some(PieceKind::Switch { value, cases, default }),
        _ => None,
    }
}

fn optional_block(section: &mut Section<'_>, key: &'static str, reading: &Reading<'_>) -> Option<Block> {
    match section.has(key) {
        true => section.optional(key, |value| block(value, reading)),
        false => Some(Block::new()),
    }
}

fn cases(value: Value<'_>, reading: &Reading<'_>) -> Option<Vec<(String, Block)>> {
    let cases = value.entries()?.map(|(name, value)| {
        let block = block(value, reading);
        if !is_name(name.text) || name.text.chars().count() > MAX_CASE_CHARS {
            name.refuse(Fault::CaseName(MAX_CASE_CHARS));
            return None;
        }
        Some((name.text.to_owned(), block?))
    });
    cases.collect::<Vec<_>>().into_iter().collect()
}

fn log(section: &mut Section<'_>, reading: &Reading<'_>) -> Option<LogStep> {
    let level = section.optional("level", |value| value.word("level", &LEVELS)).unwrap_or(Level::INFO);
    let message = section.required("message", |value| text(value, reading));
    Some(LogStep { level, message: message? })
}

fn set(value: Value<'_>, reading: &Reading<'_>) -> Option<SetStep> {
    let values = value.entries()?.map(|(name, value)| {
        let document = document(value, &reading.names);
        let Some(saved) = saved_name(name.text) else {
            name.refuse(Fault::SavedName(name.text.to_owned()));
            return None;
        };
        Some((saved, document?))
    });
    Some(SetStep { values: values.collect::<Vec<_>>().into_iter().collect::<Option<_>>()? })
}

/// Reads a duration, or a template that becomes one.
fn wait(value: Value<'_>, reading: &Reading<'_>) -> Option<WaitStep> {
    let template = text(value, reading)?;
    match template.literal() {
        None => Some(WaitStep::Text(template)),
        Some(literal) => match parse_wait(literal) {
            Ok(wait) => Some(WaitStep::For(wait)),
            Err(_) => value.duration_within("a wait", std::time::Duration::ZERO, LONGEST_WAIT).map(WaitStep::For),
        },
    }
}

fn stop(section: &mut Section<'_>, reading: &Reading<'_>) -> Option<StopStep> {
    let failed = section.optional("stop", |value| value.word("end", &[("delivered", false), ("failed", true)]));
    let has_reason = section.has("reason");
    let reason = section.optional("reason", |value| text(value, reading));
    if has_reason && reason.is_none() {
        return None;
    }
    Some(StopStep { failed: failed?, reason })
}

fn text(value: Value<'_>, reading: &Reading<'_>) -> Option<TextTemplate> {
    value.compiled(|text| TextTemplate::compile(text, &reading.names))
}
