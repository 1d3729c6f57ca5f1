//! Reading what a request says, under limits of size and time.

use std::ops::Deref;
use std::time::Duration;

use axum::body::{Body, HttpBody as _};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use futures_util::StreamExt as _;
use serde::de::DeserializeOwned;
use serde_json::error::Category;
use tokio::sync::OwnedSemaphorePermit;

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
pub(super) enum Unreadable {
    #[error("the body must be `application/json`")]
    MediaType,
    #[error("the body is larger than {0} bytes")]
    TooLarge(usize),
    #[error("the body did not come in time")]
    TooSlow,
    #[error("the body broke off")]
    Broken,
    #[error("too much is sent just now")]
    TooMuch,
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
            Unreadable::TooMuch => return Self::unavailable(unreadable.to_string()),
            Unreadable::Broken | Unreadable::Syntax(_) | Unreadable::Query(_) => StatusCode::BAD_REQUEST,
            Unreadable::NoObject | Unreadable::Meaning(_) => StatusCode::UNPROCESSABLE_ENTITY,
        };
        Self::plain(status, unreadable.to_string())
    }
}

/// A body that was read, with the permit for its bytes.
#[derive(Debug)]
pub(super) struct Held {
    bytes: Vec<u8>,
    permit: Option<OwnedSemaphorePermit>,
}

impl Deref for Held {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Reads a body of so many bytes at most, within that time. What all clients together have sent is counted as it comes, so
/// that one which announces much and sends little takes little.
pub(super) async fn read(app: &App, body: Body, most: usize, limit: Duration) -> Result<Held, Unreadable> {
    if usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX) > most {
        return Err(Unreadable::TooLarge(most));
    }
    let all = async {
        let (mut held, mut chunks) = (Held { bytes: Vec::new(), permit: None }, body.into_data_stream());
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(|_| Unreadable::Broken)?;
            if held.bytes.len() + chunk.len() > most {
                return Err(Unreadable::TooLarge(most));
            }
            let count = u32::try_from(chunk.len()).map_err(|_| Unreadable::TooLarge(most))?;
            let permit = app.bodies().clone().try_acquire_many_owned(count).map_err(|_| Unreadable::TooMuch)?;
            match &mut held.permit {
                Some(held) => held.merge(permit),
                none => *none = Some(permit),
            }
            held.bytes.extend_from_slice(&chunk);
        }
        Ok(held)
    };
    tokio::time::timeout(limit, all).await.map_err(|_| Unreadable::TooSlow)?
}

impl<T: DeserializeOwned> FromRequest<App> for JsonBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let settings = app.settings();
        if !is_json(request.headers()) {
            return Err(Unreadable::MediaType.into());
        }
        let body = read(app, request.into_body(), settings.max_body, settings.timeout).await?;
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
