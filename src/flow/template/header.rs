//! The values of HTTP headers.

use std::fmt;
use std::sync::LazyLock;

use minijinja::{Environment, Value};
use percent_encoding::percent_encode_byte;
use reqwest::header::HeaderValue;

use super::check::TemplateError;
use super::compiled::Compiled;
use super::engine;
use super::error::RenderError;
use crate::flow::names::SavedNames;

/// The environment of all headers.
static ENVIRONMENT: LazyLock<Environment<'static>> = LazyLock::new(|| engine::encoding(printable_ascii));

/// The longest value: common servers refuse requests whose headers have more than 8 KiB together.
const MAX_BYTES: usize = 4 * 1024;

/// A header's value.
pub struct HeaderTemplate {
    value: Compiled,
    /// Whether it is never shown: not in logs, and not in what is kept of a try.
    is_secret: bool,
}

impl HeaderTemplate {
    /// Compiles the value; all that is wrong with it comes back at once.
    pub fn compile(source: &str, names: &SavedNames) -> Result<Self, Vec<TemplateError>> {
        check_literal(source)?;
        Ok(Self { value: Compiled::new(&ENVIRONMENT, source, names)?, is_secret: false })
    }

    /// A value that is taken as it is and never shown.
    pub fn secret(value: &str) -> Result<Self, Vec<TemplateError>> {
        check_literal(value)?;
        Ok(Self { value: Compiled::Literal(value.to_owned()), is_secret: true })
    }

    /// The same value, never to be shown.
    pub fn hidden(self) -> Self {
        Self { is_secret: true, ..self }
    }

    /// The value, where there is nothing to fill in.
    pub fn literal(&self) -> Option<&str> {
        match &self.value {
            Compiled::Literal(text) => Some(text),
            _ => None,
        }
    }

    /// Fills in the value.
    pub fn render(&self, fields: &Value) -> Result<HeaderValue, RenderError> {
        let mut value = HeaderValue::from_bytes(self.value.render(fields, MAX_BYTES)?.as_bytes())?;
        value.set_sensitive(self.is_secret);
        Ok(value)
    }
}

impl fmt::Debug for HeaderTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_secret { f.write_str("HeaderTemplate(hidden)") } else { self.value.fmt(f) }
    }
}

/// Refuses what would end the header.
fn check_literal(text: &str) -> Result<(), Vec<TemplateError>> {
    match text.char_indices().find(|(_, c)| c.is_control() && *c != '\t') {
        Some((start, c)) => Err(vec![TemplateError::ControlCharacter { range: start..start + c.len_utf8() }]),
        None => Ok(()),
    }
}

/// Percent-encodes whatever is not printable ASCII, and the percent sign, so that a receiver can decode it.
fn printable_ascii(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b' '..=b'~' if byte != b'%' => encoded.push(char::from(byte)),
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

    fn render(source: &str, member_name: &str) -> HeaderValue {
        let fields = minijinja::context! { member_name };
        HeaderTemplate::compile(source, &SavedNames::none()).expect("compiles").render(&fields).expect("renders")
    }

    #[test]
    fn a_value_cannot_end_the_header() {
        assert_eq!(render("name={{ member_name }}", "Zoë\r\nX-Admin: 1"), "name=Zo%C3%AB%0D%0AX-Admin: 1");
    }

    #[test]
    fn the_text_itself_cannot_either() {
        let errors = HeaderTemplate::compile("a\nb", &SavedNames::none()).expect_err("refused");
        assert_eq!(errors, [TemplateError::ControlCharacter { range: 1..2 }]);
    }

    #[test]
    fn a_value_has_an_end() {
        let header = HeaderTemplate::compile("{{ member_name }}", &SavedNames::none()).expect("compiles");
        let of = |length| header.render(&minijinja::context! { member_name => "x".repeat(length) });
        assert!(of(MAX_BYTES).is_ok());
        assert!(matches!(of(MAX_BYTES + 1), Err(RenderError::TooLong { .. })));
    }

    #[test]
    fn a_secret_is_not_shown() {
        let header = HeaderTemplate::secret("Bearer geheim").expect("a value");
        assert!(!format!("{header:?}").contains("geheim"));
        let header =
            HeaderTemplate::compile("Bearer geheim {{ member_name }}", &SavedNames::none()).expect("compiles").hidden();
        assert!(!format!("{header:?}").contains("geheim"));
        assert!(header.render(&minijinja::context! {}).expect("renders").is_sensitive());
        assert!(HeaderTemplate::secret("a\nb").is_err());
    }

    proptest! {
        #[test]
        fn whatever_a_caller_is_called_is_one_value_and_reads_back(name in any::<String>()) {
            let value = render("{{ member_name|safe }}", &name);
            let text = value.to_str().expect("printable ASCII");
            prop_assert_eq!(percent_decode_str(text).decode_utf8().expect("UTF-8"), name);
        }
    }
}
