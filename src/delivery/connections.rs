//! Connections to receivers: a pool of those that are kept, and new ones for what a kept one has lost.

use std::cell::Cell;
use std::pin::Pin;
use std::sync::OnceLock;
use std::task::{Context, Poll};
use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{ClientBuilder, Proxy};
use rustls::ClientConfig;
use tower_layer::Layer;
use tower_service::Service;
use url::Url;

use super::tls::{TlsError, TlsSettings};

/// How long a connection may take to come about: a host that is there answers within a second or two, also from far.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

tokio::task_local! {
    /// Whether a connection has been made for the request at hand.
    static HAS_CONNECTED: Cell<bool>;
}

/// What is configured of connections.
#[derive(Clone, Debug, Default)]
pub struct ConnectionSettings {
    /// Whose certificates count, and who we are.
    pub tls: TlsSettings,
    /// The proxy that everything goes by.
    pub proxy: Option<Url>,
    /// How long a connection may take to come about.
    pub connect_timeout: Option<Duration>,
}

/// The connections of one way.
#[derive(Debug)]
pub(super) struct Connections {
    settings: ConnectionSettings,
    tls: ClientConfig,
    kept: reqwest::Client,
    /// Keeps no connections; seldom needed, so made when it is.
    unkept: OnceLock<Option<reqwest::Client>>,
}

/// Why there can be no connections.
#[derive(Debug, thiserror::Error)]
pub enum ConnectionsError {
    /// The certificates or the key can't be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The HTTP library can't use the settings.
    #[error("{}", super::network::root_cause(.0))]
    Http(reqwest::Error),
}

impl Connections {
    pub(super) fn new(settings: ConnectionSettings) -> Result<Self, ConnectionsError> {
        let tls = settings.tls.client_config()?;
        let kept = settings.builder(&tls).and_then(ClientBuilder::build).map_err(ConnectionsError::Http)?;
        Ok(Self { settings, tls, kept, unkept: OnceLock::new() })
    }

    /// What sends over connections that are kept.
    pub(super) fn kept(&self) -> &reqwest::Client {
        &self.kept
    }

    /// What sends each request over a connection of its own.
    pub(super) fn unkept(&self) -> Option<&reqwest::Client> {
        let new = || self.settings.builder(&self.tls).ok()?.pool_max_idle_per_host(0).build().ok();
        self.unkept.get_or_init(new).as_ref()
    }

    /// The proxy that everything goes by.
    pub(super) fn proxy(&self) -> Option<&Url> {
        self.settings.proxy.as_ref()
    }
}

impl ConnectionSettings {
    /// The same to others than the one whose certificates are pinned.
    pub(super) fn without_pins(&self) -> Self {
        let tls = TlsSettings { pinned: Vec::new(), ..self.tls.clone() };
        Self { tls, ..self.clone() }
    }

    /// No proxy but the configured one, and no redirects: who follows them decides what goes along.
    fn builder(&self, tls: &ClientConfig) -> reqwest::Result<ClientBuilder> {
        let builder = reqwest::Client::builder()
            .user_agent(concat!("hookswitch/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(self.connect_timeout.unwrap_or(CONNECT_TIMEOUT))
            .redirect(Policy::none())
            .referer(false)
            .no_proxy()
            .tls_backend_preconfigured(tls.clone())
            .connector_layer(NoteConnections);
        match &self.proxy {
            Some(proxy) => Ok(builder.proxy(Proxy::all(proxy.clone())?)),
            None => Ok(builder),
        }
    }
}

/// Sends a request, and says whether it went over a connection that was kept from an earlier one.
pub(super) async fn send(request: reqwest::RequestBuilder) -> (reqwest::Result<reqwest::Response>, bool) {
    let sending = async {
        let sent = request.send().await;
        (sent, !HAS_CONNECTED.with(Cell::get))
    };
    HAS_CONNECTED.scope(Cell::new(false), sending).await
}

/// Notes in the request's task that a connection was made for it. One that comes about after the request has got another
/// does so in a task of its own, and is not noted.
#[derive(Clone, Copy, Debug)]
struct NoteConnections;

#[derive(Clone, Debug)]
struct Noting<S>(S);

impl<S> Layer<S> for NoteConnections {
    type Service = Noting<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Noting(inner)
    }
}

impl<S, R> Service<R> for Noting<S>
where
    S: Service<R>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, to: R) -> Self::Future {
        let connecting = self.0.call(to);
        Box::pin(async move {
            let connected = connecting.await;
            // There is nothing to be noted where no request waits for it.
            let _ = HAS_CONNECTED.try_with(|has_connected| has_connected.set(true));
            connected
        })
    }
}
