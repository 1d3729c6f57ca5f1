//! One event of the Event Socket, kept as the bytes it came in; headers are found and decoded when they are asked for.

use std::borrow::Cow;

use bytes::Bytes;
use percent_encoding::percent_decode;

/// What FreeSWITCH writes for an empty value.
const UNDEFINED: &str = "_undef_";

/// An event.
#[derive(Clone, Debug)]
pub struct Event {
    form: Form,
}

#[derive(Clone, Debug)]
enum Form {
    /// `event plain`: the headers' bytes, a line each, values percent-encoded.
    Plain(Bytes),
    /// `event json`: the headers, decoded; a list is written as the plain form has it (`ARRAY::a|:b`).
    Json(Vec<(String, String)>),
}

/// An event that could not be read.
#[derive(Debug, thiserror::Error)]
pub enum MalformedEvent {
    /// The body of a JSON event is not a JSON object.
    #[error("the body of a JSON event is not a JSON object")]
    Json(#[source] serde_json::Error),
}

impl Event {
    /// An event of `event plain`, from the body of its frame.
    pub fn from_plain(body: Bytes) -> Self {
        Self { form: Form::Plain(body) }
    }

    /// An event of `event json`, from the body of its frame. Bytes that are not UTF-8 are replaced.
    pub fn from_json(body: &[u8]) -> Result<Self, MalformedEvent> {
        let object: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(&String::from_utf8_lossy(body)).map_err(MalformedEvent::Json)?;
        let headers = object.into_iter().filter_map(|(name, value)| Some((name, json_text(value)?))).collect();
        Ok(Self { form: Form::Json(headers) })
    }

    /// The first header of that name, decoded; none if it is absent, empty or undefined.
    pub fn header(&self, name: &str) -> Option<Cow<'_, str>> {
        let value = match &self.form {
            Form::Plain(body) => plain_headers(body).find(|(n, _)| *n == name.as_bytes()).map(|(_, v)| decode(v))?,
            Form::Json(headers) => headers.iter().find(|(n, _)| n == name).map(|(_, v)| Cow::Borrowed(v.as_str()))?,
        };
        (!value.is_empty() && value != UNDEFINED).then_some(value)
    }

    /// Every header whose name begins with `prefix`, without that prefix, decoded, in the order in which they came.
    pub fn headers_with_prefix<'a>(
        &'a self,
        prefix: &'a str,
    ) -> Box<dyn Iterator<Item = (Cow<'a, str>, Cow<'a, str>)> + 'a> {
        match &self.form {
            Form::Plain(body) => Box::new(plain_headers(body).filter_map(move |(n, v)| {
                Some((String::from_utf8_lossy(n.strip_prefix(prefix.as_bytes())?), decode(v)))
            })),
            Form::Json(headers) => {
                Box::new(headers.iter().filter_map(move |(n, v)| {
                    Some((Cow::Borrowed(n.strip_prefix(prefix)?), Cow::Borrowed(v.as_str())))
                }))
            }
        }
    }
}

fn plain_headers(body: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    body.split(|b| *b == b'\n').take_while(|line| !line.is_empty()).filter_map(|line| {
        let colon = memchr::memmem::find(line, b": ")?;
        Some((&line[..colon], &line[colon + 2..]))
    })
}

fn decode(value: &[u8]) -> Cow<'_, str> {
    match Cow::from(percent_decode(value)) {
        Cow::Borrowed(bytes) => String::from_utf8_lossy(bytes),
        Cow::Owned(bytes) => {
            Cow::Owned(String::from_utf8(bytes).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned()))
        }
    }
}

fn json_text(value: serde_json::Value) -> Option<String> {
    match value {
        serde_json::Value::String(text) => Some(text),
        serde_json::Value::Array(items) => {
            let items: Vec<String> = items.into_iter().filter_map(json_text).collect();
            Some(format!("ARRAY::{}", items.join("|:")))
        }
        serde_json::Value::Null => None,
        other => Some(other.to_string()),
    }
}
