//! A step: a record of optional keys of which exactly one names its kind, so that every problem keeps its place.
//!
//! - [`http`], [`publish`], [`sql`], [`email`], [`freeswitch`], [`queue_info`]: steps that turn to somebody.
//! - [`plain`]: steps that work by themselves, and those that choose others.

mod email;
mod freeswitch;
mod http;
mod plain;
mod publish;
mod queue_info;
mod sql;

use std::sync::Arc;

use super::fault::Fault;
use super::flow::Reading;
use super::section::Section;
use super::suggestion;
use super::value::Value;
use crate::flow::Action;
use crate::flow::layout::{Block, Piece, PieceKind, Remedy};
use crate::flow::names::{ERROR, FAILURE};
use crate::id::FlowName;
use crate::moment::Payload;

/// The keys that name a step's kind.
const KINDS: [&str; 13] = [
    "email",
    "flow",
    "freeswitch",
    "http",
    "if",
    "log",
    "publish",
    "queue_info",
    "set",
    "sql",
    "stop",
    "switch",
    "wait",
];

/// The same in words.
const CHOICES: &str = "`email`, `flow`, `freeswitch`, `http`, `if`, `log`, `publish`, `queue_info`, `set`, `sql`, `stop`, \
                       `switch` and `wait`";

/// The kinds that have a result.
const WITH_RESULT: [&str; 5] = ["freeswitch", "http", "publish", "queue_info", "sql"];

/// What `on_error` says beside names of flows.
const FAIL: &str = "fail";
const CONTINUE: &str = "continue";

/// Words of expressions, which can be no names.
const WORDS: [&str; 14] =
    ["and", "dict", "else", "false", "if", "in", "is", "loop", "namespace", "none", "not", "or", "range", "true"];

/// Reads a list of steps.
pub(super) fn block(value: Value<'_>, reading: &Reading<'_>) -> Option<Block> {
    value.list(|_, element| element.section(|section| read(section, reading)))
}

fn read(section: &mut Section<'_>, reading: &Reading<'_>) -> Option<Piece> {
    let kinds: Vec<&str> = KINDS.into_iter().filter(|kind| section.has(kind)).collect();
    if kinds.len() != 1 {
        section.refuse(Fault::NotOne { what: "a step", choices: CHOICES, found: kinds.len() });
    }
    let kind = kind(section, reading);
    let save = section.optional("save", |value| {
        let name = value.text()?;
        if kinds.iter().all(|kind| !WITH_RESULT.contains(kind)) {
            value.refuse(Fault::NothingToSave);
        }
        saved_name(name).or_else(|| {
            value.refuse(Fault::SavedName(name.to_owned()));
            None
        })
    });
    let on_error = match section.has("on_error") {
        true => section.optional("on_error", |value| remedy(value, reading)),
        false => Some(Remedy::Fail),
    };
    Some(Piece { kind: kind?, save, on_error: on_error? })
}

/// Reads what the step does. Each kind is tried, so that all are known; one step has one.
fn kind(section: &mut Section<'_>, reading: &Reading<'_>) -> Option<PieceKind> {
    let choice = plain::choice(section, reading);
    let flow = section.optional("flow", |value| flow(value, reading).map(PieceKind::Flow));
    let http = section.optional("http", |value| value.section(|section| http::read(section, reading)));
    let freeswitch =
        section.optional("freeswitch", |value| value.section(|section| freeswitch::read(section, reading)));
    let queue_info =
        section.optional("queue_info", |value| value.section(|section| queue_info::read(section, reading)));
    let publish = section.optional("publish", |value| value.section(|section| publish::read(section, reading)));
    let sql = section.optional("sql", |value| value.section(|section| sql::read(section, reading)));
    let email = section.optional("email", |value| value.section(|section| email::read(section, reading)));
    let action = http.map(Action::Http).or(publish.map(Action::Publish)).or(sql.map(Action::Sql));
    let action = action.or(email.map(Action::Email)).or(freeswitch.map(Action::Freeswitch));
    let action = action.or(queue_info.map(Action::QueueInfo));
    let action = plain::action(section, reading).or(action);
    choice.or(flow).or(action.map(|action| PieceKind::Do(Arc::new(action))))
}

fn remedy(value: Value<'_>, reading: &Reading<'_>) -> Option<Remedy> {
    match value.text()? {
        FAIL => Some(Remedy::Fail),
        CONTINUE => Some(Remedy::Continue),
        _ => flow(value, reading).map(Remedy::Flow),
    }
}

/// Reads the name of a flow that is called.
fn flow(value: Value<'_>, reading: &Reading<'_>) -> Option<FlowName> {
    let name = value.text()?;
    if !reading.outlines.has(name) {
        let remedy = suggestion::among(name, reading.outlines.flows());
        value.refuse(Fault::UnknownWord { what: "flow", word: name.to_owned(), remedy });
        return None;
    }
    if name == reading.flow || reading.outlines.called_by(name).contains(reading.flow) {
        value.refuse(Fault::Recursion(name.to_owned()));
        return None;
    }
    Some(FlowName::new(name))
}

/// The text, if later steps can name a value so: it is a word of expressions, and means nothing else there.
fn saved_name(text: &str) -> Option<String> {
    let is_word = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let is_taken = [ERROR, FAILURE].contains(&text)
        || WORDS.contains(&text)
        || Payload::FIELDS.iter().any(|field| field.name == text);
    (is_word && !is_taken).then(|| text.to_owned())
}
