//! NATS with JetStream.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;
use std::time::Duration;

use async_nats::jetstream::{self, Message, consumer, stream};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use futures_util::StreamExt;
use hookswitch::outbox::RunState;
use nkeys::KeyPair;
use serde_json::json;
use tempfile::TempDir;

use crate::caller;
use crate::outage::{RETRY, Victim, endured, webhook_id};
use crate::reach::tried;
use crate::server::{Server, free_port, ready};
use crate::stage::Stage;
use crate::tls::Card;

struct Nats {
    server: Server,
    port: u16,
    _directory: TempDir,
}

impl Nats {
    async fn start() -> Self {
        let (directory, port) = (TempDir::new().expect("a directory"), free_port());
        let mut command = Command::new("nats-server");
        command.args(["-a", "127.0.0.1", "-p", &port.to_string(), "-js", "-sd"]).arg(directory.path());
        let nats = Self { server: Server::start(command, directory.path()), port, _directory: directory };
        nats.stream().await;
        nats
    }

    fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// The stream of all calls, which is made where there is none.
    async fn stream(&self) -> stream::Stream {
        ready(|| async {
            let client = async_nats::connect(self.url()).await.ok()?;
            let config =
                stream::Config { name: "CALLS".into(), subjects: vec!["calls.>".into()], ..stream::Config::default() };
            jetstream::new(client).get_or_create_stream(config).await.ok()
        })
        .await
    }

    async fn messages(&self) -> Vec<Message> {
        let stream = self.stream().await;
        let consumer = stream.create_consumer(consumer::pull::Config::default()).await.expect("a consumer");
        let fetched = consumer.fetch().max_messages(1_000).expires(Duration::from_secs(2)).messages().await;
        fetched.expect("messages").map(|message| message.expect("a message")).collect().await
    }

    fn flow(&self, step: &str) -> String {
        let url = self.url();
        format!(
            "[destinations.events]\nurl = '{url}'\n[flows.f]\nsteps = [{{ publish = {{ destination = 'events', {step} }} }}]"
        )
    }
}

impl Victim for Nats {
    fn freeze(&mut self) {
        self.server.freeze();
    }

    fn thaw(&mut self) {
        self.server.thaw();
    }

    async fn kill_and_restart(&mut self) {
        self.server.kill();
        self.server.restart();
        self.stream().await;
    }
}

fn message_id(message: &Message) -> String {
    message.headers.as_ref().and_then(|headers| headers.get("Nats-Msg-Id")).expect("an id").to_string()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs nats-server, which tests/run installs"]
async fn nats_stores_what_is_published_whatever_callers_are_called() {
    let (nats, directory) = (Nats::start().await, TempDir::new().expect("a directory"));
    let step = "subject = 'calls.{{ member_name }}.{{ event }}', json = { name = '{{ member_name }}' }";
    let stage = Stage::start(&directory, &nats.flow(step));
    for (attempt, name) in (0..).zip(caller::NAMES) {
        let run = stage.fire_changed("f", attempt, 0, |payload| payload.member_name = Some(name.into())).await;
        let story = stage.over(run).await;
        assert_eq!(story.run.state, RunState::Delivered, "{name:?}: {:?}", story.run.error);
    }
    let messages = nats.messages().await;
    assert_eq!(messages.len(), caller::NAMES.len());
    for (message, name) in messages.iter().zip(caller::NAMES) {
        let body: serde_json::Value = serde_json::from_slice(&message.payload).expect("JSON");
        assert_eq!(body["name"], name);
        let tokens: Vec<&str> = message.subject.split('.').collect();
        assert_eq!((tokens.len(), tokens[0], tokens[2]), (3, "calls", "missed"), "{}", message.subject);
        let decoded = percent_encoding::percent_decode_str(tokens[1]).decode_utf8().expect("UTF-8");
        assert_eq!(decoded, name);
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs nats-server, which tests/run installs"]
async fn nats_has_every_message_once_though_it_was_frozen_and_killed() {
    let (mut nats, directory) = (Nats::start().await, TempDir::new().expect("a directory"));
    let stage = Stage::start(&directory, &nats.flow(&format!("subject = 'calls.{{{{ event }}}}', {RETRY}")));
    let runs = endured(&stage, &mut nats).await;
    let found: Vec<String> = nats.messages().await.iter().map(message_id).collect();
    assert_eq!(found.len(), runs.len(), "JetStream drops repeats by their ids");
    let wanted: BTreeSet<String> = runs.into_iter().map(webhook_id).collect();
    assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), wanted);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs nats-server, which tests/run installs"]
async fn nats_without_a_stream_for_the_subject_is_tried_again_and_says_why() {
    let (nats, directory) = (Nats::start().await, TempDir::new().expect("a directory"));
    let stage = Stage::start(&directory, &nats.flow("subject = 'others.x', retry = ['100ms']"));
    let run = stage.fire("f", 0, 0).await;
    let story = stage.over_with(run, RunState::Failed).await;
    assert_eq!(story.tries.len(), 2);
    assert!(story.run.error.expect("why").contains("no stream of JetStream has this subject"));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs nats-server, which tests/run installs"]
async fn nats_over_tls_is_trusted_where_its_certificate_is() {
    let (directory, port) = (TempDir::new().expect("a directory"), free_port());
    let card = Card::make(directory.path());
    let mut command = Command::new("nats-server");
    command.args(["-a", "127.0.0.1", "-p", &port.to_string(), "-js", "-sd"]).arg(directory.path());
    command.arg("--tls").arg("--tlscert").arg(&card.certificate).arg("--tlskey").arg(&card.key);
    let _server = Server::start(command, directory.path());
    ready(|| async {
        let options = async_nats::ConnectOptions::new().add_root_certificates(card.certificate.clone());
        let client = options.require_tls(true).connect(format!("nats://localhost:{port}")).await.ok()?;
        let config = stream::Config { name: "CALLS".into(), subjects: vec!["calls.>".into()], ..Default::default() };
        jetstream::new(client).get_or_create_stream(config).await.ok()
    })
    .await;
    for (ca, is_trusted) in [("ca = 'server.pem'", true), ("", false)] {
        let place = TempDir::new().expect("a directory");
        fs::copy(&card.certificate, place.path().join("server.pem")).expect("is copied");
        let text = format!(
            "[destinations.events]\nurl = 'nats://localhost:{port}'\ntls = true\n{ca}\n[flows.f]\n\
             steps = [{{ publish = {{ destination = 'events', subject = 'calls.x', retry = ['100ms'] }} }}]"
        );
        let (said, story) = tried(&place, &text).await;
        assert_eq!(said.as_ref().is_ok_and(|said| said.contains("JetStream")), is_trusted, "{said:?}");
        assert_eq!(story.run.state == RunState::Delivered, is_trusted, "{:?}", story.run.error);
    }
}

/// A token as a NATS server checks it: claims about `subject`, signed by `issuer`.
fn token(issuer: &KeyPair, subject: &KeyPair, claims: &serde_json::Value) -> String {
    let claims = json!({
        "iat": 1_700_000_000, "iss": issuer.public_key(), "sub": subject.public_key(), "jti": "1", "name": "calls", "nats": claims,
    });
    let part = |json: &serde_json::Value| BASE64_URL_SAFE_NO_PAD.encode(json.to_string());
    let signed = format!("{}.{}", part(&json!({ "typ": "JWT", "alg": "ed25519-nkey" })), part(&claims));
    let signature = issuer.sign(signed.as_bytes()).expect("signs");
    format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
}

/// The claims of an account that may do everything.
fn account() -> serde_json::Value {
    let limits = [
        "subs",
        "data",
        "payload",
        "imports",
        "exports",
        "conn",
        "leaf",
        "mem_storage",
        "disk_storage",
        "streams",
        "consumer",
    ];
    let mut limits: serde_json::Map<_, _> = limits.map(|limit| (limit.to_owned(), json!(-1))).into_iter().collect();
    limits.insert("wildcards".into(), json!(true));
    json!({ "type": "account", "version": 2, "limits": limits })
}

/// What a `.creds` file holds.
fn credentials(account: &KeyPair, user: &KeyPair) -> String {
    let claims = json!({ "type": "user", "version": 2, "subs": -1, "data": -1, "payload": -1 });
    format!(
        "-----BEGIN NATS USER JWT-----\n{}\n------END NATS USER JWT------\n\n\
         -----BEGIN USER NKEY SEED-----\n{}\n------END USER NKEY SEED------\n",
        token(account, user, &claims),
        user.seed().expect("a seed")
    )
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs nats-server, which tests/run installs"]
async fn nats_lets_in_whoever_has_credentials_and_nobody_else() {
    let (directory, port) = (TempDir::new().expect("a directory"), free_port());
    let (operator, system, calls) = (KeyPair::new_operator(), KeyPair::new_account(), KeyPair::new_account());
    let settings = format!(
        "operator: {}\nsystem_account: {}\nresolver: MEMORY\nresolver_preload: {{ {}: {}, {}: {} }}\n\
         listen: 127.0.0.1:{port}\njetstream: {{ store_dir: {:?} }}\n",
        token(&operator, &operator, &json!({ "type": "operator", "version": 2 })),
        system.public_key(),
        system.public_key(),
        token(&operator, &system, &json!({ "type": "account", "version": 2 })),
        calls.public_key(),
        token(&operator, &calls, &account()),
        directory.path()
    );
    let file = directory.path().join("nats.conf");
    fs::write(&file, settings).expect("is written");
    let mut command = Command::new("nats-server");
    command.arg("-c").arg(&file);
    let _server = Server::start(command, directory.path());
    let known = credentials(&calls, &KeyPair::new_user());
    let stream = ready(|| async {
        let options = async_nats::ConnectOptions::with_credentials(&known).ok()?;
        let client = options.connect(format!("nats://127.0.0.1:{port}")).await.ok()?;
        let config = stream::Config { name: "CALLS".into(), subjects: vec!["calls.>".into()], ..Default::default() };
        jetstream::new(client).get_or_create_stream(config).await.ok()
    })
    .await;
    let unknown = credentials(&KeyPair::new_account(), &KeyPair::new_user());
    for (creds, is_let_in) in [(Some(&known), true), (Some(&unknown), false), (None, false)] {
        let place = TempDir::new().expect("a directory");
        let key = match creds {
            Some(creds) => {
                fs::write(place.path().join("calls.creds"), creds).expect("is written");
                "credentials = { file = 'calls.creds' }"
            }
            None => "",
        };
        let text = format!(
            "[destinations.events]\nurl = 'nats://127.0.0.1:{port}'\n{key}\n[flows.f]\n\
             steps = [{{ publish = {{ destination = 'events', subject = 'calls.x', retry = ['100ms'] }} }}]"
        );
        let (said, story) = tried(&place, &text).await;
        assert_eq!(said.is_ok(), is_let_in, "{said:?}");
        assert_eq!(story.run.state == RunState::Delivered, is_let_in, "{:?}", story.run.error);
    }
    assert_eq!(stream.get_info().await.expect("is there").state.messages, 1);
}
