//! Redirects: where a request may be sent on to, and what of it goes along.
//!
//! Only 307 and 308 are followed, which leave a request what it is. Whatever was configured for one scheme, host and port
//! stays there: to another one go the body, its media type and the webhook's id, and no other header, no credentials, no
//! signature and no certificate of ours, also when a further redirect leads back. What can't be left behind is not sent on:
//! a redirect from `https` to `http`, one that takes along a secret of the address, and one of a body that names a secret.

use reqwest::StatusCode;
use reqwest::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE, HeaderMap, LOCATION};
use serde_json::Value as Json;
use url::Url;

use super::mask::is_secret_name;
use crate::flow::RenderedRequest;

/// A request's way by redirects.
#[derive(Debug)]
pub(super) struct Redirects {
    /// How many may still be followed.
    left: usize,
    /// Whether the request has been sent on to another scheme, host or port.
    is_elsewhere: bool,
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
    pub(super) fn new(most: usize) -> Self {
        Self { left: most, is_elsewhere: false }
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
            check(request, &target)?;
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

/// Whether the request may go to another scheme, host or port.
fn check(request: &RenderedRequest, target: &Url) -> Result<(), RedirectError> {
    if request.url.scheme() == "https" && target.scheme() == "http" {
        return Err(RedirectError::Downgrade);
    }
    let secrets = request.url.query_pairs().filter(|(name, value)| is_secret_name(name) && !value.is_empty());
    if secrets.into_iter().any(|(_, secret)| is_in_address(&secret, target)) {
        return Err(RedirectError::SecretInAddress);
    }
    if names_secret(request) { Err(RedirectError::SecretInBody) } else { Ok(()) }
}

fn is_in_address(secret: &str, target: &Url) -> bool {
    target.query_pairs().any(|(name, value)| name == secret || value == secret)
        || target.path_segments().is_some_and(|mut segments| {
            segments.any(|segment| percent_encoding::percent_decode_str(segment).decode_utf8_lossy() == secret)
        })
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

    fn to(location: &str) -> HeaderMap {
        HeaderMap::from_iter([(LOCATION, location.parse().expect("a value"))])
    }

    #[test]
    fn at_home_everything_goes_along() {
        let (mut redirects, mut request) = (Redirects::new(2), request("https://me:pw@crm.example/a?token=x", "{}"));
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
        let (mut redirects, mut request) = (Redirects::new(9), request("http://me:pw@crm.example/a", "{}"));
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
            Redirects::new(1).follow(&mut request(url, body), PERMANENT, &to(location))
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
        let (mut redirects, none) = (Redirects::new(1), HeaderMap::new());
        assert_eq!(
            redirects.follow(&mut request("https://a.example/", ""), PERMANENT, &none),
            Err(RedirectError::Location)
        );
    }
}
