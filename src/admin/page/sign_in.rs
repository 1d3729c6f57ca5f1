//! `GET` and `POST /sign-in`, `POST /sign-out`.

use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{HeaderMap, ORIGIN, RETRY_AFTER, SET_COOKIE};
use axum::response::{IntoResponse as _, Redirect, Response};
use maud::{Markup, html};

use super::address;
use super::fields::Fields;
use super::guard::{self, COOKIE};
use super::layout::{self, Section, csrf};
use super::session::{LASTS, Proof};
use super::tries::Attempted;
use super::visitor::Visitor;
use crate::admin::app::App;
use crate::admin::gate::{self, Peer};
use crate::admin::problem::Problem;
use crate::admin::role::Role;
use crate::config::HttpSettings;

pub(super) async fn show(visitor: Visitor, fields: Fields) -> Markup {
    form(&visitor, &fields, None)
}

fn form(visitor: &Visitor, fields: &Fields, refusal: Option<&str>) -> Markup {
    let content = html! {
        form.sign-in method="post" action="/sign-in" {
            h1 { "Sign in" }
            @if let Some(refusal) = refusal { p.alarm role="alert" { (refusal) } }
            (csrf(visitor))
            input type="hidden" name="next" value=(next(fields));
            label { "Name" input name="name" value=(fields.text("name")) autocomplete="username" required autofocus; }
            label { "Password, or a token" input name="password" type="password" autocomplete="current-password" required; }
            button.primary { "Sign in" }
        }
    };
    layout::page(visitor, Section::Outside, "Sign in", false, content)
}

pub(super) async fn sign_in(
    State(app): State<App>,
    Extension(Peer(peer)): Extension<Peer>,
    visitor: Visitor,
    headers: HeaderMap,
    fields: Fields,
) -> Result<Response, Problem> {
    let name = fields.text("name");
    let attempted = match app.pages.tries.begin(peer.ip(), &name).await {
        Ok(attempted) => attempted,
        Err(refused) => {
            let problem = Problem::plain(StatusCode::TOO_MANY_REQUESTS, refused.to_string());
            return Err(problem.with(RETRY_AFTER, &refused.retry_after_secs().to_string()));
        }
    };
    let Some(proof) = prove(&app, attempted, &name, fields.exact("password")).await else {
        tracing::warn!(%peer, "a sign-in to the page failed");
        let page = form(&visitor, &fields, Some("Name and password do not belong together."));
        return Ok((StatusCode::UNAUTHORIZED, page).into_response());
    };
    // A session from before is not taken over, because somebody else may have begun it.
    guard::session(&headers).into_iter().for_each(|former| app.pages.sessions.end(former));
    let session = app.pages.sessions.begin(&name, proof);
    let is_behind_tls = headers.get(ORIGIN).is_some_and(|origin| origin.as_bytes().starts_with(b"https://"));
    let is_tls = is_behind_tls || app.settings.borrow().tls.is_some();
    let secure = if is_tls { "; Secure" } else { "" };
    let cookie = format!("{COOKIE}={session}; Path=/; HttpOnly; SameSite=Lax; Max-Age={}{secure}", LASTS.as_secs());
    Ok(([(SET_COOKIE, cookie)], Redirect::to(&next(&fields))).into_response())
}

/// Where to go on: to a path of our own, and nowhere else.
fn next(fields: &Fields) -> String {
    address::local(&fields.exact("next")).unwrap_or_else(|| "/".to_owned())
}

/// What the name has signed in by, if it is right: a user's password, or a token. Who only tells has nothing to see.
async fn prove(app: &App, attempted: Attempted, name: &str, given: String) -> Option<Proof> {
    let settings: std::sync::Arc<HttpSettings> = app.settings();
    let token = gate::find(&settings.tokens, given.as_bytes());
    if let Some(token) = token.filter(|token| token.name == name && token.role.permits(Role::Read)) {
        attempted.succeed();
        return Some(Proof::Token(token.token.clone()));
    }
    let user = settings.users.iter().find(|user| user.name == name && user.role.permits(Role::Read));
    let hash = user.map(|user| user.password.clone());
    let expected = hash.as_ref().map(|hash| hash.expose().to_owned());
    let is_it = app.pages.tries.compare(attempted, given, expected).await;
    hash.map(Proof::Password).filter(|_| is_it)
}

pub(super) async fn sign_out(State(app): State<App>, headers: HeaderMap) -> Response {
    guard::session(&headers).into_iter().for_each(|session| app.pages.sessions.end(session));
    let cookie = format!("{COOKIE}=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0");
    ([(SET_COOKIE, cookie)], Redirect::to("/sign-in")).into_response()
}
