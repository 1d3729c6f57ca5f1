//! Addresses of mail.

use std::sync::LazyLock;

use lettre::Address;
use minijinja::{Environment, Value};

use super::check::TemplateError;
use super::compiled::Compiled;
use super::engine;
use super::error::RenderError;
use crate::flow::names::SavedNames;

/// The environment of all addresses.
static ENVIRONMENT: LazyLock<Environment<'static>> = LazyLock::new(|| engine::encoding(plain_or_refusal));

/// The longest address that SMTP carries.
const MAX_BYTES: usize = 254;

/// Stands for a value that can't be a part of an address, which has no such character itself.
const REFUSED: char = '\0';

/// One address, without a name beside it.
#[derive(Debug)]
pub struct MailAddressTemplate(Compiled);

impl MailAddressTemplate {
    /// Compiles the text; all that is wrong with it comes back at once.
    pub fn compile(source: &str, names: &SavedNames) -> Result<Self, Vec<TemplateError>> {
        Compiled::new(&ENVIRONMENT, source, names).map(Self)
    }

    /// The address itself, where nothing is filled in.
    pub fn literal(&self) -> Option<&str> {
        self.0.literal()
    }

    /// Fills in the address.
    pub fn render(&self, fields: &Value) -> Result<Address, RenderError> {
        self.0.render(fields, MAX_BYTES)?.parse().map_err(|_| RenderError::MailAddress)
    }
}

fn plain_or_refusal(text: &str) -> String {
    let is_plain = text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '+' | '@'));
    if is_plain { text.to_owned() } else { REFUSED.to_string() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn render(source: &str, member_name: &str) -> Result<Address, RenderError> {
        let template = MailAddressTemplate::compile(source, &SavedNames::none()).expect("compiles");
        template.render(&minijinja::context! { member_name })
    }

    #[test]
    fn a_value_can_be_an_address_or_a_part_of_one_and_nothing_more() {
        assert_eq!(render("{{ member_name }}", "a.b+c@x.example").expect("an address").to_string(), "a.b+c@x.example");
        assert_eq!(render("{{ member_name }}@x.example", "zoe").expect("an address").to_string(), "zoe@x.example");
        for name in ["evil@y.example", "a, b@y.example", "a>\r\nBcc: b@y.example", "\"a\"", "", "a b"] {
            assert!(matches!(render("{{ member_name }}@x.example", name), Err(RenderError::MailAddress)), "{name}");
        }
    }

    proptest! {
        #[test]
        fn whatever_a_caller_is_called_an_address_stays_one(name in any::<String>()) {
            if let Ok(address) = render("{{ member_name|safe }}@x.example", &name) {
                prop_assert_eq!(address.domain(), "x.example");
                prop_assert_eq!(address.user(), name);
            }
        }
    }
}
