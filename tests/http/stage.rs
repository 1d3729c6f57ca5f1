//! A daemon that follows a simulated FreeSWITCH and listens for HTTP.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hookswitch::config::Config;
use hookswitch::daemon::Daemon;
use hookswitch::simulator::server::DEFAULT_PASSWORD;
use hookswitch::simulator::{Server, ServerOptions};
use reqwest::{Method, RequestBuilder, Response};
use serde_json::Value;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

/// Far longer than anything takes; only a test that fails waits so long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// How many simulated seconds pass in one: joins come several a second.
const SPEED: f64 = 50.0;

/// A token of each role.
pub(crate) const TOKENS: &str = "tokens = [
    { name = \"grafana\", role = \"read\", token = \"read-0123456789abcdef\" },
    { name = \"desk\", role = \"operate\", token = \"operate-0123456789abcdef\" },
    { name = \"chat\", role = \"ingest\", token = \"ingest-0123456789abcdef\" },
    { name = \"root\", role = \"admin\", token = \"admin-0123456789abcdef\" },
]
";

/// The token of a role.
pub(crate) fn token(role: &str) -> String {
    format!("{role}-0123456789abcdef")
}

/// A daemon at work.
pub(crate) struct Stage {
    directory: TempDir,
    simulator: SocketAddr,
    shutdown: CancellationToken,
    daemon: Option<Daemon>,
    client: reqwest::Client,
}

impl Stage {
    /// Starts all of it; `http` is what its section says beside the address, `rest` what follows.
    pub(crate) async fn start(http: &str, rest: &str) -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let server = Server::bind("127.0.0.1:0").await.expect("a free port");
        let (simulator, shutdown) = (server.local_addr(), CancellationToken::new());
        tokio::spawn(server.run(ServerOptions { speed: SPEED, ..ServerOptions::default() }, shutdown.clone()));
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        let directory = TempDir::new().expect("a directory");
        let mut stage = Self { directory, simulator, shutdown, daemon: None, client };
        stage.resume(http, rest);
        stage
    }

    /// Starts the daemon again.
    pub(crate) fn resume(&mut self, http: &str, rest: &str) {
        let config = self.config(http, rest);
        self.daemon = Some(Daemon::start(Arc::new(config), None).expect("starts"));
    }

    pub(crate) fn config(&self, http: &str, rest: &str) -> Config {
        let text = format!(
            "[http]\nlisten = \"127.0.0.1:0\"\n{http}\n{rest}\n[[freeswitch]]\nname = \"fs1\"\naddress = \"{}\"\n\
             password = \"{DEFAULT_PASSWORD}\"\n[outbox]\npath = {:?}\n",
            self.simulator,
            self.outbox(),
        );
        let path = self.directory().join("hookswitch.toml");
        std::fs::write(&path, text).expect("is written");
        Config::load(&path).expect("a good configuration")
    }

    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn outbox(&self) -> PathBuf {
        self.directory.path().join("outbox.db")
    }

    pub(crate) fn daemon(&self) -> &Daemon {
        self.daemon.as_ref().expect("runs")
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.daemon().http_address().expect("listens")
    }

    /// A request, with the token of a role if there is one.
    pub(crate) fn request(&self, method: Method, path: &str, role: &str) -> RequestBuilder {
        let request = self.client.request(method, format!("http://{}{path}", self.address()));
        if role.is_empty() { request } else { request.bearer_auth(token(role)) }
    }

    pub(crate) async fn get(&self, path: &str, role: &str) -> Response {
        self.request(Method::GET, path, role).send().await.expect("answers")
    }

    /// What a path gives, as JSON.
    pub(crate) async fn json(&self, path: &str) -> Value {
        let response = self.get(path, "admin").await;
        assert!(response.status().is_success() || path == "/readyz", "{path}: {}", response.status());
        response.json().await.expect("JSON")
    }

    /// Asks until the answer is as wanted.
    pub(crate) async fn until(&self, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let answer = self.json(path).await;
            if wanted(&answer) {
                return answer;
            }
            assert!(Instant::now() < deadline, "{path}: {answer:#}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// FreeSWITCH goes away.
    pub(crate) fn lose_freeswitch(&self) {
        self.shutdown.cancel();
    }

    /// Ends the daemon in order.
    pub(crate) async fn stop(&mut self) {
        self.daemon.take().expect("runs").stop().await;
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

/// The problem that an answer is, of this status.
pub(crate) async fn problem(response: Response, status: u16) -> Value {
    let media = response.headers().get("content-type").map(|media| media.to_str().expect("text").to_owned());
    let (found, body) = (response.status(), response.text().await.expect("a body"));
    assert_eq!((found.as_u16(), media.as_deref()), (status, Some("application/problem+json")), "{body}");
    let problem: Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!(problem["status"], status);
    assert!(problem["type"].is_string() && problem["title"].is_string() && problem["detail"].is_string(), "{problem}");
    problem
}
