//! The routes: every endpoint behind its guard, and the description of all of them.

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;

use super::app::App;
use super::endpoint;
use super::gate::{self, Access};
use super::openapi;
use super::page;
use super::problem::{self, Problem};

/// How much longer than its body may take a request may take in all.
const ANSWERS_AT_MOST_TIMES: u32 = 2;

/// Everything that is answered.
pub(super) fn router(app: App) -> Router {
    let description = openapi::describe(&endpoint::all()).to_string();
    let describe = move || async move { ([(CONTENT_TYPE, "application/json")], description) };
    let guard = |access| from_fn_with_state((app.clone(), access), gate::admit);
    let mut router = Router::new().route("/openapi.json", get(describe).layer(guard(Access::Public)));
    for endpoint in endpoint::all() {
        let guard = guard(endpoint.access);
        router = router.route(endpoint.path, endpoint.into_handler().layer(guard));
    }
    for page in page::page::all() {
        let guard = from_fn_with_state((app.clone(), page.access), page::guard::admit);
        router = router.route(page.path, page.into_handler().layer(guard));
    }
    router
        .layer(from_fn_with_state(app.clone(), in_time))
        .layer(from_fn(problem::shape))
        .layer(from_fn(plainly))
        .with_state(app)
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
