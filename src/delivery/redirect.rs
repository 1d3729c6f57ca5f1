//! Redirects: where a request may be sent on to, and what of it goes along.
//!
//! Only 307 and 308 are followed, which leave a request what it is. Whatever was configured for one scheme, host and port
//! stays there: to another one go the body, its media type and the webhook's id, and no other header, no credentials, no
//! signature and no certificate of ours, also when a further redirect leads back. What can't be left behind is not sent on:
//! a redirect from `https` to `http`, one that takes along a secret, in whatever part of the address, and one of a body that
//! names a secret or has one of the configuration in it.

use reqwest::StatusCode;
use reqwest::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE, HeaderMap, LOCATION};
use serde_json::Value as Json;
use url::Url;

use super::mask::{SHORTEST_VALUE, SecretValues, is_secret_name, secret_ranges};
use crate::flow::RenderedRequest;

/// How often an address may be percent-encoded within another.
const MOST_ENCODINGS: usize = 4;

/// A request's way by redirects.
#[derive(Debug)]
pub(super) struct Redirects {
    /// How many may still be followed.
    left: usize,
    /// Whether the request has been sent on to another scheme, host or port.
    is_elsewhere: bool,
    secrets: Secrets,
}

/// What is not sent on to another scheme, host or port.
#[derive(Debug)]
struct Secrets {
    /// Those of the configuration.
    known: SecretValues,
    /// Those of the request as it was made.
    own: SecretValues,
    /// Parts of its address that are too short to be found within others.
    short: Vec<String>,
}

/// Why a redirect is not followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum RedirectError {
    #[error("it does not say where to")]
    Location,
    #[error("it leads from https to http")]
    Downgrade,
    #[error("it takes a secret of the address to another host")]
    SecretInAddress,
    #[error("the body names a secret, which does not go to another host")]
    SecretInBody,
}

impl Redirects {
    /// So many redirects at most.
    pub(super) fn new(most: usize, request: &RenderedRequest, known: &SecretValues) -> Self {
        // They are only looked at where a redirect may be followed.
        let secrets = if most > 0 { Secrets::of(request, known) } else { Secrets::none() };
        Self { left: most, is_elsewhere: false, secrets }
    }

    /// Whether the request has been sent on to another scheme, host or port.
    pub(super) fn is_elsewhere(&self) -> bool {
        self.is_elsewhere
    }

    /// Makes the request what is sent next, if the answer sends it on.
    pub(super) fn follow(
        &mut self,
        request: &mut RenderedRequest,
        status: StatusCode,
        headers: &HeaderMap,
    ) -> Result<bool, RedirectError> {
        if !matches!(status, StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT) || self.left == 0 {
            return Ok(false);
        }
        let mut target = target(&request.url, headers).ok_or(RedirectError::Location)?;
        if target.origin() != request.url.origin() {
            self.secrets.check(request, &target)?;
            request.headers = without_secrets(&request.headers);
            self.is_elsewhere = true;
        }
        // Who we are to a host is configured, never said by a redirect.
        let same = (target.origin() == request.url.origin()).then_some(&request.url);
        let user = same.map_or("", |url| url.username()).to_owned();
        let password = same.and_then(|url| url.password()).map(str::to_owned);
        let is_set = target.set_username(&user).and_then(|()| target.set_password(password.as_deref()));
        is_set.map_err(|()| RedirectError::Location)?;
        request.url = target;
        self.left -= 1;
        Ok(true)
    }
}

fn target(from: &Url, headers: &HeaderMap) -> Option<Url> {
    let location = String::from_utf8_lossy(headers.get(LOCATION)?.as_bytes()).into_owned();
    let target = from.join(location.trim()).ok()?;
    (matches!(target.scheme(), "http" | "https") && target.has_host()).then_some(target)
}

impl Secrets {
    fn none() -> Self {
        Self { known: SecretValues::default(), own: SecretValues::default(), short: Vec::new() }
    }

    fn of(request: &RenderedRequest, known: &SecretValues) -> Self {
        let own = SecretValues::of_request(&request.url, &request.headers);
        let text = request.url.as_str();
        let mut parts: Vec<_> = secret_ranges(text).into_iter().map(|range| decoded(&text[range])).collect();
        if request.is_secret_url {
            parts.extend(request.url.path_segments().into_iter().flatten().map(decoded).filter(|part| is_long(part)));
            parts.extend(request.url.query_pairs().map(|(_, value)| value.into_owned()));
        }
        parts.iter().for_each(|part| own.note(part));
        parts.retain(|part| !part.is_empty() && !is_long(part));
        Self { known: known.clone(), own, short: parts }
    }

    /// Whether the request may go to another scheme, host or port.
    fn check(&self, request: &RenderedRequest, target: &Url) -> Result<(), RedirectError> {
        if request.url.scheme() == "https" && target.scheme() == "http" {
            return Err(RedirectError::Downgrade);
        }
        if self.are_in_address(target) {
            return Err(RedirectError::SecretInAddress);
        }
        let body = String::from_utf8_lossy(&request.body);
        if names_secret(request) || self.are_in(&body) { Err(RedirectError::SecretInBody) } else { Ok(()) }
    }

    fn are_in(&self, text: &str) -> bool {
        self.own.are_in(text) || self.known.are_in(text)
    }

    /// Addresses may stand in one another, encoded once more each.
    fn are_in_address(&self, target: &Url) -> bool {
        let mut text = target.as_str().to_owned();
        for _ in 0..MOST_ENCODINGS {
            if self.are_in(&text) || self.are_in(&text.replace('+', " ")) {
                return true;
            }
            text = decoded(&text);
        }
        let segments = target.path_segments().into_iter().flatten().map(decoded);
        let pairs = target.query_pairs().flat_map(|(name, value)| [name.into_owned(), value.into_owned()]);
        segments.chain(pairs).any(|part| self.short.contains(&part))
    }
}

/// Whether a part of an address is found within others by its value.
fn is_long(part: &str) -> bool {
    part.chars().count() >= SHORTEST_VALUE
}

fn decoded(text: &str) -> String {
    percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// Whether a field of the body is named as a secret; of a text it is enough that it speaks of one.
fn names_secret(request: &RenderedRequest) -> bool {
    let content_type = request.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let content_type = content_type.to_ascii_lowercase();
    if content_type.starts_with("application/x-www-form-urlencoded") {
        return url::form_urlencoded::parse(&request.body).any(|(name, _)| is_secret_name(&name));
    }
    match serde_json::from_slice::<Json>(&request.body) {
        Ok(json) => has_secret_member(&json),
        Err(_) => is_secret_name(&String::from_utf8_lossy(&request.body)),
    }
}

fn has_secret_member(json: &Json) -> bool {
    match json {
        Json::Object(members) => members.iter().any(|(name, value)| is_secret_name(name) || has_secret_member(value)),
        Json::Array(elements) => elements.iter().any(has_secret_member),
        _ => false,
    }
}

/// The headers that say what is sent, and nothing of who sends it.
fn without_secrets(headers: &HeaderMap) -> HeaderMap {
    let kept = [CONTENT_TYPE, ACCEPT, ACCEPT_ENCODING];
    let kept = kept.into_iter().filter_map(|name| headers.get(&name).map(|value| (name, value.clone())));
    kept.filter(|(_, value)| !value.is_sensitive()).collect()
}

#[cfg(test)]
mod tests {
    use reqwest::Method;
    use reqwest::header::{AUTHORIZATION, HeaderName, HeaderValue};

    use super::*;

    const PERMANENT: StatusCode = StatusCode::PERMANENT_REDIRECT;

    fn request(url: &str, body: &str) -> RenderedRequest {
        let headers = [
            (CONTENT_TYPE, "application/json"),
            (AUTHORIZATION, "Bearer geheim"),
            (HeaderName::from_static("x-partner"), "geheim"),
        ];
        let headers = headers.map(|(name, value)| (name, HeaderValue::from_static(value)));
        RenderedRequest {
            method: Method::POST,
            url: url.parse().expect("a URL"),
            headers: HeaderMap::from_iter(headers),
            body: body.into(),
            is_secret_url: false,
        }
    }

    fn redirects(most: usize, request: &RenderedRequest) -> Redirects {
        let known = SecretValues::default();
        known.note("known-17");
        Redirects::new(most, request, &known)
    }

    fn to(location: &str) -> HeaderMap {
        HeaderMap::from_iter([(LOCATION, location.parse().expect("a value"))])
    }

    #[test]
    fn at_home_everything_goes_along() {
        let mut request = request("https://me:pw@crm.example/a?token=x", "{}");
        let mut redirects = redirects(2, &request);
        for (location, url) in [
            ("/b", "https://me:pw@crm.example/b"),
            ("https://you@crm.example:443/c?token=x", "https://me:pw@crm.example/c?token=x"),
        ] {
            assert_eq!(redirects.follow(&mut request, PERMANENT, &to(location)), Ok(true));
            assert_eq!((request.url.as_str(), request.headers.len()), (url, 3));
        }
        assert!(!redirects.is_elsewhere());
        assert_eq!(redirects.follow(&mut request, PERMANENT, &to("/d")), Ok(false), "they are used up");
    }

    #[test]
    fn elsewhere_nothing_goes_along_but_the_body_and_it_does_not_come_back_either() {
        let mut request = request("http://me:pw@crm.example/a", "{}");
        let mut redirects = redirects(9, &request);
        for location in
            ["http://crm.example:81/", "https://crm.example/", "https://x:y@other.example/", "https://crm.example/b"]
        {
            assert_eq!(redirects.follow(&mut request, PERMANENT, &to(location)), Ok(true));
            assert_eq!(request.headers.keys().collect::<Vec<_>>(), [CONTENT_TYPE]);
            assert_eq!((request.url.username(), request.url.password(), &*request.body), ("", None, &b"{}"[..]));
            assert!(redirects.is_elsewhere());
        }
    }

    #[test]
    fn what_cannot_be_left_behind_is_not_sent_on() {
        let follow = |url: &str, body: &str, location: &str| {
            let mut request = request(url, body);
            redirects(1, &request).follow(&mut request, PERMANENT, &to(location))
        };
        assert_eq!(follow("https://a.example/", "{}", "http://a.example/"), Err(RedirectError::Downgrade));
        let address = "https://a.example/?phone=1&api_key=geheim%2F1";
        for location in
            ["https://b.example/?api_key=geheim%2F1", "https://b.example/?k=geheim/1", "https://b.example/geheim%2F1/x"]
        {
            assert_eq!(follow(address, "{}", location), Err(RedirectError::SecretInAddress), "{location}");
        }
        assert_eq!(follow(address, "{}", "https://b.example/?phone=1"), Ok(true));
        for body in [r#"{"a":[{"password":"x"}]}"#, "<token>x</token>"] {
            assert_eq!(follow("https://a.example/", body, "https://b.example/"), Err(RedirectError::SecretInBody));
            assert_eq!(follow("https://a.example/", body, "/b"), Ok(true));
        }
        assert_eq!(follow("https://a.example/", "{}", "ftp://b.example/"), Err(RedirectError::Location));
        let mut request = request("https://a.example/", "");
        let followed = redirects(1, &request).follow(&mut request, PERMANENT, &HeaderMap::new());
        assert_eq!(followed, Err(RedirectError::Location));
    }

    #[test]
    fn no_part_of_an_address_takes_a_secret_along() {
        let (named, slack) = ("https://a.example/?api_key=geheim%2F1", "https://hooks.slack.com/services/T0/B0/geheim");
        for (url, location) in [
            (named, "https://b.example/?next=https%3A%2F%2Fa.example%2F%3Fapi_key%3Dgeheim%252F1"),
            (named, "https://b.example/x-geheim%2f1-x"),
            (named, "//b.example/geheim/1"),
            (named, "https://b.example/#k=geheim%2F1"),
            ("https://a.example/?api_key=x1", "https://b.example/x1"),
            (slack, "https://b.example/services/T0/B0/geheim"),
            ("https://a.example/token/geheim", "https://b.example/?t=geheim"),
            ("https://me:geheim@a.example/", "https://b.example/geheim"),
            ("https://a.example/known-17", "https://b.example/known-17"),
        ] {
            let mut request = request(url, "{}");
            let followed = redirects(1, &request).follow(&mut request, PERMANENT, &to(location));
            assert_eq!(followed, Err(RedirectError::SecretInAddress), "{location}");
        }
        let mut whole = request("https://a.example/workflows/geheim-17?room=hidden18", "{}");
        whole.is_secret_url = true;
        for location in
            ["https://b.example/geheim-17", "https://b.example/?hidden18", "https://b.example/a/b?c=hidden18"]
        {
            let followed = redirects(1, &whole).follow(&mut whole.clone(), PERMANENT, &to(location));
            assert_eq!(followed, Err(RedirectError::SecretInAddress), "{location}");
        }
        assert_eq!(redirects(1, &whole).follow(&mut whole, PERMANENT, &to("https://b.example/v2")), Ok(true));
    }

    #[test]
    fn a_secret_does_not_leave_by_two_hops_or_in_the_body() {
        let mut request = super::tests::request("https://a.example/?api_key=geheim-1", "{}");
        let mut redirects = redirects(3, &request);
        assert_eq!(redirects.follow(&mut request, PERMANENT, &to("/x/geheim-1")), Ok(true), "at home it may");
        let away = redirects.follow(&mut request, PERMANENT, &to("https://b.example/x/geheim-1"));
        assert_eq!(away, Err(RedirectError::SecretInAddress));
        let mut request = super::tests::request("https://a.example/", r#"{"note":"is known-17"}"#);
        let away = super::tests::redirects(1, &request).follow(&mut request, PERMANENT, &to("https://b.example/"));
        assert_eq!(away, Err(RedirectError::SecretInBody));
    }
}
