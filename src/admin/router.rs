//! The routes: every endpoint behind its guard, and the description of all of them.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Extension, Router};

use super::answer;
use super::app::App;
use super::connections::Permit;
use super::endpoint;
use super::gate::{self, Access};
use super::openapi;
use super::page;
use super::problem::{self, Problem};
use super::server::HEAD_BYTES;
use super::site::{self, Entries};

/// How much longer than its body may take a request may take in all.
const ANSWERS_AT_MOST_TIMES: u32 = 2;

/// Everything that is answered.
pub(super) fn router(app: App) -> Router {
    let description = openapi::describe(&endpoint::all()).to_string();
    let describe = move || async move { ([(CONTENT_TYPE, "application/json")], description) };
    let guard = |access| from_fn_with_state((app.clone(), access), gate::admit);
    let describe = get(describe).layer(from_fn(in_place)).layer(guard(Access::Public));
    let mut router = Router::new().route("/openapi.json", describe);
    for endpoint in endpoint::all() {
        let (path, access, handler) = (endpoint.path, endpoint.access, endpoint.into_handler());
        let handler = if access == Access::Probe { handler } else { handler.layer(from_fn(in_place)) };
        router = router.route(path, handler.layer(guard(access)));
    }
    let pages = page::page::all();
    let entries = Entries::of(&pages);
    for page in pages {
        let guard = from_fn_with_state((app.clone(), page.access), page::guard::admit);
        router = router.route(page.path, page.into_handler().layer(from_fn(in_place)).layer(guard));
    }
    router
        .layer(from_fn_with_state((app.clone(), entries), site::admit))
        .layer(from_fn_with_state(app.clone(), in_time))
        .layer(from_fn(problem::shape))
        .layer(from_fn_with_state(app.clone(), answer::bounded))
        .layer(from_fn(small_head))
        .layer(from_fn(plainly))
        .with_state(app)
}

/// Refuses a request whose head is too large.
async fn small_head(request: Request, next: Next) -> Response {
    let line = request.method().as_str().len() + request.uri().to_string().len();
    // What stands between and behind them: `: `, and the end of the line.
    let fields = request.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + 4);
    if line + fields.sum::<usize>() <= HEAD_BYTES {
        return next.run(request).await;
    }
    let detail = format!("the request's head is larger than {HEAD_BYTES} bytes");
    Problem::plain(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, detail).into_response()
}

/// Refuses a request for which there is no place among those that are worked on.
async fn in_place(Extension(permit): Extension<Arc<Permit>>, request: Request, next: Next) -> Response {
    if permit.has_place().await {
        return next.run(request).await;
    }
    Problem::unavailable("too many requests are worked on just now").into_response()
}

/// Answers in time, or says that it can't.
async fn in_time(State(app): State<App>, request: Request, next: Next) -> Response {
    let limit = app.settings().timeout * ANSWERS_AT_MOST_TIMES;
    let late = || Problem::unavailable(format!("not done within {limit:?}")).into_response();
    tokio::time::timeout(limit, next.run(request)).await.unwrap_or_else(|_| late())
}

/// What a browser or a proxy must know of every answer: that it is what it says, and holds now alone.
async fn plainly(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // What has a name of its own for each content holds for ever.
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}
