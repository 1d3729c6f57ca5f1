//! How an attempt begins that is told of.

use jiff::Timestamp;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Number, Value};

use crate::id::ContentHash;

/// What is told when a member enters a queue.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Opening {
    /// The subscriber's name.
    #[serde(deserialize_with = "text")]
    #[schemars(schema_with = "text_schema")]
    pub member_name: Option<String>,
    /// The subscriber's number or address.
    #[serde(deserialize_with = "text")]
    #[schemars(schema_with = "text_schema")]
    pub member_number: Option<String>,
    /// The subscriber's identifier.
    #[serde(deserialize_with = "integer")]
    #[schemars(schema_with = "integer_schema")]
    pub member_id: Option<i64>,
    /// The number or address that the subscriber turned to.
    #[serde(deserialize_with = "text")]
    #[schemars(schema_with = "text_schema")]
    pub destination: Option<String>,
    /// What payloads carry beside that.
    pub variables: Map<String, Value>,
    /// When the member entered; unset: now. Not in the future.
    pub at: Option<Timestamp>,
}

impl Opening {
    /// The hash of all of it, whatever the order of variables.
    pub fn content(&self) -> ContentHash {
        let mut json = serde_json::to_value(self).expect("an opening is plain data");
        json.sort_all_objects();
        ContentHash::of(&json.to_string())
    }
}

/// The most characters of a name, a number or an address.
const LONGEST_TEXT: usize = 1_024;

fn text_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": ["string", "null"], "maxLength": LONGEST_TEXT })
}

/// Reads a text that is no longer than such a text can be.
fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    if text.as_ref().is_some_and(|text| text.chars().nth(LONGEST_TEXT).is_some()) {
        return Err(serde::de::Error::custom(format_args!("a name or a number has at most {LONGEST_TEXT} characters")));
    }
    Ok(text)
}

/// The largest integer that JSON carries everywhere.
const LARGEST: i64 = (1 << 53) - 1;

fn integer_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": ["integer", "null"], "minimum": -LARGEST, "maximum": LARGEST })
}

/// Reads an integer, which JSON may write with a fraction of zero.
fn integer<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    let Some(number) = Option::<Number>::deserialize(deserializer)? else { return Ok(None) };
    let whole = number.as_f64().filter(|number| number.fract() == 0.0);
    let integer = number.as_i64().or(whole.map(|whole| whole as i64));
    let integer = integer.filter(|integer| (-LARGEST..=LARGEST).contains(integer));
    integer.map(Some).ok_or_else(|| serde::de::Error::custom(format_args!("{number} is not an integer of 53 bits")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_content_in_another_order_is_the_same() {
        let read = |text| serde_json::from_str::<Opening>(text).expect("reads").content();
        assert_eq!(read(r#"{"variables":{"a":1,"b":2}}"#), read(r#"{"variables":{"b":2,"a":1},"member_id":null}"#));
        assert_eq!(read(r#"{"member_id":7}"#), read(r#"{"member_id":7.0}"#));
        assert!(serde_json::from_str::<Opening>(r#"{"member_id":7.5}"#).is_err());
        assert!(serde_json::from_str::<Opening>(r#"{"member_id":9007199254740992}"#).is_err());
        assert_ne!(read(r#"{"variables":{"a":1}}"#), read(r#"{"variables":{"a":2}}"#));
    }
}
