//! The format `cloudevents`: [CloudEvents 1.0](https://cloudevents.io) in structured mode, as JSON.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value as Json, json};

use super::type_of;
use crate::id::{AgentName, NodeName, QueueName};
use crate::moment::EventName;

pub(super) const MEANING: &str = "[CloudEvents](https://cloudevents.io) 1.0 in structured mode, with the media type \
    `application/cloudevents+json`. `id` is the moment's, so two flows that one moment starts send the same event \
    (`webhook-id` tells them apart); `source` is a URI reference made of node and queue; `subject` is the `attempt_id`, \
    or what else it is about: the agent's name, or the queue's; `data` is the whole payload.";

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
    queue_name: Option<QueueName>,
    attempt_id: Option<u64>,
    agent_name: Option<AgentName>,
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
        source: source(&head.node, head.queue_name.as_ref()),
        r#type: type_of(head.event),
        subject: subject(&head),
        time: head.timestamp,
        datacontenttype: "application/json",
        data: payload,
    })
}

/// What it is about: the attempt, else the agent, else the queue.
fn subject(head: &Head<'_>) -> String {
    let agent = || head.agent_name.as_ref().map(ToString::to_string);
    let queue = || head.queue_name.as_ref().map(ToString::to_string);
    head.attempt_id.map(|id| id.to_string()).or_else(agent).or_else(queue).unwrap_or_default()
}

/// Node and queue as the path of a URI reference; neither can leave its segment.
fn source(node: &NodeName, queue: Option<&QueueName>) -> String {
    let segment = |text| utf8_percent_encode(text, RESERVED).to_string();
    let of_queue = queue.map_or_else(String::new, |queue| format!("/queues/{}", segment(queue.as_str())));
    format!("/nodes/{}{of_queue}", segment(node.as_str()))
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
            r#"{"specversion":"1.0","id":"74adb6a97cc49aa3c8f77c4b540bfdbd","#,
            r#""source":"/nodes/fs1/queues/support@default","type":"queue.offering","subject":"6247601910615787","#,
            r#""time":"2026-11-23T08:18:46.282Z","datacontenttype":"application/json","data":"#,
        );
        assert_eq!(body, format!("{head}{payload}}}"));
    }

    #[test]
    fn what_is_of_no_attempt_is_about_its_agent_or_its_queue() {
        let of = |event| {
            let payload = serde_json::value::to_raw_value(&Payload::sample(event)).expect("serializes");
            let body: Json = serde_json::from_slice(&body(&payload).expect("formats")).expect("JSON");
            [&body["source"], &body["subject"]].map(|text| text.as_str().expect("a text").to_owned())
        };
        assert_eq!(of(EventName::AgentStatus), ["/nodes/fs1", "agent1"]);
        assert_eq!(of(EventName::QueueCount), ["/nodes/fs1/queues/support@default", "support@default"]);
    }

    proptest! {
        #[test]
        fn whatever_node_and_queue_are_called_the_source_is_a_path_of_four_segments(
            node in "[^.].*", queue in "[^.].*",
        ) {
            let source = source(&node.as_str().into(), Some(&queue.as_str().into()));
            let base = Url::parse("http://base.example/").expect("a URL");
            let url = base.join(&source).expect("a URI reference");
            prop_assert_eq!(url.host_str(), Some("base.example"));
            prop_assert_eq!(url.path(), source);
            prop_assert_eq!(url.path_segments().expect("a path").count(), 4);
        }
    }
}
