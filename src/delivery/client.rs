//! The HTTP client: sends one try and says what came of it.

use std::collections::BTreeSet;
use std::sync::{PoisonError, RwLock};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use reqwest::StatusCode;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use super::breaker::Health;
use super::limits::{Held, Limits, Permit};
use super::mask::SecretValues;
use super::network::{NetworkFailure, root_cause};
use super::priority::Priority;
use super::record::{RequestRecord, ResponseRecord, TryRecord, millis};
use super::signature::SigningKeys;
use super::verdict::Verdict;
use super::way::{self, Way};
use crate::failpoint;
use crate::flow::RenderedRequest;
use crate::moment::value::Time;
use crate::telemetry::Histogram;

/// How long an answer's body may take after its head: the verdict is known from the head, the body is for the log.
const BODY_TIMEOUT: Duration = Duration::from_secs(5);

/// How much of an answer's body is read, so that a connection can be used again after an answer of usual length.
const BODY_READ: usize = 64 * 1_024;

/// How much of it the log keeps: enough for an error message.
const BODY_KEPT: usize = 4 * 1_024;

/// Sends requests, within limits. Made once and shared, because connections are kept in it.
#[derive(Debug)]
pub struct Client {
    http: reqwest::Client,
    limits: Limits,
    figures: Figures,
    secrets: RwLock<SecretValues>,
}

/// How long tries took, by what they came to.
#[derive(Debug, Default)]
pub struct Figures {
    /// Those that delivered.
    pub delivered: Histogram,
    /// Those that are made again.
    pub retried: Histogram,
    /// Those after which none is made any more.
    pub failed: Histogram,
}

/// One try to be made.
#[derive(Debug)]
pub struct Attempted<'a> {
    /// The step's path within its flow.
    pub step: &'a str,
    /// The identifier that the receiver tells repeats by.
    pub webhook_id: &'a str,
    /// The request.
    pub request: RenderedRequest,
    /// The way to its receiver, where that has one of its own.
    pub way: Option<&'a Way>,
    /// The keys that sign it.
    pub keys: &'a SigningKeys,
    /// How long the whole try may take.
    pub timeout: Duration,
    /// Whether the answer is wanted, beside what the log keeps of it.
    pub keep_answer: bool,
}

/// A try that was made.
#[derive(Debug)]
pub struct Sent {
    /// What the log keeps of it.
    pub record: TryRecord,
    /// What it has come to.
    pub verdict: Verdict,
    /// The answer, if there was one and it was wanted.
    pub answer: Option<Answer>,
}

/// A receiver's answer.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, or its beginning.
    pub body: Vec<u8>,
    /// Whether there was more of it.
    pub truncated: bool,
}

impl Client {
    /// A client that follows no redirects and uses no proxy. A provider of cryptography for `rustls` must be installed.
    pub fn new(limits: Limits) -> Result<Self, reqwest::Error> {
        let http = way::builder(None).build()?;
        Ok(Self { http, limits, figures: Figures::default(), secrets: RwLock::default() })
    }

    /// Masks these values as well from now on, in whatever is recorded and told of steps. Those of before stay masked: runs
    /// go on by what they began with.
    pub fn mask(&self, secrets: &SecretValues) {
        let mut known = self.secrets.write().unwrap_or_else(PoisonError::into_inner);
        secrets.extend(&known);
        *known = secrets.clone();
    }

    /// The values that are masked.
    pub fn secrets(&self) -> SecretValues {
        self.secrets.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What it has counted since the start.
    pub fn figures(&self) -> &Figures {
        &self.figures
    }

    /// The receivers to whom something was sent, and whether each is left alone now.
    pub fn receivers(&self) -> Vec<(String, bool)> {
        self.limits.receivers()
    }

    /// Waits until receivers answer again that did not, and gives each once.
    pub async fn recovered(&self) -> BTreeSet<String> {
        self.limits.recovered().await
    }

    /// Has [`Client::recovered`] give the receiver again if it answers: a run that is deferred for its sake may have come
    /// too late.
    pub fn recheck(&self, receiver: &str) {
        self.limits.recheck(receiver);
    }

    /// Waits until the limits allow the request to be sent. One that somebody asked for tries a receiver that is left alone.
    pub async fn permit(
        &self,
        request: &RenderedRequest,
        way: Option<&Way>,
        priority: Priority,
        is_asked: bool,
    ) -> Result<Permit, Held> {
        let turn = match way {
            Some(way) => way.turn(priority).await,
            None => None,
        };
        self.limits.permit(request.url.origin(), turn, priority, is_asked).await
    }

    /// Makes the try, for which there is a permit. Its time runs from now on.
    pub async fn send(&self, permit: Permit, attempted: Attempted<'_>) -> Sent {
        let Attempted { step, webhook_id, mut request, way, keys, timeout, keep_answer } = attempted;
        let (now, started) = (Timestamp::now(), Instant::now());
        let authorized = match way {
            Some(way) => way.credentials.authorize(&mut request.headers).await,
            None => Ok(()),
        };
        sign(&mut request, webhook_id, now, keys);
        let (sent, own_secrets) =
            (RequestRecord::of(&request), SecretValues::of_request(&request.url, &request.headers));
        failpoint::before_request();
        let kept = if keep_answer { BODY_READ } else { BODY_KEPT };
        let is_sent = authorized.is_ok();
        let (answer, verdict) = match authorized {
            Ok(()) => self.exchange(request, way, timeout, kept).await,
            Err(reason) => (None, Verdict::Retry { reason, after: None }),
        };
        failpoint::after_response();
        let health = health(answer.as_ref(), &verdict).filter(|_| is_sent);
        let left_alone = health.is_some_and(|health| permit.note(health));
        self.figures.note(&verdict, started.elapsed());
        let error = match &verdict {
            Verdict::Delivered => None,
            Verdict::Retry { reason, .. } | Verdict::Failed { reason } => Some(reason.clone()),
        };
        let mut record = TryRecord {
            step: step.to_owned(),
            started_at: Time(now),
            duration_ms: millis(started.elapsed()),
            request: Some(sent),
            response: answer.as_ref().map(Answer::record),
            command: None,
            parcel: None,
            error,
            left_alone,
        };
        record.mask(&own_secrets);
        Sent { record, verdict, answer: answer.filter(|_| keep_answer) }
    }

    async fn exchange(
        &self,
        request: RenderedRequest,
        way: Option<&Way>,
        timeout: Duration,
        kept: usize,
    ) -> (Option<Answer>, Verdict) {
        let RenderedRequest { method, url, headers, body, is_secret_url: _ } = request;
        let deadline = tokio::time::Instant::now() + timeout;
        let http = way.map_or(&self.http, |way| &way.http);
        let send = http.request(method, url).headers(headers).body(body).send();
        let response = match tokio::time::timeout_at(deadline, send).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return (None, unanswered(&error)),
            Err(_) => {
                let reason = format!("{}: no answer within {timeout:?}", NetworkFailure::Timeout);
                return (None, Verdict::Retry { reason, after: None });
            }
        };
        let (status, headers) = (response.status(), response.headers().clone());
        let verdict = match way {
            Some(way) if status == StatusCode::UNAUTHORIZED && way.credentials.renew().await => Verdict::Retry {
                reason: format!("{status}: the access token is refused; the next try has a new one"),
                after: None,
            },
            _ => Verdict::of_answer(status, &headers, Timestamp::now()),
        };
        let body_deadline = deadline.min(tokio::time::Instant::now() + BODY_TIMEOUT);
        let (body, truncated) = read_body(response, body_deadline, kept).await;
        (Some(Answer { status: status.as_u16(), headers, body, truncated }), verdict)
    }
}

impl Figures {
    pub(crate) fn note(&self, verdict: &Verdict, duration: Duration) {
        let histogram = match verdict {
            Verdict::Delivered => &self.delivered,
            Verdict::Retry { .. } => &self.retried,
            Verdict::Failed { .. } => &self.failed,
        };
        histogram.observe(duration);
    }
}

impl Answer {
    /// What the log keeps of it.
    fn record(&self) -> ResponseRecord {
        let kept = &self.body[..self.body.len().min(BODY_KEPT)];
        ResponseRecord {
            status: self.status,
            body: String::from_utf8_lossy(kept).into_owned(),
            truncated: self.truncated || kept.len() < self.body.len(),
        }
    }
}

/// What the end of a request says of its receiver: nothing, where it could not even be put together.
fn health(answer: Option<&Answer>, verdict: &Verdict) -> Option<Health> {
    match (answer, verdict) {
        (Some(answer), _) if answer.status >= 500 => Some(Health::Ill),
        (Some(_), _) => Some(Health::Well),
        (None, Verdict::Retry { .. }) => Some(Health::Ill),
        (None, Verdict::Delivered | Verdict::Failed { .. }) => None,
    }
}

/// Adds the headers of Standard Webhooks.
fn sign(request: &mut RenderedRequest, webhook_id: &str, now: Timestamp, keys: &SigningKeys) {
    let signature = keys.sign(webhook_id, now, &request.body);
    let headers = [
        ("webhook-id", Some(webhook_id.to_owned())),
        ("webhook-timestamp", Some(now.as_second().to_string())),
        ("webhook-signature", signature),
    ];
    for (name, value) in headers {
        if let Some(value) = value.and_then(|value| HeaderValue::try_from(value).ok()) {
            request.headers.insert(HeaderName::from_static(name), value);
        }
    }
}

/// What a request that had no answer has come to. One that can't even be put together fails at once.
fn unanswered(error: &reqwest::Error) -> Verdict {
    let cause = root_cause(error);
    if error.is_builder() {
        return Verdict::Failed { reason: format!("the request can't be made: {cause}") };
    }
    Verdict::Retry { reason: format!("{}: {cause}", NetworkFailure::of(error)), after: None }
}

/// Reads a body under limits of size and time, and keeps its beginning of so many bytes. Says whether there was more.
async fn read_body(mut response: reqwest::Response, deadline: tokio::time::Instant, most: usize) -> (Vec<u8>, bool) {
    let mut kept = Vec::new();
    let mut read = 0;
    let truncated = loop {
        match tokio::time::timeout_at(deadline, response.chunk()).await {
            Ok(Ok(Some(chunk))) => {
                read += chunk.len();
                let room = most.saturating_sub(kept.len()).min(chunk.len());
                kept.extend_from_slice(&chunk[..room]);
                if read > BODY_READ {
                    break true;
                }
            }
            Ok(Ok(None)) => break read > kept.len(),
            Ok(Err(_)) | Err(_) => break true,
        }
    };
    (kept, truncated)
}
