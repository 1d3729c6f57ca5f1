//! `GET /healthz`: whether the daemon is alive.

use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;

use super::endpoint::Endpoint;
use crate::admin::openapi::PlainText;

pub(super) fn endpoint() -> Endpoint {
    Endpoint::get("/healthz", "health", healthz)
        .always()
        .summary("Whether the daemon is alive: answers at all.")
        .answers_as::<PlainText>(StatusCode::OK, "It is.", "text/plain")
}

async fn healthz() -> impl IntoResponse {
    ([(CONTENT_TYPE, "text/plain")], "ok\n")
}
