//! What steps give to brokers, databases and mail servers, and how: let in by the destination, within a time, and noted.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::time::timeout;

use super::{Outcome, StepEnd, Surroundings};
use crate::delivery::destination::{Door, Refusal};
use crate::delivery::record::{ParcelRecord, millis};
use crate::delivery::{TryRecord, Verdict};
use crate::failpoint;
use crate::moment::value::Time;

/// How many characters of what a destination says the delivery log keeps: an error is a line.
const ANSWER_KEPT: usize = 1_024;

/// What is given to a destination, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parcel {
    /// The destination's name.
    pub destination: String,
    /// The statement, the subject, or who gets the mail.
    pub line: String,
    /// What it carries.
    pub body: String,
}

/// A parcel to be given, and how.
pub(super) struct Errand<'a> {
    pub(super) door: &'a Door,
    pub(super) line: String,
    pub(super) path: &'a str,
    pub(super) limit: Duration,
}

/// Gives something to a destination once. `give` has as long as the step's timeout says, connecting included; it tells what
/// the destination said, and what comes of it.
pub(super) async fn give(
    Errand { door, line, path, limit }: Errand<'_>,
    around: Surroundings<'_>,
    give: impl Future<Output = Result<(String, Outcome), Refusal>>,
) -> StepEnd {
    let Some(_place) = around.expiry.before(door.enter(around.priority)).await else {
        return StepEnd::untried(Outcome::Late);
    };
    if around.cancellations.contains(around.run) {
        return StepEnd::untried(Outcome::Cancelled);
    }
    let (started_at, started) = (Timestamp::now(), Instant::now());
    failpoint::before_request();
    let late = || Err(Refusal::MayPass(format!("it took too long: no answer within {limit:?}")));
    let given = timeout(limit, give).await.unwrap_or_else(|_| late());
    failpoint::after_response();
    let (answer, outcome, verdict) = match given {
        Ok((answer, outcome)) => (Some(answer.chars().take(ANSWER_KEPT).collect()), outcome, Verdict::Delivered),
        Err(refusal) => (None, Verdict::from(refusal.clone()).into(), refusal.into()),
    };
    around.client.figures().note(&verdict, started.elapsed());
    let error = match verdict {
        Verdict::Delivered => None,
        Verdict::Retry { reason, .. } | Verdict::Failed { reason } => Some(reason),
    };
    let record = TryRecord {
        step: path.to_owned(),
        started_at: Time(started_at),
        duration_ms: millis(started.elapsed()),
        request: None,
        response: None,
        command: None,
        parcel: Some(ParcelRecord { destination: door.name().to_owned(), line, answer }),
        error,
        left_alone: false,
    };
    StepEnd { attempted: Some(record), outcome }
}
