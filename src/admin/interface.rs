//! The interface at work: begun, configured anew, and ended by the daemon.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::app::App;
use super::router::router;
use super::server::Server;
use crate::config::HttpSettings;

/// The HTTP interface that runs.
#[derive(Debug)]
pub struct Interface {
    address: SocketAddr,
    settings: watch::Sender<Arc<HttpSettings>>,
    end: CancellationToken,
    task: JoinSet<()>,
}

impl Interface {
    /// Begins to answer.
    pub fn start(server: Server, app: App, settings: watch::Sender<Arc<HttpSettings>>) -> Self {
        let (address, end, current) = (server.address(), app.pages.end.clone(), settings.subscribe());
        // A long day is read before somebody waits for it; if it can't be, whoever looks is told.
        let first = app.clone();
        tokio::spawn(async move { drop(first.pages.day.read_on(&first).await) });
        let task = JoinSet::from_iter([server.run(router(app), current, end.clone())]);
        Self { address, settings, end, task }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Uses other tokens and limits from now on. Where it can be reached from elsewhere, it is never left open:
    /// another address takes effect later.
    pub fn configure(&self, mut settings: HttpSettings) {
        if settings.is_open() && !self.address.ip().is_loopback() {
            let former = self.settings.borrow();
            settings.tokens.clone_from(&former.tokens);
            settings.users.clone_from(&former.users);
        }
        self.settings.send_replace(Arc::new(settings));
    }

    /// Waits until it ends by itself; for ever where there is none.
    pub async fn failed(http: &mut Option<Self>) {
        match http {
            Some(http) => drop(http.task.join_next().await),
            None => std::future::pending().await,
        }
    }

    /// Takes no more requests, and answers those that are under way.
    pub async fn stop(mut self) {
        self.end.cancel();
        while self.task.join_next().await.is_some() {}
    }
}
