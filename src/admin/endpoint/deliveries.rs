//! `GET /api/deliveries`: runs, the newest first.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Deserialize;

use super::endpoint::Endpoint;
use crate::admin::app::App;
use crate::admin::body::Query;
use crate::admin::problem::Problem;
use crate::admin::role::Role;
use crate::id::AttemptHash;
use crate::outbox::deliveries::Delivery;
use crate::outbox::filter::AttemptRef;
use crate::outbox::{Filter, RunState};

/// How many are listed unless asked for otherwise.
const LIMIT: u32 = 100;

/// The most that are listed at once.
const MOST: u32 = 1_000;

/// Which runs are meant.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Wanted {
    /// Those of this queue.
    queue: Option<String>,
    /// Those of this flow.
    flow: Option<String>,
    /// Those of this attempt.
    attempt: Option<AttemptHash>,
    /// Those in this state.
    state: Option<RunState>,
    /// Those that were committed at or after this time.
    since: Option<Timestamp>,
    /// Those that were committed before this time.
    until: Option<Timestamp>,
    /// How many; 100 unless set.
    #[schemars(range(min = 1, max = 1_000))]
    limit: Option<u32>,
}

/// Why nothing can be listed.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error("`limit` must be between 1 and {MOST}")]
    Limit,
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        Self::plain(StatusCode::BAD_REQUEST, refused.to_string())
    }
}

pub(super) fn endpoint() -> Endpoint {
    Endpoint::get("/api/deliveries", "listDeliveries", list)
        .needs(Role::Read)
        .summary("Runs: what was delivered, what is going to be, and what has failed.")
        .query::<Wanted>()
        .answers::<Vec<Delivery>>(StatusCode::OK, "The runs, the newest first.")
}

async fn list(State(app): State<App>, Query(wanted): Query<Wanted>) -> Result<Json<Vec<Delivery>>, Problem> {
    let limit = wanted.limit.unwrap_or(LIMIT);
    if !(1..=MOST).contains(&limit) {
        return Err(Refused::Limit.into());
    }
    let Wanted { queue, flow, attempt, state, since, until, .. } = wanted;
    let (attempt, states) = (attempt.map(AttemptRef::Hash), state.into_iter().collect());
    let filter = Filter { runs: Vec::new(), queue, flow, attempt, after: 0, number: None, states, since, until };
    app.search(move |log| log.list(&filter, limit)).await.map(Json)
}
