//! The HTTP client: sends one try and says what came of it.

use std::collections::BTreeSet;
use std::sync::{PoisonError, RwLock};
use std::time::{Duration, Instant};

use jiff::Timestamp;

pub use super::answer::Answer;
use super::breaker::Health;
use super::connections::{ConnectionSettings, Connections, ConnectionsError};
use super::exchange::{Exchange, Exchanged};
use super::limits::{Held, Limits, Permit, TryKind};
use super::mask::SecretValues;
use super::priority::Priority;
use super::record::{TryRecord, millis};
use super::signature::SigningKeys;
use super::statuses::StatusRules;
use super::verdict::Verdict;
use super::way::Way;
use crate::failpoint;
use crate::flow::RenderedRequest;
use crate::moment::value::Time;
use crate::telemetry::Histogram;

/// Sends requests, within limits. Made once and shared, because connections are kept in it.
#[derive(Debug)]
pub struct Client {
    connections: Connections,
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
    /// What statuses mean to the step.
    pub rules: &'a StatusRules,
    /// How long the whole try may take, asking for an access token included.
    pub timeout: Duration,
    /// Whether the answer is wanted, beside what the log keeps of it: then it has to be whole.
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

impl Client {
    /// A client that follows no redirects and uses no proxy. A provider of cryptography for `rustls` must be installed.
    pub fn new(limits: Limits) -> Result<Self, ConnectionsError> {
        let connections = Connections::new(ConnectionSettings::default())?;
        Ok(Self { connections, limits, figures: Figures::default(), secrets: RwLock::default() })
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
        kind: TryKind,
    ) -> Result<Permit, Held> {
        self.limits.permit(request.url.origin(), way, priority, kind).await
    }

    /// Makes the try, for which there is a permit. Its time runs from now on.
    pub async fn send(&self, permit: Permit, attempted: Attempted<'_>) -> Sent {
        let Attempted { step, webhook_id, request, way, keys, rules, timeout, keep_answer } = attempted;
        let (started_at, started) = (Timestamp::now(), Instant::now());
        let known = self.secrets();
        let exchange = Exchange {
            connections: &self.connections,
            way,
            keys,
            webhook_id,
            rules,
            timeout,
            deadline: tokio::time::Instant::now() + timeout,
            is_saved: keep_answer,
            known: &known,
        };
        let Exchanged { request, secrets, answer, verdict, is_sent, hold } = exchange.perform(request).await;
        let verdict = verdict.masked(&secrets);
        failpoint::after_response();
        let health = health(answer.as_ref(), &verdict).filter(|_| is_sent);
        let left_alone = health.is_some_and(|health| permit.note(health));
        if let Some(pause) = hold {
            permit.hold(pause);
        }
        self.figures.note(&verdict, started.elapsed());
        let error = match &verdict {
            Verdict::Delivered => None,
            Verdict::Retry { reason, .. } | Verdict::Failed { reason } => Some(reason.clone()),
        };
        let mut record = TryRecord {
            step: step.to_owned(),
            started_at: Time(started_at),
            duration_ms: millis(started.elapsed()),
            request: Some(request),
            response: answer.as_ref().map(Answer::record),
            command: None,
            parcel: None,
            error,
            left_alone,
        };
        // All steps' records are masked by what is configured; most requests have nothing beyond that.
        if !secrets.is_empty() {
            record.mask(&secrets);
        }
        Sent { record, verdict, answer: answer.filter(|_| keep_answer) }
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

/// What the end of a request says of its receiver: nothing, where it could not even be put together.
fn health(answer: Option<&Answer>, verdict: &Verdict) -> Option<Health> {
    match (answer, verdict) {
        (Some(_), Verdict::Delivered) => Some(Health::Well),
        (Some(answer), _) if answer.status >= 500 => Some(Health::Ill),
        (Some(_), _) => Some(Health::Well),
        (None, Verdict::Retry { .. }) => Some(Health::Ill),
        (None, Verdict::Delivered | Verdict::Failed { .. }) => None,
    }
}
