//! `GET` and `POST /sign-in`, `POST /sign-out`.

use std::time::Instant;

use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{HeaderMap, ORIGIN, RETRY_AFTER, SET_COOKIE};
use axum::response::{IntoResponse as _, Redirect, Response};
use maud::{Markup, html};

use super::fields::Fields;
use super::guard::{self, COOKIE};
use super::layout::{self, Section, csrf};
use super::session::{LASTS, Proof};
use super::visitor::Visitor;
use crate::admin::app::App;
use crate::admin::gate::{self, Peer};
use crate::admin::password;
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
            input type="hidden" name="next" value=(fields.text("next"));
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
    let (name, now) = (fields.text("name"), Instant::now());
    let callers = [format!("address {}", peer.ip()), format!("name {name}")];
    if let Some(wait) = callers.iter().filter_map(|caller| app.pages.tries.wait(caller, now)).max() {
        let problem =
            Problem::plain(StatusCode::TOO_MANY_REQUESTS, "too many sign-ins have failed: wait half a minute");
        return Err(problem.with(RETRY_AFTER, &(wait.as_secs() + 1).to_string()));
    }
    let Some(proof) = prove(&app, &name, fields.exact("password")).await else {
        callers.iter().for_each(|caller| app.pages.tries.fail(caller, now));
        tracing::warn!(%peer, "a sign-in to the page failed");
        let page = form(&visitor, &fields, Some("Name and password do not belong together."));
        return Ok((StatusCode::UNAUTHORIZED, page).into_response());
    };
    callers.iter().for_each(|caller| app.pages.tries.forget(caller));
    // A session from before is not taken over, because somebody else may have begun it.
    guard::session(&headers).into_iter().for_each(|former| app.pages.sessions.end(former));
    let session = app.pages.sessions.begin(&name, proof);
    let is_behind_tls = headers.get(ORIGIN).is_some_and(|origin| origin.as_bytes().starts_with(b"https://"));
    let is_tls = is_behind_tls || app.settings.borrow().tls.is_some();
    let secure = if is_tls { "; Secure" } else { "" };
    let cookie = format!("{COOKIE}={session}; Path=/; HttpOnly; SameSite=Lax; Max-Age={}{secure}", LASTS.as_secs());
    Ok(([(SET_COOKIE, cookie)], Redirect::to(next(&fields))).into_response())
}

/// Where to go on: to a path of our own, and nowhere else.
fn next(fields: &Fields) -> &str {
    let is_ours = |path: &&str| path.starts_with('/') && !path.starts_with("//") && !path.contains('\\');
    fields.get("next").filter(is_ours).unwrap_or("/")
}

/// What the name has signed in by, if it is right: a user's password, or a token. Who only tells has nothing to see.
async fn prove(app: &App, name: &str, given: String) -> Option<Proof> {
    let settings: std::sync::Arc<HttpSettings> = app.settings();
    let token = gate::find(&settings.tokens, given.as_bytes());
    if let Some(token) = token.filter(|token| token.name == name && token.role.permits(Role::Read)) {
        return Some(Proof::Token(token.token.clone()));
    }
    let user = settings.users.iter().find(|user| user.name == name && user.role.permits(Role::Read));
    let hash = user.map(|user| user.password.clone());
    let _place = app.pages.tries.place().await?;
    let proof = hash.clone().map(Proof::Password);
    let compare = move || password::verify(&given, hash.as_ref().map(|hash| hash.expose()));
    tokio::task::spawn_blocking(compare).await.is_ok_and(|is_it| is_it).then_some(proof)?
}

pub(super) async fn sign_out(State(app): State<App>, headers: HeaderMap) -> Response {
    guard::session(&headers).into_iter().for_each(|session| app.pages.sessions.end(session));
    let cookie = format!("{COOKIE}=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0");
    ([(SET_COOKIE, cookie)], Redirect::to("/sign-in")).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sign_in_leads_nowhere_else() {
        let leads = |to: &str| next(&Fields::parse(format!("next={to}").as_bytes())).to_owned();
        assert_eq!(leads("/queues/a%2540b?x=1"), "/queues/a%40b?x=1");
        for elsewhere in ["https://evil.example", "//evil.example", "/\\evil.example", ""] {
            assert_eq!(leads(elsewhere), "/", "{elsewhere}");
        }
    }
}
