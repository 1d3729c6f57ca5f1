//! `PUT /api/queues/{queue}/attempts/{key}`: a member enters a queue outside FreeSWITCH.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{Method, StatusCode};

use super::endpoint::Endpoint;
use crate::admin::app::App;
use crate::admin::body::JsonBody;
use crate::admin::problem::Problem;
use crate::admin::role::Role;
use crate::lifecycle::told::Acknowledgement;
use crate::signal::{Opening, Telling};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::new(Method::PUT, "/api/queues/{queue}/attempts/{key}", "openAttempt", open)
        .needs(Role::Ingest)
        .summary("A member enters a queue with `source = \"api\"`; told again, the attempt is kept alive.")
        .body::<Opening>()
        .answers::<Acknowledgement>(StatusCode::CREATED, "The attempt is open, and that is durable.")
        .answers::<Acknowledgement>(StatusCode::OK, "That was told before, with the same content.")
        .fails(StatusCode::NOT_FOUND, "No queue of that name is told of.")
        .fails(StatusCode::CONFLICT, "The key was given to another content, or the time can't be.")
}

async fn open(
    State(app): State<App>,
    Path((queue, key)): Path<(String, String)>,
    JsonBody(opening): JsonBody<Opening>,
) -> Result<(StatusCode, Json<Acknowledgement>), Problem> {
    let told = app.tell(queue, &key, Telling::Opening(opening)).await?;
    let status = if told.is_repeated { StatusCode::OK } else { StatusCode::CREATED };
    Ok((status, Json(told)))
}
