//! What a step's templates and expressions can name: the fields of one moment, and what earlier steps have saved.

use std::sync::{LazyLock, OnceLock};

use jiff::Timestamp;
use minijinja::Value;
use minijinja::value::merge_maps;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value as Json};

use crate::id::{NodeName, QueueName};
use crate::moment::{EventName, Payload};

/// The most that one step can save, as JSON: enough for an answer of a customer database, and a row of the journal.
pub const MAX_RESULT_BYTES: usize = 64 * 1024;

/// The most that all steps of a run can save together, as JSON: it is read whenever the run goes on.
pub const MAX_SAVED_BYTES: usize = 256 * 1024;

/// One moment's payload, as steps use it, and what they saved.
#[derive(Clone, Debug)]
pub struct Context {
    payload: Box<RawValue>,
    event: EventName,
    happened_at: Option<Timestamp>,
    /// Made when a template or an expression first asks for them: most flows send the payload as it is.
    fields: OnceLock<Value>,
    saved_bytes: usize,
}

/// What every run needs of a payload, read without the rest.
#[derive(Deserialize)]
struct Head<'a> {
    event: EventName,
    #[serde(default, borrow)]
    timestamp: Option<&'a RawValue>,
}

/// What is too much to be saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SaveError {
    /// The result of one step.
    #[error("the result is longer than {MAX_RESULT_BYTES} bytes")]
    Result,
    /// The results together.
    #[error("the run has saved more than {MAX_SAVED_BYTES} bytes")]
    Run,
}

impl Context {
    /// Reads the payload as the outbox keeps it.
    pub fn from_payload_json(json: &str) -> Result<Self, serde_json::Error> {
        let Head { event, timestamp } = serde_json::from_str(json)?;
        let happened_at = timestamp.and_then(|text| serde_json::from_str::<String>(text.get()).ok()?.parse().ok());
        Ok(Self { payload: serde_json::from_str(json)?, event, happened_at, fields: OnceLock::new(), saved_bytes: 0 })
    }

    /// The context of a moment that is not written yet.
    pub fn from_payload(payload: &Payload) -> Result<Self, serde_json::Error> {
        Self::from_payload_json(&serde_json::to_string(payload)?)
    }

    /// Adds what a step has saved: values by their names, which are none of the payload's.
    pub fn save(&mut self, saved: &Map<String, Json>) -> Result<(), SaveError> {
        let bytes = serde_json::to_string(saved).map_or(usize::MAX, |text| text.len());
        if bytes > MAX_RESULT_BYTES {
            return Err(SaveError::Result);
        }
        if self.saved_bytes + bytes > MAX_SAVED_BYTES {
            return Err(SaveError::Run);
        }
        // The engine takes every JSON value.
        let values = Value::deserialize(Json::Object(saved.clone())).map_err(|_| SaveError::Result)?;
        self.saved_bytes += bytes;
        self.fields = OnceLock::from(merge_maps([self.fields().clone(), values]));
        Ok(())
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

    /// When the moment happened; now, if the payload does not say it.
    pub fn happened_at(&self) -> Timestamp {
        self.happened_at.unwrap_or_else(Timestamp::now)
    }

    /// The FreeSWITCH node.
    pub fn node(&self) -> NodeName {
        NodeName::new(self.text("node"))
    }

    /// The queue.
    pub fn queue(&self) -> QueueName {
        QueueName::new(self.text("queue_name"))
    }

    fn text(&self, field: &str) -> String {
        let value = self.fields().get_attr(field).unwrap_or_default();
        value.as_str().unwrap_or_default().to_owned()
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
        assert_eq!(field("attempt_id").as_i64(), Some(6_247_601_910_615_787));
        assert_eq!(field("event").as_str(), Some("leaving"));
        assert!(field("exit_key").is_none());
        assert_eq!(field("variables").get_attr("customer_id").expect("is there").as_str(), Some("CUST-00042"));
    }

    #[test]
    fn what_is_saved_is_found_beside_the_fields_and_the_latest_wins() {
        let mut context = Context::from_payload(&Payload::sample(EventName::Leaving)).expect("reads");
        let saved = |value: Json| Map::from_iter([("crm".to_owned(), value)]);
        context.save(&saved(serde_json::json!({ "vip": false }))).expect("fits");
        context.save(&saved(serde_json::json!({ "vip": true }))).expect("fits");
        let crm = context.fields().get_attr("crm").expect("is there");
        assert!(crm.get_attr("vip").expect("is there").is_true());
        assert_eq!(context.fields().get_attr("event").expect("is there").as_str(), Some("leaving"));
    }

    #[test]
    fn what_a_run_saves_has_an_end() {
        let mut context = Context::from_payload(&Payload::sample(EventName::Leaving)).expect("reads");
        let saved = |bytes| Map::from_iter([("x".to_owned(), Json::from("x".repeat(bytes)))]);
        assert_eq!(context.save(&saved(MAX_RESULT_BYTES)), Err(SaveError::Result));
        let fitting = (0..10).take_while(|_| context.save(&saved(MAX_RESULT_BYTES - 100)).is_ok()).count();
        assert_eq!(fitting, 4);
    }

    #[test]
    fn what_is_no_payload_is_an_error() {
        for json in ["", "[]", "{}", r#"{"event":"joined""#, r#"{"event":"left"}"#] {
            assert!(Context::from_payload_json(json).is_err(), "{json}");
        }
    }
}
