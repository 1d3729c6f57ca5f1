//! `POST /api/deliveries/cancel`: runs are not done, as `hookswitch deliveries cancel` has it.

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
use crate::outbox::intervention::Intervention;

/// What is to be cancelled.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Cancel {
    /// Which runs; those that are not over, where neither runs nor states are named.
    which: Selection,
    /// Tells what would be done, and does nothing.
    #[serde(default)]
    dry_run: bool,
}

pub(super) fn endpoint() -> Endpoint {
    Endpoint::new(Method::POST, "/api/deliveries/cancel", "cancelDeliveries", cancel)
        .needs(Role::Operate)
        .summary("Cancels runs that are not over; one that is being done ends the try at hand.")
        .body::<Cancel>()
        .answers::<Verdict>(StatusCode::OK, "How many runs are cancelled, and how many stay as they are.")
        .fails(StatusCode::NOT_FOUND, "A run that was named is not known, or is kept no more; nothing is done.")
}

async fn cancel(State(app): State<App>, JsonBody(cancel): JsonBody<Cancel>) -> Result<Json<Verdict>, Problem> {
    let Cancel { which, dry_run } = cancel;
    which.intervene(&app, Intervention::Cancel, dry_run).await.map(Json)
}
