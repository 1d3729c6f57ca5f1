//! The receiver: takes webhooks, checks their signatures, hands on what they say.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use serde::Deserialize;
use standardwebhooks::{HEADER_WEBHOOK_ID, Webhook, WebhookError};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::workplace::HOOKS_PATH;
use crate::moment::Payload;

/// A moment with all variables of a call has some kilobytes; the daemon caps them far below this.
const MAX_BODY_BYTES: usize = 1024 * 1024;

/// What arrived.
#[derive(Debug)]
pub(super) enum Arrival {
    /// A webhook with a good signature: its identifier, and its moment.
    Moment(String, Box<Payload>),
    /// A webhook with a wrong signature, or with none.
    Forged(WebhookError),
    /// A webhook with a good signature whose body is no moment.
    Garbled(serde_json::Error),
}

/// The body of a webhook in the format `standard`, as far as it is needed here.
#[derive(Debug, Deserialize)]
struct Body {
    data: Payload,
}

/// A receiver that listens until it is dropped.
#[derive(Debug)]
pub(super) struct Receiver {
    address: SocketAddr,
    task: JoinHandle<()>,
}

#[derive(Clone)]
struct Desk {
    key: Arc<Webhook>,
    arrivals: mpsc::Sender<Arrival>,
}

impl Receiver {
    /// Listens on a free port and hands on what arrives.
    pub(super) async fn start(secret: &str, arrivals: mpsc::Sender<Arrival>) -> std::io::Result<Self> {
        let key = Arc::new(Webhook::new(secret).map_err(std::io::Error::other)?);
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let router = Router::new()
            .route(HOOKS_PATH, post(take))
            .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
            .with_state(Desk { key, arrivals });
        let task = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                tracing::error!(%error, "the receiver ended");
            }
        });
        Ok(Self { address, task })
    }

    /// Where it listens.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Takes one webhook. One that cannot be trusted or read is refused for good; one that nobody prints any more is to be sent
/// again.
async fn take(State(desk): State<Desk>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let arrival = match desk.key.verify(&body, &headers) {
        Err(error) => Arrival::Forged(error),
        Ok(()) => {
            let id = headers.get(HEADER_WEBHOOK_ID).and_then(|id| id.to_str().ok()).unwrap_or_default();
            match serde_json::from_slice::<Body>(&body) {
                Ok(Body { data }) => Arrival::Moment(id.to_owned(), Box::new(data)),
                Err(error) => Arrival::Garbled(error),
            }
        }
    };
    let status = match &arrival {
        Arrival::Moment(..) => StatusCode::NO_CONTENT,
        Arrival::Forged(_) => StatusCode::UNAUTHORIZED,
        Arrival::Garbled(_) => StatusCode::UNPROCESSABLE_ENTITY,
    };
    match desk.arrivals.send(arrival).await {
        Ok(()) => status,
        Err(_) => StatusCode::SERVICE_UNAVAILABLE,
    }
}
