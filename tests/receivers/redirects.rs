//! Receivers that send a request on: what was configured for one of them is not told to another.

use tokio::io::AsyncWriteExt;

use crate::server::{Request, Server, Wire};
use crate::{assert_delivered, assert_failed, sent, sent_from};

async fn redirect(mut wire: Box<dyn Wire>, to: String) {
    let answer = format!("HTTP/1.1 307 Temporary Redirect\r\nlocation: {to}\r\ncontent-length: 0\r\n\r\n");
    let _ = wire.write_all(answer.as_bytes()).await;
}

async fn thank(mut wire: Box<dyn Wire>) {
    let _ = wire.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
}

/// A receiver that redirects what comes to `/` there, and takes the rest.
async fn redirecting(to: String) -> Server {
    Server::start(move |request: Request, wire| {
        let to = to.clone();
        async move { if request.line().contains(" /end") { thank(wire).await } else { redirect(wire, to).await } }
    })
    .await
}

const SECRETS: &str = "headers = { x-api-key = 'geheim-1', x-crm-token = 'geheim-2', cookie = 'geheim-3', x-plain = 'geheim-4' }, \
                       json = { name = 'Ada' }, retry = []";

fn settings(server: &Server) -> String {
    format!(
        "[delivery]\nsecrets = ['whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw']\n[delivery.receivers.'http://{}']\nredirects = 5\n\
         bearer = 'geheim-0'\n",
        server.address
    )
}

fn assert_bare(request: &Request) {
    assert!(!request.head.contains("geheim"), "{}", request.head);
    let signature = request.header("webhook-signature");
    assert_eq!((signature, request.header("referer")), (None, None), "{}", request.head);
    assert!(request.header("webhook-id").is_some_and(|id| id.starts_with("whr_")));
    assert_eq!((request.header("content-type"), &*request.body), (Some("application/json"), &br#"{"name":"Ada"}"#[..]));
}

#[tokio::test]
async fn another_host_gets_the_body_and_no_secret() {
    let other = Server::start(|_, wire| thank(wire)).await;
    let first = redirecting(format!("http://localhost:{}/there", other.address.port())).await;
    assert_delivered(&sent(&settings(&first), &format!("url = '{}', {SECRETS}", first.url())).await);
    let asked = &first.requests()[0];
    for secret in ["Bearer geheim-0", "geheim-1", "geheim-2", "geheim-3", "geheim-4"] {
        assert!(asked.head.contains(secret), "{}", asked.head);
    }
    assert!(asked.header("webhook-signature").is_some());
    assert_bare(&other.requests()[0]);
}

#[tokio::test]
async fn at_home_everything_goes_along_and_is_signed_anew() {
    let server = redirecting("/end?token=1".into()).await;
    assert_delivered(&sent(&settings(&server), &format!("url = '{}', {SECRETS}", server.url())).await);
    let requests = server.requests();
    assert_eq!(requests.len(), 2);
    for request in requests {
        assert_eq!(request.head.matches("geheim").count(), 5, "{}", request.head);
        assert!(request.header("webhook-signature").is_some_and(|signature| signature.starts_with("v1,")));
    }
}

#[tokio::test]
async fn who_is_sent_back_home_by_a_stranger_comes_without_secrets() {
    let home = std::sync::Arc::new(std::sync::OnceLock::new());
    let stranger = Server::start({
        let home = std::sync::Arc::clone(&home);
        move |_, wire| redirect(wire, format!("{}end", home.get().expect("is known by then")))
    })
    .await;
    let first = redirecting(stranger.url()).await;
    home.set(first.url()).expect("once");
    assert_delivered(&sent(&settings(&first), &format!("url = '{}', {SECRETS}", first.url())).await);
    assert_bare(&stranger.requests()[0]);
    assert_bare(&first.requests()[1]);
}

#[tokio::test]
async fn a_redirect_that_would_take_a_secret_along_is_not_followed() {
    let other = Server::start(|_, wire| thank(wire)).await;
    let first = redirecting(format!("{}?k=geheim-5", other.url())).await;
    let step = format!("url = '{}?api_key=geheim-5', {SECRETS}", first.url());
    let story = sent(&settings(&first), &step).await;
    assert_failed(&story, 1, "it takes a secret of the address to another host");
    let step = format!("url = '{}', form = {{ user = 'me', password = 'geheim-6' }}, retry = []", first.url());
    assert_failed(&sent(&settings(&first), &step).await, 1, "the body names a secret");
    assert!(other.requests().is_empty());
}

#[tokio::test]
async fn a_secret_in_any_part_of_an_address_stays_at_home() {
    let other = Server::start(|_, wire| thank(wire)).await;
    let port = other.address.port();
    let first = Server::start(move |request: Request, wire| {
        let path = request.line().split(' ').nth(1).unwrap_or_default().to_owned();
        // The second hop takes along what the first has moved.
        let to = match path.strip_prefix("/hop?token=") {
            Some(secret) => format!("/moved/{secret}"),
            None => format!("http://localhost:{port}{path}"),
        };
        redirect(wire, to)
    })
    .await;
    let directory = || {
        let directory = tempfile::TempDir::new().expect("a directory");
        std::fs::write(directory.path().join("name"), "geheim-1").expect("is written");
        std::fs::write(directory.path().join("url"), format!("{}a/geheim-2", first.url())).expect("is written");
        directory
    };
    let settings = format!("{}[secrets]\nname = {{ file = 'name' }}\n", settings(&first));
    let address = |path: &str| format!("'{}{path}'", first.url());
    for url in [
        address("p/{{ secret.name }}"),
        address("p?n={{ secret.name }}"),
        address("token/geheim-3"),
        address("hooks/geheim4geheim4geheim4"),
        address("hop?token=geheim-5"),
        "{ file = 'url' }".to_owned(),
    ] {
        let story = sent_from(&directory(), &settings, &format!("url = {url}, json = {{ n = 1 }}, retry = []")).await;
        assert_failed(&story, 1, "it takes a secret of the address to another host");
    }
    let body = format!("url = {}, json = {{ note = 'geheim-0' }}, retry = []", address("b"));
    let story = sent_from(&directory(), &settings, &body).await;
    assert_failed(&story, 1, "the body names a secret");
    assert_eq!(other.requests().len(), 0);
}
