//! Runs that an operator has done again, or cancelled, over HTTP.

use reqwest::{Method, Response};
use serde_json::{Value, json};

use crate::stage::{Stage, TOKENS, problem};

/// A chat queue whose runs rest before they say anything.
const RESTING: &str = "[queues.chat]\nsource = \"api\"\ntype = \"chat\"\n\
    hooks = [{ name = \"tell\", event = \"joined\", flow = \"tell\" }]\n\
    [flows.tell]\nsteps = [{ wait = \"1h\" }, { log = { message = \"late\" } }]\n";

impl Stage {
    /// Has something done to runs.
    async fn intervene(&self, what: &str, body: Value) -> Response {
        let path = format!("/api/deliveries/{what}");
        self.request(Method::POST, &path, "operate").json(&body).send().await.expect("answers")
    }

    async fn verdict(&self, what: &str, body: Value) -> Value {
        let answer = self.intervene(what, body).await;
        assert_eq!(answer.status(), 200);
        answer.json().await.expect("JSON")
    }

    /// Opens attempts, and waits until each has a run in that state.
    async fn open_all(&self, keys: &[&str], state: &str) -> Vec<Value> {
        for key in keys {
            assert_eq!(self.open(key, json!({})).await.status(), 201);
        }
        let path = format!("/api/deliveries?state={state}");
        let runs = self.until(&path, |runs| runs.as_array().is_some_and(|runs| runs.len() == keys.len())).await;
        runs.as_array().expect("a list").clone()
    }
}

#[tokio::test]
async fn runs_are_cancelled_one_by_one_and_by_what_they_have_in_common() {
    let stage = Stage::start(TOKENS, RESTING).await;
    let runs = stage.open_all(&["a", "b", "c"], "pending").await;
    let one = json!({ "which": { "runs": [runs[0]["id"]] } });
    let rehearsed = stage.verdict("cancel", json!({ "which": one["which"], "dry_run": true })).await;
    assert_eq!(rehearsed, json!({ "changed": { "cancelled": 1 }, "stayed": {}, "too_late": 0 }));
    assert_eq!(stage.verdict("cancel", one.clone()).await, rehearsed, "a rehearsal has done nothing");
    let again = json!({ "changed": {}, "stayed": { "cancelled": 1 }, "too_late": 0 });
    assert_eq!(stage.verdict("cancel", one).await, again);
    let others = stage.verdict("cancel", json!({ "which": { "queue": "chat", "flow": "tell" } })).await;
    assert_eq!(others, json!({ "changed": { "cancelled": 2 }, "stayed": {}, "too_late": 0 }));
    stage.open_all(&[], "pending").await;
}

#[tokio::test]
async fn a_run_that_was_cancelled_is_done_again_when_it_is_named() {
    let stage = Stage::start(TOKENS, RESTING).await;
    let runs = stage.open_all(&["a"], "pending").await;
    let which = json!({ "runs": [runs[0]["id"]] });
    stage.verdict("cancel", json!({ "which": which })).await;
    let elsewhere = stage.verdict("retry", json!({ "which": { "queue": "chat" } })).await;
    assert_eq!(elsewhere, json!({ "changed": {}, "stayed": {}, "too_late": 0 }), "unnamed, only failed ones are");
    let verdict = stage.verdict("retry", json!({ "which": which })).await;
    assert_eq!(verdict["changed"], json!({ "pending": 1 }));
    stage.until("/api/deliveries?state=delivered", |runs| runs[0]["id"] == which["runs"][0]).await;
}

#[tokio::test]
async fn nothing_is_done_to_runs_that_nobody_has_meant() {
    let stage = Stage::start(TOKENS, RESTING).await;
    let runs = stage.open_all(&["a"], "pending").await;
    for which in [json!({}), json!({ "queue": null }), json!({ "runs": [] }), json!({ "states": [], "queue": "chat" })]
    {
        problem(stage.intervene("cancel", json!({ "which": which })).await, 422).await;
    }
    problem(stage.intervene("cancel", json!({})).await, 422).await;
    let unknown = json!({ "which": { "runs": [runs[0]["id"], "0".repeat(32)] } });
    problem(stage.intervene("cancel", unknown).await, 404).await;
    assert_eq!(stage.json("/api/deliveries?state=pending").await, json!(runs));
}
