//! An event of the simulated FreeSWITCH, and its two forms on the wire.

use std::borrow::Cow;
use std::fmt::Write;

use bytes::Bytes;

/// A header: names are nearly always known at compile time.
pub type Header = (Cow<'static, str>, String);

/// The characters that FreeSWITCH encodes in values beside control bytes and what is not ASCII.
const UNSAFE_IN_VALUES: &[u8] = b" #%&+:;<=>?@[\\]^`{|}\"";

/// How a client asked for its events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WireFormat {
    /// `event plain`.
    #[default]
    Plain,
    /// `event json`.
    Json,
}

impl WireFormat {
    /// The word that commands and replies use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Json => "json",
        }
    }
}

/// One event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SimulatedEvent {
    name: &'static str,
    subclass: Option<&'static str>,
    headers: Vec<Header>,
    body: Option<String>,
}

impl SimulatedEvent {
    /// An event without headers.
    pub(super) fn new(name: &'static str, subclass: Option<&'static str>) -> Self {
        // An event with channel data has about 300 headers, one without about 20.
        let mut event = Self { name, subclass, headers: Vec::with_capacity(32), body: None };
        if let Some(subclass) = subclass {
            event.push("Event-Subclass", subclass);
        }
        event.push("Event-Name", name);
        event
    }

    /// The event's type, as subscriptions name it.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The subclass of a `CUSTOM` event.
    pub fn subclass(&self) -> Option<&'static str> {
        self.subclass
    }

    /// All headers, in their order.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.headers.iter().map(|(name, value)| (name.as_ref(), value.as_str()))
    }

    /// The first header of that name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers().find(|(candidate, _)| *candidate == name).map(|(_, value)| value)
    }

    pub(super) fn push(&mut self, name: impl Into<Cow<'static, str>>, value: impl Into<String>) {
        self.headers.push((name.into(), value.into()));
    }

    pub(super) fn extend(&mut self, headers: impl IntoIterator<Item = Header>) {
        self.headers.extend(headers);
    }

    pub(super) fn set_body(&mut self, body: String) {
        self.body = Some(body);
    }

    /// The whole frame, with the headers that announce it.
    pub fn to_frame(&self, format: WireFormat) -> Bytes {
        let event = self.to_text(format);
        let format = format.as_str();
        format!("Content-Length: {}\nContent-Type: text/event-{format}\n\n{event}", event.len()).into()
    }

    /// The event without the headers that announce it.
    pub fn to_text(&self, format: WireFormat) -> String {
        match format {
            WireFormat::Plain => self.to_plain(),
            WireFormat::Json => self.to_json(),
        }
    }

    fn to_plain(&self) -> String {
        let mut text = String::with_capacity(64 * self.headers.len());
        for (name, value) in &self.headers {
            text.push_str(name);
            text.push_str(": ");
            encode_value(value, &mut text);
            text.push('\n');
        }
        match &self.body {
            Some(body) => {
                let _ = write!(text, "Content-Length: {}\n\n{body}", body.len());
            }
            None => text.push('\n'),
        }
        text
    }

    /// The headers as a JSON object. A name that occurs twice keeps its first value, as FreeSWITCH's own client reads it.
    pub fn to_json(&self) -> String {
        let mut object = serde_json::Map::new();
        for (name, value) in &self.headers {
            object.entry(name.as_ref()).or_insert_with(|| json_value(value));
        }
        if let Some(body) = &self.body {
            object.insert("Content-Length".into(), body.len().to_string().into());
            object.insert("_body".into(), body.as_str().into());
        }
        serde_json::Value::Object(object).to_string()
    }
}

/// A list of two or more becomes an array.
fn json_value(value: &str) -> serde_json::Value {
    match value.strip_prefix("ARRAY::") {
        Some(items) if items.contains("|:") => items.split("|:").collect(),
        _ => value.into(),
    }
}

/// Percent-encodes as FreeSWITCH does: an existing `%XX` stays as it is, and an empty value is spelled out.
fn encode_value(value: &str, text: &mut String) {
    if value.is_empty() {
        text.push_str("_undef_");
        return;
    }
    let is_hex = |byte: Option<&u8>| byte.is_some_and(|b| matches!(b, b'0'..=b'9' | b'A'..=b'F'));
    let bytes = value.as_bytes();
    for (at, &byte) in bytes.iter().enumerate() {
        let already_encoded = byte == b'%' && is_hex(bytes.get(at + 1)) && is_hex(bytes.get(at + 2));
        if !already_encoded && (!(b' '..=b'~').contains(&byte) || UNSAFE_IN_VALUES.contains(&byte)) {
            let _ = write!(text, "%{byte:02X}");
        } else {
            text.push(char::from(byte));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(value: &str) -> String {
        let mut text = String::new();
        encode_value(value, &mut text);
        text
    }

    #[test]
    fn values_are_encoded_as_freeswitch_encodes_them() {
        assert_eq!(encoded("Mon, 23 Nov"), "Mon,%2023%20Nov");
        assert_eq!(encoded("Zoë\n\u{1}"), "Zo%C3%AB%0A%01");
        assert_eq!(encoded("callcenter::info"), "callcenter%3A%3Ainfo");
        assert_eq!(encoded("100% of %41"), "100%25%20of%20%41");
        assert_eq!(encoded(""), "_undef_");
    }

    #[test]
    fn a_frame_announces_its_length() {
        let mut event = SimulatedEvent::new("BACKGROUND_JOB", None);
        event.set_body("+OK\n".into());
        assert_eq!(
            event.to_frame(WireFormat::Plain),
            "Content-Length: 50\nContent-Type: text/event-plain\n\nEvent-Name: BACKGROUND_JOB\nContent-Length: 4\n\n+OK\n"
        );
    }

    #[test]
    fn a_list_is_an_array_in_json_from_two_elements_on() {
        let mut event = SimulatedEvent::new("HEARTBEAT", None);
        event.push("a", "ARRAY::x|:y");
        event.push("b", "ARRAY::x");
        assert_eq!(event.to_json(), r#"{"Event-Name":"HEARTBEAT","a":["x","y"],"b":"ARRAY::x"}"#);
    }
}
