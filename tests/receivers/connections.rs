//! Connections that are kept, and lost just when they are needed; proxies that are not well.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hookswitch::outbox::RunState;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::server::{Request, Server, Wire};
use crate::stage::Stage;
use crate::{assert_failed, sent};

/// Reads a request that has no body or a short one.
async fn read(stream: &mut TcpStream) -> bool {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = stream.read_u8().await else { return false };
        head.push(byte);
    }
    let head = String::from_utf8_lossy(&head).to_ascii_lowercase();
    let length = head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next()?.parse().ok()).unwrap_or(0);
    stream.read_exact(&mut vec![0; length]).await.is_ok()
}

/// A server that answers the first request of each connection, and closes it at the second one. Counts the requests.
async fn closing(answers: usize) -> (std::net::SocketAddr, Arc<AtomicUsize>, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let (address, seen) = (listener.local_addr().expect("an address"), Arc::new(AtomicUsize::new(0)));
    let counted = Arc::clone(&seen);
    let mut serving = JoinSet::new();
    serving.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let counted = Arc::clone(&counted);
            connections.spawn(async move {
                for number in 0.. {
                    if !read(&mut stream).await {
                        return;
                    }
                    counted.fetch_add(1, Ordering::SeqCst);
                    if number >= answers {
                        return;
                    }
                    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
                }
            });
        }
    });
    (address, seen, serving)
}

/// Sends two requests one after the other. Gives how the second one ended, after how many requests in all.
async fn second(method: &str, answers: usize) -> (RunState, usize) {
    let (address, seen, _serving) = closing(answers).await;
    let directory = TempDir::new().expect("a directory");
    let step = format!("http = {{ method = '{method}', url = 'http://{address}/', timeout = '20s', retry = [] }}");
    let stage = Stage::start(&directory, &format!("[flows.f]\nsteps = [{{ {step} }}]"));
    let first = stage.fire("f", 0, 0).await;
    stage.over(first).await;
    let second = stage.fire("f", 1, 0).await;
    (stage.over(second).await.run.state, seen.load(Ordering::SeqCst))
}

#[tokio::test]
async fn what_may_be_repeated_goes_out_once_more_where_a_kept_connection_is_lost() {
    for method in ["GET", "PUT", "DELETE", "HEAD"] {
        assert_eq!(second(method, 1).await, (RunState::Delivered, 3), "{method}");
    }
    // It may have done what it was asked for.
    for method in ["POST", "PATCH"] {
        assert_eq!(second(method, 1).await, (RunState::Failed, 2), "{method}");
    }
}

#[tokio::test]
async fn a_new_connection_that_is_lost_is_a_try_like_all_others() {
    assert_eq!(second("GET", 0).await, (RunState::Failed, 2));
}

fn through(proxy: &str, receiver: &str) -> String {
    format!("[delivery.receivers.'{receiver}']\nproxy = '{proxy}'\n")
}

async fn refuse(mut wire: Box<dyn Wire>, status: &'static str) {
    let _ = wire.write_all(format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n").as_bytes()).await;
}

#[tokio::test]
async fn a_proxys_errors_are_told_to_be_its_own() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let down = listener.local_addr().expect("an address");
    drop(listener);
    let step = |receiver: &str| format!("url = '{receiver}/', timeout = '20s', retry = []");
    for receiver in ["http://crm.invalid", "https://crm.invalid"] {
        for scheme in ["http", "https", "socks5h"] {
            let settings = through(&format!("{scheme}://user:geheim@{down}"), receiver);
            let story = sent(&settings, &step(receiver)).await;
            let what = if scheme == "socks5h" { " can't be reached" } else { ": the connection was refused" };
            let reason = format!("the proxy {scheme}://{down}{what}");
            assert_failed(&story, 1, &reason);
            assert!(!format!("{:?}", story.run.error).contains("geheim"));
        }
    }
    let unknown = through("http://proxy.invalid:3128", "http://crm.invalid");
    let reason = "the proxy http://proxy.invalid:3128: the host's name can't be resolved";
    assert_failed(&sent(&unknown, &step("http://crm.invalid")).await, 1, reason);
}

#[tokio::test]
async fn a_proxys_refusals_are_told_to_be_its_own() {
    for (status, tunnel, plain) in [
        ("407 Proxy Authentication Required", "wants to know who we are (407)", "wants to know who we are"),
        ("502 Bad Gateway", "did not connect us to the receiver", "502 Bad Gateway (by the proxy http://"),
    ] {
        let proxy = Server::start(move |_: Request, wire| refuse(wire, status)).await;
        let address = format!("http://{}", proxy.address);
        for (receiver, reason) in [("https://crm.invalid", tunnel), ("http://crm.invalid", plain)] {
            let step = format!("url = '{receiver}/', timeout = '20s', retry = ['10ms']");
            let story = sent(&through(&address, receiver), &step).await;
            assert_failed(&story, 2, reason);
            assert!(story.run.error.as_deref().unwrap_or_default().contains(&address), "{:?}", story.run.error);
        }
    }
}
