//! The record of one try, as the delivery log keeps it.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::mask::{MASK, SecretValues, is_secret_name, mask_url, mask_urls};
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

impl TryRecord {
    /// The record as it is stored.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("texts and numbers are JSON")
    }

    /// Masks these values, and secrets of URLs, in everything that was sent, answered and said.
    pub(crate) fn mask(&mut self, secrets: &SecretValues) {
        if let Some(RequestRecord { method: _, url, headers }) = &mut self.request {
            // Secrets of URLs are masked since it was recorded.
            secrets.mask_values_in_place(url);
            headers.iter_mut().for_each(|(_, value)| secrets.mask_values_in_place(value));
        }
        if let Some(response) = &mut self.response {
            match response.truncated {
                true => secrets.mask_cut(&mut response.body),
                false => secrets.mask_in_place(&mut response.body),
            }
        }
        if let Some(CommandRecord { node: _, line, answer }) = &mut self.command {
            secrets.mask_in_place(line);
            answer.iter_mut().for_each(|answer| secrets.mask_in_place(answer));
        }
        if let Some(ParcelRecord { destination: _, line, answer }) = &mut self.parcel {
            secrets.mask_in_place(line);
            answer.iter_mut().for_each(|answer| secrets.mask_in_place(answer));
        }
        self.error.iter_mut().for_each(|error| secrets.mask_in_place(error));
    }
}

impl RequestRecord {
    /// The record of a request, with its secrets masked.
    pub fn of(request: &RenderedRequest) -> Self {
        let header = |(name, value): (&reqwest::header::HeaderName, &reqwest::header::HeaderValue)| {
            let secret = value.is_sensitive() || is_secret_name(name.as_str());
            let value = if secret { MASK.into() } else { String::from_utf8_lossy(value.as_bytes()) };
            (name.to_string(), mask_urls(&value).into_owned())
        };
        let headers = request.headers.iter().map(header).collect();
        let url = match request.is_secret_url {
            // Whose it is may be known: an operator sees who does not answer.
            true => format!("{}/{MASK}", request.url.origin().ascii_serialization()),
            false => mask_url(request.url.as_str()).into_owned(),
        };
        Self { method: request.method.to_string(), url, headers }
    }
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

    fn request(url: &str, is_secret_url: bool) -> RenderedRequest {
        let headers = [
            ("authorization", "Bearer hidden"),
            ("x-api-key", "hidden"),
            ("x-functions-key", "hidden"),
            ("x-signature", "hidden"),
            ("x-auth", "hidden"),
            ("private-key", "hidden"),
            ("referer", "https://me:hidden@crm.example/"),
            ("webhook-id", "whr_1_0"),
        ];
        let headers = headers.map(|(name, value)| (name.parse().expect("a name"), value.parse().expect("a value")));
        let url = url.parse().expect("a URL");
        let headers = HeaderMap::from_iter(headers);
        RenderedRequest { method: Method::POST, url, is_secret_url, headers, body: Vec::new() }
    }

    #[test]
    fn secrets_do_not_reach_the_log() {
        let url = "https://me:hidden@crm.example/pop?phone=1&access_token=hidden&sig=hidden&code=hidden&key=hidden";
        let json = serde_json::to_string(&RequestRecord::of(&request(url, false))).expect("serializes");
        assert!(!json.contains("hidden"), "{json}");
        assert!(json.contains("phone=1") && json.contains("whr_1_0"), "{json}");
        let secret = RequestRecord::of(&request("https://me@crm.example:8443/a/hidden?b=hidden", true));
        assert_eq!(secret.url, "https://crm.example:8443/***");
    }

    #[test]
    fn a_value_is_masked_wherever_it_was_sent_answered_or_said() {
        let secrets = SecretValues::default();
        secrets.note("gehe/im17");
        let mut record = TryRecord {
            step: "0".into(),
            started_at: Time(jiff::Timestamp::UNIX_EPOCH),
            duration_ms: 1,
            request: Some(RequestRecord::of(&request("https://crm.example/a/gehe%2Fim17?b=gehe%2Fim17", false))),
            response: Some(ResponseRecord { status: 401, body: "no such key: gehe/im17".into(), truncated: false }),
            command: Some(CommandRecord {
                node: "fs1".into(),
                line: "x gehe/im17".into(),
                answer: Some("gehe/im17".into()),
            }),
            parcel: Some(ParcelRecord { destination: "mq".into(), line: "gehe/im17".into(), answer: None }),
            error: Some("redirects are not followed (to https://b.example/?token=x17&c=gehe%2Fim17)".into()),
            left_alone: false,
        };
        record.mask(&secrets);
        let json = record.to_json();
        assert!(!json.contains("im17") && !json.contains("x17"), "{json}");
        assert!(json.contains("https://crm.example/a/***?b=***"), "{json}");
    }
}
