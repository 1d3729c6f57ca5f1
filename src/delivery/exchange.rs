//! One try of a request: from the credentials to the answer's last byte, within one deadline.

use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::{ACCEPT_ENCODING, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Response, StatusCode};
use tokio::time::{Instant, timeout_at};
use url::Url;

use super::answer::Answer;
use super::connections::{self, Connections};
use super::mask::SecretValues;
use super::network::{self, NetworkFailure, root_cause};
use super::record::RequestRecord;
use super::redirect::Redirects;
use super::signature::SigningKeys;
use super::statuses::{Meaning, StatusRules, Statuses};
use super::verdict::{Verdict, led_to, retry_after};
use super::way::Way;
use crate::failpoint;
use crate::flow::RenderedRequest;

/// One try, and all that it depends on.
#[derive(Debug)]
pub(super) struct Exchange<'a> {
    /// What is used where the receiver has no way of its own.
    pub(super) connections: &'a Connections,
    pub(super) way: Option<&'a Way>,
    pub(super) keys: &'a SigningKeys,
    pub(super) webhook_id: &'a str,
    pub(super) rules: &'a StatusRules,
    pub(super) timeout: Duration,
    pub(super) deadline: Instant,
    /// Whether the answer is saved, and has to be whole therefore.
    pub(super) is_saved: bool,
    /// The secrets of the configuration.
    pub(super) known: &'a SecretValues,
}

/// What a try has come to.
#[derive(Debug)]
pub(super) struct Exchanged {
    pub(super) request: RequestRecord,
    /// The secrets of the request itself.
    pub(super) secrets: SecretValues,
    pub(super) answer: Option<Answer>,
    pub(super) verdict: Verdict,
    /// Whether anything went to the receiver, rather than nothing for want of an access token.
    pub(super) is_sent: bool,
    /// For how long the receiver asks to be sent nothing at all.
    pub(super) hold: Option<Duration>,
}

impl Exchange<'_> {
    /// Sends the request and reads the answer.
    pub(super) async fn perform(&self, mut request: RenderedRequest) -> Exchanged {
        let authorized = self.authorize(&mut request.headers).await;
        // The time of the signature is that of the request: asking for a token may have taken a while.
        self.sign(&mut request, true);
        let record = RequestRecord::of(&request);
        let secrets = SecretValues::of_request(&request.url, &request.headers);
        let unanswered = |verdict, is_sent| Exchanged {
            request: record.clone(),
            secrets: secrets.clone(),
            answer: None,
            verdict,
            is_sent,
            hold: None,
        };
        if let Err(reason) = authorized {
            return unanswered(Verdict::Retry { reason, after: None }, false);
        }
        failpoint::before_request();
        let (response, refused) = match self.respond(&mut request).await {
            Ok(responded) => responded,
            Err(verdict) => return unanswered(verdict, true),
        };
        let (status, headers) = (response.status(), response.headers().clone());
        let verdict = match refused {
            Some(reason) => Verdict::Failed { reason },
            None => self.verdict(&request, status, &headers),
        };
        let hold = self.hold(status, &headers, &verdict);
        let is_saved = self.is_saved && verdict == Verdict::Delivered;
        let (answer, end) = Answer::read(response, is_saved, self.timeout, self.deadline).await;
        if !answer.body.is_empty() {
            // It may have what it was sent in it.
            secrets.note_body(&request.body);
        }
        // What is merely logged need not be whole.
        let unusable = if is_saved { end.and_then(|()| answer.value()).err() } else { None };
        let verdict = match unusable {
            Some(error) if error.may_pass() => Verdict::Retry { reason: error.to_string(), after: None },
            Some(error) => Verdict::Failed { reason: error.to_string() },
            None => verdict,
        };
        Exchanged { request: record, secrets, answer: Some(answer), verdict, is_sent: true, hold }
    }

    async fn authorize(&self, headers: &mut HeaderMap) -> Result<(), String> {
        let Some(way) = self.way else { return Ok(()) };
        let authorized = timeout_at(self.deadline, way.credentials.authorize(headers)).await;
        authorized.unwrap_or_else(|_| Err(format!("it took too long: no access token within {:?}", self.timeout)))
    }

    /// Sends the request, and wherever it is sent on to. Gives the last answer, and why it is not followed any further
    /// where it could be.
    async fn respond(&self, request: &mut RenderedRequest) -> Result<(Response, Option<String>), Verdict> {
        let mut redirects = Redirects::new(self.way.map_or(0, |way| way.redirects), request, self.known);
        loop {
            let response = self.send(request, redirects.is_elsewhere()).await?;
            let status = response.status();
            match redirects.follow(request, status, response.headers()) {
                Ok(true) => self.sign(request, !redirects.is_elsewhere()),
                Ok(false) => return Ok((response, None)),
                Err(error) => {
                    let to = led_to(&request.url, response.headers());
                    return Ok((response, Some(format!("{status}: the redirect is not followed{to}: {error}"))));
                }
            }
        }
    }

    /// Sends the request once; and once more at once where the receiver says that it has not processed it (RFC 9113, 8.7), or
    /// where a kept connection was lost before an answer, if repeating it does not matter (RFC 9110, 9.2.2).
    async fn send(&self, request: &RenderedRequest, is_elsewhere: bool) -> Result<Response, Verdict> {
        let connections = self.connections_to(is_elsewhere);
        let (sent, was_kept) = self.send_by(connections.kept(), request, connections.proxy()).await?;
        let error = match sent {
            Ok(response) => return Ok(response),
            Err(error) => error,
        };
        let may_repeat = was_kept && request.method.is_idempotent();
        let error = match connections.unkept() {
            Some(unkept) if is_unprocessed(&error) || (may_repeat && is_lost(&error)) => {
                match self.send_by(unkept, request, connections.proxy()).await?.0 {
                    Ok(response) => return Ok(response),
                    Err(error) => error,
                }
            }
            _ => error,
        };
        Err(unanswered(&error, connections.proxy()))
    }

    async fn send_by(
        &self,
        http: &reqwest::Client,
        request: &RenderedRequest,
        proxy: Option<&Url>,
    ) -> Result<(reqwest::Result<Response>, bool), Verdict> {
        let RenderedRequest { method, url, mut headers, body, is_secret_url: _ } = request.clone();
        if !headers.contains_key(ACCEPT_ENCODING) {
            // A request that says nothing of codings allows all of them (RFC 9110, 12.5.3).
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        }
        let builder = http.request(method, url).headers(headers).body(body);
        timeout_at(self.deadline, connections::send(builder)).await.map_err(|_| {
            let by = proxy.map(|proxy| format!(" (by the proxy {})", network::proxy_name(proxy))).unwrap_or_default();
            let reason = format!("{}: no answer within {:?}{by}", NetworkFailure::Timeout, self.timeout);
            Verdict::Retry { reason, after: None }
        })
    }

    fn connections_to(&self, is_elsewhere: bool) -> &Connections {
        match self.way {
            Some(way) if is_elsewhere => way.elsewhere.as_deref().unwrap_or(self.connections),
            Some(way) => &way.connections,
            None => self.connections,
        }
    }

    fn verdict(&self, request: &RenderedRequest, status: StatusCode, headers: &HeaderMap) -> Verdict {
        let meaning = self.rules.meaning(self.way.map(|way| &way.rules), status.as_u16());
        let retry = |reason| Verdict::Retry { reason, after: None };
        if let Some(way) = self.way.filter(|_| meaning != Meaning::Success) {
            if status == StatusCode::UNAUTHORIZED && way.credentials.renew(&request.headers) {
                return retry(format!("{status}: the access token is refused; the next try has a new one"));
            }
            // Without TLS the proxy answers in the receiver's place.
            if let Some(proxy) = way.connections.proxy().filter(|_| request.url.scheme() == "http") {
                let name = network::proxy_name(proxy);
                if status == StatusCode::PROXY_AUTHENTICATION_REQUIRED {
                    return retry(format!(
                        "{status}: the proxy {name} wants to know who we are: check the user and password in `proxy`"
                    ));
                }
                if status.is_server_error() {
                    let verdict = Verdict::of_answer(status, meaning, &request.url, headers, Timestamp::now());
                    return verdict.with_note(&format!(" (by the proxy {name})"));
                }
            }
        }
        Verdict::of_answer(status, meaning, &request.url, headers, Timestamp::now())
    }

    /// For how long nothing is to be sent there: whatever the status means to this step, it is said to all.
    fn hold(&self, status: StatusCode, headers: &HeaderMap, verdict: &Verdict) -> Option<Duration> {
        let is_held = match self.way {
            Some(way) => way.hold_on.contains(status.as_u16()),
            None => Statuses::unavailable().contains(status.as_u16()),
        };
        let after = retry_after(headers, Timestamp::now()).filter(|after| !after.is_zero());
        after.filter(|_| is_held && *verdict != Verdict::Delivered)
    }

    /// Adds the headers of Standard Webhooks; the signature only for whom it is meant.
    fn sign(&self, request: &mut RenderedRequest, is_signed: bool) {
        let now = Timestamp::now();
        let signature = if is_signed { self.keys.sign(self.webhook_id, now, &request.body) } else { None };
        let headers = [
            ("webhook-id", Some(self.webhook_id.to_owned())),
            ("webhook-timestamp", Some(now.as_second().to_string())),
            ("webhook-signature", signature),
        ];
        for (name, value) in headers {
            if let Some(value) = value.and_then(|value| HeaderValue::try_from(value).ok()) {
                request.headers.insert(HeaderName::from_static(name), value);
            }
        }
    }
}

/// Whether the receiver has gone away, with whatever error code, and says that this request comes after the last one that it
/// has processed. One that it may have processed is told by the end of its connection.
fn is_unprocessed(error: &reqwest::Error) -> bool {
    network::says(error, "connection error received: ")
}

/// Whether the connection was lost before an answer.
fn is_lost(error: &reqwest::Error) -> bool {
    let failure = NetworkFailure::of(error);
    !error.is_connect() && !error.is_timeout() && matches!(failure, NetworkFailure::Closed | NetworkFailure::Reset)
}

/// What a request that had no answer has come to. One that can't even be put together fails at once.
fn unanswered(error: &reqwest::Error, proxy: Option<&Url>) -> Verdict {
    if error.is_builder() {
        return Verdict::Failed { reason: format!("the request can't be made: {}", root_cause(error)) };
    }
    Verdict::Retry { reason: network::failure(error, proxy), after: None }
}
