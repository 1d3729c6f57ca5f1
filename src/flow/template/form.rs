//! Forms: `application/x-www-form-urlencoded`.

use std::sync::LazyLock;

use minijinja::{Environment, Value};
use url::form_urlencoded::Serializer;

use super::check::TemplateError;
use super::compiled::Compiled;
use super::engine;
use super::error::RenderError;
use crate::flow::names::SavedNames;

/// The environment of all fields: the form's own writer encodes them.
static ENVIRONMENT: LazyLock<Environment<'static>> = LazyLock::new(|| engine::encoding(str::to_owned));

/// The longest value of a field: as much as a whole payload may hold of variables.
const MAX_BYTES: usize = 256 * 1024;

/// A form, whose names are literal and whose values are templates.
#[derive(Debug)]
pub struct FormTemplate(Vec<(String, FormField)>);

/// The value of a form's field.
#[derive(Debug)]
pub struct FormField(Compiled);

impl FormTemplate {
    /// A form of these fields, in their order.
    pub fn new(fields: Vec<(String, FormField)>) -> Self {
        Self(fields)
    }

    /// Fills in the form, and encodes it.
    pub fn render(&self, fields: &Value) -> Result<String, RenderError> {
        let mut form = Serializer::new(String::new());
        for (name, value) in &self.0 {
            form.append_pair(name, &value.0.render(fields, MAX_BYTES)?);
        }
        Ok(form.finish())
    }
}

impl FormField {
    /// Compiles the value; all that is wrong with it comes back at once.
    pub fn compile(source: &str, names: &SavedNames) -> Result<Self, Vec<TemplateError>> {
        Compiled::new(&ENVIRONMENT, source, names).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use url::form_urlencoded;

    use super::*;

    fn render(member_name: &str) -> String {
        let fields = minijinja::context! { member_name, exit_key => () };
        let field =
            |name: &str, value| (name.to_owned(), FormField::compile(value, &SavedNames::none()).expect("compiles"));
        let fields_of_form = vec![
            field("name", "{{ member_name|safe }}"),
            field("a&b", "<{{ member_name }}>"),
            field("key", "{{ exit_key }}"),
        ];
        FormTemplate::new(fields_of_form).render(&fields).expect("renders")
    }

    #[test]
    fn a_value_cannot_add_a_field() {
        assert_eq!(render("x&admin=1"), "name=x%26admin%3D1&a%26b=%3Cx%26admin%3D1%3E&key=");
    }

    proptest! {
        #[test]
        fn whatever_a_caller_is_called_is_one_value(name in any::<String>()) {
            let pairs: Vec<(String, String)> = form_urlencoded::parse(render(&name).as_bytes()).into_owned().collect();
            let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
            prop_assert_eq!(pairs, [pair("name", &name), pair("a&b", &format!("<{name}>")), pair("key", "")]);
        }
    }
}
