//! A signed request, as a receiver gets it.

use std::time::Duration;

use hookswitch::delivery::client::Attempted;
use hookswitch::delivery::signature::SigningKeys;
use hookswitch::delivery::statuses::StatusRules;
use hookswitch::delivery::{Client, Limits, Priority, TryKind, Verdict};
use hookswitch::flow::RenderedRequest;
use hookswitch::moment::{EventName, Format, Payload};
use jiff::{SignedDuration, Timestamp};
use reqwest::Method;
use reqwest::header::HeaderMap;
use wiremock::{Mock, MockServer, ResponseTemplate, matchers};

pub(crate) const NEW: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
pub(crate) const OLD: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
pub(crate) const STRANGER: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// What of a request is signed, and the signature.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) id: String,
    pub(crate) timestamp: i64,
    pub(crate) signature: String,
    pub(crate) body: String,
}

impl Request {
    /// A request that the client has sent, signed with these secrets.
    pub(crate) async fn signed_with(secrets: &[&str]) -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let server = MockServer::start().await;
        Mock::given(matchers::any()).respond_with(ResponseTemplate::new(200)).mount(&server).await;
        let keys = SigningKeys::from_secrets(secrets.iter().copied()).expect("secrets");
        let attempted = Attempted {
            step: "0",
            webhook_id: "whr_5a5a5a5a_0",
            request: RenderedRequest {
                is_secret_url: false,
                method: Method::POST,
                url: server.uri().parse().expect("a URL"),
                headers: HeaderMap::new(),
                body: body(),
            },
            way: None,
            keys: &keys,
            rules: &StatusRules::default(),
            timeout: Duration::from_secs(60),
            keep_answer: false,
        };
        let client = Client::new(Limits::default()).expect("a client");
        let permit = client
            .permit(&attempted.request, None, Priority::Normal, TryKind::First { since: std::time::Instant::now() })
            .await
            .expect("nothing has failed yet");
        let verdict = client.send(permit, attempted).await.verdict;
        assert_eq!(verdict, Verdict::Delivered);
        Self::of(&server.received_requests().await.expect("kept")[0])
    }

    fn of(received: &wiremock::Request) -> Self {
        let header = |name: &str| received.headers[name].to_str().expect("ASCII").to_owned();
        Self {
            id: header("webhook-id"),
            timestamp: header("webhook-timestamp").parse().expect("seconds"),
            signature: header("webhook-signature"),
            body: String::from_utf8(received.body.clone()).expect("UTF-8"),
        }
    }

    /// The same request, properly signed ten minutes ago.
    pub(crate) fn signed_long_ago(&self) -> Self {
        let then = Timestamp::now() - SignedDuration::from_mins(10);
        let keys = SigningKeys::from_secrets([NEW]).expect("a secret");
        let signature = keys.sign(&self.id, then, self.body.as_bytes()).expect("signed");
        Self { timestamp: then.as_second(), signature, ..self.clone() }
    }
}

/// A body of characters that are several bytes long, and that JavaScript once took for the end of a line.
fn body() -> Vec<u8> {
    let mut payload = Payload::sample(EventName::Offering);
    payload.member_name = Some("Zoë \u{2028} 👩".to_owned());
    let payload = serde_json::value::to_raw_value(&payload).expect("serializes");
    Format::Standard.body(&payload).expect("formats")
}
