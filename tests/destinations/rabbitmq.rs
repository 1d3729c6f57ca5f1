//! RabbitMQ.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use hookswitch::outbox::RunState;
use lapin::options::{BasicGetOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use lapin::{Channel, Connection, ConnectionProperties};
use tempfile::TempDir;

use crate::caller;
use crate::outage::{RETRY, Victim, endured, webhook_id};
use crate::reach::tried;
use crate::server::{Server, free_port, ready};
use crate::stage::Stage;
use crate::tls::Card;

struct Rabbitmq {
    server: Server,
    _names: Server,
    port: u16,
    tls_port: u16,
    card: Card,
    _directory: TempDir,
}

/// Debian's program without the wrapper that would run it as the system's own broker.
const PROGRAM: &str = "/usr/lib/rabbitmq/bin/rabbitmq-server";

impl Rabbitmq {
    async fn start() -> Self {
        let (directory, port, names) = (TempDir::new().expect("a directory"), free_port(), free_port());
        let (tls_port, card) = (free_port(), Card::make(directory.path()));
        let settings = format!(
            "listeners.ssl.1 = 127.0.0.1:{tls_port}\nssl_options.certfile = {}\nssl_options.keyfile = {}\n\
             ssl_options.verify = verify_none\n",
            card.certificate.display(),
            card.key.display()
        );
        std::fs::write(directory.path().join("rabbitmq.conf"), settings).expect("is written");
        // Erlang's server of names, which the broker would leave behind if it started one.
        let mut epmd = Command::new("epmd");
        epmd.args(["-address", "127.0.0.1", "-port", &names.to_string()]);
        let epmd = Server::start(epmd, directory.path());
        let server = Server::start(Self::command(directory.path(), port, names), directory.path());
        let broker = Self { server, _names: epmd, port, tls_port, card, _directory: directory };
        broker.channel().await;
        broker
    }

    fn command(directory: &Path, port: u16, names: u16) -> Command {
        let mut command = Command::new(PROGRAM);
        command
            .env("HOME", directory)
            .env("ERL_EPMD_PORT", names.to_string())
            .env("ERL_EPMD_ADDRESS", "127.0.0.1")
            .env("RABBITMQ_NODENAME", format!("hookswitch{port}@localhost"))
            .env("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1")
            .env("RABBITMQ_NODE_PORT", port.to_string())
            .env("RABBITMQ_DIST_PORT", free_port().to_string())
            .env("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", "-kernel inet_dist_use_interface {127,0,0,1}")
            .env("RABBITMQ_MNESIA_BASE", directory.join("mnesia"))
            .env("RABBITMQ_LOG_BASE", directory.join("log"))
            .env("RABBITMQ_PID_FILE", directory.join("pid"))
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", directory.join("plugins"))
            .env("RABBITMQ_CONFIG_FILE", directory.join("rabbitmq"))
            .env("RABBITMQ_CONF_ENV_FILE", directory.join("env.conf"));
        command
    }

    /// A channel, and the queue `calls`.
    async fn channel(&self) -> (Connection, Channel) {
        let uri = format!("amqp://guest:guest@127.0.0.1:{}/%2f", self.port);
        ready(|| async {
            let connection = Connection::connect(&uri, ConnectionProperties::default()).await.ok()?;
            let channel = connection.create_channel().await.ok()?;
            let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
            channel.queue_declare("calls".into(), options, FieldTable::default()).await.ok()?;
            Some((connection, channel))
        })
        .await
    }

    /// Each message's id and body.
    async fn messages(&self) -> Vec<(String, Vec<u8>)> {
        let (_connection, channel) = self.channel().await;
        let mut messages = Vec::new();
        let options = BasicGetOptions { no_ack: true };
        while let Some(message) = channel.basic_get("calls".into(), options).await.expect("answers") {
            let id = message.delivery.properties.message_id().as_ref().expect("an id").to_string();
            messages.push((id, message.delivery.data));
        }
        messages
    }

    fn flow(&self, step: &str) -> String {
        let port = self.port;
        format!(
            "[destinations.events]\nurl = 'amqp://guest@127.0.0.1:{port}'\npassword = 'guest'\n\
             [flows.f]\nsteps = [{{ publish = {{ destination = 'events', {step} }} }}]"
        )
    }
}

impl Victim for Rabbitmq {
    fn freeze(&mut self) {
        self.server.freeze();
    }

    fn thaw(&mut self) {
        self.server.thaw();
    }

    async fn kill_and_restart(&mut self) {
        self.server.kill();
        self.server.restart();
        self.channel().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs rabbitmq-server, which tests/run installs"]
async fn rabbitmq_has_what_is_published_and_says_what_no_queue_gets() {
    let (broker, directory) = (Rabbitmq::start().await, TempDir::new().expect("a directory"));
    let step = "routing_key = 'calls', json = { name = '{{ member_name }}' }";
    let stage = Stage::start(&directory, &broker.flow(step));
    for (attempt, name) in (0..).zip(caller::NAMES) {
        let run = stage.fire_changed("f", attempt, 0, |payload| payload.member_name = Some(name.into())).await;
        let story = stage.over(run).await;
        assert_eq!(story.run.state, RunState::Delivered, "{name:?}: {:?}", story.run.error);
    }
    stage.stop().await;
    let name = |body: &[u8]| serde_json::from_slice::<serde_json::Value>(body).expect("JSON")["name"].clone();
    let found: Vec<_> = broker.messages().await.iter().map(|(_, body)| name(body)).collect();
    assert_eq!(found, caller::NAMES);

    for (step, reason) in [
        ("routing_key = 'nobody'", "no queue"),
        ("exchange = 'nowhere', routing_key = 'calls'", "no exchange 'nowhere'"),
    ] {
        let directory = TempDir::new().expect("a directory");
        let stage = Stage::start(&directory, &broker.flow(step));
        let run = stage.fire("f", 0, 0).await;
        let story = stage.over_with(run, RunState::Failed).await;
        let error = story.run.error.expect("why");
        assert!(error.contains(reason), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs rabbitmq-server, which tests/run installs"]
async fn rabbitmq_has_every_message_though_it_was_frozen_and_killed() {
    let (mut broker, directory) = (Rabbitmq::start().await, TempDir::new().expect("a directory"));
    let stage = Stage::start(&directory, &broker.flow(&format!("routing_key = 'calls', {RETRY}")));
    let runs = endured(&stage, &mut broker).await;
    let found: BTreeSet<String> = broker.messages().await.into_iter().map(|(id, _)| id).collect();
    assert_eq!(found, runs.into_iter().map(webhook_id).collect());
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs rabbitmq-server, which tests/run installs"]
async fn rabbitmq_over_tls_is_trusted_where_its_certificate_is() {
    let broker = Rabbitmq::start().await;
    let port = broker.tls_port;
    let cases = [("guest", "ca = 'server.pem'", true), ("guest", "", false), ("wrong", "ca = 'server.pem'", false)];
    for (password, ca, is_let_in) in cases {
        let place = TempDir::new().expect("a directory");
        std::fs::copy(&broker.card.certificate, place.path().join("server.pem")).expect("is copied");
        let text = format!(
            "[destinations.events]\nurl = 'amqp://guest@localhost:{port}'\npassword = '{password}'\ntls = true\n{ca}\n\
             [flows.f]\nsteps = [{{ publish = {{ destination = 'events', routing_key = 'calls', retry = ['100ms'] }} }}]"
        );
        let (said, story) = tried(&place, &text).await;
        assert_eq!(said.is_ok(), is_let_in, "{password} {ca}: {said:?}");
        assert_eq!(story.run.state == RunState::Delivered, is_let_in, "{password} {ca}: {:?}", story.run.error);
    }
    assert_eq!(broker.messages().await.len(), 1);
}
