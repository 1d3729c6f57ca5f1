//! The types of queue that FreeSWITCH does not carry, told over HTTP: every event of each.

use reqwest::Method;
use serde_json::{Value, json};

use crate::stage::{Stage, TOKENS};

/// Tells a story of one attempt in a queue of that type, and gives the payloads of its hooks.
async fn told(queue_type: &str, signals: &[Value], hooks: usize) -> Vec<Value> {
    let events = ["joined", "offering", "answered", "active", "bridged", "missed", "processing", "leaving"];
    let hook = |event: &str| format!("{{ name = \"{event}\", event = \"{event}\", flow = \"tell\" }}");
    let config = format!(
        "[queues.work]\nsource = \"api\"\ntype = \"{queue_type}\"\nprocessing = true\nhooks = [{}]\n\
         [flows.tell]\nsteps = [{{ log = {{ message = \"{{{{ event }}}}\" }} }}]\n",
        events.map(hook).join(", ")
    );
    let stage = Stage::start(TOKENS, &config).await;
    let path = "/api/queues/work/attempts/k1";
    let opened = stage.request(Method::PUT, path, "ingest").json(&json!({})).send().await.expect("answers");
    let opened: Value = opened.json().await.expect("JSON");
    for (id, signal) in signals.iter().enumerate() {
        let signal = json!({ "id": id.to_string(), "signal": signal });
        let request = stage.request(Method::POST, &format!("{path}/signals"), "ingest").json(&signal);
        assert_eq!(request.send().await.expect("answers").status(), 200, "{signal}");
    }
    let mut story = stage.story(&opened["attempt"], hooks).await;
    // Hooks of one moment are told apart by its name alone.
    story.sort_by_key(|payload| (payload["sequence"].as_u64(), payload["event"] == "active"));
    for payload in &story {
        assert_eq!((&payload["queue_type"], &payload["channel"]), (&json!(queue_type), &json!(queue_type)));
    }
    story
}

fn events(story: &[Value]) -> Vec<(&str, u64)> {
    let event = |payload: &Value| payload["sequence"].as_u64().expect("a number");
    story.iter().map(|payload| (payload["event"].as_str().expect("a name"), event(payload))).collect()
}

async fn tells_all_eight_events(queue_type: &str) {
    let signals = [
        json!({ "offering": { "agent": "anna" } }),
        json!({ "missed": { "agent": "anna" } }),
        json!({ "offering": { "agent": "bob" } }),
        json!({ "answered": { "agent": "bob" } }),
        json!({ "bridged": { "agent": "bob" } }),
        json!({ "processing": { "agent": "bob" } }),
        json!({ "leaving": { "ended_by": "member" } }),
    ];
    let story = told(queue_type, &signals, 9).await;
    let expected = [
        ("joined", 1),
        ("offering", 2),
        ("missed", 3),
        ("offering", 4),
        ("answered", 5),
        ("active", 5),
        ("bridged", 6),
        ("processing", 7),
        ("leaving", 8),
    ];
    assert_eq!(events(&story), expected);
    assert!(story.iter().all(|payload| payload["synthetic"] == false));
    let leaving = story.last().expect("the last");
    assert_eq!((&leaving["cc_result"], &leaving["agent_name"]), (&json!("success"), &json!("bob")));
}

async fn whose_agent_refuses_is_missed(queue_type: &str) {
    let signals = [
        json!({ "offering": { "agent": "anna" } }),
        json!({ "missed": { "agent": "anna", "reason": "rejected" } }),
        json!({ "leaving": {} }),
    ];
    let story = told(queue_type, &signals, 4).await;
    assert_eq!(events(&story), [("joined", 1), ("offering", 2), ("missed", 3), ("leaving", 4)]);
    assert_eq!((&story[2]["missed_reason"], &story[2]["agent_name"]), (&json!("rejected"), &json!("anna")));
    assert_eq!(story[3]["cc_result"], "abandoned");
}

#[tokio::test]
async fn a_chat_tells_all_eight_events() {
    tells_all_eight_events("chat").await;
}

#[tokio::test]
async fn a_task_tells_all_eight_events() {
    tells_all_eight_events("task").await;
}

#[tokio::test]
async fn a_chat_whose_agent_refuses_is_missed() {
    whose_agent_refuses_is_missed("chat").await;
}

#[tokio::test]
async fn a_task_whose_agent_refuses_is_missed() {
    whose_agent_refuses_is_missed("task").await;
}
