//! What is wrong with a request, as RFC 9457 has it.

use axum::Json;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::http::header::{self, HeaderMap, HeaderValue};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Serialize;

/// The media type of problem details.
pub const CONTENT_TYPE: &str = "application/problem+json";

/// How much is read of what a library says of an error: a line.
const DETAIL_BYTES: usize = 1_024;

/// Problem details.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Problem {
    /// What kind of problem it is, for programs; `about:blank` where the status says all.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The kind in words.
    pub title: String,
    /// The status.
    pub status: u16,
    /// What is wrong this time, for a person.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    #[serde(skip)]
    headers: Box<HeaderMap>,
}

impl Problem {
    /// A problem of which the status says all that a program needs.
    pub fn plain(status: StatusCode, detail: impl Into<String>) -> Self {
        let title = status.canonical_reason().unwrap_or("Error").to_owned();
        let (kind, headers) = ("about:blank", Box::default());
        Self { kind, title, status: status.as_u16(), detail: Some(detail.into()), headers }
    }

    /// A problem of a kind of its own.
    pub fn of_kind(status: StatusCode, kind: &'static str, title: &str, detail: impl Into<String>) -> Self {
        Self { kind, title: title.to_owned(), ..Self::plain(status, detail) }
    }

    /// Nothing has that name.
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::plain(StatusCode::NOT_FOUND, detail)
    }

    /// The daemon can't do it now.
    pub fn unavailable(detail: impl Into<String>) -> Self {
        Self::plain(StatusCode::SERVICE_UNAVAILABLE, detail).with(header::RETRY_AFTER, "1")
    }

    /// With a header.
    pub fn with(mut self, name: header::HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(name, value);
        }
        self
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, (*self.headers).clone(), Json(&self)).into_response();
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE));
        // Where a page was wanted, it is made into one.
        response.extensions_mut().insert(self);
        response
    }
}

/// Gives errors that the router or a library answers with (no such route, another method, a path that is no text) the
/// form of all others. Their headers stay: `Allow` for one.
pub(super) async fn shape(request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    let response = next.run(request).await;
    let status = response.status();
    let is_error = status.is_client_error() || status.is_server_error();
    let media = response.headers().get(header::CONTENT_TYPE);
    // An endpoint that answers with JSON has said what is wrong itself.
    let is_told = media.is_some_and(|media| {
        media == CONTENT_TYPE || media == "application/json" || media.as_bytes().starts_with(b"text/html")
    });
    if !is_error || is_told {
        return response;
    }
    let (parts, body) = response.into_parts();
    let said = axum::body::to_bytes(body, DETAIL_BYTES).await.unwrap_or_default();
    let detail = match status {
        StatusCode::NOT_FOUND => format!("there is nothing at {path}"),
        StatusCode::METHOD_NOT_ALLOWED => format!("{path} does not know this method"),
        _ => String::from_utf8_lossy(&said).into_owned(),
    };
    let mut shaped = Problem::plain(status, detail).into_response();
    for (name, value) in &parts.headers {
        if *name != header::CONTENT_TYPE && *name != header::CONTENT_LENGTH {
            shaped.headers_mut().insert(name, value.clone());
        }
    }
    shaped
}
