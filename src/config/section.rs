//! A table whose keys are known.

use std::path::PathBuf;

use super::document::{Member, Table};
use super::fault::Fault;
use super::problem::Place;
use super::report::Report;
use super::suggestion;
use super::value::Value;

/// A table being read: its reader asks for each key that it knows, and what nobody asked for is unknown.
pub(super) struct Section<'a> {
    table: &'a Table,
    place: &'a Place,
    report: &'a Report,
    asked: Vec<&'static str>,
}

impl<'a> Section<'a> {
    pub(super) fn new(table: &'a Table, place: &'a Place, report: &'a Report) -> Self {
        Self { table, place, report, asked: Vec::new() }
    }

    /// The value of a key that may be left out.
    pub(super) fn optional<T>(&mut self, key: &'static str, read: impl FnOnce(Value<'a>) -> Option<T>) -> Option<T> {
        self.has(key);
        self.table.get(key).and_then(|member| read(Value::new(&member.value, self.report)))
    }

    /// The value of a key that must be there.
    pub(super) fn required<T>(&mut self, key: &'static str, read: impl FnOnce(Value<'a>) -> Option<T>) -> Option<T> {
        if !self.table.contains_key(key) {
            self.refuse(Fault::MissingKey(key));
        }
        self.optional(key, read)
    }

    /// Whether the key is there, with whatever value.
    pub(super) fn has(&mut self, key: &'static str) -> bool {
        if !self.asked.contains(&key) {
            self.asked.push(key);
        }
        self.table.contains_key(key)
    }

    /// Records a fault of the table as a whole.
    pub(super) fn refuse(&self, fault: Fault) {
        self.report.refuse(fault, self.place);
    }

    /// Records that a secret is looked up in this file.
    pub(super) fn note_secret_file(&self, path: PathBuf) {
        self.report.note_secret_file(path);
    }

    /// Where the table stands.
    pub(super) fn place(&self) -> &'a Place {
        self.place
    }

    /// Records every key that nobody asked for.
    pub(super) fn finish(self) {
        let left_over = |(key, _): &(&String, &Member)| !self.asked.contains(&key.as_str());
        for (key, member) in self.table.iter().filter(left_over) {
            let free = self.asked.iter().copied().filter(|asked| !self.table.contains_key(*asked));
            let remedy = suggestion::among(key, free);
            self.report.refuse(Fault::UnknownKey { key: key.clone(), remedy }, &member.key);
        }
    }
}
