//! Values that are empty, in each way of writing that, anywhere in what FreeSWITCH says: no payload carries them but as null.

use hookswitch::esl::Event;
use hookswitch::lifecycle::{Effects, Lifecycle};
use hookswitch::moment::Payload;
use proptest::prelude::*;
use serde_json::Value;

use crate::{configuration, events_of, is_subscribed, truths};

/// How an empty value can be written. A list of nothing is one.
const BLANKS: [fn() -> Value; 4] = [|| "".into(), || "_undef_".into(), || Value::Null, || "ARRAY::".into()];

/// Headers without which there is no event.
const NEEDED: [&str; 4] = ["Event-Name", "Event-Subclass", "Core-UUID", "Event-Date-Timestamp"];

/// The event with these headers blank: of each name, whether it is and how.
fn blanked(event: &Event, blank: impl Fn(&str) -> Option<Value>) -> Event {
    let mut headers = serde_json::to_value(event).expect("an object");
    let object = headers.as_object_mut().expect("an object");
    for (name, value) in object.iter_mut().filter(|(name, _)| !NEEDED.contains(&name.as_str())) {
        // Only variables are lists.
        let blank = blank(name).filter(|blank| *blank != "ARRAY::" || name.starts_with("variable_"));
        *value = blank.unwrap_or_else(|| value.take());
    }
    Event::from_json(headers.to_string().as_bytes()).expect("reads")
}

/// The empty texts of a payload, by their fields.
fn empty_in(payload: &Payload) -> Vec<String> {
    let fields = serde_json::to_value(payload).expect("an object");
    let is_empty = |value: &Value| value.as_str().is_some_and(|text| text.is_empty() || text == "_undef_");
    let own = fields.as_object().expect("an object").iter();
    let variables = fields["variables"].as_object().expect("an object").iter();
    own.chain(variables).filter(|(_, value)| is_empty(value)).map(|(name, _)| name.clone()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn no_payload_carries_an_empty_text(
        recording in proptest::sample::select(&[
            "01_answered", "10d_attended_transfer", "13_abandon_resume", "25_hostile_variables", "54_dialer_amd",
            "60a_progressive_human", "66c_fifo_agent_called",
        ][..]),
        seed in any::<u64>(),
        share in 2_u64..40,
        plain in any::<bool>(),
    ) {
        let truth = truths().into_iter().find(|truth| truth.recording == recording).expect("is there");
        let events = events_of(recording, "plain").expect("is there");
        let mut lifecycle = Lifecycle::new("fs1".into(), configuration(&truth));
        lifecycle.tell_all();
        let mut effects = Effects::default();
        for (place, event) in events.iter().filter(|event| is_subscribed(event)).enumerate() {
            let blank = |name: &str| {
                let at = name.bytes().fold(seed ^ place as u64, |hash, byte| {
                    (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
                });
                at.is_multiple_of(share).then(|| BLANKS[(at >> 32) as usize % if plain { 2 } else { 4 }]())
            };
            lifecycle.handle_event(&blanked(event, blank), &mut effects);
        }
        lifecycle.finish(&mut effects);
        for moment in &effects.moments {
            prop_assert_eq!(empty_in(&moment.payload), Vec::<String>::new(), "{} on {}", recording, moment.payload.event);
        }
    }
}
