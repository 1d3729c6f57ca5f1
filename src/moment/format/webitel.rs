//! The format `webitel`: what Webitel's engine gives to the flows of its queues' hooks, for receivers made for that.
//!
//! Its engine (`webitel/call_center`: `ExportSchemaVariables` and `Stats`) makes a flat map of strings, leaves out what is
//! empty, writes durations in whole seconds and times in milliseconds since 1970, and puts the subscriber's number into
//! `destination` in either direction. So does this. The identifiers of its own database (`queue_id`, `bucket_id`, …) are
//! not ours to know; a queue's variables can say them.
//!
//! Two things differ. `call_bill_sec` and `call_voice_sec` have the meaning of its documentation, which its engine has the
//! other way round. And a field always wins over a variable of its name, where the engine lets some variables win: a
//! variable may be a call's data, and a receiver must be able to trust the fields.

use serde_json::value::RawValue;
use serde_json::{Map, Value as Json, json};

use crate::moment::value::{Seconds, Time};
use crate::moment::{EventName, Payload};

pub(super) const MEANING: &str = "What Webitel's engine gives to the flows of its queues' hooks: a flat map of strings \
    with its names. Variables stand beside the fields; a field wins over a variable of its name, and a variable that is a \
    list or an object is written as JSON. What is null or empty is left out, and `use_processing` where it is not `true`. \
    `state` is the event, `destination` the subscriber's number in either direction; durations are whole seconds, times \
    milliseconds since 1970. `call_bill_sec` and `call_voice_sec` have the payload's meaning, which is that of Webitel's \
    documentation. Webitel's own identifiers (`queue_id`, …) are there if the queue's `variables` say them.";

/// A field's value as text; none where it is left out.
type Text = Option<String>;

/// A field: its name in Webitel, and how it follows from the payload.
type Field = (&'static str, fn(&Payload) -> Text);

/// Every field.
const FIELDS: &[Field] = &[
    ("state", |payload| text(Some(payload.event))),
    ("channel", |payload| word(payload.channel)),
    ("attempt_id", |payload| text(payload.attempt_id)),
    ("destination", |payload| payload.member_number.clone()),
    ("use_processing", |payload| payload.use_processing.filter(|is_on| *is_on).map(|_| "true".to_owned())),
    ("agent_channel_id", |payload| text(payload.agent_channel_id.as_ref())),
    ("member_channel_id", |payload| text(payload.member_channel_id.as_ref())),
    ("agent_name", |payload| text(payload.agent_name.as_ref())),
    ("agent_id", |payload| text(payload.agent_id)),
    ("user_id", |payload| text(payload.user_id)),
    ("agent_extension", |payload| payload.agent_extension.clone()),
    ("member_name", |payload| payload.member_name.clone()),
    ("member_id", |payload| text(payload.member_id)),
    ("cc_attempt_seq", |payload| text(payload.cc_attempt_seq)),
    ("call_bill_sec", |payload| whole_seconds(payload.call_bill_sec)),
    ("call_duration", |payload| whole_seconds(payload.call_duration)),
    ("amd_result", |payload| word(payload.amd_result)),
    ("call_voice_sec", |payload| whole_seconds(payload.call_voice_sec)),
    ("cc_result", |payload| word(payload.cc_result)),
    ("call_cause", |payload| payload.call_cause.clone()),
    ("call_sip_code", |payload| text(payload.call_sip_code)),
    ("timestamp", |payload| millis(Some(payload.timestamp))),
    ("joined_at", |payload| millis(payload.joined_at)),
    ("bridged_at", |payload| millis(payload.bridged_at)),
    ("test", |payload| payload.test.then(|| "true".to_owned())),
];

pub(super) fn body(payload: &RawValue) -> Result<Vec<u8>, serde_json::Error> {
    let payload: Payload = serde_json::from_str(payload.get())?;
    let variables: Map<String, Json> = serde_json::from_str(payload.variables.as_json())?;
    let mut map: Map<String, Json> =
        FIELDS.iter().filter_map(|(name, of)| entry((*name).to_owned(), of(&payload))).collect();
    // Also a field that is left out hides a variable of its name.
    let is_field = |name: &str| FIELDS.iter().any(|(field, _)| *field == name);
    map.extend(variables.into_iter().filter(|(name, _)| !is_field(name)).filter_map(|(name, value)| {
        let text = match value {
            Json::Null => None,
            Json::String(text) => Some(text),
            other => Some(other.to_string()),
        };
        entry(name, text)
    }));
    serde_json::to_vec(&map)
}

pub(super) fn schema(event: EventName) -> Json {
    let properties: Map<String, Json> =
        FIELDS.iter().map(|(name, _)| ((*name).to_owned(), json!({ "type": "string" }))).collect();
    let is_carried = |name: &&str| {
        *name == "state" || Payload::FIELDS.iter().any(|field| field.name == *name && field.events.contains(event))
    };
    let always: Vec<_> = ["state", "channel", "attempt_id", "timestamp"].into_iter().filter(is_carried).collect();
    json!({ "properties": properties, "required": always, "additionalProperties": { "type": "string" } })
}

/// An entry of the map, unless its name or value is empty.
fn entry(name: String, text: Text) -> Option<(String, Json)> {
    let text = text.filter(|text| !text.is_empty() && !name.is_empty())?;
    Some((name, text.into()))
}

fn text(value: Option<impl ToString>) -> Text {
    value.map(|value| value.to_string())
}

/// A word of one of the payload's vocabularies.
fn word(value: Option<impl serde::Serialize>) -> Text {
    match serde_json::to_value(value?) {
        Ok(Json::String(word)) => Some(word),
        _ => None,
    }
}

/// Seconds that have passed, without their fraction.
fn whole_seconds(seconds: Option<Seconds>) -> Text {
    seconds.map(|Seconds(seconds)| format!("{:.0}", seconds.trunc()))
}

fn millis(time: Option<Time>) -> Text {
    time.map(|Time(time)| time.as_millisecond().to_string())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::moment::value::{AmdResult, Variables};
    use crate::moment::{EventName, Format};

    fn map(payload: &Payload) -> Map<String, Json> {
        let payload = serde_json::value::to_raw_value(payload).expect("serializes");
        let body = Format::Webitel.body(&payload).expect("formats");
        serde_json::from_slice(&body).expect("an object")
    }

    fn with_variables(variables: Json) -> Payload {
        let variables = Variables::from_object(variables.as_object().expect("an object"));
        Payload { variables, ..Payload::sample(EventName::Leaving) }
    }

    #[test]
    fn it_is_a_flat_map_of_strings_with_webitels_names() {
        let expected = json!({
            "state": "leaving", "channel": "call", "attempt_id": "6247601910615787", "destination": "40712345001",
            "use_processing": "true", "agent_channel_id": "6c565e9d-e7e5-4f2b-83f1-b889917b5d7b",
            "member_channel_id": "ddc040a8-c903-4f12-8e46-485551fc06cf", "agent_name": "agent1", "agent_id": "17",
            "user_id": "4", "agent_extension": "1000", "member_name": "Zoë Müller", "member_id": "42",
            "cc_attempt_seq": "1", "call_bill_sec": "6", "call_duration": "6", "amd_result": "HUMAN",
            "call_voice_sec": "4", "cc_result": "success", "call_cause": "NORMAL_CLEARING", "call_sip_code": "200",
            "timestamp": "1795421932242", "joined_at": "1795421926202", "bridged_at": "1795421927842",
            "customer_id": "CUST-00042", "ticket": "T-2026/117", "tags": r#"["vip","gold member"]"#,
        });
        let (member_id, amd_result) = (Some(42), Some(AmdResult::Human));
        let payload = Payload { member_id, amd_result, ..Payload::sample(EventName::Leaving) };
        assert_eq!(Json::Object(map(&payload)), expected);
    }

    #[test]
    fn what_is_null_or_empty_is_left_out() {
        let mut payload = Payload::sample(EventName::Joined);
        (payload.member_number, payload.use_processing) = (Some(String::new()), Some(false));
        payload.variables = Variables::default();
        let names: Vec<String> = map(&payload).into_iter().map(|(name, _)| name).collect();
        let expected = ["state", "channel", "attempt_id", "member_channel_id", "member_name", "timestamp", "joined_at"];
        assert_eq!(names, expected);
    }

    #[test]
    fn a_variable_never_stands_for_a_field() {
        let mut payload =
            with_variables(json!({ "cc_result": "success", "destination": "0", "": "x", "n": 1, "z": null }));
        (payload.cc_result, payload.member_number) = (None, None);
        let map = map(&payload);
        assert!(!map.contains_key("cc_result") && !map.contains_key("destination") && !map.contains_key(""));
        assert_eq!((map.get("n"), map.get("z")), (Some(&json!("1")), None));
    }

    proptest! {
        #[test]
        fn whatever_a_call_says_every_value_is_one_string(name in any::<String>(), variable in any::<String>()) {
            let mut payload = with_variables(json!({ variable.as_str(): name.as_str() }));
            payload.member_name = Some(name.clone());
            let map = map(&payload);
            prop_assert!(map.values().all(Json::is_string));
            prop_assert_eq!(map.get("member_name").and_then(Json::as_str).unwrap_or_default(), name.as_str());
            if !FIELDS.iter().any(|(field, _)| *field == variable) && !variable.is_empty() {
                prop_assert_eq!(map.get(&variable).and_then(Json::as_str).unwrap_or_default(), name.as_str());
            }
        }
    }
}
