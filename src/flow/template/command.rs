//! Arguments of commands to FreeSWITCH.
//!
//! What an argument may hold is the command's to say: [`Command`](crate::esl::command::Command) refuses what would end it
//! or become another argument. So these are filled in as they are, but for what the dialplan would run later.

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
        let argument = self.0.render(fields, MAX_COMMAND)?;
        let is_filled_in = self.literal().is_none();
        if is_filled_in && expands(&argument) { Err(RenderError::Expands) } else { Ok(argument) }
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

/// Whether FreeSWITCH would take a part of the text for a variable, or for a command to be run (`${system(…)}`), where a
/// dialplan uses it. FreeSWITCH refuses to set such values itself, but not those that come from the Event Socket.
fn expands(text: &str) -> bool {
    text.split('$').skip(1).any(|rest| rest.trim_start_matches('\\').starts_with('{'))
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

    #[test]
    fn a_value_cannot_be_what_a_dialplan_would_run() {
        let render = |source: &str, member_name: &str| {
            let template = CommandTemplate::compile(source, &SavedNames::none()).expect("compiles");
            template.render(&minijinja::context! { member_name })
        };
        for (source, name) in [
            ("{{ member_name }}", "x${system(reboot)}"),
            ("{{ member_name }}", "$\\{uuid}"),
            ("${{ member_name }}", "{uuid}"),
            ("$\\{{ member_name|safe }}", "{uuid}"),
        ] {
            assert!(matches!(render(source, name), Err(RenderError::Expands)), "{source} {name}");
        }
        assert_eq!(render("{{ member_name }}", "5 $ {x} $x").expect("renders"), "5 $ {x} $x");
        assert_eq!(render("ring ${caller_id_number}", "").expect("is the operator's own"), "ring ${caller_id_number}");
    }

    proptest! {
        #[test]
        fn whatever_a_caller_is_called_no_argument_expands(name in any::<String>(), few in "[$\\\\{}a]{0,8}") {
            for name in [name, few] {
                let template = CommandTemplate::compile("{{ member_name|safe }}", &SavedNames::none()).expect("compiles");
                if let Ok(argument) = template.render(&minijinja::context! { member_name => &name }) {
                    let opens = argument.replace('\\', "").contains("${");
                    prop_assert!(!opens);
                    prop_assert_eq!(argument, name);
                }
            }
        }

        #[test]
        fn whatever_a_caller_is_called_is_a_word_of_the_name_or_refused(name in any::<String>()) {
            if let Ok(file) = file(&name) {
                prop_assert!(file["/sounds/".len()..].chars().all(|c| c.is_ascii_alphanumeric() || "_-.".contains(c)));
            }
        }
    }
}
