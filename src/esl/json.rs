//! The headers of `event json`, decoded when the event is read.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde::ser::{Serialize, Serializer};
use serde_json::Value;

/// The name under which FreeSWITCH puts an event's own body among its headers.
const BODY: &str = "_body";

/// The headers of one event, in the order in which they came, repeated names included.
#[derive(Clone, Debug)]
pub(super) struct JsonHeaders(Vec<(String, String)>);

impl JsonHeaders {
    /// Reads an object; FreeSWITCH does not check that it writes UTF-8, so bytes that are not are replaced.
    pub(super) fn parse(body: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_str(&String::from_utf8_lossy(body))
    }

    /// The first header of that name.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// The headers whose name begins with `prefix`, and of whose name without it `wanted` approves.
    pub(super) fn with_prefix<'a>(
        &'a self,
        prefix: &'a str,
        wanted: impl Fn(&str) -> bool + 'a,
    ) -> impl Iterator<Item = (Cow<'a, str>, Cow<'a, str>)> + 'a {
        self.0.iter().filter(|(name, _)| name != BODY).filter_map(move |(name, value)| {
            let name = name.strip_prefix(prefix).filter(|name| wanted(name))?;
            Some((Cow::Borrowed(name), Cow::Borrowed(value.as_str())))
        })
    }

    pub(super) fn body(&self) -> Option<&[u8]> {
        self.get(BODY).map(str::as_bytes)
    }
}

impl<'de> Deserialize<'de> for JsonHeaders {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Pairs)
    }
}

impl Serialize for JsonHeaders {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

/// Collects an object's members without losing those that share a name.
struct Pairs;

impl<'de> Visitor<'de> for Pairs {
    type Value = JsonHeaders;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of headers")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<JsonHeaders, A::Error> {
        let mut headers = Vec::new();
        while let Some((name, value)) = map.next_entry()? {
            headers.push((name, text(value)));
        }
        Ok(JsonHeaders(headers))
    }
}

/// A value as the plain form has it: a list is `ARRAY::a|:b`, and what is null is empty.
fn text(value: Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text,
        Value::Array(items) => {
            let items: Vec<String> = items.into_iter().map(text).collect();
            format!("ARRAY::{}", items.join("|:"))
        }
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => value.to_string(),
    }
}
