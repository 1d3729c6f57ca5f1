//! What a step's templates and expressions can name: the fields of one moment.

use std::sync::{LazyLock, OnceLock};

use minijinja::Value;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::moment::{EventName, Payload};

/// One moment's payload, as steps use it.
#[derive(Clone, Debug)]
pub struct Context {
    payload: Box<RawValue>,
    event: EventName,
    /// Made when a template or an expression first asks for them: most flows send the payload as it is.
    fields: OnceLock<Value>,
}

/// What every payload has.
#[derive(Deserialize)]
struct Head {
    event: EventName,
}

impl Context {
    /// Reads the payload as the outbox keeps it.
    pub fn from_payload_json(json: &str) -> Result<Self, serde_json::Error> {
        let Head { event } = serde_json::from_str(json)?;
        Ok(Self { payload: serde_json::from_str(json)?, event, fields: OnceLock::new() })
    }

    /// The context of a moment that is not written yet.
    pub fn from_payload(payload: &Payload) -> Result<Self, serde_json::Error> {
        Self::from_payload_json(&serde_json::to_string(payload)?)
    }

    /// The payload, byte for byte as it was read.
    pub fn payload(&self) -> &RawValue {
        &self.payload
    }

    /// The payload's text.
    pub fn payload_json(&self) -> &str {
        self.payload.get()
    }

    /// The event.
    pub fn event(&self) -> EventName {
        self.event
    }

    /// The fields by their names.
    pub fn fields(&self) -> &Value {
        // JSON of which the engine has no value, such as a number beyond its range, is in no payload of ours.
        self.fields.get_or_init(|| serde_json::from_str(self.payload.get()).unwrap_or_default())
    }
}

/// A plausible moment of every event, to try templates and expressions on when they are loaded.
pub(super) static SAMPLES: LazyLock<Vec<Context>> = LazyLock::new(|| {
    EventName::ALL
        .into_iter()
        .map(|event| Context::from_payload(&Payload::sample(event)).expect("a sample payload is JSON"))
        .collect()
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_keep_their_types() {
        let context = Context::from_payload(&Payload::sample(EventName::Leaving)).expect("reads");
        assert_eq!(context.event(), EventName::Leaving);
        let field = |name: &str| context.fields().get_attr(name).expect("is there");
        assert_eq!(field("attempt_id").as_i64(), Some(3_541_774_862_152_233));
        assert_eq!(field("event").as_str(), Some("leaving"));
        assert!(field("exit_key").is_none());
        assert_eq!(field("variables").get_attr("customer_id").expect("is there").as_str(), Some("CUST-00042"));
    }

    #[test]
    fn what_is_no_payload_is_an_error() {
        for json in ["", "[]", "{}", r#"{"event":"joined""#, r#"{"event":"left"}"#] {
            assert!(Context::from_payload_json(json).is_err(), "{json}");
        }
    }
}
