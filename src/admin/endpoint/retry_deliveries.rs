//! `POST /api/deliveries/retry`: runs are done again, as `hookswitch deliveries retry` does them.

use axum::Json;
use axum::extract::State;
use axum::http::{Method, StatusCode};
use schemars::JsonSchema;
use serde::Deserialize;

use super::endpoint::Endpoint;
use crate::admin::app::App;
use crate::admin::body::JsonBody;
use crate::admin::problem::Problem;
use crate::admin::role::Role;
use crate::admin::selection::{Selection, Verdict};
use crate::outbox::intervention::{Definitions, Intervention};

/// What is to be done again, and how.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Retry {
    /// Which runs; those that failed, where neither runs nor states are named.
    which: Selection,
    /// With the flows as they are configured now, rather than as they were when the runs began.
    #[serde(default)]
    latest: bool,
    /// Also runs that have expired: all are done as if they were meant for now. A late transfer can do harm.
    #[serde(default)]
    expired: bool,
    /// Tells what would be done, and does nothing.
    #[serde(default)]
    dry_run: bool,
}

pub(super) fn endpoint() -> Endpoint {
    Endpoint::new(Method::POST, "/api/deliveries/retry", "retryDeliveries", retry)
        .needs(Role::Operate)
        .summary("Does runs again from the step that failed, with the same webhook ids.")
        .body::<Retry>()
        .answers::<Verdict>(StatusCode::OK, "How many runs are done again, and how many stay as they are.")
        .fails(StatusCode::NOT_FOUND, "A run that was named is not known, or is kept no more; nothing is done.")
}

async fn retry(State(app): State<App>, JsonBody(retry): JsonBody<Retry>) -> Result<Json<Verdict>, Problem> {
    let Retry { which, latest, expired, dry_run } = retry;
    let with = if latest { Definitions::Latest } else { Definitions::Own };
    which.intervene(&app, Intervention::Retry { with, expired }, dry_run).await.map(Json)
}
