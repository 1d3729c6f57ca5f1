//! `GET /api/attempts`: the attempts that live now.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::Deserialize;

use super::endpoint::Endpoint;
use crate::admin::app::App;
use crate::admin::body::Query;
use crate::admin::role::Role;
use crate::node::live::LiveAttempt;

/// Which attempts are meant.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Filter {
    /// Those of this queue.
    queue: Option<String>,
    /// Those of this node.
    node: Option<String>,
}

pub(super) fn endpoint() -> Endpoint {
    Endpoint::get("/api/attempts", "listAttempts", list)
        .needs(Role::Read)
        .summary("The attempts that live now.")
        .query::<Filter>()
        .answers::<Vec<LiveAttempt>>(StatusCode::OK, "The attempts, the longest there first.")
}

async fn list(State(app): State<App>, Query(filter): Query<Filter>) -> Json<Vec<Arc<LiveAttempt>>> {
    let mut attempts = app.live.list();
    attempts.retain(|attempt| {
        filter.queue.as_ref().is_none_or(|queue| *queue == *attempt.queue.as_str())
            && filter.node.as_ref().is_none_or(|node| *node == *attempt.node.as_str())
    });
    Json(attempts)
}
