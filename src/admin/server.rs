//! Connections: each a task, all of them under limits, and ended in order.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::{Extension, Router};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::connections::{Activity, Connections, Permit};
use super::gate::Peer;
use super::tls::Tls;
use super::watched::{Received, WRITE_TIMEOUT, Watched};
use crate::config::HttpSettings;

/// How long a request's head may take, and how long a connection may be idle.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// How much of a head is buffered, and how large it may be: a buffer holds some more than it is meant to, so what is larger
/// is refused once it is read.
pub(super) const HEAD_BYTES: usize = 32 * 1_024;

/// How much of an answer the system holds for each client. Usually it holds megabytes, and says only when a good part of them
/// was read that there is room again: a client that reads slowly would look as one that does not read.
const SEND_BUFFER: u32 = 32 * 1_024;

/// How many connections may wait to be taken.
const BACKLOG: u32 = 1_024;

/// How long requests under way have at the end.
const GRACE: Duration = Duration::from_secs(5);

/// How often it is told that none can be taken.
const TELL_EVERY: Duration = Duration::from_mins(1);

/// The listener.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
}

/// Errors of taking connections, told now and then: there can be many a second.
#[derive(Debug, Default)]
struct Failures {
    count: u64,
    told_at: Option<Instant>,
}

impl Server {
    /// Listens at an address. Must be called within a tokio runtime.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        // As the standard library's listeners have it: connections of a daemon before do not hold the address.
        socket.set_reuseaddr(true)?;
        socket.set_send_buffer_size(SEND_BUFFER)?;
        socket.bind(address)?;
        let listener = socket.listen(BACKLOG)?;
        let address = listener.local_addr()?;
        info!(%address, "the HTTP interface listens");
        Ok(Self { listener, address })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until it is told to end; requests under way are then answered.
    pub async fn run(self, router: Router, settings: watch::Receiver<Arc<HttpSettings>>, end: CancellationToken) {
        let (open, mut failures) = (Arc::new(Connections::default()), Failures::default());
        let mut connections = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                () = end.cancelled() => break,
                Some(_) = connections.join_next() => continue,
                accepted = self.listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => {
                    let Some(permit) = end.run_until_cancelled(admit(&open, peer)).await else { break };
                    let permit = Arc::new(permit);
                    let router = router.clone().layer(Extension(Peer(peer))).layer(Extension(permit.clone()));
                    let end = end.clone();
                    let tls = settings.borrow().tls.as_ref().map(Tls::acceptor);
                    connections.spawn(async move {
                        let connection = begin(stream, tls, router, end, permit.activity.clone());
                        let _ = permit.closed.run_until_cancelled(connection).await;
                    });
                }
                Err(error) if is_of_the_client(&error) => debug!(%error, "a client went away at once"),
                Err(error) => {
                    failures.tell(&error, Instant::now());
                    open.make_room().await;
                }
            }
        }
        let all = async { while connections.join_next().await.is_some() {} };
        if tokio::time::timeout(GRACE, all).await.is_err() {
            warn!(connections = connections.len(), "requests that were not answered in time are cut off");
        }
        connections.shutdown().await;
    }
}

/// Waits for room: it is made at once unless very many come at the same time.
async fn admit(open: &Arc<Connections>, peer: SocketAddr) -> Permit {
    loop {
        if let Some(permit) = open.admit(peer.ip(), Instant::now()) {
            return permit;
        }
        open.ended().await;
    }
}

fn is_of_the_client(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

impl Failures {
    fn tell(&mut self, error: &io::Error, now: Instant) {
        self.count += 1;
        if self.told_at.is_none_or(|told_at| now.duration_since(told_at) >= TELL_EVERY) {
            warn!(%error, times = self.count, "connections to the HTTP interface can't be taken");
            *self = Self { count: 0, told_at: Some(now) };
        }
    }
}

/// Agrees upon encryption first where there is to be some: that may take no longer than a head.
async fn begin(
    stream: TcpStream,
    tls: Option<TlsAcceptor>,
    router: Router,
    end: CancellationToken,
    activity: Activity,
) {
    // Answers are small, and a client that signals waits for one before it sends the next.
    let _ = stream.set_nodelay(true);
    let stream = Watched::new(stream, activity.clone(), WRITE_TIMEOUT);
    let Some(tls) = tls else { return serve(stream, router, end, activity).await };
    match timeout(HEAD_TIMEOUT, tls.accept(stream)).await {
        Ok(Ok(stream)) => serve(stream, router, end, activity).await,
        Ok(Err(error)) => debug!(%error, "no secure connection to the HTTP interface came about"),
        Err(_) => debug!("a secure connection to the HTTP interface took too long"),
    }
}

async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    router: Router,
    end: CancellationToken,
    activity: Activity,
) {
    let router = TowerToHyperService::new(router);
    let service = service_fn(|request: Request<Incoming>| answer(router.clone(), activity.clone(), request));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = end.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        debug!(%error, "a connection to the HTTP interface broke");
    }
}

/// Has a request answered; until it is there whole, and from its answer on, the client is waited for.
async fn answer(
    router: TowerToHyperService<Router>,
    activity: Activity,
    request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    activity.wait();
    let request = request.map(|body| Received::new(body, activity.clone()));
    let response = router.call(request).await;
    activity.answer();
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_taking_connections_are_told_once_a_minute() {
        let (mut failures, start) = (Failures::default(), Instant::now());
        let error = io::Error::from_raw_os_error(24);
        let told = |failures: &mut Failures, at| {
            failures.tell(&error, at);
            failures.count == 0
        };
        assert!(told(&mut failures, start));
        assert!((0..600).all(|i| !told(&mut failures, start + Duration::from_millis(i * 50))));
        assert!(told(&mut failures, start + TELL_EVERY));
        assert!(!is_of_the_client(&error));
    }
}
