//! Connections: each a task, all of them under limits, and ended in order.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::gate::Peer;
use super::tls::Tls;
use crate::config::HttpSettings;

/// How many connections there may be: each takes an open file, of which a process usually may have 1,024, and requests to
/// receivers take up to half of these.
const CONNECTIONS: usize = 256;

/// How long a request's head may take, and how long a connection may be idle: whoever sends it byte by byte does not keep
/// the place of another.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// How large a request's head may be.
const HEAD_BYTES: usize = 32 * 1_024;

/// How long requests under way have at the end.
const GRACE: Duration = Duration::from_secs(5);

/// How long it waits where no connection can be taken, because there are too many open files.
const BREATH: Duration = Duration::from_millis(100);

/// The listener.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
}

impl Server {
    /// Listens at an address. Must be called within a tokio runtime.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        let listener = std::net::TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let listener = TcpListener::from_std(listener)?;
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
        let places = Arc::new(Semaphore::new(CONNECTIONS));
        let mut connections = JoinSet::new();
        loop {
            let place = places.clone().acquire_owned();
            let accepted = tokio::select! {
                () = end.cancelled() => break,
                Some(_) = connections.join_next() => continue,
                // The semaphore is never closed.
                accepted = async { (place.await, self.listener.accept().await) } => accepted,
            };
            match accepted {
                (Ok(place), Ok((stream, peer))) => {
                    let (router, end) = (router.clone().layer(Extension(Peer(peer))), end.clone());
                    let tls = settings.borrow().tls.as_ref().map(Tls::acceptor);
                    connections.spawn(async move {
                        begin(stream, tls, router, end).await;
                        drop(place);
                    });
                }
                (_, Err(error)) => {
                    warn!(%error, "a connection to the HTTP interface can't be taken");
                    tokio::time::sleep(BREATH).await;
                }
                (Err(_), _) => break,
            }
        }
        let all = async { while connections.join_next().await.is_some() {} };
        if tokio::time::timeout(GRACE, all).await.is_err() {
            warn!(connections = connections.len(), "requests that were not answered in time are cut off");
        }
        connections.shutdown().await;
    }
}

/// Agrees upon encryption first where there is to be some: whoever does not is no longer listened to than to a head.
async fn begin(stream: TcpStream, tls: Option<TlsAcceptor>, router: Router, end: CancellationToken) {
    // Answers are small, and whoever signals waits for one before it sends the next.
    let _ = stream.set_nodelay(true);
    let Some(tls) = tls else { return serve(stream, router, end).await };
    match timeout(HEAD_TIMEOUT, tls.accept(stream)).await {
        Ok(Ok(stream)) => serve(stream, router, end).await,
        Ok(Err(error)) => debug!(%error, "no secure connection to the HTTP interface came about"),
        Err(_) => debug!("a secure connection to the HTTP interface took too long"),
    }
}

async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin, router: Router, end: CancellationToken) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
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
