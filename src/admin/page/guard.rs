//! Who sees a page, and who does something from one.
//!
//! Where neither tokens nor users are configured, whoever reaches the listener on this machine may do everything, as with
//! the rest of the interface; then the request's `Host` must name this machine. Everywhere else somebody is signed in. In
//! both cases a request that changes something carries the CSRF token that only our own pages have shown to whoever sends
//! it, and none that another site has made comes so far.

use std::time::Instant;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use axum::http::{Method, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Redirect, Response};
use subtle::ConstantTimeEq as _;

use super::fields::Fields;
use super::page::Access;
use super::visitor::Visitor;
use super::{address, layout};
use crate::admin::app::App;
use crate::admin::body;
use crate::admin::gate::{self, Peer};
use crate::admin::problem::Problem;
use crate::admin::role::Role;

/// The cookie with a session's name.
pub const COOKIE: &str = "hookswitch";

/// The field of every form that changes something.
pub const CSRF: &str = "csrf";

/// How large a form may be that somebody sends who has not signed in.
const STRANGERS_FORM: usize = 16 * 1_024;

/// What a page may load and where it may lead: our own, and nothing that stands in it is run.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Lets a request through to its page, or answers it; what is wrong is told as a page.
pub(in crate::admin) async fn admit(
    State((app, access)): State<(App, Access)>,
    mut request: Request,
    next: Next,
) -> Response {
    let visitor = match look(&app, access, &request) {
        Ok(visitor) => visitor,
        Err(Refusal::SignIn(uri)) => return Redirect::to(&uri).into_response(),
        Err(Refusal::Problem(problem)) => return dressed(problem.into_response(), None),
    };
    let read = if request.method().is_safe() { Ok(request) } else { read_form(&app, &visitor, request).await };
    request = match read {
        Ok(request) => request,
        Err(problem) => return dressed(problem.into_response(), Some(&visitor)),
    };
    request.extensions_mut().insert(visitor.clone());
    dressed(next.run(request).await, Some(&visitor))
}

/// Answers a request that another site has made.
pub(in crate::admin) fn refuse(problem: &Problem) -> Response {
    dressed(problem.clone().into_response(), None)
}

/// Asks somebody who has followed a link from another site whether that is meant.
pub(in crate::admin) fn confirm(uri: &Uri) -> Response {
    let wanted = uri.path_and_query().and_then(|wanted| address::local(wanted.as_str()));
    dressed((StatusCode::FORBIDDEN, layout::from_elsewhere(wanted.as_deref().unwrap_or("/"))).into_response(), None)
}

/// Why somebody sees something else.
enum Refusal {
    SignIn(String),
    Problem(Problem),
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

fn look(app: &App, access: Access, request: &Request) -> Result<Visitor, Refusal> {
    let (settings, headers) = (app.settings(), request.headers());
    let address = request.extensions().get::<Peer>().map(|Peer(address)| address.ip());
    let address = address.map_or_else(String::new, gate::network);
    gate::limit(app, &format!("page {address}"), settings.rate, Instant::now())?;
    let now = app.pages.day.now();
    if settings.is_open() {
        gate::check_host(headers)?;
        return Ok(Visitor { name: None, role: Role::Admin, now, csrf: app.pages.sessions.csrf.clone() });
    }
    let signed_in = session(headers).and_then(|id| app.pages.sessions.find(id, &settings));
    match (signed_in, access) {
        (Some(visitor), access) => {
            let visitor = Visitor { name: Some(visitor.name), role: visitor.role, now, csrf: visitor.csrf };
            match access {
                Access::Needs(role) if !visitor.may(role) => Err(too_little(&visitor, role).into()),
                Access::Needs(_) | Access::Public => Ok(visitor),
            }
        }
        // Who has not signed in may do nothing else, whatever the role says.
        (None, Access::Public) => {
            Ok(Visitor { name: None, role: Role::Ingest, now, csrf: app.pages.sessions.csrf.clone() })
        }
        (None, Access::Needs(_)) if matches!(*request.method(), Method::GET | Method::HEAD) => {
            Err(Refusal::SignIn(sign_in_for(request.uri())))
        }
        (None, Access::Needs(_)) => {
            Err(Problem::plain(StatusCode::UNAUTHORIZED, "sign in first: nothing was changed").into())
        }
    }
}

fn too_little(visitor: &Visitor, needed: Role) -> Problem {
    let (name, role, needed) = (visitor.called(), visitor.role.as_str(), needed.as_str());
    Problem::plain(StatusCode::FORBIDDEN, format!("{name} has the role `{role}`, and this needs `{needed}`"))
}

/// Where somebody signs in who then wants to see this.
fn sign_in_for(uri: &Uri) -> String {
    let wanted = uri.path_and_query().map_or("/", |wanted| wanted.as_str());
    let query = url::form_urlencoded::Serializer::new(String::new()).append_pair("next", wanted).finish();
    format!("/sign-in?{query}")
}

/// The session that a request names.
pub fn session(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|cookies| cookies.to_str().ok());
    let mut pairs = cookies.flat_map(|cookies| cookies.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == COOKIE).map(|(_, value)| value)
}

/// Reads the form of a request that changes something, and compares its CSRF token.
async fn read_form(app: &App, visitor: &Visitor, request: Request) -> Result<Request, Problem> {
    let settings = app.settings();
    let (mut parts, body) = request.into_parts();
    let is_stranger = visitor.name.is_none() && !settings.is_open();
    let most = if is_stranger { settings.max_body.min(STRANGERS_FORM) } else { settings.max_body };
    let body = body::read(app, body, most, settings.timeout).await?;
    let fields = Fields::parse(&body);
    let given = fields.get(CSRF).unwrap_or_default();
    if !bool::from(given.as_bytes().ct_eq(visitor.csrf.as_bytes())) {
        let detail =
            "the form is not of this session: load its page again, and send it from there; nothing was changed";
        return Err(Problem::plain(StatusCode::FORBIDDEN, detail));
    }
    parts.extensions.insert(fields);
    Ok(Request::from_parts(parts, Body::empty()))
}

/// An answer as a browser is to take it; a problem becomes a page.
fn dressed(response: Response, visitor: Option<&Visitor>) -> Response {
    let mut response = match response.extensions().get::<Problem>() {
        Some(problem) => {
            let page = layout::problem(visitor, problem);
            let mut dressed = (response.status(), page).into_response();
            for name in [header::RETRY_AFTER, header::SET_COOKIE] {
                if let Some(value) = response.headers().get(&name) {
                    dressed.headers_mut().insert(name, value.clone());
                }
            }
            dressed
        }
        None => response,
    };
    let headers = response.headers_mut();
    let set = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::REFERRER_POLICY, "same-origin"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    ];
    for (name, value) in set {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}
