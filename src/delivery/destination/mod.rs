//! Destinations: brokers, databases and mail servers, each configured once, whose connections all steps share.
//!
//! - [`site`]: where one is, and how to get in; [`trust`]: whose certificates count.
//! - [`door`]: how many are let in at once.
//! - [`postgres`], with [`parameter`] and [`row`]: what goes in and comes out; [`nats`], [`rabbitmq`], [`smtp`].
//! - [`refusal`]: why one has not taken something.
//!
//! Each connects when the first step needs it, once for all who wait meanwhile (`shared`), and anew when a connection is lost, so a server that is down when the daemon
//! starts keeps nobody waiting but its own steps. Whatever is begun ends with its step's timeout.

pub mod door;
pub mod nats;
pub mod parameter;
pub mod postgres;
pub mod rabbitmq;
pub mod refusal;
pub mod row;
mod shared;
pub mod site;
pub mod smtp;
pub mod trust;

use std::sync::Arc;
use std::time::Duration;

pub use door::Door;
pub use nats::Nats;
pub use postgres::Postgres;
pub use rabbitmq::Rabbitmq;
pub use refusal::Refusal;
pub use site::Site;
pub use smtp::Smtp;
pub use trust::Trust;

/// How long somebody waits who asks whether one lets us in.
const PATIENCE: Duration = Duration::from_secs(10);

/// A configured destination.
#[derive(Clone, Debug)]
pub enum Destination {
    /// A PostgreSQL database.
    Postgres(Arc<Postgres>),
    /// A NATS server with JetStream.
    Nats(Arc<Nats>),
    /// A RabbitMQ broker.
    Rabbitmq(Arc<Rabbitmq>),
    /// A mail server.
    Smtp(Arc<Smtp>),
}

impl Destination {
    /// What it is, in words.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Postgres(_) => "a PostgreSQL database",
            Self::Nats(_) => "a NATS server",
            Self::Rabbitmq(_) => "a RabbitMQ broker",
            Self::Smtp(_) => "a mail server",
        }
    }

    /// Connects and signs in, as the first step does that needs it. Gives what it says of itself.
    pub async fn connect(&self) -> Result<String, Refusal> {
        let connecting = async {
            match self {
                Self::Postgres(postgres) => postgres.connect().await,
                Self::Nats(nats) => nats.connect().await,
                Self::Rabbitmq(rabbitmq) => rabbitmq.connect().await,
                Self::Smtp(smtp) => smtp.connect(PATIENCE).await,
            }
        };
        let late = || Err(Refusal::MayPass(format!("no answer within {PATIENCE:?}")));
        tokio::time::timeout(PATIENCE, connecting).await.unwrap_or_else(|_| late())
    }
}
