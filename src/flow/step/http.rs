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
    let permit = match around.client.permit(&request, way, around.priority, around.is_asked).await {
        Ok(permit) => permit,
        Err(held) => {
            let reason = held.to_string();
            return StepEnd::untried(Outcome::PutOff { receiver: held.receiver, reason, pause: held.pause });
        }
    };
    if around.cancellations.contains(around.run) {
        return StepEnd::untried(Outcome::Cancelled);
    }
    let webhook_id = webhook_id(around.run, path);
    let Sent { record, verdict, answer } = around
        .client
        .send(
            permit,
            Attempted {
                step: path,
                webhook_id: &webhook_id,
                request,
                way,
                keys: &step.keys,
                timeout: step.timeout,
                keep_answer: save.is_some(),
            },
        )
        .await;
    let outcome = match (verdict, answer) {
        (Verdict::Delivered, Some(answer)) => Outcome::done(save, || result(&answer)),
        (verdict, _) => verdict.into(),
    };
    StepEnd { attempted: Some(record), outcome }
}

/// The identifier of a webhook: of the run and the step, so that a repeat has the same and nothing else has.
pub fn webhook_id(run: RunId, path: &str) -> String {
    let in_a_header = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' };
    format!("whr_{run}_{}", path.chars().map(in_a_header).collect::<String>())
}

/// The answer, as later steps see it. One that is too long comes without its body.
fn result(answer: &Answer) -> Json {
    let text = || Json::String(String::from_utf8_lossy(&answer.body).into_owned());
    let body = serde_json::from_slice(&answer.body).ok().filter(|_| !answer.truncated).unwrap_or_else(text);
    let with = |body: Json, truncated: bool| {
        let headers = headers(&answer.headers);
        json!({ "status": answer.status, "headers": headers, "body": body, "truncated": truncated })
    };
    let whole = with(body, answer.truncated);
    if whole.to_string().len() <= MAX_RESULT_BYTES / 2 { whole } else { with(Json::Null, true) }
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
    fn an_answer_that_is_json_is_a_value_and_a_cut_one_is_text() {
        let answer = |body: &str, truncated| Answer {
            status: 200,
            headers: HeaderMap::new(),
            body: body.as_bytes().to_vec(),
            truncated,
        };
        assert_eq!(result(&answer(r#"{"vip":true}"#, false))["body"]["vip"], true);
        assert_eq!(result(&answer("12", true))["body"], "12");
        assert_eq!(result(&answer("no json", false))["body"], "no json");
        let long = result(&answer(&"\u{1}".repeat(20_000), false));
        assert_eq!((&long["body"], &long["truncated"]), (&Json::Null, &Json::Bool(true)));
    }
}
