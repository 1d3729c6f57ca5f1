//! A value being read: what is not of the expected type is recorded with its place.

use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::{SignedDuration, Span, SpanRelativeTo};
use serde_json::Value as Json;

use super::document::{Kind, Node};
use super::fault::Fault;
use super::problem::Place;
use super::report::Report;
use super::section::Section;
use super::size;
use super::suggestion;
use crate::flow::template::TemplateError;

/// A value and the report that its problems go to.
#[derive(Clone, Copy)]
pub(super) struct Value<'a> {
    node: &'a Node,
    report: &'a Report,
}

impl<'a> Value<'a> {
    pub(super) fn new(node: &'a Node, report: &'a Report) -> Self {
        Self { node, report }
    }

    /// Records a fault of this value.
    pub(super) fn refuse(self, fault: Fault) {
        self.report.refuse(fault, &self.node.place);
    }

    /// Records a fault of a part of this value.
    pub(super) fn refuse_at(self, fault: Fault, place: &Place) {
        self.report.refuse(fault, place);
    }

    /// Records that this value is a secret.
    pub(super) fn note_secret(self) {
        self.report.note_secret(&self.node.place);
    }

    /// Records that a file is about to be read.
    pub(super) fn note_file(self, path: &Path) {
        self.report.note_file(path);
    }

    /// Records that there is a secret in this file.
    pub(super) fn note_secret_file(self, path: PathBuf) {
        self.report.note_secret_file(path);
    }

    pub(super) fn text(self) -> Option<&'a str> {
        match &self.node.kind {
            Kind::Text(text) => Some(text),
            _ => self.wrong_type("a text"),
        }
    }

    pub(super) fn boolean(self) -> Option<bool> {
        match self.node.kind {
            Kind::Boolean(boolean) => Some(boolean),
            _ => self.wrong_type("a truth value"),
        }
    }

    pub(super) fn integer(self) -> Option<i64> {
        match self.node.kind {
            Kind::Integer(integer) => Some(integer),
            _ => self.wrong_type("an integer"),
        }
    }

    /// An integer within bounds.
    pub(super) fn integer_within(self, what: &'static str, least: i64, most: i64) -> Option<i64> {
        let integer = self.integer()?;
        if (least..=most).contains(&integer) {
            return Some(integer);
        }
        self.refuse(Fault::OutOfRange { what, least: least.to_string(), most: most.to_string() });
        None
    }

    /// A text such as `2h 30m`; a day has 24 hours here.
    pub(super) fn duration(self) -> Option<Duration> {
        let Kind::Text(text) = &self.node.kind else {
            return self.wrong_type("a duration");
        };
        let span = text.parse::<Span>().ok();
        let duration = span.and_then(|span| span.to_duration(SpanRelativeTo::days_are_24_hours()).ok());
        let duration = duration.and_then(|duration| Duration::try_from(duration).ok());
        if duration.is_none() {
            self.refuse(Fault::Duration(text.clone()));
        }
        duration
    }

    /// A duration within bounds.
    pub(super) fn duration_within(self, what: &'static str, least: Duration, most: Duration) -> Option<Duration> {
        let duration = self.duration()?;
        if (least..=most).contains(&duration) {
            return Some(duration);
        }
        let written = |duration| SignedDuration::try_from(duration).map_or_else(|_| "∞".into(), |d| format!("{d:#}"));
        self.refuse(Fault::OutOfRange { what, least: written(least), most: written(most) });
        None
    }

    /// A number of bytes within bounds, as a text such as `10 GB`.
    pub(super) fn size_within(self, what: &'static str, least: u64, most: u64) -> Option<u64> {
        let Kind::Text(text) = &self.node.kind else {
            return self.wrong_type("a size");
        };
        let Some(size) = size::parse(text) else {
            self.refuse(Fault::Size(text.clone()));
            return None;
        };
        if (least..=most).contains(&size) {
            return Some(size);
        }
        self.refuse(Fault::OutOfRange { what, least: size::write(least), most: size::write(most) });
        None
    }

    /// A word out of a small vocabulary.
    pub(super) fn word<T: Copy>(self, what: &'static str, known: &[(&str, T)]) -> Option<T> {
        let word = self.text()?;
        let found = known.iter().find(|(name, _)| *name == word).map(|(_, value)| *value);
        if found.is_none() {
            let remedy = suggestion::among(word, known.iter().map(|(name, _)| *name));
            self.refuse(Fault::UnknownWord { what, word: word.to_owned(), remedy });
        }
        found
    }

    /// Whether it is a list.
    pub(super) fn is_list(self) -> bool {
        matches!(self.node.kind, Kind::List(_))
    }

    /// A list; `None` if one of its elements cannot be read, but all of them are tried.
    pub(super) fn list<T>(self, mut read: impl FnMut(usize, Self) -> Option<T>) -> Option<Vec<T>> {
        let Kind::List(elements) = &self.node.kind else {
            return self.wrong_type("a list");
        };
        let tried: Vec<Option<T>> =
            elements.iter().enumerate().map(|(i, element)| read(i, Self::new(element, self.report))).collect();
        tried.into_iter().collect()
    }

    /// A table whose keys are known; what `read` does not ask for is recorded.
    pub(super) fn section<T>(self, read: impl FnOnce(&mut Section<'a>) -> Option<T>) -> Option<T> {
        let Kind::Table(table) = &self.node.kind else {
            return self.wrong_type("a table");
        };
        let mut section = Section::new(table, &self.node.place, self.report);
        let value = read(&mut section);
        section.finish();
        value
    }

    /// A table whose keys are names: each name as a text with its place, and its value.
    pub(super) fn entries(self) -> Option<impl Iterator<Item = (Name<'a>, Self)>> {
        let Kind::Table(table) = &self.node.kind else {
            return self.wrong_type("a table");
        };
        let report = self.report;
        Some(table.iter().map(move |(name, member)| {
            (Name { text: name, place: &member.key, report }, Self::new(&member.value, report))
        }))
    }

    /// Whether this is a table.
    pub(super) fn is_table(self) -> bool {
        matches!(self.node.kind, Kind::Table(_))
    }

    /// The value underneath.
    pub(super) fn node(self) -> &'a Node {
        self.node
    }

    /// The value as JSON has it; dates become texts.
    pub(super) fn json(self) -> Option<Json> {
        match &self.node.kind {
            Kind::Text(text) | Kind::Datetime(text) => Some(Json::String(text.clone())),
            Kind::Integer(integer) => Some((*integer).into()),
            Kind::Boolean(boolean) => Some((*boolean).into()),
            Kind::Float(float) => {
                let number = serde_json::Number::from_f64(*float).map(Json::Number);
                if number.is_none() {
                    self.refuse(Fault::NotAJsonNumber);
                }
                number
            }
            Kind::List(_) => self.list(|_, element| element.json()).map(Json::Array),
            Kind::Table(_) => self.json_object().map(Json::Object),
        }
    }

    /// A table as a JSON object.
    pub(super) fn json_object(self) -> Option<serde_json::Map<String, Json>> {
        let members = self.entries()?.map(|(name, value)| Some((name.text.to_owned(), value.json()?)));
        members.collect::<Vec<_>>().into_iter().collect()
    }

    /// A text that is compiled; each of its faults is recorded at its own place.
    pub(super) fn compiled<T>(self, compile: impl FnOnce(&str) -> Result<T, Vec<TemplateError>>) -> Option<T> {
        self.compiled_from(self.text()?, compile)
    }

    /// The same for another text in the place of this one.
    pub(super) fn compiled_from<T>(
        self,
        text: &str,
        compile: impl FnOnce(&str) -> Result<T, Vec<TemplateError>>,
    ) -> Option<T> {
        let errors = match compile(text) {
            Ok(compiled) => return Some(compiled),
            Err(errors) => errors,
        };
        for error in errors {
            let place = self.node.place.within(text, error.range());
            self.refuse_at(Fault::Template(error), &place);
        }
        None
    }

    pub(super) fn wrong_type<T>(self, expected: &'static str) -> Option<T> {
        let found = match self.node.kind {
            Kind::Text(_) => "a text",
            Kind::Integer(_) => "an integer",
            Kind::Float(_) => "a number with a fraction",
            Kind::Boolean(_) => "a truth value",
            Kind::Datetime(_) => "a date",
            Kind::List(_) => "a list",
            Kind::Table(_) => "a table",
        };
        self.refuse(Fault::WrongType { expected, found });
        None
    }
}

/// The name of a table's entry.
#[derive(Clone, Copy)]
pub(super) struct Name<'a> {
    /// The name.
    pub(super) text: &'a str,
    place: &'a Place,
    report: &'a Report,
}

impl<'a> Name<'a> {
    /// Records a fault of the name.
    pub(super) fn refuse(self, fault: Fault) {
        self.report.refuse(fault, self.place);
    }

    /// Where the name stands: file and line.
    pub(super) fn location(self) -> String {
        self.place.to_string()
    }

    /// The name, if it can name a thing: it is not empty, and does not look like a part of a path.
    pub(super) fn checked(self, what: &'static str) -> Option<&'a str> {
        if is_name(self.text) {
            return Some(self.text);
        }
        self.refuse(Fault::Name(what));
        None
    }
}

/// Whether the text can name a thing; `/` joins names to paths.
pub(super) fn is_name(text: &str) -> bool {
    !text.is_empty() && !text.chars().any(|c| c == '/' || c.is_control())
}
