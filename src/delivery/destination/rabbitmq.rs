//! A RabbitMQ broker.

use std::sync::Arc;

use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::tcp::OwnedTLSConfig;
use lapin::uri::{AMQPAuthority, AMQPQueryString, AMQPScheme, AMQPUri, AMQPUserInfo};
use lapin::{BasicProperties, Channel, Confirmation, Connection, ConnectionProperties, Error, ErrorKind, runtime};
use tokio::sync::Mutex;

use super::PATIENCE;
use super::door::Door;
use super::refusal::Refusal;
use super::shared::Shared;
use super::site::Site;

/// How many seconds may pass between signs of life; a broker that gave none for twice that time is not there.
const HEARTBEAT_SEC: u16 = 10;

/// How many milliseconds connecting may take: a host that is there answers within a second or two, also from far.
const CONNECT_TIMEOUT_MS: u64 = 5_000;

/// What makes a message outlive the broker.
const PERSISTENT: u8 = 2;

/// A channel's errors that are the message's fault, by AMQP's numbers: not permitted, not found, and not possible.
const LASTING: [u16; 3] = [403, 404, 406];

/// A broker, and the connection to it.
#[derive(Debug)]
pub struct Rabbitmq {
    /// The way in.
    pub door: Door,
    uri: AMQPUri,
    tls: OwnedTLSConfig,
    connection: Arc<Mutex<Option<Arc<Connection>>>>,
    connecting: Shared<Result<Arc<Connection>, Refusal>>,
    /// Channels that nobody uses. Each message has one for itself: the broker closes a channel on an error, and with it
    /// whatever else is under way there.
    idle: Mutex<Vec<Channel>>,
}

/// A message.
#[derive(Clone, Debug)]
pub struct Message<'a> {
    /// The exchange.
    pub exchange: &'a str,
    /// What it is routed by.
    pub routing_key: &'a str,
    /// By what receivers tell repeats.
    pub message_id: &'a str,
    /// The body's media type.
    pub content_type: &'a str,
    /// The body.
    pub body: &'a [u8],
}

impl Rabbitmq {
    /// A broker to which nobody is connected yet.
    pub fn new(site: &Site) -> Self {
        let userinfo = AMQPUserInfo {
            username: site.user.clone().unwrap_or_else(|| "guest".into()),
            password: site.password().unwrap_or("guest").to_owned(),
        };
        let uri = AMQPUri {
            scheme: if site.trust.is_some() { AMQPScheme::AMQPS } else { AMQPScheme::AMQP },
            authority: AMQPAuthority { userinfo, host: site.host.clone(), port: site.port },
            vhost: site.path.clone().unwrap_or_else(|| "/".into()),
            query: AMQPQueryString {
                heartbeat: Some(HEARTBEAT_SEC),
                connection_timeout: Some(CONNECT_TIMEOUT_MS),
                ..AMQPQueryString::default()
            },
        };
        let ca = site.trust.as_ref().and_then(|trust| trust.ca().map(str::to_owned));
        Self {
            door: Door::new(&site.name, site.concurrency),
            uri,
            tls: OwnedTLSConfig { identity: None, cert_chain: ca },
            connection: Arc::default(),
            connecting: Shared::default(),
            idle: Mutex::default(),
        }
    }

    /// Connects and signs in.
    pub async fn connect(&self) -> Result<String, Refusal> {
        let channel = self.open().await?;
        // It is not needed any more, however that ends.
        let _ = channel.close(0, "".into()).await;
        Ok("RabbitMQ".into())
    }

    /// Publishes a message, and waits until the broker has confirmed it. One that no queue gets has failed.
    pub async fn publish(&self, message: &Message<'_>) -> Result<(), Refusal> {
        let channel = self.channel().await?;
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        let properties = BasicProperties::default()
            .with_delivery_mode(PERSISTENT)
            .with_message_id(message.message_id.into())
            .with_content_type(message.content_type.into());
        let publishing = channel.basic_publish(
            message.exchange.into(),
            message.routing_key.into(),
            options,
            message.body,
            properties,
        );
        let confirmed = publishing.await.map_err(|error| refusal(&error))?.await.map_err(|error| refusal(&error))?;
        match confirmed {
            Confirmation::Ack(None) => {}
            Confirmation::Ack(Some(returned)) | Confirmation::Nack(Some(returned)) => {
                return Err(Refusal::Lasting(format!("no queue gets it: {}", returned.reply_text)));
            }
            Confirmation::Nack(None) | Confirmation::NotRequested => {
                return Err(Refusal::MayPass("RabbitMQ could not store it".into()));
            }
        }
        // A channel that was given up while it was busy never comes here.
        self.idle.lock().await.push(channel);
        Ok(())
    }

    /// A channel on which messages are confirmed.
    async fn channel(&self) -> Result<Channel, Refusal> {
        let mut idle = self.idle.lock().await;
        while let Some(channel) = idle.pop() {
            if channel.status().connected() {
                return Ok(channel);
            }
        }
        drop(idle);
        let channel = self.open().await?;
        channel.confirm_select(ConfirmSelectOptions::default()).await.map_err(|error| refusal(&error))?;
        Ok(channel)
    }

    /// Opens a channel; the connection is made now if there is none.
    async fn open(&self) -> Result<Channel, Refusal> {
        let connect = || connect(self.uri.clone(), self.tls.clone(), Arc::clone(&self.connection));
        let kept = connected(&*self.connection.lock().await);
        let connection = match kept {
            Some(connection) => connection,
            None => {
                let connected = self.connecting.join(connect).await;
                connected.unwrap_or_else(|| Err(Refusal::MayPass("connecting to RabbitMQ was given up".into())))?
            }
        };
        connection.create_channel().await.map_err(|error| refusal(&error))
    }
}

fn connected(connection: &Option<Arc<Connection>>) -> Option<Arc<Connection>> {
    connection.clone().filter(|connection| connection.status().connected())
}

async fn connect(
    uri: AMQPUri,
    tls: OwnedTLSConfig,
    kept: Arc<Mutex<Option<Arc<Connection>>>>,
) -> Result<Arc<Connection>, Refusal> {
    let found = connected(&*kept.lock().await);
    if let Some(connection) = found {
        return Ok(connection);
    }
    let properties = ConnectionProperties::default().with_connection_name("hookswitch".into());
    let runtime = runtime::default_runtime().map_err(|error| refusal(&error))?;
    let connecting = Connection::connect_uri_with_config(uri, properties, tls, runtime);
    let connecting = tokio::time::timeout(PATIENCE, connecting).await;
    let connecting = connecting.map_err(|_| Refusal::MayPass(format!("no answer within {PATIENCE:?}")))?;
    let connection = Arc::new(connecting.map_err(|error| refusal(&error))?);
    *kept.lock().await = Some(Arc::clone(&connection));
    Ok(connection)
}

/// What went wrong: the message's fault, or something that may pass.
fn refusal(error: &Error) -> Refusal {
    match error.kind() {
        ErrorKind::ProtocolError(error) if LASTING.contains(&error.get_id()) => {
            Refusal::Lasting(format!("RabbitMQ refused: {}", error.get_message()))
        }
        _ => Refusal::may_pass(error),
    }
}
