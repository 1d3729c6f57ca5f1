//! The demonstration with a stand-in for the daemon: what it is given, and what becomes of what it sends.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use hookswitch::cli::demo::{self, Args, DemoError};
use hookswitch::moment::{EventName, Payload};
use jiff::Timestamp;
use standardwebhooks::Webhook;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

/// What a daemon reads from the configuration that the demonstration wrote for it.
struct Configuration {
    freeswitch: String,
    receiver: String,
    key: Webhook,
}

fn read(config: PathBuf) -> Configuration {
    let table: toml::Table = std::fs::read_to_string(config).expect("it is there").parse().expect("TOML");
    let text = |value: &toml::Value| value.as_str().expect("a text").to_owned();
    let url = text(&table["flows"]["show"]["steps"][0]["http"]["url"]);
    Configuration {
        freeswitch: text(&table["freeswitch"][0]["address"]),
        receiver: url.strip_prefix("http://").and_then(|rest| rest.strip_suffix("/hooks")).expect("a URL").to_owned(),
        key: Webhook::new(&text(&table["delivery"]["secrets"][0])).expect("a secret"),
    }
}

/// Sends one webhook and gives the status.
async fn send(to: &str, id: &str, key: &Webhook, body: &str) -> u16 {
    let now = Timestamp::now().as_second();
    let signature = key.sign(id, now, body.as_bytes()).expect("it signs");
    let request = format!(
        "POST /hooks HTTP/1.1\r\nHost: {to}\r\nConnection: close\r\nContent-Length: {}\r\nwebhook-id: {id}\r\n\
         webhook-timestamp: {now}\r\nwebhook-signature: {signature}\r\n\r\n{body}",
        body.len()
    );
    let mut socket = TcpStream::connect(to).await.expect("the receiver listens");
    socket.write_all(request.as_bytes()).await.expect("it reads");
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.expect("it answers");
    answer.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status")
}

fn body(event: EventName) -> String {
    let data = serde_json::to_string(&Payload::sample(event)).expect("serializes");
    format!(r#"{{"type":"queue.{event}","timestamp":"2026-11-23T08:00:00Z","data":{data}}}"#)
}

fn args() -> Args {
    Args::new(Duration::from_secs(3), 50.0)
}

#[tokio::test]
async fn what_the_daemon_sends_is_taken_once_more_is_a_repeat() {
    let daemon = |config: PathBuf, off: CancellationToken| async move {
        let config = read(config);
        let mut greeting = [0; 26];
        let mut freeswitch = TcpStream::connect(&config.freeswitch).await?;
        freeswitch.read_exact(&mut greeting).await?;
        assert_eq!(&greeting, b"Content-Type: auth/request");
        for event in EventName::EIGHT {
            assert_eq!(send(&config.receiver, event.as_str(), &config.key, &body(event)).await, 204);
            assert_eq!(send(&config.receiver, event.as_str(), &config.key, &body(event)).await, 204);
        }
        off.cancelled().await;
        std::io::Result::Ok(())
    };
    assert_eq!(demo::run(args(), daemon).await.expect("it ends well"), ExitCode::SUCCESS);
}

#[tokio::test]
async fn a_forged_webhook_is_refused_and_told() {
    let daemon = |config: PathBuf, off: CancellationToken| async move {
        let config = read(config);
        let other = Webhook::from_bytes(vec![7; 24]).expect("a key");
        assert_eq!(send(&config.receiver, "a", &config.key, &body(EventName::Joined)).await, 204);
        assert_eq!(send(&config.receiver, "b", &other, &body(EventName::Joined)).await, 401);
        assert_eq!(send(&config.receiver, "c", &config.key, "{}").await, 422);
        off.cancelled().await;
        std::io::Result::Ok(())
    };
    assert_eq!(demo::run(args(), daemon).await.expect("it ends"), ExitCode::from(1));
}

#[tokio::test]
async fn a_daemon_that_fails_ends_the_demonstration() {
    let daemon = |_: PathBuf, _: CancellationToken| async { Err(std::io::Error::other("no database")) };
    match demo::run(args(), daemon).await {
        Err(DemoError::Daemon(Some(cause))) => assert_eq!(cause.to_string(), "no database"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_panicking_daemon_ends_the_demonstration() {
    let daemon = |_: PathBuf, _: CancellationToken| async {
        if true {
            panic!("a bug");
        }
        std::io::Result::Ok(())
    };
    assert!(matches!(demo::run(args(), daemon).await, Err(DemoError::Daemon(Some(_)))));
}

/// The whole program, as a person starts it.
#[test]
fn the_program_shows_every_event_and_ends_well() {
    let program = std::process::Command::new(env!("CARGO_BIN_EXE_hookswitch"))
        .args(["demo", "--for", "8s", "--speed", "40"])
        .env_remove("RUST_LOG")
        .output()
        .expect("it runs");
    let (said, complained) = (String::from_utf8_lossy(&program.stdout), String::from_utf8_lossy(&program.stderr));
    assert!(program.status.success(), "{}: {said}{complained}", program.status);
    // `active` is `answered` under another name, and left out.
    for event in EventName::EIGHT.into_iter().filter(|event| *event != EventName::Active) {
        let shows = |line: &str| line.split_whitespace().nth(2) == Some(event.as_str());
        assert!(said.lines().any(shows), "no {event}: {said}");
    }
    assert!(said.contains("0 signature failures"), "{said}");
}
