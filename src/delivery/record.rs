//! The record of one try, as the delivery log keeps it.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::flow::RenderedRequest;
use crate::id::NodeName;
use crate::moment::value::Time;

/// One try of a step: what was sent, what came back, and what was wrong. Stored as JSON; fields may be added.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TryRecord {
    /// The step's path within its flow.
    pub step: String,
    /// When the try began.
    pub started_at: Time,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
    /// The request that was sent, without its body: the body follows from the flow and the payload.
    pub request: Option<RequestRecord>,
    /// What was answered to it, if anything was.
    pub response: Option<ResponseRecord>,
    /// The command that was given, of a step that gives one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<CommandRecord>,
    /// What was given to a destination, of a step that gives it something.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parcel: Option<ParcelRecord>,
    /// What was wrong, for a person.
    pub error: Option<String>,
    /// Whether the receiver is left alone from now on, after this and others.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub left_alone: bool,
}

/// A command to FreeSWITCH.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CommandRecord {
    /// The node.
    pub node: NodeName,
    /// The command.
    pub line: String,
    /// The answer's beginning, if there was one.
    pub answer: Option<String>,
}

/// What was given to a broker, a database or a mail server. What it carried follows from the flow and the payload.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ParcelRecord {
    /// The destination's name.
    pub destination: String,
    /// The statement, the subject, or who gets the mail.
    pub line: String,
    /// What the destination said, if it has taken it.
    pub answer: Option<String>,
}

/// A request, its secrets masked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RequestRecord {
    /// The method.
    pub method: String,
    /// The URL.
    pub url: String,
    /// The headers.
    pub headers: Vec<(String, String)>,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ResponseRecord {
    /// The status.
    pub status: u16,
    /// The body's beginning, as text.
    pub body: String,
    /// Whether there was more of it.
    pub truncated: bool,
}

/// What stands in the place of a secret.
const MASK: &str = "***";

/// Parts of the names of headers and query parameters whose values are secrets.
const SECRET: [&str; 9] =
    ["authorization", "cookie", "token", "secret", "password", "passwd", "api-key", "apikey", "api_key"];

impl TryRecord {
    /// The record as it is stored.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("texts and numbers are JSON")
    }
}

impl RequestRecord {
    /// The record of a request, with its secrets masked.
    pub fn of(request: &RenderedRequest) -> Self {
        let header = |(name, value): (&reqwest::header::HeaderName, &reqwest::header::HeaderValue)| {
            let secret = value.is_sensitive() || is_secret(name.as_str());
            let value = if secret { MASK.into() } else { String::from_utf8_lossy(value.as_bytes()).into_owned() };
            (name.to_string(), value)
        };
        let headers = request.headers.iter().map(header).collect();
        Self { method: request.method.to_string(), url: mask_url(&request.url), headers }
    }
}

/// Whether a header, a parameter or a field of this name holds a secret.
pub(super) fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SECRET.iter().any(|part| name.contains(part))
}

/// The address, its secrets masked.
pub(super) fn mask_url(url: &url::Url) -> String {
    let mut masked = url.clone();
    if masked.password().is_some() {
        // A URL with a password has a host, so another can be set.
        let _ = masked.set_password(Some(MASK));
    }
    if url.query_pairs().any(|(name, _)| is_secret(&name)) {
        let pairs = url.query_pairs().map(|(name, value)| {
            let value = if is_secret(&name) { MASK.into() } else { value };
            (name, value)
        });
        masked.query_pairs_mut().clear().extend_pairs(pairs);
    }
    masked.into()
}

/// Whole milliseconds of a span that was measured.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use reqwest::Method;
    use reqwest::header::HeaderMap;

    use super::*;

    #[test]
    fn secrets_do_not_reach_the_log() {
        let url = "https://me:hidden@crm.example/pop?phone=1&access_token=hidden".parse().expect("a URL");
        let headers = [("authorization", "Bearer hidden"), ("x-api-key", "hidden"), ("webhook-id", "whr_1_0")];
        let headers = headers.map(|(name, value)| (name.parse().expect("a name"), value.parse().expect("a value")));
        let headers = HeaderMap::from_iter(headers);
        let record = RequestRecord::of(&RenderedRequest { method: Method::POST, url, headers, body: Vec::new() });
        let json = serde_json::to_string(&record).expect("serializes");
        assert!(!json.contains("hidden"), "{json}");
        assert!(json.contains("phone=1") && json.contains("whr_1_0"), "{json}");
    }
}
