//! `GET /api/deliveries/{id}`: all that is known of one run.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;

use super::endpoint::Endpoint;
use crate::admin::app::App;
use crate::admin::problem::Problem;
use crate::admin::role::Role;
use crate::id::RunId;
use crate::outbox::deliveries::Story;

/// Why there is none.
#[derive(Debug, thiserror::Error)]
enum Unknown {
    #[error("there is no run {0}, or it is kept no more")]
    Run(RunId),
    #[error("`{0}` is not a run's identifier: 32 hexadecimal digits")]
    Identifier(String),
}

impl From<Unknown> for Problem {
    fn from(unknown: Unknown) -> Self {
        Self::not_found(unknown.to_string())
    }
}

pub(super) fn endpoint() -> Endpoint {
    Endpoint::get("/api/deliveries/{id}", "showDelivery", show)
        .needs(Role::Read)
        .summary("One run: its moment's payload, its steps and its tries.")
        .answers::<Story>(StatusCode::OK, "The run.")
        .fails(StatusCode::NOT_FOUND, "Nothing is known of it.")
}

async fn show(State(app): State<App>, Path(id): Path<String>) -> Result<Json<Story>, Problem> {
    let id: RunId = id.parse().map_err(|_| Unknown::Identifier(id))?;
    let story = app.deliveries(move |log| log.show(id)).await?;
    story.map(Json).ok_or_else(|| Unknown::Run(id).into())
}
