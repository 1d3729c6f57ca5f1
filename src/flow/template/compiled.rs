//! A text template of any position, compiled.

use std::fmt;

use minijinja::{Environment, Value};

use super::check::{self, TemplateError};
use super::engine;
use super::error::RenderError;
use super::source::guarded_template;
use crate::flow::names::SavedNames;

/// The only template of its environment.
const NAME: &str = "text";

/// What opens a place for a value, a statement or a comment.
const TAGS: [&str; 3] = ["{{", "{%", "{#"];

/// A compiled text.
pub(super) enum Compiled {
    /// A text with nothing to fill in.
    Literal(String),
    /// A text with tags.
    Template(Box<Environment<'static>>),
}

impl Compiled {
    /// Compiles the text in a copy of `environment`, and tries it on a sample of every event.
    pub(super) fn new(
        environment: &Environment<'static>,
        source: &str,
        names: &SavedNames,
    ) -> Result<Self, Vec<TemplateError>> {
        if literal_prefix(source).len() == source.len() {
            return Ok(Self::Literal(source.to_owned()));
        }
        let syntax = |error| TemplateError::of_template(source, &error);
        let mut environment = environment.clone();
        let guarded = guarded_template(source)?;
        engine::caught(|| environment.add_template_owned(NAME, guarded)).map_err(syntax)?;
        let template = environment.get_template(NAME).map_err(syntax)?;
        check::names(source, &template.undeclared_variables(false), names)?;
        check::trial(source, |fields| engine::caught(|| template.render(fields)).map(drop))?;
        drop(template);
        Ok(Self::Template(Box::new(environment)))
    }

    /// Fills in the text, which may become `limit` bytes long.
    pub(super) fn render(&self, fields: &Value, limit: usize) -> Result<String, RenderError> {
        let text = match self {
            Self::Literal(text) => text.clone(),
            Self::Template(environment) => engine::caught(|| environment.get_template(NAME)?.render(fields))?,
        };
        if text.len() > limit { Err(RenderError::TooLong { limit }) } else { Ok(text) }
    }
}

impl Compiled {
    /// The text itself, where nothing is filled in.
    pub(super) fn literal(&self) -> Option<&str> {
        match self {
            Self::Literal(text) => Some(text),
            Self::Template(_) => None,
        }
    }
}

impl fmt::Debug for Compiled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Literal(text) => fmt::Debug::fmt(text, f),
            Self::Template(environment) => {
                environment.templates().try_for_each(|(_, template)| fmt::Debug::fmt(template.source(), f))
            }
        }
    }
}

/// The text before the first tag.
pub(super) fn literal_prefix(source: &str) -> &str {
    let end = TAGS.iter().filter_map(|tag| source.find(tag)).min();
    &source[..end.unwrap_or(source.len())]
}
