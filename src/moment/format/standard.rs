//! The format `standard`: the envelope that [Standard Webhooks](https://www.standardwebhooks.com) recommends.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value as Json, json};

use super::type_of;
use crate::moment::EventName;

pub(super) const MEANING: &str = "The envelope of [Standard Webhooks](https://www.standardwebhooks.com): `type`, \
    `timestamp` (the moment's), and the whole payload as `data`.";

/// What the envelope takes from the payload.
#[derive(Deserialize)]
struct Head<'a> {
    event: EventName,
    #[serde(borrow)]
    timestamp: &'a RawValue,
}

#[derive(Serialize)]
struct Envelope<'a> {
    r#type: String,
    timestamp: &'a RawValue,
    data: &'a RawValue,
}

pub(super) fn body(payload: &RawValue) -> Result<Vec<u8>, serde_json::Error> {
    let Head { event, timestamp } = serde_json::from_str(payload.get())?;
    serde_json::to_vec(&Envelope { r#type: type_of(event), timestamp, data: payload })
}

pub(super) fn schema(event: EventName, payload: Json) -> Json {
    json!({
        "properties": {
            "type": { "const": type_of(event) },
            "timestamp": { "type": "string", "format": "date-time" },
            "data": payload,
        },
        "required": ["type", "timestamp", "data"],
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::moment::{Format, Payload};

    #[test]
    fn it_has_type_timestamp_and_the_payload_as_it_was_committed() {
        let payload = serde_json::value::to_raw_value(&Payload::sample(EventName::Offering)).expect("serializes");
        let body = String::from_utf8(Format::Standard.body(&payload).expect("formats")).expect("UTF-8");
        let head = r#"{"type":"queue.offering","timestamp":"2026-11-23T08:18:46.282Z","data":"#;
        assert_eq!(body, format!("{head}{payload}}}"));
    }
}
