//! `GET /api/attempts/{id}`: one attempt, and what was delivered of it.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::Serialize;

use super::endpoint::Endpoint;
use crate::admin::app::App;
use crate::admin::problem::Problem;
use crate::admin::role::Role;
use crate::id::AttemptHash;
use crate::node::live::LiveAttempt;
use crate::outbox::Filter;
use crate::outbox::deliveries::Delivery;
use crate::outbox::filter::AttemptRef;

/// The most deliveries that are listed: an attempt has a dozen moments, and each a few hooks.
const DELIVERIES: u32 = 1_000;

/// An attempt.
#[derive(Debug, Serialize, JsonSchema)]
struct Attempt {
    /// What it is now; null once it is over.
    live: Option<Arc<LiveAttempt>>,
    /// The runs that its moments have started, the newest first.
    deliveries: Vec<Delivery>,
}

/// Why there is none.
#[derive(Debug, thiserror::Error)]
enum Unknown {
    #[error("no attempt {0} lives, and none of its runs is kept")]
    Attempt(AttemptHash),
    #[error("`{0}` is not an attempt's identifier: 32 hexadecimal digits")]
    Identifier(String),
}

impl From<Unknown> for Problem {
    fn from(unknown: Unknown) -> Self {
        Self::not_found(unknown.to_string())
    }
}

pub(super) fn endpoint() -> Endpoint {
    Endpoint::get("/api/attempts/{id}", "showAttempt", show)
        .needs(Role::Read)
        .summary("One attempt: what it is now, and what was delivered of it.")
        .answers::<Attempt>(StatusCode::OK, "The attempt.")
        .fails(StatusCode::NOT_FOUND, "Nothing is known of it.")
}

async fn show(State(app): State<App>, Path(id): Path<String>) -> Result<Json<Attempt>, Problem> {
    let id: AttemptHash = id.parse().map_err(|_| Unknown::Identifier(id))?;
    let filter = Filter { attempt: Some(AttemptRef::Hash(id)), ..Filter::default() };
    let deliveries = app.deliveries(move |log| log.list(&filter, DELIVERIES)).await?;
    let live = app.live.get(id);
    if live.is_none() && deliveries.is_empty() {
        return Err(Unknown::Attempt(id).into());
    }
    Ok(Json(Attempt { live, deliveries }))
}
