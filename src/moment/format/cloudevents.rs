//! The format `cloudevents`: [CloudEvents 1.0](https://cloudevents.io) in structured mode, as JSON.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value as Json, json};

use super::type_of;
use crate::id::{NodeName, QueueName};
use crate::moment::EventName;

pub(super) const MEANING: &str = "[CloudEvents](https://cloudevents.io) 1.0 in structured mode, with the media type \
    `application/cloudevents+json`. `id` is the moment's, so two flows that one moment starts send the same event \
    (`webhook-id` tells them apart); `source` is a URI reference made of node and queue; `subject` is the `attempt_id`; \
    `data` is the whole payload.";

/// What is encoded in the source: everything but the characters that RFC 3986 allows in a path's segment and that names
/// commonly have. A colon in the first segment would look like a scheme's; the source begins with a slash, so none can.
const RESERVED: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'@').remove(b':');

/// What the envelope takes from the payload.
#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow)]
    id: &'a RawValue,
    event: EventName,
    node: NodeName,
    queue_name: QueueName,
    attempt_id: u64,
    #[serde(borrow)]
    timestamp: &'a RawValue,
}

#[derive(Serialize)]
struct Envelope<'a> {
    specversion: &'static str,
    id: &'a RawValue,
    source: String,
    r#type: String,
    subject: String,
    time: &'a RawValue,
    datacontenttype: &'static str,
    data: &'a RawValue,
}

pub(super) fn body(payload: &RawValue) -> Result<Vec<u8>, serde_json::Error> {
    let head: Head<'_> = serde_json::from_str(payload.get())?;
    serde_json::to_vec(&Envelope {
        specversion: "1.0",
        id: head.id,
        source: source(&head.node, &head.queue_name),
        r#type: type_of(head.event),
        subject: head.attempt_id.to_string(),
        time: head.timestamp,
        datacontenttype: "application/json",
        data: payload,
    })
}

/// Node and queue as the path of a URI reference; neither can leave its segment.
fn source(node: &NodeName, queue: &QueueName) -> String {
    let segment = |text| utf8_percent_encode(text, RESERVED);
    format!("/nodes/{}/queues/{}", segment(node.as_str()), segment(queue.as_str()))
}

pub(super) fn schema(event: EventName, payload: Json) -> Json {
    json!({
        "properties": {
            "specversion": { "const": "1.0" },
            "id": { "type": "string" },
            "source": { "type": "string", "format": "uri-reference" },
            "type": { "const": type_of(event) },
            "subject": { "type": "string" },
            "time": { "type": "string", "format": "date-time" },
            "datacontenttype": { "const": "application/json" },
            "data": payload,
        },
        "required": ["specversion", "id", "source", "type", "subject", "time", "datacontenttype", "data"],
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use url::Url;

    use super::*;
    use crate::moment::{Format, Payload};

    #[test]
    fn it_has_the_attributes_of_version_1_and_the_payload_as_it_was_committed() {
        let payload = serde_json::value::to_raw_value(&Payload::sample(EventName::Offering)).expect("serializes");
        let body = String::from_utf8(Format::CloudEvents.body(&payload).expect("formats")).expect("UTF-8");
        let head = concat!(
            r#"{"specversion":"1.0","id":"5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a","#,
            r#""source":"/nodes/fs1/queues/support@default","type":"queue.offering","subject":"3541774862152233","#,
            r#""time":"2026-11-23T08:18:46.202Z","datacontenttype":"application/json","data":"#,
        );
        assert_eq!(body, format!("{head}{payload}}}"));
    }

    proptest! {
        #[test]
        fn whatever_node_and_queue_are_called_the_source_is_a_path_of_four_segments(
            node in "[^.].*", queue in "[^.].*",
        ) {
            let source = source(&node.as_str().into(), &queue.as_str().into());
            let base = Url::parse("http://base.example/").expect("a URL");
            let url = base.join(&source).expect("a URI reference");
            prop_assert_eq!(url.host_str(), Some("base.example"));
            prop_assert_eq!(url.path(), source);
            prop_assert_eq!(url.path_segments().expect("a path").count(), 4);
        }
    }
}
