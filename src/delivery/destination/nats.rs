//! A NATS server with JetStream.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_nats::connection::State;
use async_nats::header::NATS_MESSAGE_ID;
use async_nats::jetstream::{self, context::PublishErrorKind};
use async_nats::{Client, ConnectErrorKind, ConnectOptions, HeaderMap};

use super::PATIENCE;
use super::door::Door;
use super::refusal::Refusal;
use super::shared::Shared;
use super::site::Site;
use super::trust::TrustError;

/// How long connecting may take: a host that is there answers within a second or two, also from far.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How often an idle server is asked whether it is there; after the second question without an answer it is not.
const PING_INTERVAL: Duration = Duration::from_secs(10);

/// A server, and the connection to it.
#[derive(Debug)]
pub struct Nats {
    /// The way in.
    pub door: Door,
    address: String,
    options: ConnectOptions,
    client: Arc<Mutex<Option<Client>>>,
    connecting: Shared<Result<Client, Refusal>>,
}

/// Why there can be no such server.
#[derive(Debug, thiserror::Error)]
pub enum NatsError {
    /// The certificates can't be used.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// The credentials can't be used.
    #[error("these are no credentials as `nsc` writes them")]
    Credentials,
}

/// Where a message was stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// The stream.
    pub stream: String,
    /// The message's number within it.
    pub sequence: u64,
    /// Whether the stream had it already.
    pub is_duplicate: bool,
}

impl Nats {
    /// A server to which nobody is connected yet. `credentials` are what a `.creds` file holds.
    pub fn new(site: &Site, credentials: Option<&str>) -> Result<Self, NatsError> {
        let mut options = ConnectOptions::new()
            .name("hookswitch")
            .connection_timeout(CONNECT_TIMEOUT)
            .ping_interval(PING_INTERVAL)
            .ignore_discovered_servers()
            .require_tls(site.trust.is_some());
        if let Some(trust) = &site.trust {
            options = options.tls_client_config(trust.client_config()?);
        }
        if let Some(user) = &site.user {
            options = options.user_and_password(user.clone(), site.password().unwrap_or_default().to_owned());
        }
        if let Some(credentials) = credentials {
            // The last line's end, which a secret has lost, belongs to it.
            let credentials = format!("{credentials}\n");
            options = options.credentials(&credentials).map_err(|_| NatsError::Credentials)?;
        }
        let address = format!("nats://{}:{}", site.host, site.port);
        Ok(Self {
            door: Door::new(&site.name, site.concurrency),
            address,
            options,
            client: Arc::default(),
            connecting: Shared::default(),
        })
    }

    /// Connects and signs in. Gives the server's version; one without JetStream stores nothing.
    pub async fn connect(&self) -> Result<String, Refusal> {
        let server = self.client().await?.server_info();
        match server.jetstream {
            true => Ok(format!("NATS {} with JetStream", server.version)),
            false => Err(Refusal::MayPass(format!("NATS {} has no JetStream; start it with `-js`", server.version))),
        }
    }

    /// Publishes a message under a name by which JetStream tells repeats, and waits until a stream has stored it.
    pub async fn publish(
        &self,
        subject: String,
        message_id: &str,
        content_type: &str,
        body: Vec<u8>,
        timeout: Duration,
    ) -> Result<Stored, Refusal> {
        let mut jetstream = jetstream::new(self.client().await?);
        jetstream.set_timeout(timeout);
        let mut headers = HeaderMap::new();
        headers.insert(NATS_MESSAGE_ID, message_id);
        headers.insert("Content-Type", content_type);
        let published = async { jetstream.publish_with_headers(subject, headers, body.into()).await?.await };
        let stored = published.await.map_err(|error| match error.kind() {
            PublishErrorKind::MaxPayloadExceeded => Refusal::lasting(&error),
            PublishErrorKind::StreamNotFound => {
                // So it is too while JetStream starts, or its leader is being chosen.
                Refusal::MayPass("no stream of JetStream has this subject".into())
            }
            _ => Refusal::may_pass(&error),
        })?;
        Ok(Stored { stream: stored.stream, sequence: stored.sequence, is_duplicate: stored.duplicate })
    }

    /// The connection, which is made now if there is none. The client makes a lost one anew by itself; meanwhile nothing is
    /// given to it, because it would keep that until then.
    async fn client(&self) -> Result<Client, Refusal> {
        if let Some(client) = kept(&self.client).clone() {
            return match client.connection_state() {
                State::Connected => Ok(client),
                State::Pending | State::Disconnected => Err(Refusal::MayPass("NATS is not connected".into())),
            };
        }
        let connect = || connect(self.options.clone(), self.address.clone(), Arc::clone(&self.client));
        let connected = self.connecting.join(connect).await;
        connected.unwrap_or_else(|| Err(Refusal::MayPass("connecting to NATS was given up".into())))
    }
}

fn kept(client: &Mutex<Option<Client>>) -> MutexGuard<'_, Option<Client>> {
    // It is replaced as a whole.
    client.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn connect(
    options: ConnectOptions,
    address: String,
    client: Arc<Mutex<Option<Client>>>,
) -> Result<Client, Refusal> {
    if let Some(client) = kept(&client).clone() {
        return Ok(client);
    }
    let connecting = tokio::time::timeout(PATIENCE, options.connect(&address)).await;
    let connecting = connecting.map_err(|_| Refusal::MayPass(format!("no answer within {PATIENCE:?}")))?;
    let connected = connecting.map_err(|error| match error.kind() {
        ConnectErrorKind::AuthorizationViolation | ConnectErrorKind::Authentication => {
            Refusal::MayPass("NATS lets nobody in with this user and password".into())
        }
        _ => Refusal::may_pass(&error),
    })?;
    Ok(kept(&client).insert(connected).clone())
}
