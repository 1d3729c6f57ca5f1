//! One event of the Event Socket, kept as the bytes it came in; headers are found and decoded when they are asked for.

use std::borrow::Cow;

use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{json::JsonHeaders, plain::PlainHeaders};

/// What FreeSWITCH writes for an empty value.
const UNDEFINED: &str = "_undef_";

/// The value, unless it is empty, in either way of writing that.
pub fn non_empty(value: Cow<'_, str>) -> Option<Cow<'_, str>> {
    (!value.is_empty() && value != UNDEFINED).then_some(value)
}

/// An event.
///
/// A plain event is a slice of the buffer that it was read into, and keeps all of that buffer (256 KiB) in memory: take
/// from it what is needed and let it go. Names are compared byte by byte.
#[derive(Clone, Debug)]
pub struct Event {
    form: Form,
}

#[derive(Clone, Debug)]
enum Form {
    /// `event plain`: the headers' bytes, a line each, values percent-encoded.
    Plain(PlainHeaders),
    /// `event json`: the headers, decoded; a list is written as the plain form has it (`ARRAY::a|:b`).
    Json(JsonHeaders),
}

/// An event that could not be read.
#[derive(Debug, thiserror::Error)]
pub enum MalformedEvent {
    /// The body of a JSON event is not a JSON object.
    #[error("the body of a JSON event is not a JSON object")]
    Json(#[source] serde_json::Error),
}

impl Event {
    /// An event of `event plain`, from the body of its frame. Only the lines before the first blank one are headers.
    pub fn from_plain(body: Bytes) -> Self {
        Self { form: Form::Plain(PlainHeaders::new(body)) }
    }

    /// An event of `event json`, from the body of its frame. Bytes that are not UTF-8 are replaced.
    pub fn from_json(body: &[u8]) -> Result<Self, MalformedEvent> {
        Ok(Self { form: Form::Json(JsonHeaders::parse(body).map_err(MalformedEvent::Json)?) })
    }

    /// The first header of that name, decoded; none if it is absent, empty or undefined.
    ///
    /// A value that needs no decoding is borrowed. A `+` is a plus; a `%` that begins no valid sequence is itself; bytes
    /// that are not UTF-8 are replaced.
    pub fn header(&self, name: &str) -> Option<Cow<'_, str>> {
        let value = match &self.form {
            Form::Plain(headers) => headers.get(name)?,
            Form::Json(headers) => Cow::Borrowed(headers.get(name)?),
        };
        non_empty(value)
    }

    /// Every header, decoded, in the order in which they came; repeated names and undefined values included.
    pub fn headers(&self) -> Box<dyn Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> + '_> {
        self.headers_with_prefix("", |_| true)
    }

    /// Every header whose name begins with `prefix`, in the order in which they came; its name is given without that
    /// prefix. Only values of whose name `wanted` approves are decoded.
    pub fn headers_with_prefix<'a>(
        &'a self,
        prefix: &'a str,
        wanted: impl Fn(&str) -> bool + 'a,
    ) -> Box<dyn Iterator<Item = (Cow<'a, str>, Cow<'a, str>)> + 'a> {
        match &self.form {
            Form::Plain(headers) => Box::new(headers.with_prefix(prefix, wanted)),
            Form::Json(headers) => Box::new(headers.with_prefix(prefix, wanted)),
        }
    }

    /// Adds the event's frame to `out`, as FreeSWITCH writes it: of an event that came as plain text the very bytes.
    pub fn write_frame(&self, out: &mut Vec<u8>) {
        match &self.form {
            Form::Plain(headers) => write_body(out, "text/event-plain", headers.text()),
            Form::Json(headers) => {
                let text = serde_json::to_vec(headers).expect("headers are plain data");
                write_body(out, "text/event-json", &text);
            }
        }
    }

    /// About how many bytes it has.
    pub fn size(&self) -> usize {
        match &self.form {
            Form::Plain(headers) => headers.text().len(),
            Form::Json(_) => self.headers().map(|(name, value)| name.len() + value.len()).sum(),
        }
    }

    /// The event's own body: what follows its headers, as long as its inner `Content-Length` says (at most what came).
    pub fn body(&self) -> Option<&[u8]> {
        match &self.form {
            Form::Plain(headers) => headers.body(),
            Form::Json(headers) => headers.body(),
        }
    }
}

/// Writes a frame's head in FreeSWITCH's form, and its body.
fn write_body(out: &mut Vec<u8>, content_type: &str, body: &[u8]) {
    let head = format!("Content-Length: {}\nContent-Type: {content_type}\n\n", body.len());
    out.extend_from_slice(head.as_bytes());
    out.extend_from_slice(body);
}

/// As an object of headers, in their order, repeated names included.
impl Serialize for Event {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.form {
            Form::Plain(_) => serializer.collect_map(self.headers()),
            Form::Json(headers) => headers.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Event {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self { form: Form::Json(JsonHeaders::deserialize(deserializer)?) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(text: &str) -> Event {
        Event::from_plain(Bytes::copy_from_slice(text.as_bytes()))
    }

    #[test]
    fn a_value_is_percent_decoded_and_a_plus_stays_a_plus() {
        let event = plain("A: 1%202+3%0A\nB: 100%\nC: %zz%4\nD: caf%E9\nE: %C3%A9\n\n");
        let all = ["A", "B", "C", "D", "E"].map(|name| event.header(name).expect("present").into_owned());
        assert_eq!(all, ["1 2+3\n", "100%", "%zz%4", "caf\u{fffd}", "é"]);
    }

    #[test]
    fn a_value_without_escapes_is_borrowed() {
        assert!(matches!(plain("Event-Name: HEARTBEAT\n\n").header("Event-Name"), Some(Cow::Borrowed("HEARTBEAT"))));
    }

    #[test]
    fn an_empty_or_undefined_value_is_none_and_the_first_of_a_name_wins() {
        let event = plain("A: _undef_\nB: \nHangup-Cause: ONE\nHangup-Cause: TWO\n\n");
        assert_eq!(event.header("A"), None);
        assert_eq!(event.header("B"), None);
        assert_eq!(event.header("C"), None);
        assert_eq!(event.header("Hangup-Cause").as_deref(), Some("ONE"));
        let json =
            Event::from_json(br#"{"A":"_undef_","B":"","Hangup-Cause":"ONE","Hangup-Cause":"TWO"}"#).expect("reads");
        assert_eq!(json.header("A"), None);
        assert_eq!(json.header("B"), None);
        assert_eq!(json.header("Hangup-Cause").as_deref(), Some("ONE"));
        assert_eq!(json.headers().count(), 4);
    }

    #[test]
    fn a_name_that_holds_the_separator_is_kept_whole() {
        let event = plain("variable_x-Odd Name: with colon: odd%20header\nvariable_x: y\n\n");
        assert_eq!(event.header("variable_x-Odd Name: with colon").as_deref(), Some("odd header"));
        assert_eq!(event.header("variable_x-Odd Name"), None);
        let names: Vec<_> =
            event.headers_with_prefix("variable_", |_| true).map(|(name, _)| name.into_owned()).collect();
        assert_eq!(names, ["x-Odd Name: with colon", "x"]);
        let wanted: Vec<_> = event.headers_with_prefix("variable_", |name| name == "x").collect();
        assert_eq!(wanted, [("x".into(), "y".into())]);
    }

    #[test]
    fn lines_after_the_blank_one_are_body_and_not_headers() {
        let event = plain("A: 1\nContent-Length: 6\n\nB: 2\n\nC: 3\n");
        assert_eq!(event.header("B"), None);
        assert_eq!(event.body(), Some(&b"B: 2\n\n"[..]));
        assert_eq!(plain("A: 1\nContent-Length: 99\n\nshort").body(), Some(&b"short"[..]));
        assert_eq!(plain("A: 1\nContent-Length: -1\n\nshort").body(), None);
        assert_eq!(plain("A: 1\n\n").body(), None);
        assert_eq!(Event::from_json(br#"{"_body":"text"}"#).expect("reads").body(), Some(&b"text"[..]));
    }

    #[test]
    fn a_last_line_without_a_newline_counts() {
        let event = plain("A: 1\nB: 2");
        assert_eq!(event.header("B").as_deref(), Some("2"));
        assert_eq!(event.header(""), None);
        assert_eq!(plain("").header("A"), None);
        assert_eq!(plain("\nA: 1\n").header("A"), None);
    }

    #[test]
    fn json_that_is_not_an_object_is_an_error() {
        for body in [&b"[]"[..], b"", b"{", b"nul", b"{\"a\":\"\\ud800\"}"] {
            assert!(Event::from_json(body).is_err(), "{}", String::from_utf8_lossy(body));
        }
        assert!(Event::from_json(&b"[".repeat(100_000)).is_err());
    }

    #[test]
    fn json_bytes_that_are_not_utf8_are_replaced_and_a_list_is_written_as_in_plain() {
        let event = Event::from_json(b"{\"A\":\"Jos\xe9\",\"B\":[\"x\",\"y\"],\"C\":7,\"D\":null}").expect("reads");
        assert_eq!(event.header("A").as_deref(), Some("Jos\u{fffd}"));
        assert_eq!(event.header("B").as_deref(), Some("ARRAY::x|:y"));
        assert_eq!(event.header("C").as_deref(), Some("7"));
        assert_eq!(event.header("D"), None);
    }
}
