//! Plain texts for people.

use std::sync::LazyLock;

use minijinja::{Environment, Value};

use super::check::TemplateError;
use super::compiled::Compiled;
use super::engine;
use super::error::RenderError;
use crate::flow::names::SavedNames;

/// The environment of all texts.
static ENVIRONMENT: LazyLock<Environment<'static>> = LazyLock::new(|| engine::encoding(on_one_line));

/// The longest text: what log collectors take as one line.
const MAX_BYTES: usize = 16 * 1024;

/// A text whose inserted values stay on one line.
#[derive(Debug)]
pub struct TextTemplate(Compiled);

impl TextTemplate {
    /// Compiles the text; all that is wrong with it comes back at once.
    pub fn compile(source: &str, names: &SavedNames) -> Result<Self, Vec<TemplateError>> {
        Compiled::new(&ENVIRONMENT, source, names).map(Self)
    }

    /// The text itself, where nothing is filled in.
    pub fn literal(&self) -> Option<&str> {
        self.0.literal()
    }

    /// Fills in the text.
    pub fn render(&self, fields: &Value) -> Result<String, RenderError> {
        self.0.render(fields, MAX_BYTES)
    }
}

/// Escapes what would begin a new line, speak to the terminal, or turn the direction of what follows.
pub(super) fn on_one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') {
            line.extend(c.escape_default());
        } else {
            line.push(c);
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn render(source: &str, member_name: &str) -> String {
        let fields = minijinja::context! { member_name, exit_key => () };
        TextTemplate::compile(source, &SavedNames::none()).expect("compiles").render(&fields).expect("renders")
    }

    #[test]
    fn a_value_cannot_forge_a_line() {
        assert_eq!(render("a {{ member_name }}", "x\nERROR \u{1b}[31m"), r"a x\nERROR \u{1b}[31m");
        assert_eq!(render("{{ member_name }}", "a\u{2028}b\u{202e}c\u{2067}"), r"a\u{2028}b\u{202e}c\u{2067}");
    }

    #[test]
    fn null_and_nothing_are_empty() {
        assert_eq!(render("<{{ exit_key }}{{ variables.x.y }}>", ""), "<>");
    }

    #[test]
    fn a_text_has_an_end() {
        let template = TextTemplate::compile("{{ member_name }}", &SavedNames::none()).expect("compiles");
        let fields = minijinja::context! { member_name => "x".repeat(MAX_BYTES + 1) };
        assert!(matches!(template.render(&fields), Err(RenderError::TooLong { .. })));
    }

    proptest! {
        #[test]
        fn whatever_a_caller_is_called_is_on_one_line(name in any::<String>()) {
            let text = render("{{ member_name|safe }}{% set x = member_name %}{{ x }}", &name);
            prop_assert!(!text.chars().any(char::is_control));
        }

        #[test]
        fn any_source_compiles_or_is_refused(source in "[{}%# a-z.|'\"()\\[\\]0-9-]{0,40}") {
            drop(TextTemplate::compile(&source, &SavedNames::none()));
        }
    }
}
