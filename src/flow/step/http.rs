//! The step `http`: sends a request.

use reqwest::header::{HeaderMap, SET_COOKIE};
use serde_json::{Map, Value as Json, json};

use super::{Outcome, StepEnd, Surroundings};
use crate::delivery::Verdict;
use crate::delivery::client::{Answer, Attempted, Sent};
use crate::flow::action::HttpStep;
use crate::flow::context::MAX_RESULT_BYTES;
use crate::id::RunId;

pub(super) async fn perform(step: &HttpStep, path: &str, save: Option<&str>, around: Surroundings<'_>) -> StepEnd {
    let request = match step.render(around.context) {
        Ok(request) => request,
        Err(error) => return StepEnd::failed(error),
    };
    let way = step.receivers.to(&request.url.origin());
    let permit = around.client.permit(&request, way, around.priority, around.kind);
    let permit = match around.expiry.before(permit).await {
        None => return StepEnd::untried(Outcome::Late),
        Some(Ok(permit)) => permit,
        Some(Err(held)) => {
            let reason = held.to_string();
            return StepEnd::untried(Outcome::PutOff { receiver: held.receiver, reason, pause: held.pause });
        }
    };
    if around.cancellations.contains(around.run) {
        return StepEnd::untried(Outcome::Cancelled);
    }
    let webhook_id = webhook_id(around.run, path);
    let Sent { mut record, verdict, answer } = around
        .client
        .send(
            permit,
            Attempted {
                step: path,
                webhook_id: &webhook_id,
                request,
                way,
                keys: &step.keys,
                rules: &step.rules,
                timeout: step.timeout,
                keep_answer: save.is_some(),
            },
        )
        .await;
    let outcome = match (verdict, answer) {
        (Verdict::Delivered, Some(answer)) => match result(&answer) {
            Ok(result) => Outcome::done(save, || result),
            Err(error) => {
                let reason = error.to_string();
                record.error = Some(reason.clone());
                Outcome::Failed { reason }
            }
        },
        (verdict, _) => verdict.into(),
    };
    StepEnd { attempted: Some(record), outcome }
}

/// The identifier of a webhook: of the run and the step, so that a repeat has the same and nothing else has.
pub fn webhook_id(run: RunId, path: &str) -> String {
    let in_a_header = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' };
    format!("whr_{run}_{}", path.chars().map(in_a_header).collect::<String>())
}

/// An answer that is too long to be saved, as JSON and with its headers.
#[derive(Debug, thiserror::Error)]
#[error("the answer is longer than can be saved: {0} of at most {MOST} bytes as JSON, its headers included")]
struct TooLong(usize);

/// The longest answer, as JSON: its name has to fit beside it.
const MOST: usize = MAX_RESULT_BYTES - 256;

/// The answer, as later steps see it.
fn result(answer: &Answer) -> Result<Json, TooLong> {
    // One whose charset is unknown is no success.
    let body = answer.value().unwrap_or_default();
    let headers = headers(&answer.headers);
    let result = json!({ "status": answer.status, "headers": headers, "body": body, "truncated": answer.truncated });
    let length = result.to_string().len();
    if length <= MOST { Ok(result) } else { Err(TooLong(length)) }
}

/// The headers in lower case, several of one name joined; what is a secret between two programs is left out.
fn headers(headers: &HeaderMap) -> Map<String, Json> {
    let mut named = Map::new();
    for name in headers.keys().filter(|name| **name != SET_COOKIE) {
        let values: Vec<_> =
            headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
        named.insert(name.to_string(), values.join(", ").into());
    }
    named
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_webhooks_id_is_of_its_run_and_step_and_fits_into_a_header() {
        let run = RunId::from_bytes([1; 16]);
        assert_eq!(webhook_id(run, "0"), format!("whr_{run}_0"));
        assert_eq!(webhook_id(run, "2/then/0"), format!("whr_{run}_2-then-0"));
        assert_eq!(webhook_id(run, "2/cases/ä b.\n/0"), format!("whr_{run}_2-cases---b---0"));
    }

    #[test]
    fn an_answer_is_saved_whole_or_not_at_all() {
        let answer =
            |body: &str| Answer { status: 200, headers: HeaderMap::new(), body: body.into(), truncated: false };
        assert_eq!(result(&answer(r#"{"vip":true}"#)).expect("fits")["body"]["vip"], true);
        assert_eq!(result(&answer(&"x".repeat(60_000))).expect("fits")["body"].as_str().map(str::len), Some(60_000));
        assert!(result(&answer(&"\u{1}".repeat(20_000))).is_err(), "escaped, it is six times as long");
    }
}
