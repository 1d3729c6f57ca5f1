//! How an attempt begins that is told of.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::id::ContentHash;

/// What is told when a member enters a queue.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Opening {
    /// The subscriber's name.
    pub member_name: Option<String>,
    /// The subscriber's number or address.
    pub member_number: Option<String>,
    /// The subscriber's identifier.
    pub member_id: Option<i64>,
    /// The number or address that the subscriber turned to.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_content_in_another_order_is_the_same() {
        let read = |text| serde_json::from_str::<Opening>(text).expect("reads").content();
        assert_eq!(read(r#"{"variables":{"a":1,"b":2}}"#), read(r#"{"variables":{"b":2,"a":1},"member_id":null}"#));
        assert_ne!(read(r#"{"variables":{"a":1}}"#), read(r#"{"variables":{"a":2}}"#));
    }
}
