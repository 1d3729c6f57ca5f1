//! Subjects of NATS and routing keys of RabbitMQ: tokens with dots between them.

use std::sync::LazyLock;

use minijinja::{Environment, Value};
use percent_encoding::percent_encode_byte;

use super::check::TemplateError;
use super::compiled::Compiled;
use super::engine;
use super::error::RenderError;
use crate::flow::names::SavedNames;

/// The environment of all subjects.
static ENVIRONMENT: LazyLock<Environment<'static>> = LazyLock::new(|| engine::encoding(within_token));

/// The longest subject: as long as RabbitMQ takes one.
const MAX_BYTES: usize = 255;

/// A subject, in which an inserted value stays within its token.
#[derive(Debug)]
pub struct SubjectTemplate(Compiled);

impl SubjectTemplate {
    /// Compiles the text; all that is wrong with it comes back at once.
    pub fn compile(source: &str, names: &SavedNames) -> Result<Self, Vec<TemplateError>> {
        Compiled::new(&ENVIRONMENT, source, names).map(Self)
    }

    /// Fills in the subject.
    pub fn render(&self, fields: &Value) -> Result<String, RenderError> {
        let subject = self.0.render(fields, MAX_BYTES)?;
        if subject.split('.').all(is_token) { Ok(subject) } else { Err(RenderError::Subject) }
    }
}

/// Whether brokers take the text for one token, and for no wildcard.
fn is_token(text: &str) -> bool {
    !text.is_empty() && !text.contains(|c: char| matches!(c, '*' | '>' | '#') || c.is_whitespace() || c.is_control())
}

/// Percent-encodes what would end a token or be a wildcard, what begins the names that NATS keeps to itself, whatever is not
/// printable ASCII, and the percent sign, so that a receiver can decode it.
fn within_token(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'!'..=b'~' if !b".*>#$%".contains(&byte) => encoded.push(char::from(byte)),
            _ => encoded.push_str(percent_encode_byte(byte)),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use percent_encoding::percent_decode_str;
    use proptest::prelude::*;

    use super::*;

    fn render(source: &str, member_name: &str) -> Result<String, RenderError> {
        let template = SubjectTemplate::compile(source, &SavedNames::none()).expect("compiles");
        template.render(&minijinja::context! { member_name })
    }

    #[test]
    fn a_value_stays_within_its_token() {
        assert_eq!(
            render("calls.{{ member_name }}.new", "support@default").expect("renders"),
            "calls.support@default.new"
        );
        assert_eq!(render("calls.{{ member_name }}", "a.b > *\r\n").expect("renders"), "calls.a%2Eb%20%3E%20%2A%0D%0A");
        assert_eq!(render("{{ member_name }}.x", "$SYS").expect("renders"), "%24SYS.x");
    }

    #[test]
    fn a_subject_without_a_token_or_with_a_wildcard_is_none() {
        for (source, name) in [("calls.{{ member_name }}", ""), ("calls.>", ""), ("a b", ""), ("", ""), ("a.*.b", "")] {
            assert!(matches!(render(source, name), Err(RenderError::Subject)), "{source}");
        }
        assert!(matches!(render("{{ member_name }}", &"x".repeat(256)), Err(RenderError::TooLong { .. })));
    }

    proptest! {
        #[test]
        fn whatever_a_caller_is_called_is_one_token_and_reads_back(name in ".{1,40}") {
            let Ok(subject) = render("a.{{ member_name|safe }}.z", &name) else { return Ok(()) };
            let tokens: Vec<&str> = subject.split('.').collect();
            prop_assert_eq!(tokens.len(), 3);
            prop_assert_eq!(percent_decode_str(tokens[1]).decode_utf8().expect("UTF-8"), name);
        }
    }
}
