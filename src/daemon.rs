//! The daemon: starts the tasks, joins them by their channels, and ends them in order.
//!
//! ```text
//!              ┌───────────────── node::Fleet ─────────────────┐
//! FreeSWITCH ──┤ esl::link ── EventStream ──> node::Follower   ├── Entry ──> outbox ── Run ──> flow::Runner ──> receivers
//!              │ 2 for each    8,192 items    1 for each       │   1,024    1 thread  4,096   1 task for each
//!              │ node                         cluster of nodes │              ^               run under way
//!              └───────────────────────────────────────────────┘              └───── Report ─────┘
//! tellers ──> admin::Server ── Word ──> node::Reception ── Entry ──> outbox
//!             256 connections   1,024   1 task
//! ```

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::admin::app::{App, Shared};
use crate::admin::page::Pages;
use crate::admin::rate::Rates;
use crate::admin::{Interface, Server};
use crate::config::{Config, HttpSettings, Problem, Problems};
use crate::delivery::Client;
use crate::delivery::limits::Limits;
use crate::esl::Nodes;
use crate::esl::command::InvalidCommand;
use crate::esl::feed::EVENT_CAPACITY;
use crate::flow::{Flows, Runner};
use crate::id::{AttemptKey, NodeName};
use crate::lifecycle::kept::Kept;
use crate::lifecycle::told::API_NODE;
use crate::node::fleet::LeftOpen;
use crate::node::{Fleet, LiveAttempts, Reception, Surroundings};
use crate::outbox::store::{OpenError, Opened, Settings};
use crate::outbox::{Closed, Outbox};
use crate::recording::Directory;

/// Requests that may be under way to all receivers together: each takes an open file, of which a process usually may have
/// 1,024.
const REQUESTS_LIMIT: usize = 512;

/// Why the daemon could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// There is nothing to follow.
    #[error("no FreeSWITCH is configured")]
    NoNode(#[source] Box<Problem>),
    /// The outbox cannot be opened.
    #[error(transparent)]
    Outbox(#[from] OpenError),
    /// A password cannot be sent.
    #[error("the password of node `{node}` cannot be sent")]
    Password {
        /// The node.
        node: NodeName,
        /// What is wrong with it.
        source: InvalidCommand,
    },
    /// There is no place for recordings.
    #[error("recordings cannot be kept in {}", directory.display())]
    Recording {
        /// The directory.
        directory: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The HTTP interface has no place.
    #[error("the HTTP interface cannot listen at {address}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// The HTTP client cannot be made.
    #[error("the HTTP client cannot be made")]
    Client(#[from] crate::delivery::connections::ConnectionsError),
}

/// A daemon that runs.
#[derive(Debug)]
pub struct Daemon {
    /// The live attempts.
    pub live: LiveAttempts,
    end: CancellationToken,
    fleet: JoinSet<()>,
    reception: JoinSet<Result<(), Closed>>,
    runner: JoinSet<()>,
    runner_end: CancellationToken,
    http: Option<Interface>,
    client: Arc<Client>,
    outbox: Outbox,
    outbox_ending: crate::outbox::store::Ending,
    /// What the daemon was started with, and what holds now.
    started_with: Arc<Config>,
    config: watch::Sender<Arc<Config>>,
    flows: watch::Sender<Arc<Flows>>,
}

impl Daemon {
    /// Starts all tasks; with a directory, what each cluster's follower is fed is recorded there.
    pub fn start(config: Arc<Config>, directory: Option<Directory>) -> Result<Self, StartError> {
        let nodes = config.require_freeswitch().map_err(|problem| StartError::NoNode(Box::new(problem)))?;
        for node in nodes {
            let sendable = node.link_address();
            sendable.map_err(|source| StartError::Password { node: node.name.clone(), source })?;
        }
        if let Some(directory) = &directory {
            let unusable = |source| StartError::Recording { directory: directory.path.clone(), source };
            std::fs::create_dir_all(&directory.path).map_err(unusable)?;
        }
        let settings = Settings {
            keep: config.outbox.keep,
            max_bytes: config.outbox.max_size,
            turns: config.turns(),
            ..Settings::at(&config.outbox.path)
        };
        let server = config.http.clone().map(listen).transpose()?;
        let opened = Opened::open(&settings)?;
        let (flows, flows_in) = watch::channel(Arc::new(config.flows_of_runs()));
        let limits = Limits::new(REQUESTS_LIMIT, config.delivery.concurrency);
        let client = Arc::new(Client::new(limits)?);
        client.mask(config.secrets());
        let nodes = Nodes::default();
        let runner =
            Runner { outbox: opened.outbox.clone(), client: client.clone(), nodes: nodes.clone(), flows: flows_in };
        let runner_end = CancellationToken::new();
        let runner = JoinSet::from_iter([runner.run(opened.runs, runner_end.clone(), config.daemon.drain)]);
        let mut left_open = left_open(opened.recovered.attempts);
        info!(
            outbox = %config.outbox.path.display(),
            open_attempts = left_open.values().flatten().filter_map(Kept::open).count(),
            open_runs = opened.recovered.open_runs,
            "the outbox is open",
        );
        let (live, end) = (LiveAttempts::default(), CancellationToken::new());
        let started_with = config.clone();
        let (config, config_in) = watch::channel(config);
        let (outbox, outbox_ending) = (opened.outbox, opened.ending);
        let around = Surroundings {
            config: config_in,
            outbox: Some(outbox.clone()),
            live: live.clone(),
            nodes,
            event_capacity: EVENT_CAPACITY,
        };
        let told = left_open.remove(API_NODE).unwrap_or_default();
        let (reception, desk) = Reception::new(around.clone(), told);
        let reception = JoinSet::from_iter([reception.run(end.clone())]);
        let http = server.map(|(server, settings)| {
            let (settings, settings_in) = watch::channel(Arc::new(settings));
            let app = App::new(Shared {
                config: around.config.clone(),
                settings: settings_in,
                outbox: outbox.clone(),
                outbox_path: started_with.outbox.path.clone(),
                live: live.clone(),
                nodes: around.nodes.clone(),
                client: client.clone(),
                desk,
                rates: Rates::default(),
                pages: Pages::new(&started_with.outbox.path),
            });
            Interface::start(server, app, settings)
        });
        let fleet = JoinSet::from_iter([Fleet::new(around, left_open, directory).run(end.clone())]);
        Ok(Self {
            live,
            end,
            fleet,
            reception,
            runner,
            runner_end,
            http,
            client,
            outbox,
            outbox_ending,
            started_with,
            config,
            flows,
        })
    }

    /// Uses another configuration from now on. Nodes are added, left and connected anew as it says; attempts that are under
    /// way keep the settings they began with, and runs the flows; what can't be changed without another start is told and
    /// stays.
    pub fn reload(&self, config: Config) -> Result<(), Problems> {
        config.require_freeswitch()?;
        for key in self.started_with.keys_for_restart(&config) {
            warn!(key, "this change takes effect when hookswitch is started again");
        }
        info!(
            queue_patterns = config.queue_pattern_count(),
            hooks = config.hooks().count(),
            flows = config.flows().len(),
            "the new configuration holds",
        );
        self.client.mask(config.secrets());
        // Flows first: a hook's flow is there when the hook is.
        self.flows.send_replace(Arc::new(config.flows_of_runs()));
        self.outbox.set_turns(config.turns());
        if let (Some(http), Some(settings)) = (&self.http, &config.http) {
            http.configure(settings.clone());
        }
        self.config.send_replace(Arc::new(config));
        Ok(())
    }

    /// Where the HTTP interface listens, if there is one.
    pub fn http_address(&self) -> Option<SocketAddr> {
        self.http.as_ref().map(Interface::address)
    }

    /// Waits until a part ends by itself, which none should: then the daemon is of no use any more.
    pub async fn failed(&mut self) {
        tokio::select! {
            () = Interface::failed(&mut self.http) => error!("the HTTP interface has ended"),
            Some(ended) = self.reception.join_next() => match ended {
                Ok(_) => error!("nothing that is told is taken any more"),
                Err(failure) => error!(%failure, "the task that takes what is told failed"),
            },
            Some(ended) = self.fleet.join_next() => match ended {
                Ok(()) => error!("no node is followed any more"),
                Err(failure) => error!(%failure, "the task that follows all nodes failed"),
            },
            Some(ended) = self.runner.join_next() => match ended {
                Ok(()) => error!("the runner has ended"),
                Err(failure) => error!(%failure, "the runner failed"),
            },
        }
    }

    /// Ends in order: first nothing new comes in, then runs under way are finished, then the outbox is closed.
    pub async fn stop(mut self) {
        if let Some(http) = self.http.take() {
            http.stop().await;
        }
        self.end.cancel();
        if let Some(Err(failure)) = self.fleet.join_next().await {
            error!(%failure, "the task that follows all nodes failed");
        }
        if let Some(Err(failure)) = self.reception.join_next().await {
            error!(%failure, "the task that takes what is told failed");
        }
        self.runner_end.cancel();
        if let Some(Err(failure)) = self.runner.join_next().await {
            error!(%failure, "the runner failed");
        }
        // The last handle, which the outbox's end waits for.
        drop(self.outbox);
        self.outbox_ending.ended().await;
    }
}

fn listen(settings: HttpSettings) -> Result<(Server, HttpSettings), StartError> {
    let address = settings.listen;
    let server = Server::bind(address).map_err(|source| StartError::Listen { address, source })?;
    Ok((server, settings))
}

/// What was kept of attempts, by node. A state that cannot be read is said and left alone: its attempt stays in the
/// outbox.
fn left_open(states: Vec<(AttemptKey, String)>) -> LeftOpen {
    let mut by_node = LeftOpen::new();
    for (key, state) in states {
        match Kept::read(&state) {
            Ok(kept) => by_node.entry(kept.node().clone()).or_default().push(kept),
            Err(failure) => {
                error!(queue = %key.queue, attempt = %key.hash(), %failure, "what was kept of an attempt is unreadable");
            }
        }
    }
    by_node
}
