//! `GET /readyz`: whether the daemon does what it is there for, and if not, why.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::Serialize;

use super::endpoint::Endpoint;
use crate::admin::app::App;
use crate::outbox::Health;

/// Whether it is ready.
#[derive(Debug, Serialize, JsonSchema)]
struct Readiness {
    /// Whether all is well.
    ready: bool,
    /// What is not.
    reasons: Vec<Reason>,
}

/// Something that is not well.
#[derive(Debug, Serialize, JsonSchema)]
struct Reason {
    /// The part: `outbox`, or `node` with the node's name.
    part: String,
    /// What is wrong with it, and what can be done.
    reason: String,
}

pub(super) fn endpoint() -> Endpoint {
    Endpoint::get("/readyz", "readiness", readyz)
        .always()
        .summary("Whether the outbox can be written and every node is heard.")
        .answers::<Readiness>(StatusCode::OK, "All is well.")
        .answers::<Readiness>(StatusCode::SERVICE_UNAVAILABLE, "Something is not, and this is what.")
}

async fn readyz(State(app): State<App>) -> (StatusCode, Json<Readiness>) {
    let reasons = reasons(&app);
    let status = if reasons.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(Readiness { ready: reasons.is_empty(), reasons }))
}

/// What is not well: the part, and why.
pub(in crate::admin) fn troubles(app: &App) -> impl Iterator<Item = (String, String)> {
    reasons(app).into_iter().map(|Reason { part, reason }| (part, reason))
}

fn reasons(app: &App) -> Vec<Reason> {
    let outbox = match &*app.outbox.health().borrow() {
        Health::Writing => None,
        Health::Stalled { reason } => Some(Reason { part: "outbox".into(), reason: reason.clone() }),
    };
    let (config, links) = (app.config(), app.nodes.list());
    let nodes = config.freeswitch.iter().filter_map(|node| {
        let reason = match links.get(&node.name) {
            Some(link) => link.state.borrow().trouble()?,
            None => "it is not followed yet".into(),
        };
        Some(Reason { part: format!("node {}", node.name), reason })
    });
    let mut reasons: Vec<_> = nodes.collect();
    reasons.extend(outbox);
    reasons
}
