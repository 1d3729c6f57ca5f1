//! Reading what a request says, under limits of size and time.

use axum::body::to_bytes;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::error::Category;

use super::app::App;
use super::problem::Problem;

/// A request's body, read as JSON.
#[derive(Clone, Copy, Debug)]
pub struct JsonBody<T>(pub T);

/// What follows `?` in a request's URL.
#[derive(Clone, Copy, Debug)]
pub struct Query<T>(pub T);

/// Why a request can't be read.
#[derive(Debug, thiserror::Error)]
enum Unreadable {
    #[error("the body must be `application/json`")]
    MediaType,
    #[error("the body is larger than {0} bytes")]
    TooLarge(usize),
    #[error("the body did not come in time")]
    TooSlow,
    #[error("the body is not JSON: {0}")]
    Syntax(serde_json::Error),
    #[error("the body must be a JSON object")]
    NoObject,
    #[error("{0}")]
    Meaning(serde_json::Error),
    #[error("{0}")]
    Query(String),
}

impl From<Unreadable> for Problem {
    fn from(unreadable: Unreadable) -> Self {
        let status = match unreadable {
            Unreadable::MediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Unreadable::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Unreadable::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Unreadable::Syntax(_) | Unreadable::Query(_) => StatusCode::BAD_REQUEST,
            Unreadable::NoObject | Unreadable::Meaning(_) => StatusCode::UNPROCESSABLE_ENTITY,
        };
        Self::plain(status, unreadable.to_string())
    }
}

impl<T: DeserializeOwned> FromRequest<App> for JsonBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let settings = app.settings();
        if !is_json(request.headers()) {
            return Err(Unreadable::MediaType.into());
        }
        // A body cut off half way is one too: who sent it is gone.
        let body = to_bytes(request.into_body(), settings.max_body);
        let body = tokio::time::timeout(settings.timeout, body).await.map_err(|_| Unreadable::TooSlow)?;
        let body = body.map_err(|_| Unreadable::TooLarge(settings.max_body))?;
        // A record would be read from a list of its fields as well.
        if body.trim_ascii_start().first().is_some_and(|first| b"[\"tfn-0123456789".contains(first)) {
            return Err(Unreadable::NoObject.into());
        }
        let read = serde_json::from_slice(&body).map_err(|error| match error.classify() {
            Category::Data => Unreadable::Meaning(error),
            Category::Syntax | Category::Eof | Category::Io => Unreadable::Syntax(error),
        });
        Ok(Self(read?))
    }
}

impl<T: DeserializeOwned> FromRequestParts<App> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Problem> {
        let query = axum::extract::Query::try_from_uri(&parts.uri);
        query.map(|query| Self(query.0)).map_err(|rejection| Unreadable::Query(rejection.body_text()).into())
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let media = headers.get(CONTENT_TYPE).and_then(|media| media.to_str().ok()).unwrap_or_default();
    let media = media.split(';').next().unwrap_or_default().trim();
    media.eq_ignore_ascii_case("application/json")
}
