//! Arguments of commands to FreeSWITCH.
//!
//! What an argument may hold is the command's to say: [`Command`](crate::esl::command::Command) refuses what would end it
//! or become another argument. So these are filled in as they are.

use std::sync::LazyLock;

use minijinja::{Environment, Value};

use super::check::TemplateError;
use super::compiled::Compiled;
use super::engine;
use super::error::RenderError;
use crate::esl::command::MAX_COMMAND;
use crate::flow::names::SavedNames;

/// The environment of all arguments.
static ENVIRONMENT: LazyLock<Environment<'static>> = LazyLock::new(|| engine::encoding(str::to_owned));

/// The environment of all files' names.
static FILES: LazyLock<Environment<'static>> = LazyLock::new(|| engine::encoding(word_or_refusal));

/// Stands for a value that can't be a part of a file's name, which has no such character itself.
const REFUSED: char = '\0';

/// An argument.
#[derive(Debug)]
pub struct CommandTemplate(Compiled);

/// A file's name. FreeSWITCH takes some for programs to be run (`shell_stream://…`), so inserted values are words.
#[derive(Debug)]
pub struct FileTemplate(Compiled);

impl CommandTemplate {
    /// Compiles the text; all that is wrong with it comes back at once.
    pub fn compile(source: &str, names: &SavedNames) -> Result<Self, Vec<TemplateError>> {
        Compiled::new(&ENVIRONMENT, source, names).map(Self)
    }

    /// Fills in the argument.
    pub fn render(&self, fields: &Value) -> Result<String, RenderError> {
        self.0.render(fields, MAX_COMMAND)
    }

    /// The argument itself, where nothing is filled in.
    pub fn literal(&self) -> Option<&str> {
        self.0.literal()
    }
}

impl FileTemplate {
    /// Compiles the text; all that is wrong with it comes back at once.
    pub fn compile(source: &str, names: &SavedNames) -> Result<Self, Vec<TemplateError>> {
        Compiled::new(&FILES, source, names).map(Self)
    }

    /// Fills in the name.
    pub fn render(&self, fields: &Value) -> Result<String, RenderError> {
        let name = self.0.render(fields, MAX_COMMAND)?;
        if name.contains(REFUSED) { Err(RenderError::FileName) } else { Ok(name) }
    }
}

fn word_or_refusal(text: &str) -> String {
    let is_word = text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
    if is_word { text.to_owned() } else { REFUSED.to_string() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn file(member_name: &str) -> Result<String, RenderError> {
        let template = FileTemplate::compile("/sounds/{{ member_name }}.wav", &SavedNames::none()).expect("compiles");
        template.render(&minijinja::context! { member_name })
    }

    #[test]
    fn a_value_cannot_choose_another_place_or_kind_of_file() {
        assert_eq!(file("de_DE-1").expect("a name"), "/sounds/de_DE-1.wav");
        for name in ["../x", "a b", "shell_stream://x", "x!y", "{a=b}", "\0", "ü"] {
            assert!(matches!(file(name), Err(RenderError::FileName)), "{name:?}");
        }
    }

    proptest! {
        #[test]
        fn whatever_a_caller_is_called_is_a_word_of_the_name_or_refused(name in any::<String>()) {
            if let Ok(file) = file(&name) {
                prop_assert!(file["/sounds/".len()..].chars().all(|c| c.is_ascii_alphanumeric() || "_-.".contains(c)));
            }
        }
    }
}
