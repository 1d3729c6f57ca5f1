//! Who is let in, and what everybody else is told.

use reqwest::Method;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::stage::{Stage, TOKENS, problem, token};

/// The roles that may do what needs this one.
fn permitted(needed: &str) -> &'static [&'static str] {
    match needed {
        "read" => &["read", "operate", "admin"],
        "operate" => &["operate", "admin"],
        "ingest" => &["ingest", "admin"],
        _ => &["admin"],
    }
}

/// A path that the description's stands for.
pub(crate) fn path_of(template: &str) -> String {
    template.replace("{id}", &"0".repeat(32)).replace("{queue}", "chat").replace("{key}", "k1")
}

#[tokio::test]
async fn every_route_refuses_a_missing_a_wrong_and_too_small_a_token() {
    let stage = Stage::start(TOKENS, "").await;
    let description = stage.json("/openapi.json").await;
    let mut guarded = 0;
    for (template, operations) in description["paths"].as_object().expect("paths") {
        for (method, operation) in operations.as_object().expect("operations") {
            let method: Method = method.to_uppercase().parse().expect("a method");
            let path = path_of(template);
            let Some(needed) = operation["x-role"].as_str() else {
                assert_eq!(operation["security"], Value::Array(Vec::new()), "{path}");
                continue;
            };
            guarded += 1;
            let ask = |role: &str| stage.request(method.clone(), &path, role);
            let missing = ask("").send().await.expect("answers");
            assert_eq!(missing.headers()["www-authenticate"], "Bearer");
            problem(missing, 401).await;
            problem(ask("").bearer_auth("nobody-0123456789abcdef").send().await.expect("answers"), 401).await;
            for role in ["read", "operate", "ingest", "admin"] {
                let answer = ask(role).send().await.expect("answers");
                if permitted(needed).contains(&role) {
                    assert!(!matches!(answer.status().as_u16(), 401 | 403), "{role} may {method} {path}");
                } else {
                    let problem = problem(answer, 403).await;
                    let detail = problem["detail"].as_str().expect("a text");
                    assert!(detail.contains(needed) && !detail.contains(&token(role)), "{detail}");
                }
            }
        }
    }
    assert!(guarded >= 7, "{guarded}");
    for path in ["/healthz", "/readyz", "/openapi.json"] {
        assert_ne!(stage.get(path, "").await.status(), 401, "{path} is for everybody");
    }
}

#[tokio::test]
async fn what_is_not_there_is_a_problem_too() {
    let stage = Stage::start("", "").await;
    problem(stage.get("/nowhere", "").await, 404).await;
    let answer = stage.request(Method::DELETE, "/api/queues", "").send().await.expect("answers");
    assert_eq!(answer.headers()["allow"], "GET,HEAD");
    problem(answer, 405).await;
    problem(stage.get("/api/deliveries/xyz", "").await, 404).await;
    problem(stage.get("/api/deliveries?limit=0", "").await, 400).await;
    problem(stage.get("/api/deliveries?stat=failed", "").await, 400).await;
    problem(stage.get("/api/attempts/%ff", "").await, 400).await;
}

#[tokio::test]
async fn without_tokens_only_this_machines_names_are_answered() {
    let stage = Stage::start("", "").await;
    let ask = |host: &str| stage.request(Method::GET, "/api/queues", "").header("host", host);
    for ours in ["localhost:1", "127.0.0.1", "[::1]:8060"] {
        assert_eq!(ask(ours).send().await.expect("answers").status(), 200, "{ours}");
    }
    problem(ask("rebound.example").send().await.expect("answers"), 421).await;
    problem(
        stage.request(Method::GET, "/metrics", "").header("host", "10.1.2.3:8060").send().await.expect("answers"),
        421,
    )
    .await;
}

#[tokio::test]
async fn too_many_requests_are_told_when_to_come_again() {
    let stage = Stage::start(&format!("rate = 5\n{TOKENS}"), "").await;
    let mut refused = None;
    for _ in 0..1_000 {
        let answer = stage.get("/api/queues", "read").await;
        if answer.status() == 429 {
            refused = Some(answer);
            break;
        }
    }
    let refused = refused.expect("more than five a second");
    assert!(refused.headers()["retry-after"].to_str().expect("text").parse::<u64>().expect("seconds") >= 1);
    problem(refused, 429).await;
    assert_eq!(stage.get("/api/queues", "operate").await.status(), 200, "others have their own");
}

#[tokio::test]
async fn tokens_and_limits_are_those_of_the_latest_configuration() {
    let stage = Stage::start(TOKENS, "").await;
    assert_eq!(stage.get("/api/queues", "read").await.status(), 200);
    let other = TOKENS.replace("read-0123", "other-read-0123");
    stage.daemon().reload(stage.config(&other, "")).expect("good");
    problem(stage.get("/api/queues", "read").await, 401).await;
    let answer = stage.request(Method::GET, "/api/queues", "").bearer_auth("other-read-0123456789abcdef").send().await;
    assert_eq!(answer.expect("answers").status(), 200);
}

/// Sends these bytes and gives all that is answered until the connection is closed.
async fn raw(stage: &Stage, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(stage.address()).await.expect("connects");
    stream.write_all(bytes).await.expect("is taken");
    let mut answer = Vec::new();
    let read = tokio::time::timeout(crate::stage::PATIENCE, stream.read_to_end(&mut answer)).await.expect("ends");
    // One that is cut off has answered before.
    let _ = read;
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn bytes_that_are_no_request_harm_nobody() {
    let stage = Stage::start("", "").await;
    for bytes in
        [&b"\x16\x03\x01\x02\x00\x01\x00\x01"[..], b"GET\r\n\r\n", b"\r\n\r\n\r\n\0\0", b"GET / HTTP/9.9\r\n\r\n"]
    {
        let answer = raw(&stage, bytes).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
    }
    let long = format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(200_000));
    let answer = raw(&stage, long.as_bytes()).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
    assert_eq!(stage.get("/healthz", "").await.status(), 200);
}

#[tokio::test]
async fn the_interface_ends_with_the_daemon() {
    let mut stage = Stage::start("", "").await;
    let (address, open) = (stage.address(), TcpStream::connect(stage.address()).await.expect("connects"));
    assert_eq!(stage.get("/healthz", "").await.status(), 200);
    stage.stop().await;
    drop(open);
    assert!(TcpStream::connect(address).await.is_err());
}
