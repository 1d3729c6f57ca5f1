//! Who is let in: before an endpoint sees a request, its Host, its token and its rate are looked at.
//!
//! Without tokens only this machine can connect, and everybody on it may do everything. A web page that is open in a browser
//! on this machine is not everybody: by a name of its own that leads to 127.0.0.1 (DNS rebinding) it would read, and by a
//! form it would change. So the request's `Host` must then name this machine; [`site`](super::site) has refused before what
//! comes from another site.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::{AUTHORIZATION, HOST, HeaderMap, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use subtle::ConstantTimeEq as _;

use super::app::App;
use super::problem::Problem;
use super::role::Role;
use crate::config::{HttpSettings, HttpToken};

/// How many requests a second an address may make whose token is not right: those of a program whose token was replaced, but
/// no search, which even the shortest token would outlast by far.
const WRONG_TOKENS_RATE: u32 = 100;

/// Who connects.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub SocketAddr);

/// What requests and connections are counted by: an IPv4 address, or the /64 network of an IPv6 address, all of which one
/// machine can have.
pub fn network(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
    }
}

/// Who may use an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Everybody who can connect, as often as they like, whatever others do: it costs nothing.
    Probe,
    /// Everybody who can connect.
    Public,
    /// Whoever has a token of a role that permits this, where there are tokens.
    Needs(Role),
}

/// Why somebody is not let in.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("this is not the host `{0}`; without tokens, only this machine's own names are answered")]
    ForeignHost(String),
    #[error("a bearer token is needed")]
    NoToken,
    #[error("the token is not known")]
    WrongToken,
    #[error("the token `{name}` has the role `{}`, and this needs `{}`", role.as_str(), needed.as_str())]
    TooLittle { name: String, role: Role, needed: Role },
    #[error("too many requests")]
    TooMany(Duration),
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let detail = refusal.to_string();
        match refusal {
            Refusal::ForeignHost(_) => Self::plain(StatusCode::MISDIRECTED_REQUEST, detail),
            Refusal::TooLittle { .. } => Self::plain(StatusCode::FORBIDDEN, detail),
            Refusal::NoToken => Self::plain(StatusCode::UNAUTHORIZED, detail).with(WWW_AUTHENTICATE, "Bearer"),
            Refusal::WrongToken => {
                Self::plain(StatusCode::UNAUTHORIZED, detail).with(WWW_AUTHENTICATE, "Bearer error=\"invalid_token\"")
            }
            Refusal::TooMany(wait) => {
                let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
                Self::plain(StatusCode::TOO_MANY_REQUESTS, detail).with(RETRY_AFTER, &seconds.to_string())
            }
        }
    }
}

/// Lets a request through to an endpoint, or answers it.
pub(super) async fn admit(State((app, access)): State<(App, Access)>, request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<Peer>().map(|Peer(address)| address.ip());
    let settings = app.settings();
    match judge(&app, &settings, access, peer, request.headers()) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

fn judge(
    app: &App,
    settings: &HttpSettings,
    access: Access,
    peer: Option<IpAddr>,
    headers: &HeaderMap,
) -> Result<(), Problem> {
    if settings.is_open() {
        check_host(headers)?;
    }
    let address = peer.map_or_else(String::new, network);
    let limit = |caller: &str, rate| limit(app, caller, rate, Instant::now());
    let needed = match access {
        Access::Needs(needed) if !settings.is_open() => needed,
        Access::Needs(_) | Access::Public => return limit(&address, settings.rate),
        Access::Probe => return Ok(()),
    };
    match token(headers).map(|token| find(&settings.tokens, token)) {
        Some(Some(known)) => {
            limit(&format!("token {}", known.name), settings.rate)?;
            let (name, role) = (known.name.clone(), known.role);
            if role.permits(needed) { Ok(()) } else { Err(Refusal::TooLittle { name, role, needed }.into()) }
        }
        found => {
            limit(&format!("wrong {address}"), WRONG_TOKENS_RATE)?;
            Err(if found.is_some() { Refusal::WrongToken } else { Refusal::NoToken }.into())
        }
    }
}

/// Takes one of the requests that a caller may make in a second.
pub(super) fn limit(app: &App, caller: &str, rate: u32, now: Instant) -> Result<(), Problem> {
    app.rates.take(caller, rate, now).map_err(|wait| Refusal::TooMany(wait).into())
}

/// Without a `Host` no browser sends a request.
pub(super) fn check_host(headers: &HeaderMap) -> Result<(), Problem> {
    let Some(host) = headers.get(HOST) else { return Ok(()) };
    let host = String::from_utf8_lossy(host.as_bytes());
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => &*host,
    };
    let address = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    let is_ours = name.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback());
    if is_ours { Ok(()) } else { Err(Refusal::ForeignHost(host.into_owned()).into()) }
}

/// The bearer token of a request.
fn token(headers: &HeaderMap) -> Option<&[u8]> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.as_bytes().split_at_checked("Bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then_some(token.trim_ascii())
}

/// The token that this is. All are compared, each in the time that its length takes, so that what an answer takes says
/// nothing of how far a guess was right.
pub(super) fn find<'a>(tokens: &'a [HttpToken], given: &[u8]) -> Option<&'a HttpToken> {
    let is_it = |known: &&HttpToken| bool::from(known.token.expose().as_bytes().ct_eq(given));
    tokens.iter().filter(is_it).fold(None, |_, known| Some(known))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().expect("a name"), value.parse().expect("a value"))).collect()
    }

    #[test]
    fn only_names_of_this_machine_are_its_host() {
        for ours in ["localhost", "LOCALHOST:8060", "127.0.0.1:8060", "[::1]:8060", "[::1]", "127.0.0.2"] {
            assert!(check_host(&headers(&[("host", ours)])).is_ok(), "{ours}");
        }
        for foreign in ["evil.example", "evil.example:8060", "localhost.evil.example", "10.0.0.1:8060", ""] {
            assert!(check_host(&headers(&[("host", foreign)])).is_err(), "{foreign}");
        }
    }

    #[test]
    fn a_machine_is_one_caller_by_whatever_address_it_comes() {
        let of = |text: &str| network(text.parse().expect("an address"));
        assert_eq!(of("2001:db8:1:2::3"), of("2001:db8:1:2:ffff::4"));
        assert_ne!(of("2001:db8:1:2::3"), of("2001:db8:1:3::3"));
        assert_eq!(of("::ffff:10.0.0.1"), of("10.0.0.1"));
        assert_ne!(of("10.0.0.2"), of("10.0.0.1"));
    }

    #[test]
    fn a_token_is_the_one_that_it_is_and_no_other() {
        use crate::config::secret::Secret;
        let of = |name: &str, token| HttpToken { name: name.to_owned(), role: Role::Read, token: Secret::new(token) };
        let tokens = [of("a", "0123456789abcdef"), of("b", "fedcba9876543210")];
        let found = |text: &str| find(&tokens, token(&headers(&[("authorization", text)]))?).map(|token| &*token.name);
        assert_eq!(found("Bearer 0123456789abcdef"), Some("a"));
        assert_eq!(found("bearer fedcba9876543210"), Some("b"));
        for wrong in ["Bearer ", "Bearer", "0123456789abcdef", "Basic 0123456789abcdef", "Bearer 0123456789abcde"] {
            assert_eq!(found(wrong), None, "{wrong}");
        }
    }
}
