//! `GET /api/queues`: the queues that are configured by name, or have attempts.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::Serialize;

use super::endpoint::Endpoint;
use crate::admin::app::App;
use crate::admin::role::Role;
use crate::config::queue::QueueSource;
use crate::id::QueueName;
use crate::moment::value::QueueType;

/// A queue.
#[derive(Debug, Serialize, JsonSchema)]
struct Queue {
    /// Its name.
    name: QueueName,
    /// Its type.
    #[serde(rename = "type")]
    queue_type: QueueType,
    /// Where the facts about its attempts come from.
    source: QueueSource,
    /// How many hooks it has, those of patterns included.
    hooks: usize,
    /// How many attempts live in it.
    attempts: usize,
    /// How many of them are not connected with an agent.
    waiting: usize,
}

pub(super) fn endpoint() -> Endpoint {
    Endpoint::get("/api/queues", "listQueues", list)
        .needs(Role::Read)
        .summary("The queues that are configured by name, or have attempts.")
        .answers::<Vec<Queue>>(StatusCode::OK, "The queues, by their names.")
}

async fn list(State(app): State<App>) -> Json<Vec<Queue>> {
    let config = app.config();
    let mut counts: BTreeMap<QueueName, (usize, usize)> =
        config.queue_names().map(|name| (name.into(), (0, 0))).collect();
    for attempt in app.live.list() {
        let (attempts, waiting) = counts.entry(attempt.queue.clone()).or_default();
        *attempts += 1;
        *waiting += usize::from(attempt.bridged_at.is_none());
    }
    let queue = |(name, (attempts, waiting)): (QueueName, _)| {
        let resolved = config.queue(&name);
        let (queue_type, source) = (resolved.settings.queue_type, resolved.settings.source);
        Queue { queue_type, source, hooks: resolved.hooks.len(), name, attempts, waiting }
    };
    Json(counts.into_iter().map(queue).collect())
}
