//! All files of a configuration as one tree, in which everything knows its place.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use miette::NamedSource;
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::fault::Fault;
use super::file::SourceFile;
use super::problem::Place;
use super::redaction;
use super::report::Report;
use crate::printable::{marked, printable};

/// The most characters that begin tables and values or part them, in all files. A table of one member is six bytes and takes
/// 2.5 KB of memory, so a file as long as one may be could take gigabytes.
const MAX_MARKS: usize = 500_000;

/// Which those are.
const MARKS: &[u8] = b"{[=,.";

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) place: Place,
    pub(super) kind: Kind,
}

/// What TOML knows.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    Text(String),
    Integer(i64),
    Float(f64),
    Boolean(bool),
    Datetime(String),
    List(Vec<Node>),
    Table(Table),
}

/// A table's members by their keys.
pub(super) type Table = BTreeMap<String, Member>;

/// A table's member: where its key stands, and its value.
#[derive(Clone, Debug)]
pub(super) struct Member {
    pub(super) key: Place,
    pub(super) value: Node,
}

/// Values are compared by what they say, not by where.
impl PartialEq for Node {
    fn eq(&self, other: &Self) -> bool {
        self.kind == other.kind
    }
}

impl PartialEq for Member {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

/// Parses the files and merges them: tables key by key, arrays of tables at the top one after the other.
pub(super) fn parse(files: Vec<SourceFile>, report: &Report) -> Option<Node> {
    let mut whole: Option<Node> = None;
    let mut marks = 0;
    for file in files {
        marks += file.text.bytes().filter(|byte| MARKS.contains(byte)).count();
        if marks > MAX_MARKS {
            report.refuse_whole(Fault::TooMuch { path: file.name, most: MAX_MARKS });
            return None;
        }
        let (table, errors) = DeTable::parse_recoverable(&file.text);
        let text = marked(&redaction::redact(&file.text, table.get_ref()));
        let source = Arc::new(NamedSource::new(printable(&file.name), text));
        let place = |range| Place { file: Arc::clone(&source), range };
        for error in &errors {
            report.refuse(Fault::Syntax(error.message().to_owned()), &place(error.span().unwrap_or(0..0)));
        }
        let span = table.span();
        let root = Node { place: place(span), kind: Kind::Table(members(&table.into_inner(), &source, report)) };
        match &mut whole {
            None => whole = Some(root),
            Some(whole) => merge_root(whole, root, report),
        }
    }
    whole
}

fn members(table: &DeTable<'_>, source: &Arc<NamedSource<String>>, report: &Report) -> Table {
    let member = |(key, value): (&Spanned<DeString<'_>>, _)| {
        let place = Place { file: Arc::clone(source), range: key.span() };
        (key.get_ref().clone().into_owned(), Member { key: place, value: node(value, source, report) })
    };
    table.iter().map(member).collect()
}

/// The depth of this recursion is bounded by the parser, which refuses deeper nesting.
fn node(value: &Spanned<DeValue<'_>>, source: &Arc<NamedSource<String>>, report: &Report) -> Node {
    let place = Place { file: Arc::clone(source), range: value.span() };
    let kind = match value.get_ref() {
        DeValue::String(text) => Kind::Text(text.clone().into_owned()),
        DeValue::Integer(integer) => {
            Kind::Integer(i64::from_str_radix(integer.as_str(), integer.radix()).unwrap_or_else(|_| {
                let bounds = (i64::MIN.to_string(), i64::MAX.to_string());
                report.refuse(Fault::OutOfRange { what: "an integer", least: bounds.0, most: bounds.1 }, &place);
                0
            }))
        }
        DeValue::Float(float) => Kind::Float(float.as_str().parse().unwrap_or(f64::NAN)),
        DeValue::Boolean(boolean) => Kind::Boolean(*boolean),
        DeValue::Datetime(datetime) => Kind::Datetime(datetime.to_string()),
        DeValue::Array(elements) => Kind::List(elements.iter().map(|element| node(element, source, report)).collect()),
        DeValue::Table(table) => Kind::Table(members(table, source, report)),
    };
    Node { place, kind }
}

/// Merges a further file into the tree.
fn merge_root(whole: &mut Node, further: Node, report: &Report) {
    let (Kind::Table(whole), Kind::Table(further)) = (&mut whole.kind, further.kind) else {
        unreachable!("a file's root is a table");
    };
    for (key, member) in further {
        match (whole.get_mut(&key).map(|member| &mut member.value.kind), member) {
            (Some(Kind::List(list)), Member { value: Node { kind: Kind::List(further), .. }, .. }) => {
                list.extend(further);
            }
            (_, member) => merge_member(whole, key, member, report),
        }
    }
}

fn merge_member(table: &mut Table, key: String, further: Member, report: &Report) {
    match table.entry(key) {
        Entry::Vacant(vacant) => drop(vacant.insert(further)),
        Entry::Occupied(mut occupied) => {
            let key = occupied.key().clone();
            let present = occupied.get_mut();
            match (&mut present.value.kind, further.value.kind) {
                (Kind::Table(present), Kind::Table(members)) => {
                    members.into_iter().for_each(|(key, member)| merge_member(present, key, member, report));
                }
                _ => report.refuse(Fault::SetTwice { key, other: present.key.to_string() }, &further.key),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn what_would_take_gigabytes_is_refused() {
        let deep = format!("{}=1\n", ["a"; 60].join("."));
        let dotted: String = (0..10_000).map(|n| format!("b{n}.{deep}")).collect();
        for text in [format!("a=[{}]\n", "{a=1},".repeat(200_000)), format!("a=[{}]\n", "1,".repeat(600_000)), dotted] {
            let problems = Config::from_toml("a", &text).expect_err("is refused");
            assert!(matches!(problems.iter().next().map(|problem| &problem.fault), Some(Fault::TooMuch { .. })));
        }
    }

    #[test]
    fn ten_thousand_queues_with_hooks_are_not_too_much() {
        let hooks =
            ["joined", "bridged", "missed", "leaving"].map(|event| format!("{{ event = \"{event}\", flow = \"f\" }}"));
        let queue = |n| format!("[queues.\"q{n}@default\"]\nsla = \"30s\"\nhooks = [{}]\n", hooks.join(", "));
        let queues: String = (0..10_000).map(queue).collect();
        let marks = queues.bytes().filter(|byte| MARKS.contains(byte)).count();
        assert!(marks < MAX_MARKS, "{marks}");
    }
}
