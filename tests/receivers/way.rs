//! The way to a receiver: by a proxy, and no faster than it likes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::serve::ListenerExt;
use hookswitch::outbox::RunState;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::time::sleep;

use crate::server::{Server, Wire};
use crate::stage::Stage;
use crate::{assert_delivered, sent};

async fn welcome(mut wire: Box<dyn Wire>) {
    let _ = wire.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
}

#[tokio::test]
async fn a_receiver_behind_a_proxy_is_asked_for_by_its_name() {
    let proxy = Server::start(|_, wire| welcome(wire)).await;
    let settings = format!("[delivery.receivers.'http://crm.invalid']\nproxy = 'http://{}'", proxy.address);
    assert_delivered(&sent(&settings, "url = 'http://crm.invalid/calls', retry = []").await);
    assert_eq!(proxy.requests()[0].line(), "POST http://crm.invalid/calls HTTP/1.1");
}

#[tokio::test]
async fn requests_to_a_receiver_are_no_more_at_once_and_no_faster_than_is_said() {
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let server = Server::start({
        let most = Arc::clone(&most);
        move |_, wire| {
            let (now, most) = (Arc::clone(&now), Arc::clone(&most));
            async move {
                most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                sleep(Duration::from_millis(100)).await;
                now.fetch_sub(1, Ordering::SeqCst);
                welcome(wire).await;
            }
        }
    })
    .await;
    let directory = TempDir::new().expect("a directory");
    let text = format!(
        "[delivery.receivers.'http://{}']\nconcurrency = 3\nrate = 20\n[flows.f]\nsteps = [{{ http = {{ url = '{}' }} }}]",
        server.address,
        server.url()
    );
    let (stage, begun) = (Stage::start(&directory, &text), Instant::now());
    let mut runs = Vec::new();
    for attempt in 0..30 {
        runs.push(stage.fire("f", attempt, 0).await);
    }
    for run in runs {
        assert_eq!(stage.over(run).await.run.state, RunState::Delivered);
    }
    assert!(begun.elapsed() >= Duration::from_millis(29 * 50), "30 at 20 a second");
    assert!(most.load(Ordering::SeqCst) <= 3);
}

#[tokio::test]
async fn a_connection_is_kept_for_what_comes_next() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&connections);
    let serving = tokio::spawn(async move {
        let app = axum::Router::new().route("/", axum::routing::post(async || "thanks"));
        let listener = listener.tap_io(move |_| {
            counted.fetch_add(1, Ordering::SeqCst);
        });
        axum::serve(listener, app).await
    });
    let directory = TempDir::new().expect("a directory");
    let stage = Stage::start(&directory, &format!("[flows.f]\nsteps = [{{ http = {{ url = 'http://{address}/' }} }}]"));
    for attempt in 0..20 {
        let run = stage.fire("f", attempt, 0).await;
        assert_delivered(&stage.over(run).await);
    }
    assert_eq!(connections.load(Ordering::SeqCst), 1);
    serving.abort();
}

#[tokio::test]
async fn a_run_that_expires_while_it_waits_for_its_turn_is_not_sent() {
    let server = Server::start(|_, mut wire: Box<dyn Wire>| async move {
        tokio::time::sleep(Duration::from_secs(4)).await;
        let _ = wire.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await;
    })
    .await;
    let directory = TempDir::new().expect("a directory");
    let (receiver, url) = (format!("http://{}", server.address), server.url());
    let stage = Stage::start(
        &directory,
        &format!(
            "[delivery.receivers.'{receiver}']\nconcurrency = 1\n[flows.slow]\nsteps = [{{ http = {{ url = '{url}' }} }}]\n\
             [flows.pop]\nexpires_after = '1s'\nsteps = [{{ http = {{ url = '{url}pop' }}, on_error = 'continue' }}]\n"
        ),
    );
    let slow = stage.fire("slow", 0, 0).await;
    while server.requests().is_empty() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let pop = stage.over(stage.fire("pop", 1, 0).await).await;
    assert_eq!((pop.run.state, pop.tries.len()), (RunState::Expired, 0), "{:?}", pop.run.error);
    assert_eq!(pop.run.error.as_deref(), Some("it expired before step 0"));
    assert_delivered(&stage.over(slow).await);
    assert_eq!(server.requests().len(), 1);
}
