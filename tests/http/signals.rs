//! What is told of queues outside FreeSWITCH.

use std::collections::{BTreeMap, BTreeSet};

use reqwest::{Method, Response};
use serde_json::{Value, json};

use crate::stage::{Stage, TOKENS, problem};

/// A chat queue of which every event starts a flow.
pub(crate) fn chat(more: &str) -> String {
    let events = ["joined", "offering", "answered", "bridged", "missed", "processing", "leaving"];
    let hooks = events.map(|event| format!("{{ name = \"{event}\", event = \"{event}\", flow = \"tell\" }}"));
    format!(
        "[queues.chat]\nsource = \"api\"\ntype = \"chat\"\nvariables = {{ crm = \"acme\" }}\n{more}\nhooks = [{}]\n\
         [flows.tell]\nsteps = [{{ log = {{ message = \"{{{{ event }}}}\" }} }}]\n",
        hooks.join(", ")
    )
}

impl Stage {
    pub(crate) async fn open(&self, key: &str, opening: Value) -> Response {
        let path = format!("/api/queues/chat/attempts/{key}");
        self.request(Method::PUT, &path, "ingest").json(&opening).send().await.expect("answers")
    }

    pub(crate) async fn tell(&self, key: &str, signal: Value) -> Response {
        let path = format!("/api/queues/chat/attempts/{key}/signals");
        self.request(Method::POST, &path, "ingest").json(&signal).send().await.expect("answers")
    }

    /// Tells something that is accepted, and gives the answer.
    async fn told(&self, key: &str, id: &str, signal: Value) -> Value {
        let answer = self.tell(key, json!({ "id": id, "signal": signal })).await;
        let (status, body) = (answer.status(), answer.text().await.expect("a body"));
        assert_eq!(status, 200, "{body}");
        serde_json::from_str(&body).expect("JSON")
    }

    /// The payloads of an attempt's moments, in their order, once there are so many.
    pub(crate) async fn story(&self, attempt: &Value, moments: usize) -> Vec<Value> {
        let path = format!("/api/attempts/{}", attempt.as_str().expect("an id"));
        let shown = self
            .until(&path, |shown| {
                let runs = shown["deliveries"].as_array().expect("a list");
                runs.iter().filter(|run| run["state"] == "delivered").count() >= moments
            })
            .await;
        let mut story = Vec::new();
        for run in shown["deliveries"].as_array().expect("a list").iter().rev() {
            let shown = self.json(&format!("/api/deliveries/{}", run["id"].as_str().expect("an id"))).await;
            story.push(shown["payload"].clone());
        }
        story
    }
}

fn events(story: &[Value]) -> Vec<&str> {
    story.iter().map(|payload| payload["event"].as_str().expect("a name")).collect()
}

#[tokio::test]
async fn a_chat_is_told_from_its_beginning_to_its_end() {
    let stage = Stage::start(TOKENS, &chat("processing = true")).await;
    let opening = json!({ "member_name": "Ann", "member_number": "ann@web", "member_id": 7, "variables": { "topic": "billing" } });
    let opened = stage.open("c1", opening).await;
    assert_eq!(opened.status(), 201);
    let opened: Value = opened.json().await.expect("JSON");
    let live = stage.json("/api/attempts?queue=chat").await;
    assert_eq!((&live[0]["node"], &live[0]["id"]), (&json!("api"), &opened["attempt"]));
    stage.told("c1", "1", json!({ "offering": { "agent": "anna" } })).await;
    stage.told("c1", "2", json!({ "missed": { "agent": "anna", "reason": "rejected" } })).await;
    stage.told("c1", "3", json!({ "offering": { "agent": "bob" } })).await;
    stage.told("c1", "4", json!({ "bridged": { "agent": "bob" } })).await;
    stage.told("c1", "5", json!({ "processing": { "agent": "bob" } })).await;
    let left = stage.told("c1", "6", json!({ "leaving": { "ended_by": "agent" } })).await;
    assert_eq!((&left["sequence"], &left["attempt"]), (&json!(8), &opened["attempt"]));

    let story = stage.story(&opened["attempt"], 8).await;
    let expected = ["joined", "offering", "missed", "offering", "answered", "bridged", "processing", "leaving"];
    assert_eq!(events(&story), expected);
    for (place, payload) in story.iter().enumerate() {
        assert_eq!(payload["sequence"], place + 1);
        assert_eq!(
            (&payload["node"], &payload["channel"], &payload["queue_name"]),
            (&json!("api"), &json!("chat"), &json!("chat"))
        );
        assert_eq!(payload["variables"], json!({ "crm": "acme", "topic": "billing" }));
        assert_eq!(payload["synthetic"], payload["event"] == "answered", "{payload}");
    }
    assert_eq!((&story[2]["missed_reason"], &story[2]["agent_name"]), (&json!("rejected"), &json!("anna")));
    let leaving = story.last().expect("the last");
    let fields =
        ["cc_result", "cc_cancel_reason", "hangup_side", "agent_name", "member_name", "member_id", "member_channel_id"];
    assert_eq!(
        fields.map(|field| leaving[field].clone()),
        [json!("success"), json!(null), json!("agent"), json!("bob"), json!("Ann"), json!(7), json!(null)]
    );
    assert_eq!(stage.json("/api/attempts?queue=chat").await, json!([]));
}

#[tokio::test]
async fn who_leaves_without_an_agent_leaves_as_told() {
    let stage = Stage::start(TOKENS, &chat("")).await;
    let told = [
        (json!({}), "abandoned", "hangup"),
        (json!({ "reason": "timeout" }), "cancel", "timeout"),
        (json!({ "reason": "no_agent_timeout" }), "cancel", "no_agent_timeout"),
        (json!({ "reason": "exit_with_key" }), "cancel", "exit_with_key"),
        (json!({ "reason": "break_out" }), "cancel", "break_out"),
        (json!({ "reason": "killed" }), "cancel", "killed"),
    ];
    for (place, (leaving, result, reason)) in told.into_iter().enumerate() {
        let key = format!("k{place}");
        let opened: Value = stage.open(&key, json!({})).await.json().await.expect("JSON");
        stage.told(&key, "1", json!({ "offering": { "agent": "anna" } })).await;
        stage.told(&key, "2", json!({ "leaving": leaving })).await;
        let story = stage.story(&opened["attempt"], 4).await;
        assert_eq!(events(&story), ["joined", "offering", "missed", "leaving"]);
        assert_eq!((&story[3]["cc_result"], &story[3]["cc_cancel_reason"]), (&json!(result), &json!(reason)));
    }
}

#[tokio::test]
async fn what_is_told_again_is_answered_the_same_and_what_is_another_is_refused() {
    let mut stage = Stage::start(TOKENS, &chat("")).await;
    let opening = json!({ "member_number": "1", "variables": { "a": 1, "b": { "c": 2 } } });
    let first: Value = stage.open("c1", opening.clone()).await.json().await.expect("JSON");
    let again = stage.open("c1", json!({ "variables": { "b": { "c": 2 }, "a": 1 }, "member_number": "1" })).await;
    assert_eq!((again.status().as_u16(), again.json::<Value>().await.expect("JSON")), (200, first.clone()));
    let other = problem(stage.open("c1", json!({ "member_number": "2" })).await, 409).await;
    assert_eq!(other["type"], "urn:hookswitch:other-content");
    let offered = stage.told("c1", "1", json!({ "offering": { "agent": "anna" } })).await;
    assert_eq!(stage.told("c1", "1", json!({ "offering": { "agent": "anna" } })).await, offered);
    let signal = json!({ "id": "1", "signal": { "offering": { "agent": "bob" } } });
    assert_eq!(problem(stage.tell("c1", signal.clone()).await, 409).await["type"], "urn:hookswitch:other-content");
    let left = stage.told("c1", "2", json!({ "leaving": {} })).await;

    // All of that holds after a restart as well, and after the attempt has left.
    stage.stop().await;
    stage.resume(TOKENS, &chat(""));
    assert_eq!(stage.open("c1", opening).await.json::<Value>().await.expect("JSON"), first);
    assert_eq!(stage.told("c1", "1", json!({ "offering": { "agent": "anna" } })).await, offered);
    assert_eq!(stage.told("c1", "2", json!({ "leaving": {} })).await, left);
    assert_eq!(problem(stage.tell("c1", signal).await, 409).await["type"], "urn:hookswitch:other-content");
    let late = json!({ "id": "3", "signal": { "offering": { "agent": "bob" } } });
    assert_eq!(problem(stage.tell("c1", late).await, 409).await["type"], "urn:hookswitch:has-left");
    assert_eq!(stage.story(&first["attempt"], 4).await.len(), 4, "and nothing was told twice");
}

#[tokio::test]
async fn what_cannot_follow_is_refused_with_the_reason() {
    let stage = Stage::start(TOKENS, &chat("processing = true")).await;
    stage.open("c1", json!({})).await;
    let agent = |step: &str, agent: &str| json!({ step: { "agent": agent } });
    let refused = async |signal: Value, reason: &str| {
        let answer = problem(stage.tell("c1", json!({ "id": "wrong", "signal": signal })).await, 409).await;
        assert_eq!((&answer["type"], &answer["detail"]), (&json!("urn:hookswitch:wrong-order"), &json!(reason)));
    };
    for step in ["answered", "bridged", "missed", "processing"] {
        refused(agent(step, "anna"), "the attempt is not offered to `anna`").await;
    }
    stage.told("c1", "1", agent("offering", "anna")).await;
    refused(agent("offering", "anna"), "the attempt is offered to `anna` already").await;
    refused(agent("processing", "anna"), "`anna` is not connected").await;
    stage.told("c1", "2", agent("answered", "anna")).await;
    refused(agent("answered", "anna"), "`anna` has answered already").await;
    refused(agent("missed", "anna"), "`anna` has answered already").await;
    stage.told("c1", "3", agent("bridged", "anna")).await;
    refused(agent("offering", "bob"), "`anna` is connected already").await;
    refused(agent("bridged", "anna"), "`anna` is connected already").await;
    stage.told("c1", "4", agent("processing", "anna")).await;
    stage.told("c1", "5", agent("offering", "bob")).await;
    // A signal that was refused has not used up its name.
    stage.told("c1", "wrong", json!({ "leaving": {} })).await;
}

#[tokio::test]
async fn times_are_the_tellers_as_far_as_they_can_be() {
    let stage = Stage::start(TOKENS, &chat("")).await;
    let opened = stage.open("c1", json!({ "at": "2026-01-05T10:00:00Z" })).await;
    let opened: Value = opened.json().await.expect("JSON");
    assert_eq!(opened["at"], "2026-01-05T10:00:00.000Z");
    let offering = |at: &str| json!({ "id": "1", "at": at, "signal": { "offering": { "agent": "anna" } } });
    for wrong in ["2026-01-05T09:59:59Z", "2999-01-01T00:00:00Z"] {
        assert_eq!(problem(stage.tell("c1", offering(wrong)).await, 409).await["type"], "urn:hookswitch:wrong-time");
    }
    assert_eq!(stage.tell("c1", offering("2026-01-05T11:00:03.5+01:00")).await.status(), 200);
    stage.told("c1", "2", json!({ "leaving": {} })).await;
    let story = stage.story(&opened["attempt"], 4).await;
    assert_eq!(story[1]["timestamp"], "2026-01-05T10:00:03.500Z");
    assert_eq!(story[1]["wait_sec"], 3.5);
    problem(stage.open("c2", json!({ "at": "2999-01-01T00:00:00Z" })).await, 409).await;
}

#[tokio::test]
async fn an_attempt_that_is_not_heard_of_is_lost_and_one_that_is_goes_on() {
    let mut stage = Stage::start(TOKENS, &chat("ttl = \"2s\"")).await;
    let silent: Value = stage.open("silent", json!({})).await.json().await.expect("JSON");
    stage.open("heard", json!({})).await;
    stage.stop().await;
    stage.resume(TOKENS, &chat("ttl = \"2s\""));
    let path = "/api/attempts?queue=chat";
    while stage.json(path).await.as_array().expect("a list").len() == 2 {
        assert_eq!(stage.open("heard", json!({})).await.status(), 200);
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert_ne!(stage.json(path).await[0]["id"], silent["attempt"]);
    let story = stage.story(&silent["attempt"], 2).await;
    assert_eq!(events(&story), ["joined", "leaving"]);
    let leaving = &story[1];
    assert_eq!(
        (&leaving["cc_result"], &leaving["cc_cancel_reason"], &leaving["synthetic"]),
        (&json!("cancel"), &json!("lost"), &json!(true))
    );
    let page = stage.get("/metrics", "read").await.text().await.expect("a text");
    assert!(page.contains("hookswitch_attempts_lost_total 1"), "{page}");
}

#[tokio::test]
async fn only_queues_of_that_source_are_told_of() {
    let stage = Stage::start(TOKENS, &format!("{}[queues.phone]\n", chat(""))).await;
    for queue in ["phone", "nobodys", "chat%2F"] {
        let path = format!("/api/queues/{queue}/attempts/k1");
        problem(stage.request(Method::PUT, &path, "ingest").json(&json!({})).send().await.expect("answers"), 404).await;
    }
    problem(stage.tell("never-opened", json!({ "id": "1", "signal": { "leaving": {} } })).await, 404).await;
    problem(stage.open("not%20a%20key", json!({})).await, 404).await;
}

#[tokio::test]
async fn a_body_that_does_not_say_what_it_must_is_refused() {
    let stage = Stage::start(&format!("max_body = \"2 KiB\"\n{TOKENS}"), &chat("")).await;
    let send = async |body: &str, media: &str| {
        let request =
            stage.request(Method::PUT, "/api/queues/chat/attempts/c1", "ingest").header("content-type", media);
        request.body(body.to_owned()).send().await.expect("answers")
    };
    problem(send("{}", "text/plain").await, 415).await;
    problem(send("{", "application/json").await, 400).await;
    problem(send("\u{0}", "application/json").await, 400).await;
    problem(send(&format!("{{\"variables\":{{\"a\":{}", "[".repeat(1_500)), "application/json").await, 400).await;
    problem(send(&"[".repeat(1_500), "application/json").await, 422).await;
    problem(send("[]", "application/json").await, 422).await;
    problem(send(r#"{"member":"x"}"#, "application/json").await, 422).await;
    problem(send(r#"{"member_id":"7"}"#, "application/json").await, 422).await;
    let signal = json!({ "id": "1", "signal": { "offering": ["anna"] } });
    problem(stage.tell("c1", signal).await, 422).await;
    let large = json!({ "member_name": "x".repeat(4_000) }).to_string();
    problem(send(&large, "application/json").await, 413).await;
    assert_eq!(send("{}", "application/json; charset=utf-8").await.status(), 201);
}

#[tokio::test]
async fn many_tellers_at_once_tell_one_story_each() {
    const ATTEMPTS: usize = 30;
    let stage = std::sync::Arc::new(Stage::start(TOKENS, &chat("")).await);
    let steps = [
        json!({ "offering": { "agent": "anna" } }),
        json!({ "answered": { "agent": "anna" } }),
        json!({ "bridged": { "agent": "anna" } }),
        json!({ "leaving": {} }),
    ];
    // Three tell each story: each step as soon as it can follow, and all of them the same.
    let tellers = (0..ATTEMPTS * 3).map(|teller| {
        let (stage, steps) = (stage.clone(), steps.clone());
        tokio::spawn(async move {
            let key = format!("k{}", teller / 3);
            let opened: Value = stage.open(&key, json!({ "member_id": teller / 3 })).await.json().await.expect("JSON");
            let mut answers = vec![opened];
            for (id, step) in steps.iter().enumerate() {
                answers.push(stage.told(&key, &id.to_string(), step.clone()).await);
            }
            (key, answers)
        })
    });
    let mut stories: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut attempts = BTreeMap::new();
    for teller in tellers.collect::<Vec<_>>() {
        let (key, answers) = teller.await.expect("ends");
        attempts.insert(key.clone(), answers[0]["attempt"].clone());
        stories.entry(key).or_default().insert(Value::Array(answers).to_string());
    }
    assert_eq!(stories.len(), ATTEMPTS);
    assert!(stories.values().all(|answers| answers.len() == 1), "all tellers of a story are answered the same");
    for attempt in attempts.values() {
        assert_eq!(events(&stage.story(attempt, 5).await), ["joined", "offering", "answered", "bridged", "leaving"]);
    }
}

#[tokio::test]
async fn nothing_is_acknowledged_that_is_not_durable() {
    let stage = std::sync::Arc::new(Stage::start(&format!("timeout = \"60s\"\n{TOKENS}"), &chat("")).await);
    let holder = rusqlite::Connection::open(stage.outbox()).expect("opens");
    holder.execute_batch("BEGIN IMMEDIATE").expect("holds the outbox");
    let teller = {
        let stage = stage.clone();
        tokio::spawn(async move { stage.open("c1", json!({})).await.status() })
    };
    let readiness = stage
        .until("/readyz", |readiness| {
            let reasons = readiness["reasons"].as_array().expect("a list");
            reasons.iter().any(|reason| reason["part"] == "outbox")
        })
        .await;
    assert!(readiness.to_string().contains("end the program that holds a transaction open on it"), "{readiness}");
    assert!(!teller.is_finished());
    holder.execute_batch("ROLLBACK").expect("lets it go");
    assert_eq!(teller.await.expect("ends"), 201);
    stage.until("/readyz", |readiness| !readiness.to_string().contains("outbox")).await;
}
