//! Destinations: brokers, databases and mail servers, each configured once, whose connections all steps share.
//!
//! - [`site`]: where one is, and how to get in; [`trust`]: whose certificates count.
//! - [`door`]: how many are let in at once.
//! - [`postgres`], with [`parameter`] and [`row`]: what goes in and comes out; [`nats`], [`rabbitmq`], [`smtp`].
//! - [`refusal`]: why one has not taken something.
//!
//! Each connects when the first step needs it, and anew when a connection is lost, so a server that is down when the daemon
//! starts keeps nobody waiting but its own steps. Whatever is begun ends with its step's timeout.

pub mod door;
pub mod nats;
pub mod parameter;
pub mod postgres;
pub mod rabbitmq;
pub mod refusal;
pub mod row;
pub mod site;
pub mod smtp;
pub mod trust;

use std::sync::Arc;

pub use door::Door;
pub use nats::Nats;
pub use postgres::Postgres;
pub use rabbitmq::Rabbitmq;
pub use refusal::Refusal;
pub use site::Site;
pub use smtp::Smtp;
pub use trust::Trust;

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
}
