//! Payload formats: the shapes in which a moment is sent to a receiver.
//!
//! - [`standard`]: Standard Webhooks' envelope around the payload.
//! - [`cloudevents`]: CloudEvents' envelope around the payload.
//! - [`webitel`]: a flat map of strings, as Webitel's engine gives it to its flows.

mod cloudevents;
mod standard;
mod webitel;

use serde_json::Value as Json;
use serde_json::value::RawValue;

use super::event::EventName;

/// A payload format.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// Standard Webhooks: type, timestamp, data.
    #[default]
    Standard,
    /// CloudEvents 1.0, in structured mode.
    CloudEvents,
    /// Webitel's flat map of strings.
    Webitel,
}

impl Format {
    /// Every format.
    pub const ALL: [Self; 3] = [Self::Standard, Self::CloudEvents, Self::Webitel];

    /// Every format by the name that it has in the configuration.
    pub const NAMES: [(&str, Self); 3] =
        [("standard", Self::Standard), ("cloudevents", Self::CloudEvents), ("webitel", Self::Webitel)];

    /// The name that it has in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::CloudEvents => "cloudevents",
            Self::Webitel => "webitel",
        }
    }

    /// What it is, in a paragraph for a person who chooses one.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Standard => standard::MEANING,
            Self::CloudEvents => cloudevents::MEANING,
            Self::Webitel => webitel::MEANING,
        }
    }

    /// The body's media type.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Standard | Self::Webitel => "application/json",
            Self::CloudEvents => "application/cloudevents+json",
        }
    }

    /// The body for a payload's JSON.
    pub fn body(self, payload: &RawValue) -> Result<Vec<u8>, serde_json::Error> {
        match self {
            Self::Standard => standard::body(payload),
            Self::CloudEvents => cloudevents::body(payload),
            Self::Webitel => webitel::body(payload),
        }
    }

    /// The JSON schema of the body, given that of the event's payload.
    pub fn schema(self, event: EventName, mut payload: Json) -> Json {
        // What the payload's schema refers to is looked for at the root.
        let definitions = payload.as_object_mut().and_then(|payload| {
            payload.remove("$schema");
            payload.remove("$defs")
        });
        let mut schema = match self {
            Self::Standard => standard::schema(event, payload),
            Self::CloudEvents => cloudevents::schema(event, payload),
            Self::Webitel => webitel::schema(event),
        };
        schema["$schema"] = "https://json-schema.org/draft/2020-12/schema".into();
        schema["title"] = format!("{} ({})", type_of(event), self.as_str()).into();
        schema["description"] = event.meaning().into();
        schema["type"] = "object".into();
        if let Some(definitions) = definitions.filter(|_| self != Self::Webitel) {
            schema["$defs"] = definitions;
        }
        schema
    }
}

/// What envelopes call a moment of the event.
fn type_of(event: EventName) -> String {
    format!("queue.{event}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_format_has_one_name() {
        assert_eq!(Format::NAMES, Format::ALL.map(|format| (format.as_str(), format)));
    }

    #[test]
    fn what_is_no_payload_is_an_error() {
        for json in ["{}", "[]", r#"{"event":"joined"}"#] {
            let payload: &RawValue = serde_json::from_str(json).expect("JSON");
            for format in Format::ALL {
                assert!(format.body(payload).is_err(), "{json} as {}", format.as_str());
            }
        }
    }
}
