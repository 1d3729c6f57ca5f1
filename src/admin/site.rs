//! Which site a request comes from. A browser sends what any page makes it send: to this machine, where nobody needs to sign
//! in, or with somebody's session. It says with each request whether a page of our own has made it.
//!
//! Whatever another site has made is refused, on every route, whatever its method. Only a link that somebody has followed
//! leads to a page, if the page says that it costs little, and has no query; to any other page it is confirmed first. What is
//! sent by programs, and by people who enter an address, is not touched.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{MatchedPath, Request, State};
use axum::http::header::{HOST, HeaderMap, HeaderName, ORIGIN, REFERER};
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use super::app::App;
use super::page::guard;
use super::page::page::{Entry, Page};
use super::problem::Problem;

/// The pages by their paths, and how each is entered.
#[derive(Clone, Debug)]
pub(super) struct Entries(Arc<HashMap<&'static str, Entry>>);

/// Who has made a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    /// A page of our own, a person who has entered an address, or a program.
    Own,
    /// A link on another site that somebody has followed.
    Link,
    /// Anything else on another site.
    Foreign,
}

impl Entries {
    pub(super) fn of(pages: &[Page]) -> Self {
        let mut entries = HashMap::new();
        for page in pages {
            let entry = if page.method == Method::GET { page.entry } else { Entry::Refused };
            // A path that is seen by GET may be acted on by POST.
            if page.method == Method::GET || !entries.contains_key(page.path) {
                entries.insert(page.path, entry);
            }
        }
        Self(Arc::new(entries))
    }
}

/// Lets a request through that no other site has made, or answers it.
pub(super) async fn admit(State((app, entries)): State<(App, Entries)>, request: Request, next: Next) -> Response {
    let source = source(request.method(), request.headers(), app.settings().is_open());
    if source == Source::Own {
        return next.run(request).await;
    }
    let path = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    let entry = path.and_then(|path| entries.0.get(path)).copied();
    let has_query = request.uri().query().is_some_and(|query| !query.is_empty());
    match (source, entry) {
        (Source::Link, Some(Entry::Anyhow)) => next.run(request).await,
        (Source::Link, Some(Entry::Plain)) if !has_query => next.run(request).await,
        (Source::Link, Some(Entry::Plain | Entry::Confirmed)) => guard::confirm(request.uri()),
        (_, Some(_)) => guard::refuse(&foreign()),
        (_, None) => foreign().into_response(),
    }
}

fn foreign() -> Problem {
    Problem::plain(StatusCode::FORBIDDEN, "nothing is taken from, or shown to, a page of another site")
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<Cow<'a, str>> {
    headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()))
}

fn source(method: &Method, headers: &HeaderMap, is_open: bool) -> Source {
    let host = text(headers, &HOST);
    let is_other = |origin: &str| {
        let authority = origin.split_once("://").map(|(_, rest)| rest.split(['/', '?', '#']).next().unwrap_or(rest));
        !authority.zip(host.as_deref()).is_some_and(|(authority, host)| authority.eq_ignore_ascii_case(host))
    };
    let mut origins = headers.get_all(ORIGIN).iter().map(|origin| String::from_utf8_lossy(origin.as_bytes()));
    if origins.any(|origin| is_other(&origin)) {
        return Source::Foreign;
    }
    let all = |name: &'static str| headers.get_all(HeaderName::from_static(name)).iter();
    let is = |name, wanted: &str| all(name).next().is_some() && all(name).all(|value| value == wanted);
    if all("sec-fetch-site").next().is_some() {
        let is_own = all("sec-fetch-site").all(|site| site == "same-origin" || site == "none");
        // What is fetched before a link is followed may never be looked at.
        let is_followed = all("sec-purpose").chain(all("purpose")).chain(all("x-moz")).next().is_none();
        let is_link = method == Method::GET && is("sec-fetch-mode", "navigate") && is("sec-fetch-dest", "document");
        return match (is_own, is_link && is_followed) {
            (true, _) => Source::Own,
            (false, true) => Source::Link,
            (false, false) => Source::Foreign,
        };
    }
    // An old browser says no more than what led to it. A proxy may have given another name to what is behind it; where
    // nobody signs in there is none.
    let is_referred = is_open && text(headers, &REFERER).is_some_and(|referer| is_other(&referer));
    match (is_referred, method == Method::GET) {
        (false, _) => Source::Own,
        (true, true) => Source::Link,
        (true, false) => Source::Foreign,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(method: Method, pairs: &[(&'static str, &str)]) -> Source {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, "127.0.0.1:8060".parse().expect("a value"));
        for (name, value) in pairs {
            headers.append(*name, value.parse().expect("a value"));
        }
        source(&method, &headers, true)
    }

    #[test]
    fn what_our_own_pages_people_and_programs_send_is_taken() {
        for method in [Method::GET, Method::PUT, Method::POST, Method::OPTIONS] {
            assert_eq!(of(method.clone(), &[]), Source::Own);
            assert_eq!(of(method.clone(), &[("origin", "http://127.0.0.1:8060")]), Source::Own);
            assert_eq!(of(method.clone(), &[("sec-fetch-site", "same-origin")]), Source::Own);
            assert_eq!(of(method.clone(), &[("referer", "http://127.0.0.1:8060/queues?a=b")]), Source::Own);
            assert_eq!(of(method, &[("sec-fetch-site", "none"), ("sec-fetch-mode", "navigate")]), Source::Own);
        }
    }

    #[test]
    fn what_another_site_sends_is_not() {
        let foreign: [&[(&str, &str)]; 12] = [
            &[("origin", "http://127.0.0.1:9000")],
            &[("origin", "http://127.0.0.1:8060.evil.example")],
            &[("origin", "null")],
            &[("origin", "http://127.0.0.1:8060"), ("origin", "http://evil.example")],
            &[("sec-fetch-site", "cross-site")],
            &[("sec-fetch-site", "same-site"), ("sec-fetch-mode", "cors")],
            &[("sec-fetch-site", "something-new")],
            &[("sec-fetch-site", "")],
            &[("sec-fetch-site", "none"), ("sec-fetch-site", "cross-site")],
            &[("sec-fetch-site", "cross-site"), ("origin", "http://127.0.0.1:8060")],
            &[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "iframe")],
            &[
                ("sec-fetch-site", "cross-site"),
                ("sec-fetch-mode", "navigate"),
                ("sec-fetch-dest", "document"),
                ("sec-purpose", "prefetch"),
            ],
        ];
        for headers in foreign {
            for method in [Method::GET, Method::HEAD, Method::PUT, Method::POST, Method::OPTIONS] {
                assert_eq!(of(method, headers), Source::Foreign, "{headers:?}");
            }
        }
    }

    #[test]
    fn a_link_is_followed_by_get() {
        let link = [("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")];
        assert_eq!(of(Method::GET, &link), Source::Link);
        assert_eq!(of(Method::POST, &link), Source::Foreign);
        let old = [("referer", "http://evil.example/127.0.0.1:8060")];
        assert_eq!((of(Method::GET, &old), of(Method::POST, &old)), (Source::Link, Source::Foreign));
    }
}
