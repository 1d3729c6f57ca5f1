//! What whoever looks is shown.

use serde_json::{Value, json};

use crate::stage::{Stage, TOKENS};

const HOOKS: &str = "[queues.\"*\"]\nhooks = [{ name = \"tell\", event = \"joined\", flow = \"tell\" }]\n\
    [queues.idle]\ntype = \"chat\"\n\
    [flows.tell]\nsteps = [{ log = { message = \"{{ member_number }}\" } }]\n";

fn list(answer: &Value) -> &[Value] {
    answer.as_array().expect("a list")
}

#[tokio::test]
async fn queues_attempts_nodes_and_deliveries_are_shown() {
    let stage = Stage::start(TOKENS, HOOKS).await;
    let attempts = stage.until("/api/attempts", |attempts| !list(attempts).is_empty()).await;
    let attempt = &list(&attempts)[0];
    assert_eq!((&attempt["node"], attempt["attempt_id"].is_u64()), (&json!("fs1"), true));
    let of_others = stage.json("/api/attempts?queue=nobodys").await;
    assert_eq!(of_others, json!([]));

    let id = attempt["id"].as_str().expect("an id");
    let shown = stage.until(&format!("/api/attempts/{id}"), |shown| !list(&shown["deliveries"]).is_empty()).await;
    let run = &shown["deliveries"][0];
    assert_eq!((&run["event"], &run["flow"], &run["attempt"]), (&json!("joined"), &json!("tell"), &json!(id)));

    let run = stage.json(&format!("/api/deliveries/{}", run["id"].as_str().expect("an id"))).await;
    assert_eq!(run["payload"]["attempt_id"], attempt["attempt_id"]);
    let delivered = stage.until("/api/deliveries?state=delivered&limit=2", |runs| list(runs).len() == 2).await;
    assert!(list(&delivered).iter().all(|run| run["state"] == "delivered"));
    assert_eq!(stage.json("/api/deliveries?state=failed").await, json!([]));

    let queues = stage.json("/api/queues").await;
    let idle = list(&queues).iter().find(|queue| queue["name"] == "idle").expect("the one that is configured");
    assert_eq!(
        *idle,
        json!({ "name": "idle", "type": "chat", "source": "callcenter", "hooks": 1, "attempts": 0, "waiting": 0 })
    );
    assert!(list(&queues).len() > 1, "those that have attempts");

    let nodes = stage.json("/api/nodes").await;
    assert_eq!(
        (&nodes[0]["name"], &nodes[0]["connected"], &nodes[0]["trouble"]),
        (&json!("fs1"), &json!(true), &json!(null))
    );
    assert!(nodes[0]["events"].as_u64().expect("a number") > 0);
}

#[tokio::test]
async fn readiness_says_what_is_wrong() {
    let stage = Stage::start("", "").await;
    stage.until("/readyz", |readiness| readiness["ready"] == true).await;
    stage.lose_freeswitch();
    let readiness = stage.until("/readyz", |readiness| readiness["ready"] == false).await;
    assert_eq!(readiness["reasons"][0]["part"], "node fs1");
    assert_eq!(stage.get("/readyz", "").await.status(), 503);
    assert_eq!(stage.get("/healthz", "").await.status(), 200, "the daemon itself lives");
}

#[tokio::test]
async fn figures_tell_what_happened() {
    let stage = Stage::start("", HOOKS).await;
    stage.until("/api/deliveries?state=delivered&limit=2", |runs| list(runs).len() == 2).await;
    let page = stage.get("/metrics", "").await;
    assert_eq!(page.headers()["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    let page = page.text().await.expect("a text");
    let value = |sample: &str| -> f64 {
        let line = page.lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("{sample} is not in\n{page}")).parse().expect("a number")
    };
    assert_eq!(value("hookswitch_node_connected{node=\"fs1\"}"), 1.0);
    assert!(value("hookswitch_node_events_total{node=\"fs1\"}") > 0.0);
    assert!(value("hookswitch_moments_total{event=\"joined\"}") >= 2.0);
    assert!(value("hookswitch_runs_ended_total{state=\"delivered\"}") >= 2.0);
    assert!(value("hookswitch_outbox_commit_seconds_count") >= 2.0);
    assert_eq!(value("hookswitch_outbox_writable"), 1.0);
    assert_eq!(value("hookswitch_node_events_dropped_total{node=\"fs1\"}"), 0.0);
}

/// Every figure is in the documents, and no other.
#[tokio::test]
async fn the_documents_name_every_figure() {
    let stage = Stage::start("", "").await;
    let page = stage.get("/metrics", "").await.text().await.expect("a text");
    let shown: Vec<_> =
        page.lines().filter_map(|line| line.strip_prefix("# HELP ")?.split(' ').next().map(str::to_owned)).collect();
    let document =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/operation.md")).expect("is there");
    let rows = document.lines().filter_map(|line| line.strip_prefix("| `hookswitch_")?.split(['`', '{']).next());
    let documented: Vec<_> = rows.map(|name| format!("hookswitch_{name}")).collect();
    assert_eq!(documented, shown);
}
