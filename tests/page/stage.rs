//! A daemon with its configuration in a file, a simulated FreeSWITCH, and a receiver that can be broken.

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use hookswitch::admin::password;
use hookswitch::cli::run::until_cancelled;
use hookswitch::simulator::server::DEFAULT_PASSWORD;
use hookswitch::simulator::{Server, ServerOptions};
use reqwest::redirect::Policy;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

/// Far longer than anything takes; only a test that fails waits so long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The password of every user.
pub(crate) const PASSWORD: &str = "correct horse battery";

/// The names of a caller who means no good.
pub(crate) const HOSTILE: [&str; 2] = ["<script>alert(1)</script>", "{{ 7777*7777 }}"];

/// All of it, until it is dropped.
pub(crate) struct Stage {
    directory: TempDir,
    pub(crate) address: SocketAddr,
    pub(crate) client: reqwest::Client,
    receiver: Arc<AtomicU16>,
    end: CancellationToken,
}

impl Stage {
    /// Starts all of it; `http` is what its section says beside the address.
    pub(crate) async fn start(http: &str) -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let end = CancellationToken::new();
        let simulator = Server::bind("127.0.0.1:0").await.expect("a free port");
        let freeswitch = simulator.local_addr();
        tokio::spawn(simulator.run(ServerOptions { speed: 20.0, ..ServerOptions::default() }, end.clone()));
        let receiver = Arc::new(AtomicU16::new(204));
        let hooks = receive(receiver.clone(), end.clone()).await;
        let address = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port");
        let directory = TempDir::new().expect("a directory");
        let config = directory.path().join("hookswitch.toml");
        let text = format!(
            "# The configuration of a test.\n\n[[freeswitch]]\nname = \"fs1\" # the only one\naddress = \"{freeswitch}\"\n\
             password = \"{DEFAULT_PASSWORD}\"\n\n[http]\nlisten = \"{address}\"\n{http}\n\n[outbox]\npath = {:?}\n\n\
             [delivery]\nretry = []\n\n# Told of over HTTP.\n[queues.chat]\nsource = \"api\"\ntype = \"chat\"\nhooks = [\n  \
             # who comes\n  {{ name = \"came\", event = \"joined\", flow = \"tell\" }}, # all of them\n]\n\n\
             [flows.tell]\nsteps = [{{ http = {{ url = \"http://{hooks}/hooks\" }} }}]\n",
            directory.path().join("outbox.db"),
        );
        std::fs::write(&config, text).expect("writes");
        tokio::spawn(until_cancelled(config, end.clone()));
        let client = reqwest::Client::builder().no_proxy().redirect(Policy::none()).build().expect("a client");
        let stage = Self { directory, address, client, receiver, end };
        let deadline = Instant::now() + PATIENCE;
        while stage.client.get(stage.url("/healthz")).send().await.is_err() {
            assert!(Instant::now() < deadline, "the daemon listens");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        stage
    }

    /// Users of each role who can look, and a token.
    pub(crate) fn users() -> String {
        let hash = password::hash(PASSWORD).expect("hashes");
        let user = |role: &str| format!("{{ name = \"{role}\", role = \"{role}\", password = \"{hash}\" }}");
        format!(
            "users = [{}, {}, {}]\ntokens = [{{ name = \"root\", role = \"admin\", token = \"admin-0123456789abcdef\" }}]",
            user("read"),
            user("operate"),
            user("admin")
        )
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.directory.path().join("hookswitch.toml")
    }

    pub(crate) fn text(&self) -> String {
        std::fs::read_to_string(self.config()).expect("is there")
    }

    /// What the receiver answers from now on.
    pub(crate) fn answer(&self, status: u16) {
        self.receiver.store(status, Ordering::Relaxed);
    }

    /// A member comes to the chat, with names that mean no good.
    pub(crate) async fn join(&self, key: &str, token: Option<&str>) -> String {
        let opening = json!({
            "member_name": HOSTILE[0], "member_number": HOSTILE[1],
            "variables": { HOSTILE[0]: HOSTILE[1], "x": HOSTILE[0] },
        });
        let request = self.client.put(self.url(&format!("/api/queues/chat/attempts/{key}"))).json(&opening);
        let request = match token {
            Some(token) => request.bearer_auth(token),
            None => request,
        };
        let answer: Value = request.send().await.expect("answers").json().await.expect("JSON");
        answer["attempt"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.end.cancel();
    }
}

async fn receive(status: Arc<AtomicU16>, end: CancellationToken) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let take = |State(status): State<Arc<AtomicU16>>| async move {
        let status = StatusCode::from_u16(status.load(Ordering::Relaxed)).expect("a status");
        (status, if status.is_success() { "" } else { "the receiver is broken" })
    };
    let router = Router::new().route("/hooks", post(take)).with_state(status);
    tokio::spawn(async move { axum::serve(listener, router).with_graceful_shutdown(end.cancelled_owned()).await });
    address
}
