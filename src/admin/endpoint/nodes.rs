//! `GET /api/nodes`: the nodes that are followed, and how their connections are.

use std::sync::atomic::{AtomicU64, Ordering};

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::Serialize;

use super::endpoint::Endpoint;
use crate::admin::app::App;
use crate::admin::role::Role;
use crate::id::NodeName;
use crate::moment::value::{Seconds, Time};

/// A node.
#[derive(Debug, Serialize, JsonSchema)]
struct Node {
    /// Its name.
    name: NodeName,
    /// Whether it is connected, for events and for commands.
    connected: bool,
    /// Why it is not.
    trouble: Option<String>,
    /// How many events have come since it is followed.
    events: u64,
    /// How many of them were dropped, because what is behind them was slow.
    events_dropped: u64,
    /// How often a connection was made.
    connections: u64,
    /// How long after it happened the latest event was taken in; unknown before a connection's first event.
    lag_sec: Option<Seconds>,
    /// When the latest survey was done: what it has was compared with what is known.
    surveyed_at: Option<Time>,
    /// How many attempts live on it.
    attempts: usize,
}

pub(super) fn endpoint() -> Endpoint {
    Endpoint::get("/api/nodes", "listNodes", list)
        .needs(Role::Read)
        .summary("The FreeSWITCH nodes that are followed, and how their connections are.")
        .answers::<Vec<Node>>(StatusCode::OK, "The nodes, by their names.")
}

async fn list(State(app): State<App>) -> Json<Vec<Node>> {
    let attempts = app.live.list();
    let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let nodes = app.nodes.list().into_iter().map(|(name, link)| {
        let trouble = link.state.borrow().trouble();
        Node {
            connected: trouble.is_none(),
            trouble,
            events: count(&link.tally.events),
            events_dropped: count(&link.tally.dropped),
            connections: count(&link.tally.connections),
            lag_sec: link.tally.lag().map(|lag| Seconds::from_micros(lag.as_micros().try_into().unwrap_or(i64::MAX))),
            surveyed_at: link.tally.surveyed_at().map(Time),
            attempts: attempts.iter().filter(|attempt| attempt.node == name).count(),
            name,
        }
    });
    Json(nodes.collect())
}
