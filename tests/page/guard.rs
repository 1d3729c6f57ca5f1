//! Who is let in: every page, asked without a browser.

use axum::http::Method;
use hookswitch::admin::page::page::{self, Access, Entry};
use reqwest::{RequestBuilder, Response, StatusCode};
use url::Url;
use url::form_urlencoded::Serializer;

use crate::stage::{PASSWORD, Stage};

/// A path that a page may have.
fn path(page: &page::Page) -> String {
    let hash = "0123456789abcdef0123456789abcdef";
    page.path.replace("{queue}", "chat").replace("{flow}", "tell").replace("{id}", hash).replace("{name}", "none")
}

/// What a form sends.
fn form(request: RequestBuilder, fields: &[(&str, &str)]) -> RequestBuilder {
    request.body(Serializer::new(String::new()).extend_pairs(fields).finish())
}

impl Stage {
    fn ask(&self, page: &page::Page) -> RequestBuilder {
        self.client.request(page.method.clone(), self.url(&path(page)))
    }

    /// The CSRF token that a page shows.
    pub(crate) async fn csrf(&self, path: &str, cookie: &str) -> String {
        let page = self.client.get(self.url(path)).header("cookie", cookie).send().await.expect("answers");
        let text = page.text().await.expect("a text");
        let value = text.split("name=\"csrf\" value=\"").nth(1).and_then(|rest| rest.split('"').next());
        value.unwrap_or_else(|| panic!("{path} has a form: {text}")).to_owned()
    }

    pub(crate) async fn try_sign_in(&self, name: &str, password: &str) -> Response {
        let csrf = self.csrf("/sign-in", "").await;
        let fields = [("csrf", &*csrf), ("name", name), ("password", password), ("next", "/nodes")];
        form(self.client.post(self.url("/sign-in")), &fields).send().await.expect("answers")
    }

    /// Signs in, and gives the session's cookie.
    pub(crate) async fn sign_in(&self, role: &str) -> String {
        let response = self.try_sign_in(role, PASSWORD).await;
        assert_eq!(
            (response.status(), &response.headers()["location"]),
            (StatusCode::SEE_OTHER, &"/nodes".parse().expect("a value"))
        );
        let cookie = response.headers()["set-cookie"].to_str().expect("a text").to_owned();
        assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"), "{cookie}");
        cookie.split(';').next().expect("a cookie").to_owned()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_that_changes_something_refuses_a_form_without_our_token() {
    let stage = Stage::start("").await;
    let before = stage.text();
    for page in page::all().iter().filter(|page| page.method == Method::POST) {
        for fields in [vec![], vec![("csrf", "guessed")], vec![("csrf", "")]] {
            let response = form(stage.ask(page), &fields).send().await.expect("answers");
            assert_eq!(response.status(), StatusCode::FORBIDDEN, "{}", page.path);
        }
        let request = form(stage.ask(page).header("origin", "http://evil.example"), &[("csrf", "guessed")]);
        assert_eq!(request.send().await.expect("answers").status(), StatusCode::FORBIDDEN, "{}", page.path);
    }
    assert_eq!(stage.text(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_refuses_whoever_has_not_signed_in_and_too_small_a_role() {
    let stage = Stage::start(&Stage::users()).await;
    let (read, operate) = (stage.sign_in("read").await, stage.sign_in("operate").await);
    for page in page::all() {
        let Access::Needs(needed) = page.access else { continue };
        let stranger = stage.ask(&page).send().await.expect("answers");
        let expected = if page.method == Method::GET { StatusCode::SEE_OTHER } else { StatusCode::UNAUTHORIZED };
        assert_eq!(stranger.status(), expected, "{}", page.path);
        for (cookie, role) in [(&read, "read"), (&operate, "operate")] {
            let csrf = stage.csrf("/sign-in", cookie).await;
            let is_enough = role == needed.as_str() || needed.as_str() == "read";
            let request = form(stage.ask(&page).header("cookie", cookie), &[("csrf", &csrf)]);
            if is_enough || page.path == "/stream" {
                continue;
            }
            assert_eq!(
                request.send().await.expect("answers").status(),
                StatusCode::FORBIDDEN,
                "{role} at {}",
                page.path
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_names_of_this_machine_are_answered_where_nobody_signs_in() {
    let stage = Stage::start("").await;
    for (host, status) in [("evil.example", 421), ("localhost", 200), ("127.0.0.1:1", 200)] {
        let response = stage.client.get(stage.url("/queues")).header("host", host).send().await.expect("answers");
        assert_eq!(response.status().as_u16(), status, "{host}");
        let headers = response.headers();
        assert!(headers["content-type"].to_str().is_ok_and(|media| media.starts_with("text/html")), "{headers:?}");
        let policy = headers["content-security-policy"].to_str().expect("a text");
        assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_begins_with_the_right_password_and_ends() {
    let stage = Stage::start(&Stage::users()).await;
    for (name, password) in [("admin", "wrong"), ("nobody", PASSWORD), ("root", "admin-wrong")] {
        assert_eq!(stage.try_sign_in(name, password).await.status(), StatusCode::UNAUTHORIZED, "{name}");
    }
    assert_eq!(stage.try_sign_in("root", "admin-0123456789abcdef").await.status(), StatusCode::SEE_OTHER, "a token");
    let cookie = stage.sign_in("admin").await;
    let see = |cookie: String| stage.client.get(stage.url("/queues")).header("cookie", cookie).send();
    assert_eq!(see(cookie.clone()).await.expect("answers").status(), StatusCode::OK);
    let csrf = stage.csrf("/queues", &cookie).await;
    let out =
        form(stage.client.post(stage.url("/sign-out")).header("cookie", &cookie), &[("csrf", &csrf)]).send().await;
    assert_eq!(out.expect("answers").status(), StatusCode::SEE_OTHER);
    assert_eq!(see(cookie).await.expect("answers").status(), StatusCode::SEE_OTHER, "to the sign-in");
    let mut last = StatusCode::OK;
    for _ in 0..8 {
        last = stage.try_sign_in("operate", "wrong").await.status();
    }
    assert_eq!(last, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(stage.try_sign_in("operate", PASSWORD).await.status(), StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_page_is_small() {
    let stage = Stage::start("").await;
    let mut bytes = 0;
    let page = stage.client.get(stage.url("/queues")).send().await.expect("answers").text().await.expect("a text");
    bytes += page.len();
    for asset in page.split('"').filter(|text| text.starts_with("/assets/")) {
        let response = stage.client.get(stage.url(asset)).send().await.expect("answers");
        assert!(response.headers()["cache-control"].to_str().is_ok_and(|cache| cache.contains("immutable")));
        bytes += response.bytes().await.expect("a body").len();
    }
    assert!(bytes < 100_000, "{bytes}");
}

/// The headers by which a browser says that another site has made a request.
const FOREIGN: [&[(&str, &str)]; 7] = [
    &[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "no-cors"), ("sec-fetch-dest", "image")],
    &[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "iframe")],
    &[("sec-fetch-site", "same-site"), ("sec-fetch-mode", "cors"), ("sec-fetch-dest", "empty")],
    &[("sec-fetch-site", "cross-site")],
    &[("origin", "http://evil.example")],
    &[("origin", "null")],
    &[
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-mode", "navigate"),
        ("sec-fetch-dest", "document"),
        ("sec-purpose", "prefetch"),
    ],
];

/// The headers of a link that somebody has followed.
const LINK: &[(&str, &str)] =
    &[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")];

fn with(request: RequestBuilder, headers: &[(&str, &str)]) -> RequestBuilder {
    headers.iter().fold(request, |request, (name, value)| request.header(*name, *value))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_refuses_what_another_site_has_made() {
    for http in [String::new(), Stage::users()] {
        let stage = Stage::start(&http).await;
        let cookie = if http.is_empty() { String::new() } else { stage.sign_in("admin").await };
        for page in page::all() {
            for headers in FOREIGN {
                for query in ["", "?when=1&number=2&hook=x"] {
                    let url = stage.url(&(path(&page) + query));
                    let request = stage.client.request(page.method.clone(), url).header("cookie", &cookie);
                    let response = with(request, headers).send().await.expect("answers");
                    assert_eq!(response.status(), StatusCode::FORBIDDEN, "{} {} {headers:?}", page.method, page.path);
                    let media = response.headers()["content-type"].to_str().expect("a text");
                    assert!(media.starts_with("text/html"), "{}: {media}", page.path);
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_on_another_site_leads_to_plain_pages_and_is_confirmed_for_all_others() {
    let stage = Stage::start("").await;
    let follow = async |path: &str| with(stage.client.get(stage.url(path)), LINK).send().await.expect("answers");
    let (mut led, mut confirmed) = (0, 0);
    for page in page::all().iter().filter(|page| page.method == Method::GET) {
        let plain = follow(&path(page)).await.status();
        let asked = follow(&(path(page) + "?number=1&hook=%22%3E%3Cb%3E&when=1")).await;
        let status = asked.status();
        match page.entry {
            Entry::Anyhow => {
                assert!(plain != StatusCode::FORBIDDEN && status != StatusCode::FORBIDDEN, "{}", page.path);
            }
            Entry::Plain => assert!(plain != StatusCode::FORBIDDEN && status == StatusCode::FORBIDDEN, "{}", page.path),
            Entry::Confirmed | Entry::Refused => {
                assert!(plain == StatusCode::FORBIDDEN && status == StatusCode::FORBIDDEN, "{}", page.path);
            }
        }
        led += usize::from(plain != StatusCode::FORBIDDEN);
        if matches!(page.entry, Entry::Plain | Entry::Confirmed) {
            let text = asked.text().await.expect("a text");
            let link = format!("href=\"{}?number=1&amp;hook=%22%3E%3Cb%3E&amp;when=1\"", path(page));
            assert!(text.contains(&link) && text.contains("Go on") && !text.contains("<b>"), "{link}: {text}");
            confirmed += 1;
        }
    }
    assert!(led > 10 && confirmed > 10, "{led} {confirmed}");
    // Who has not signed in is led to where that is done.
    let stage = Stage::start(&Stage::users()).await;
    let response = with(stage.client.get(stage.url("/queues")), LINK).send().await.expect("answers");
    let to = response.headers()["location"].to_str().expect("a text").to_owned();
    let response = with(stage.client.get(stage.url(&to)), LINK).send().await.expect("answers");
    assert_eq!((response.status(), to.as_str()), (StatusCode::OK, "/sign-in?next=%2Fqueues"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_condition_is_checked_for_our_own_forms_alone() {
    let stage = Stage::start("").await;
    let url = stage.url("/queues/chat/hooks/condition");
    let csrf = stage.csrf("/queues/chat/hooks/new", "").await;
    let check = async |csrf: &str| {
        let fields = [("csrf", csrf), ("when", "queue_name == 'chat'"), ("event", "joined")];
        form(stage.client.post(&url), &fields).send().await.expect("answers")
    };
    let answer = check(&csrf).await.text().await.expect("a text");
    assert!(answer.contains("It holds for a sample of joined"), "{answer}");
    assert_eq!(check("").await.status(), StatusCode::FORBIDDEN);
    let by_get = stage.client.get(format!("{url}?when=true")).send().await.expect("answers");
    assert_eq!(by_get.status(), StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_leads_to_our_own_pages_alone() {
    let stage = Stage::start(&Stage::users()).await;
    let csrf = stage.csrf("/sign-in", "").await;
    let ours = Url::parse(&stage.url("/sign-in")).expect("a URL");
    let targets = [
        ("/deliveries?queue=chat&state=failed", "/deliveries?queue=chat&state=failed"),
        ("//evil.example", "/"),
        ("/\t/evil.example", "/"),
        ("/\n/evil.example", "/"),
        ("\r\n//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("\\\\evil.example", "/"),
        ("/.//evil.example", "/"),
        ("/a/..//evil.example", "/"),
        ("/%2e//evil.example", "/"),
        ("https:evil.example", "/"),
        ("http://evil.example/", "/"),
        ("javascript:alert(1)", "/"),
        ("/queues\r\nSet-Cookie: a=b", "/queuesSet-Cookie:%20a=b"),
    ];
    for (next, expected) in targets {
        let fields = [("csrf", &*csrf), ("name", "admin"), ("password", PASSWORD), ("next", next)];
        let response = form(stage.client.post(stage.url("/sign-in")), &fields).send().await.expect("answers");
        assert_eq!(response.status(), StatusCode::SEE_OTHER, "{next:?}");
        let location = response.headers()["location"].to_str().expect("a text");
        assert_eq!(location, expected, "{next:?}");
        assert_eq!(ours.join(location).expect("a URL").origin(), ours.origin(), "{next:?}");
        // What the form carries on is read the same way.
        let query = Serializer::new(String::new()).append_pair("next", next).finish();
        let page = stage.client.get(stage.url(&format!("/sign-in?{query}"))).send().await.expect("answers");
        let page = page.text().await.expect("a text");
        let value = format!("name=\"next\" value=\"{}\"", expected.replace('&', "&amp;"));
        assert!(page.contains(&value), "{next:?}: {page}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_done_is_said_by_us_alone() {
    let stage = Stage::start("").await;
    let run = "0123456789abcdef0123456789abcdef";
    for path in ["/deliveries", "/queues/chat/hooks", &format!("/deliveries/{run}")] {
        for seal in ["", "&seal=", "&seal=0000", &format!("&seal={}", "ab".repeat(32))] {
            let url = stage.url(&format!("{path}?done=Call+0900+now{seal}"));
            let page = stage.client.get(url).send().await.expect("answers").text().await.expect("a text");
            assert!(!page.contains("Call 0900 now"), "{path}{seal}");
        }
    }
    let csrf = stage.csrf("/queues/chat/hooks", "").await;
    let fields = [("csrf", &*csrf), ("queue", "none")];
    let response = form(stage.client.post(stage.url("/deliveries/cancel")), &fields).send().await.expect("answers");
    let to = response.headers()["location"].to_str().expect("a text");
    let page = stage.client.get(stage.url(to)).send().await.expect("answers").text().await.expect("a text");
    assert!(page.contains("Nothing is changed: in their states there is nothing to be done."), "{to}: {page}");
}
