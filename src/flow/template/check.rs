//! What can be wrong with a template or an expression, found when it is loaded.

use std::collections::HashSet;
use std::ops::Range;

use minijinja::{ErrorKind, Value};

use super::engine;
use super::guard::Refusal;
use crate::flow::context::SAMPLES;
use crate::flow::names::SavedNames;
use crate::moment::Payload;

/// The functions that templates and expressions can call.
const FUNCTIONS: [&str; 3] = ["dict", "namespace", "range"];

/// A fault of a template or an expression, with its place in the text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// The text is no template.
    #[error("the template does not parse: {message}")]
    Template {
        /// What the engine says.
        message: String,
        /// Where.
        range: Option<Range<usize>>,
    },
    /// The text is no expression.
    #[error("the expression does not parse: {message}")]
    Expression {
        /// What the engine says.
        message: String,
        /// Where.
        range: Option<Range<usize>>,
    },
    /// A name that is no field of a payload, and that no step saves.
    #[error("there is no field `{name}`")]
    UnknownField {
        /// The name.
        name: String,
        /// Where.
        range: Option<Range<usize>>,
    },
    /// A filter, test or function that the engine does not have.
    #[error("there is no {what} `{name}`")]
    UnknownWord {
        /// What it is: filter, test or function.
        what: &'static str,
        /// Its name.
        name: String,
        /// Where.
        range: Option<Range<usize>>,
    },
    /// The text is longer than any that is compiled.
    #[error("this {what} is longer than {limit} bytes")]
    TooLong {
        /// What it is.
        what: &'static str,
        /// The most bytes.
        limit: usize,
    },
    /// The text has more operators, brackets or blocks than any that is compiled.
    #[error("there are more than {limit} {what}")]
    TooComplex {
        /// What there is too much of.
        what: &'static str,
        /// The most of it.
        limit: usize,
        /// Where it becomes too much.
        range: Option<Range<usize>>,
    },
    /// A text is compared with a number.
    #[error("`{text}` is a text, which is {relation} a number")]
    TextAndNumber {
        /// The text's expression, as it is written.
        text: String,
        /// What it never is.
        relation: &'static str,
        /// Where.
        range: Option<Range<usize>>,
    },
    /// The text does more work than a delivery may take.
    #[error("this takes too much work")]
    TooMuchWork,
    /// The engine panics at it.
    #[error("the template engine failed in this")]
    EngineFailed,
    /// A value would be filled in before the URL's path.
    #[error("scheme, user, host and port of a URL must be literal text")]
    CallDataInAuthority {
        /// The first tag.
        range: Range<usize>,
    },
    /// The literal text is no URL.
    #[error("this is not a URL: {0}")]
    NotAUrl(url::ParseError),
    /// The URL is not of HTTP.
    #[error("the URL's scheme is `{0}`, not `http` or `https`")]
    Scheme(String),
    /// The literal host is none of those that are allowed.
    #[error("the host `{0}` is none of `allowed_hosts`")]
    HostNotAllowed(String),
    /// A header's text has a character that would end it.
    #[error("a header's value has no control characters")]
    ControlCharacter {
        /// The character.
        range: Range<usize>,
    },
}

impl TemplateError {
    /// What the engine found while compiling a template.
    pub(in crate::flow) fn of_template(source: &str, error: &minijinja::Error) -> Vec<Self> {
        vec![Self::Template { message: message(error), range: error.range().map(|range| within(source, range)) }]
    }

    /// What the engine found while compiling an expression.
    pub(in crate::flow) fn of_expression(source: &str, error: &minijinja::Error) -> Vec<Self> {
        vec![Self::Expression { message: message(error), range: error.range().map(|range| within(source, range)) }]
    }

    /// The fault's place, in bytes of the text.
    pub fn range(&self) -> Option<Range<usize>> {
        match self {
            Self::Template { range, .. }
            | Self::Expression { range, .. }
            | Self::UnknownField { range, .. }
            | Self::UnknownWord { range, .. }
            | Self::TooComplex { range, .. }
            | Self::TextAndNumber { range, .. } => range.clone(),
            Self::CallDataInAuthority { range } | Self::ControlCharacter { range } => Some(range.clone()),
            Self::TooLong { .. }
            | Self::TooMuchWork
            | Self::EngineFailed
            | Self::NotAUrl(_)
            | Self::Scheme(_)
            | Self::HostNotAllowed(_) => None,
        }
    }

    /// Moves the fault's place: the text stands `offset` bytes into a longer one.
    pub(super) fn shifted(mut self, offset: usize) -> Self {
        let range = match &mut self {
            Self::Template { range, .. }
            | Self::Expression { range, .. }
            | Self::UnknownField { range, .. }
            | Self::UnknownWord { range, .. }
            | Self::TooComplex { range, .. }
            | Self::TextAndNumber { range, .. } => range.as_mut(),
            Self::CallDataInAuthority { range } | Self::ControlCharacter { range } => Some(range),
            Self::TooLong { .. }
            | Self::TooMuchWork
            | Self::EngineFailed
            | Self::NotAUrl(_)
            | Self::Scheme(_)
            | Self::HostNotAllowed(_) => None,
        };
        if let Some(range) = range {
            *range = range.start + offset..range.end + offset;
        }
        self
    }
}

fn message(error: &minijinja::Error) -> String {
    error.detail().map_or_else(|| error.kind().to_string(), ToOwned::to_owned)
}

/// Checks that the names which the text uses are fields of a payload, what steps save, or functions.
pub(in crate::flow) fn names(
    source: &str,
    used: &HashSet<String>,
    saved: &SavedNames,
) -> Result<(), Vec<TemplateError>> {
    let known = |name: &str| {
        FUNCTIONS.contains(&name) || Payload::FIELDS.iter().any(|field| field.name == name) || saved.knows(name)
    };
    let mut unknown: Vec<TemplateError> = used
        .iter()
        .filter(|name| !known(name))
        .map(|name| TemplateError::UnknownField { name: name.clone(), range: word(source, name) })
        .collect();
    unknown.sort_by_key(|error| (error.range().map_or(usize::MAX, |range| range.start), error.to_string()));
    if unknown.is_empty() { Ok(()) } else { Err(unknown) }
}

/// Tries the text on a plausible moment of every event, because the engine looks filters, tests and functions up only when
/// it meets them. What else fails then may well succeed with other data, and is no fault.
pub(in crate::flow) fn trial(
    source: &str,
    render: impl Fn(Value) -> Result<(), minijinja::Error>,
) -> Result<(), Vec<TemplateError>> {
    let faults = SAMPLES.iter().filter_map(|sample| unknown_word(source, &render(sample.fields().clone()).err()?));
    match faults.into_iter().next() {
        Some(fault) => Err(vec![fault]),
        None => Ok(()),
    }
}

/// The part of the text that `range` is about, which the engine may have begun or ended within a character or behind it.
fn within(source: &str, range: Range<usize>) -> Range<usize> {
    let start = source.floor_char_boundary(range.start);
    start..source.ceil_char_boundary(range.end.max(start))
}

fn unknown_word(source: &str, error: &minijinja::Error) -> Option<TemplateError> {
    if engine::refusal(error) == Some(&Refusal::EngineFailed) {
        return Some(TemplateError::EngineFailed);
    }
    let what = match error.kind() {
        ErrorKind::UnknownFilter => "filter",
        ErrorKind::UnknownTest => "test",
        ErrorKind::UnknownFunction => "function",
        ErrorKind::OutOfFuel => return Some(TemplateError::TooMuchWork),
        _ => return None,
    };
    // "filter shout is unknown"
    let name = error.detail().and_then(|detail| detail.split_whitespace().nth(1)).unwrap_or("?").to_owned();
    let range = word(source, &name);
    Some(TemplateError::UnknownWord { what, name, range })
}

/// Where `name` stands as a word of its own, rather than as a part of another or behind a dot.
fn word(source: &str, name: &str) -> Option<Range<usize>> {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    source.match_indices(name).map(|(start, _)| start..start + name.len()).find(|range| {
        let before = source[..range.start].chars().next_back();
        let after = source[range.end..].chars().next();
        !before.is_some_and(|c| is_part(c) || c == '.') && !after.is_some_and(is_part)
    })
}
