//! JSON documents.

use std::sync::LazyLock;

use minijinja::{Environment, Value};
use serde_json::Value as Json;

use super::check::TemplateError;
use super::compiled::{Compiled, literal_prefix};
use super::engine;
use super::error::RenderError;
use crate::flow::expression::Expression;
use crate::flow::names::SavedNames;

/// The environment of all texts in documents: JSON's own writer escapes them.
static ENVIRONMENT: LazyLock<Environment<'static>> = LazyLock::new(|| engine::encoding(str::to_owned));

/// The longest text: as much as a whole payload may hold of variables.
const MAX_BYTES: usize = 256 * 1024;

/// A JSON document, each of whose texts is a template.
#[derive(Debug)]
pub enum JsonTemplate {
    /// A number, a truth value, null.
    Literal(Json),
    /// A text that is one `{{ … }}` alone: its value, with its type.
    Value(Expression),
    /// Any other text.
    Text(JsonText),
    /// A list.
    Array(Vec<Self>),
    /// An object, whose names are literal.
    Object(Vec<(String, Self)>),
}

/// A text in a document.
#[derive(Debug)]
pub struct JsonText(Compiled);

impl JsonTemplate {
    /// Compiles a text of the document; all that is wrong with it comes back at once.
    pub fn text(source: &str, names: &SavedNames) -> Result<Self, Vec<TemplateError>> {
        if let Some((offset, expression)) = lone_expression(source) {
            let moved = |errors: Vec<TemplateError>| errors.into_iter().map(|error| error.shifted(offset)).collect();
            return Expression::compile(expression, names).map(Self::Value).map_err(moved);
        }
        Compiled::new(&ENVIRONMENT, source, names).map(|compiled| Self::Text(JsonText(compiled)))
    }

    /// Fills in the document.
    pub fn render(&self, fields: &Value) -> Result<Json, RenderError> {
        match self {
            Self::Literal(value) => Ok(value.clone()),
            Self::Value(expression) => Ok(serde_json::to_value(expression.evaluate(fields)?)?),
            Self::Text(text) => text.0.render(fields, MAX_BYTES).map(Json::String),
            Self::Array(elements) => elements.iter().map(|element| element.render(fields)).collect(),
            Self::Object(members) => {
                members.iter().map(|(name, member)| Ok((name.clone(), member.render(fields)?))).collect()
            }
        }
    }
}

/// The expression in a text that is one `{{ … }}` and nothing else, and where it begins.
fn lone_expression(source: &str) -> Option<(usize, &str)> {
    let opening = source.trim_start().strip_prefix("{{")?;
    let inner = opening.trim_end().strip_suffix("}}")?;
    let offset = source.len() - opening.len();
    // A dash beside the braces takes away blanks, of which there are none here.
    let (offset, inner) = inner.strip_prefix('-').map_or((offset, inner), |rest| (offset + 1, rest));
    let inner = inner.strip_suffix('-').unwrap_or(inner);
    // Else these are several values, between whose braces there is other text.
    let is_alone = literal_prefix(inner).len() == inner.len() && !inner.contains("}}");
    is_alone.then_some((offset, inner))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn render(source: &str, fields: &Value) -> Json {
        JsonTemplate::text(source, &SavedNames::none()).expect("compiles").render(fields).expect("renders")
    }

    fn fields() -> Value {
        minijinja::context! {
            attempt_id => 3_541_774_862_152_233_u64, wait_sec => 1.5, synthetic => false, exit_key => (),
            member_name => "Zoë \"Z\"\n", variables => minijinja::context! { tags => vec!["vip", "gold"] },
        }
    }

    #[test]
    fn a_value_alone_keeps_its_type() {
        let fields = fields();
        assert_eq!(render("{{ attempt_id }}", &fields), json!(3_541_774_862_152_233_u64));
        assert_eq!(render(" {{- wait_sec -}} ", &fields), json!(1.5));
        assert_eq!(render("{{synthetic}}", &fields), json!(false));
        assert_eq!(render("{{ exit_key }}", &fields), Json::Null);
        assert_eq!(render("{{ variables.nothing.here }}", &fields), Json::Null);
        assert_eq!(render("{{ variables.tags }}", &fields), json!(["vip", "gold"]));
        assert_eq!(render("{{ wait_sec > 1 }}", &fields), json!(true));
    }

    #[test]
    fn a_value_in_a_text_is_text() {
        let fields = fields();
        assert_eq!(render("call {{ attempt_id }}", &fields), json!("call 3541774862152233"));
        assert_eq!(render("{{ synthetic }}{{ wait_sec }}", &fields), json!("false1.5"));
        assert_eq!(render("<{{ exit_key }}>", &fields), json!("<>"));
        assert_eq!(render("tags: {{ variables.tags }}", &fields), json!(r#"tags: ["vip","gold"]"#));
        assert_eq!(render("{{ member_name }}!", &fields), json!("Zoë \"Z\"\n!"));
    }

    #[test]
    fn a_document_is_filled_in_throughout() {
        let text = |source| JsonTemplate::text(source, &SavedNames::none()).expect("compiles");
        let document = JsonTemplate::Object(vec![
            ("id".into(), text("{{ attempt_id }}")),
            ("list".into(), JsonTemplate::Array(vec![text("x"), JsonTemplate::Literal(json!(1))])),
        ]);
        let rendered = document.render(&fields()).expect("renders");
        assert_eq!(rendered, json!({ "id": 3_541_774_862_152_233_u64, "list": ["x", 1] }));
    }

    #[test]
    fn a_fault_is_placed_in_the_whole_text() {
        let errors = JsonTemplate::text("{{ memberr_name }}", &SavedNames::none()).expect_err("refused");
        assert_eq!(errors[0].range(), Some(3..15));
    }

    proptest! {
        #[test]
        fn whatever_a_caller_is_called_is_one_text(name in any::<String>()) {
            let fields = minijinja::context! { member_name => &name };
            prop_assert_eq!(render("{{ member_name }}", &fields), json!(&name));
            prop_assert_eq!(render("<{{ member_name|safe }}>", &fields), json!(format!("<{name}>")));
        }
    }
}
