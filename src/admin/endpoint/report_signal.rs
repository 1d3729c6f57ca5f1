//! `POST /api/queues/{queue}/attempts/{key}/signals`: something happens to an attempt outside FreeSWITCH.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{Method, StatusCode};

use super::endpoint::Endpoint;
use crate::admin::app::App;
use crate::admin::body::JsonBody;
use crate::admin::problem::Problem;
use crate::admin::role::Role;
use crate::lifecycle::told::Acknowledgement;
use crate::signal::{Signal, Telling};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::new(Method::POST, "/api/queues/{queue}/attempts/{key}/signals", "reportSignal", report)
        .needs(Role::Ingest)
        .summary("Something happens to an attempt: offering, answered, bridged, missed, processing or leaving.")
        .body::<Signal>()
        .answers::<Acknowledgement>(
            StatusCode::OK,
            "It is taken down, and that is durable; the same each time it is told.",
        )
        .fails(StatusCode::NOT_FOUND, "There is no such attempt.")
        .fails(StatusCode::CONFLICT, "It can't follow what was told before, or its name was given to another content.")
}

async fn report(
    State(app): State<App>,
    Path((queue, key)): Path<(String, String)>,
    JsonBody(signal): JsonBody<Signal>,
) -> Result<Json<Acknowledgement>, Problem> {
    app.tell(queue, &key, Telling::Signal(signal)).await.map(Json)
}
