//! The values of HTTP headers.

use std::fmt::Write as _;
use std::sync::LazyLock;

use minijinja::{Environment, Value};
use reqwest::header::HeaderValue;

use super::check::TemplateError;
use super::compiled::Compiled;
use super::engine;
use super::error::RenderError;

/// The environment of all headers.
static ENVIRONMENT: LazyLock<Environment<'static>> = LazyLock::new(|| engine::encoding(printable_ascii));

/// The longest value: common servers refuse requests whose headers have more than 8 KiB together.
const MAX_BYTES: usize = 4 * 1024;

/// A header's value.
#[derive(Debug)]
pub struct HeaderTemplate(Kind);

#[derive(Debug)]
enum Kind {
    Template(Compiled),
    Secret(HeaderValue),
}

impl HeaderTemplate {
    /// Compiles the value; all that is wrong with it comes back at once.
    pub fn compile(source: &str) -> Result<Self, Vec<TemplateError>> {
        if let Some((start, control)) = source.char_indices().find(|(_, c)| c.is_control() && *c != '\t') {
            return Err(vec![TemplateError::ControlCharacter { range: start..start + control.len_utf8() }]);
        }
        Compiled::new(&ENVIRONMENT, source).map(|compiled| Self(Kind::Template(compiled)))
    }

    /// A value that is taken as it is and never shown.
    pub fn secret(value: &str) -> Result<Self, RenderError> {
        let mut value = HeaderValue::from_bytes(value.as_bytes())?;
        value.set_sensitive(true);
        Ok(Self(Kind::Secret(value)))
    }

    /// Fills in the value.
    pub fn render(&self, fields: &Value) -> Result<HeaderValue, RenderError> {
        match &self.0 {
            Kind::Template(compiled) => Ok(HeaderValue::from_bytes(compiled.render(fields, MAX_BYTES)?.as_bytes())?),
            Kind::Secret(value) => Ok(value.clone()),
        }
    }
}

/// Percent-encodes whatever is not printable ASCII, and the percent sign, so that a receiver can decode it.
fn printable_ascii(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b' '..=b'~' if byte != b'%' => encoded.push(char::from(byte)),
            // Writing to a string does not fail.
            _ => drop(write!(encoded, "%{byte:02X}")),
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
        HeaderTemplate::compile(source).expect("compiles").render(&fields).expect("renders")
    }

    #[test]
    fn a_value_cannot_end_the_header() {
        assert_eq!(render("name={{ member_name }}", "Zoë\r\nX-Admin: 1"), "name=Zo%C3%AB%0D%0AX-Admin: 1");
    }

    #[test]
    fn the_text_itself_cannot_either() {
        let errors = HeaderTemplate::compile("a\nb").expect_err("refused");
        assert_eq!(errors, [TemplateError::ControlCharacter { range: 1..2 }]);
    }

    #[test]
    fn a_secret_is_not_shown() {
        let header = HeaderTemplate::secret("Bearer geheim").expect("a value");
        assert!(!format!("{header:?}").contains("geheim"));
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
