//! Answers that a flow saves: whole, and read as they say.

use std::io::Write as _;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use hookswitch::outbox::RunState;
use hookswitch::outbox::deliveries::Story;
use serde_json::{Value as Json, json};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::time::sleep;

use crate::server::{Server, Wire};
use crate::stage::Stage;
use crate::{assert_delivered, assert_failed};

/// Saves the answer to a `GET` with these keys, and sends its body on. Gives the run, and the body that was sent on.
async fn looked_up(server: &Server, keys: &str) -> (Story, Option<Json>) {
    let next = Server::start(|_, wire| say(wire, Vec::new(), b"HTTP/1.1 204 No Content\r\n\r\n".to_vec())).await;
    let directory = TempDir::new().expect("a directory");
    let text = format!(
        "[flows.f]\nsteps = [\n  {{ http = {{ method = 'GET', url = '{}', retry = ['10ms'], {keys} }}, save = 'crm' }},\n  \
         {{ http = {{ url = '{}', json = {{ body = '{{{{ crm.body }}}}' }} }} }},\n]",
        server.url(),
        next.url()
    );
    let stage = Stage::start(&directory, &text);
    let run = stage.fire("f", 0, 0).await;
    let story = stage.over(run).await;
    let sent = next.requests().pop().map(|request| serde_json::from_slice::<Json>(&request.body).expect("JSON"));
    (story, sent.map(|document| document["body"].clone()))
}

async fn say(mut wire: Box<dyn Wire>, head: Vec<u8>, body: Vec<u8>) {
    // Who is not listened to any more says nothing.
    let _ = wire.write_all(&head).await;
    let _ = wire.write_all(&body).await;
    let _ = wire.shutdown().await;
}

/// A server with that answer, whose head has these lines.
async fn answering(lines: &'static str, body: impl Into<Vec<u8>>) -> Server {
    let body = body.into();
    Server::start(move |_, wire| {
        let head = format!("HTTP/1.1 200 OK\r\n{lines}content-length: {}\r\n\r\n", body.len());
        say(wire, head.into_bytes(), body.clone())
    })
    .await
}

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(body).expect("memory");
    encoder.finish().expect("memory")
}

#[tokio::test]
async fn an_answer_that_takes_longer_than_a_logged_one_may_is_waited_for() {
    let server = Server::start(|_, mut wire| async move {
        let _ = wire.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 15\r\n\r\n{\"tier\":").await;
        sleep(Duration::from_millis(6_500)).await;
        let _ = wire.write_all(b"\"gold\"}").await;
    })
    .await;
    let (story, body) = looked_up(&server, "timeout = '60s'").await;
    assert_delivered(&story);
    assert_eq!(body, Some(json!({ "tier": "gold" })));
}

#[tokio::test]
async fn an_answer_that_is_not_whole_is_not_saved_and_asked_for_again() {
    for (answer, reason) in [
        ("HTTP/1.1 200 OK\r\ncontent-length: 15\r\n\r\n{\"tier\":1}", "the answer's body broke off"),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n12345\r\n", "the answer's body broke off"),
    ] {
        let server = Server::start(move |_, wire| say(wire, answer.into(), Vec::new())).await;
        let (story, body) = looked_up(&server, "timeout = '20s'").await;
        assert_failed(&story, 2, reason);
        assert_eq!(body, None);
        assert!(story.tries[0].response.as_ref().expect("an answer").truncated);
    }
    let stalled = Server::start(|_, mut wire| async move {
        let _ = wire.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 15\r\n\r\n{").await;
        sleep(Duration::from_secs(60)).await;
    })
    .await;
    let (story, _) = looked_up(&stalled, "timeout = '1s'").await;
    assert_failed(&story, 2, "it took too long: the answer's body was not whole within 1s");
}

#[tokio::test]
async fn an_answer_that_is_too_long_is_not_cut_but_refused() {
    let (story, body) = looked_up(&answering("", vec![b'x'; 60_000]).await, "").await;
    assert_delivered(&story);
    assert_eq!(body.as_ref().and_then(Json::as_str).map(str::len), Some(60_000));
    let endless = Server::start(|_, mut wire| async move {
        let _ = wire.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
        while wire.write_all(&[b'x'; 8_192]).await.is_ok() {}
    })
    .await;
    assert_failed(&looked_up(&endless, "").await.0, 1, "is longer than 65536 bytes");
    let escaped = answering("content-type: text/plain\r\n", vec![1; 20_000]).await;
    assert_failed(&looked_up(&escaped, "").await.0, 1, "the answer is longer than can be saved");
    let bomb = answering("content-encoding: gzip\r\n", gzip(&vec![b' '; 8 * 1_024 * 1_024])).await;
    assert_failed(&looked_up(&bomb, "").await.0, 1, "is longer than 65536 bytes");
}

#[tokio::test]
async fn an_answer_is_what_it_says_it_is() {
    for (lines, answer, expected) in [
        ("content-type: text/plain\r\n", &b"12E4"[..], json!("12E4")),
        ("content-type: text/plain; charset=iso-8859-1\r\n", b"Zo\xeb", json!("Zoë")),
        (
            "content-type: application/json\r\n",
            b"\xef\xbb\xbf{\"id\":9007199254740993}",
            json!({ "id": 9_007_199_254_740_993_u64 }),
        ),
        ("", b"[12345678901234567890.12]", json!(["12345678901234567890.12"])),
        ("content-type: application/vnd.crm+json\r\n", b"1.10", json!(1.1)),
    ] {
        let (story, body) = looked_up(&answering(lines, answer).await, "").await;
        assert_delivered(&story);
        assert_eq!(body, Some(expected), "{lines}");
    }
}

#[tokio::test]
async fn no_coding_is_asked_for_and_one_that_comes_unasked_is_undone_or_told() {
    let document = br#"{"tier":"gold"}"#;
    let server = answering("content-type: application/json\r\ncontent-encoding: gzip\r\n", gzip(document)).await;
    let (story, body) = looked_up(&server, "").await;
    assert_eq!(body, Some(json!({ "tier": "gold" })));
    assert_eq!(server.requests()[0].header("accept-encoding"), Some("identity"));
    assert_eq!(story.tries[0].response.as_ref().expect("an answer").body, r#"{"tier":"gold"}"#, "the log has it too");
    let unknown = answering("content-encoding: br\r\n", "rubbish").await;
    assert_failed(&looked_up(&unknown, "").await.0, 1, "the content coding `br`, which is not understood");
    let wrong = answering("content-encoding: gzip\r\n", "rubbish").await;
    assert_failed(&looked_up(&wrong, "").await.0, 2, "is not in the content coding `gzip` that it says");
    assert_eq!(story.run.state, RunState::Delivered);
}
