//! Rude receivers.

use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::time::sleep;

use crate::server::{Server, Wire};
use crate::{assert_delivered, assert_failed, sent};

/// One try of at most a second, and one more.
const TWO_TRIES: &str = "timeout = '1s', retry = ['10ms']";

/// Writes byte after byte, for as long as anybody listens.
async fn drip(mut wire: Box<dyn Wire>, text: &'static [u8]) {
    for byte in text.iter().cycle() {
        if wire.write_all(&[*byte]).await.is_err() || wire.flush().await.is_err() {
            return;
        }
        sleep(Duration::from_millis(50)).await;
    }
}

async fn say(mut wire: Box<dyn Wire>, text: &'static str) {
    // Who is not listened to any more says nothing.
    let _ = wire.write_all(text.as_bytes()).await;
    let _ = wire.shutdown().await;
}

async fn answering(text: &'static str) -> Server {
    Server::start(move |_, wire| say(wire, text)).await
}

fn step(server: &Server) -> String {
    format!("url = '{}', {TWO_TRIES}", server.url())
}

#[tokio::test]
async fn a_header_that_drips_is_too_slow() {
    let server = Server::start(|_, wire| drip(wire, b"HTTP/1.1 200 OK\r\nx-slow: yes\r\nx-slower: yes\r\n")).await;
    assert_failed(&sent("", &step(&server)).await, 2, "it took too long: no answer within 1s");
}

#[tokio::test]
async fn who_says_nothing_is_too_slow() {
    let server = Server::start(|_, wire| async move {
        sleep(Duration::from_secs(60)).await;
        drop(wire);
    })
    .await;
    assert_failed(&sent("", &step(&server)).await, 2, "it took too long");
}

#[tokio::test]
async fn a_body_that_drips_or_never_ends_is_cut_and_the_webhook_delivered() {
    let dripping = Server::start(|_, mut wire| async move {
        let _ = wire.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n").await;
        drip(wire, b"slow ").await;
    })
    .await;
    let endless = Server::start(|_, mut wire| async move {
        let _ = wire.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
        while wire.write_all(&[b'x'; 8_192]).await.is_ok() {}
    })
    .await;
    for server in [dripping, endless] {
        let begun = Instant::now();
        let story = sent("", &step(&server)).await;
        assert_delivered(&story);
        assert_eq!(story.tries.len(), 1);
        let response = story.tries[0].response.as_ref().expect("an answer");
        assert!(response.truncated && response.body.len() <= 4_096, "{} bytes", response.body.len());
        assert!(begun.elapsed() < Duration::from_secs(30), "it was not read to an end that never comes");
    }
}

#[tokio::test]
async fn a_connection_that_breaks_after_the_header_has_delivered() {
    let server = answering("HTTP/1.1 202 Accepted\r\ncontent-length: 100\r\n\r\nhalf").await;
    let story = sent("", &step(&server)).await;
    assert_delivered(&story);
    assert!(story.tries[0].response.as_ref().expect("an answer").truncated);
}

#[tokio::test]
async fn a_connection_that_is_closed_before_an_answer_is_tried_again() {
    let closed = Server::start(|_, wire| async move { drop(wire) }).await;
    assert_failed(&sent("", &step(&closed)).await, 2, "the connection was");
    // The half of a header is no answer.
    let half = answering("HTTP/1.1 200").await;
    assert_failed(&sent("", &step(&half)).await, 2, "the connection was closed before an answer");
}

#[tokio::test]
async fn what_is_no_http_is_told_so() {
    let server = answering("SSH-2.0-OpenSSH_9.2\r\n").await;
    assert_failed(&sent("", &step(&server)).await, 2, "the answer is not HTTP");
}

#[tokio::test]
async fn nobody_there_and_no_such_name_are_told_apart() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    drop(listener);
    let refused = sent("", &format!("url = 'http://{address}/', {TWO_TRIES}")).await;
    assert_failed(&refused, 2, "the connection was refused");
    // The domain is kept free for such cases.
    let unknown = sent("", "url = 'http://receiver.invalid/', timeout = '5s', retry = ['10ms']").await;
    assert_failed(&unknown, 2, "the host's name can't be resolved");
}

#[tokio::test]
async fn a_redirect_is_followed_only_where_that_is_allowed_and_never_as_another_request() {
    let there = answering("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let to = there.url();
    let here = Server::start(move |request, mut wire| {
        let code = if request.line().contains("/moved") { "302 Found" } else { "307 Temporary Redirect" };
        let answer = format!("HTTP/1.1 {code}\r\nlocation: {to}\r\ncontent-length: 0\r\n\r\n");
        async move {
            let _ = wire.write_all(answer.as_bytes()).await;
        }
    })
    .await;
    let allowed = format!("[delivery.receivers.'http://{}']\nredirects = 3", here.address);
    assert_failed(&sent("", &step(&here)).await, 1, "redirects are not followed");
    let moved = format!("url = '{}moved', {TWO_TRIES}", here.url());
    assert_failed(&sent(&allowed, &moved).await, 1, "302 Found");
    assert!(there.requests().is_empty());
    assert_delivered(&sent(&allowed, &step(&here)).await);
    let [request] = there.requests().try_into().expect("one request");
    assert!(request.line().starts_with("POST ") && !request.body.is_empty(), "{}", request.line());
    assert!(request.header("webhook-id").is_some());
}

#[tokio::test]
async fn redirects_in_a_circle_end() {
    let server = answering("HTTP/1.1 308 Permanent Redirect\r\nlocation: /\r\ncontent-length: 0\r\n\r\n").await;
    let allowed = format!("[delivery.receivers.'http://{}']\nredirects = 3", server.address);
    assert_failed(&sent(&allowed, &step(&server)).await, 1, "308");
    assert_eq!(server.requests().len(), 4, "one, and three redirects");
}

#[tokio::test]
async fn who_wants_no_more_gets_no_more() {
    let server = answering("HTTP/1.1 410 Gone\r\ncontent-length: 0\r\n\r\n").await;
    assert_failed(&sent("", &step(&server)).await, 1, "410 Gone");
}

#[tokio::test]
async fn who_asks_for_time_gets_it_in_both_forms() {
    // A date has whole seconds, so two of them are one at least.
    let date = || (jiff::Timestamp::now() + Duration::from_secs(2)).strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    for form in ["seconds", "date"] {
        let server = Server::start(move |_, mut wire| {
            let after = if form == "date" { date() } else { "1".into() };
            let answer = format!("HTTP/1.1 429 Too Many Requests\r\nretry-after: {after}\r\ncontent-length: 0\r\n\r\n");
            async move {
                let _ = wire.write_all(answer.as_bytes()).await;
            }
        })
        .await;
        let story = sent("", &step(&server)).await;
        assert_failed(&story, 2, "429 Too Many Requests");
        let between = story.tries[1].started_at.0.duration_since(story.tries[0].started_at.0);
        assert!(between.as_millis() >= 900, "{form}: {between}");
    }
}
