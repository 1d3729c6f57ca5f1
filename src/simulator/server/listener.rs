//! Addresses, options, and the order of starting and ending.

use std::fs::File;
use std::io::BufWriter;
use std::net::SocketAddr;
use std::path::PathBuf;

use jiff::Timestamp;
use tokio::net::{TcpListener, ToSocketAddrs};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Duration, timeout};
use tokio_util::sync::CancellationToken;

use super::connection::{self, Terms};
use super::exchange::{Exchange, Request};
use crate::simulator::scenario::Scenario;
use crate::simulator::simulation::Simulation;

/// The password that every FreeSWITCH is delivered with, and the simulated one too.
pub const DEFAULT_PASSWORD: &str = "ClueCon";
/// As many events wait for a slow client as in FreeSWITCH.
const QUEUE_FRAMES: usize = 100_000;
/// Each client has one request under way; more clients than this wait for each other.
const REQUESTS: usize = 64;
/// How long clients may take to read what was said last.
const LAST_WRITES: Duration = Duration::from_secs(2);

/// How a simulated FreeSWITCH is set up.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// What is simulated.
    pub scenario: Scenario,
    /// The same seed gives the same calls.
    pub seed: u64,
    /// How many simulated seconds pass in one: above 0, and at most some thousands.
    pub speed: f64,
    /// What clients sign in with.
    pub password: String,
    /// Where the truth about each attempt is written, a JSON object a line.
    pub journal: Option<PathBuf>,
    /// How many events wait for a client that reads slowly, before it loses some.
    pub queue_frames: usize,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self {
            scenario: Scenario::plausible_day(),
            seed: 1,
            speed: 1.0,
            password: DEFAULT_PASSWORD.into(),
            journal: None,
            queue_frames: QUEUE_FRAMES,
        }
    }
}

/// A journal that cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write the journal {path}")]
pub struct JournalError {
    /// Where it was to be.
    pub path: PathBuf,
    /// Why not.
    pub source: std::io::Error,
}

/// A simulated FreeSWITCH that listens.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
}

impl Server {
    /// Begins to listen; port 0 takes a free one.
    pub async fn bind(address: impl ToSocketAddrs) -> std::io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Simulates until `shutdown`. Then every call is ended, clients are told, and the journal is complete.
    pub async fn run(self, options: ServerOptions, shutdown: CancellationToken) -> Result<(), JournalError> {
        let journal = match options.journal {
            None => None,
            Some(path) => match File::create(&path) {
                Ok(file) => Some(BufWriter::new(file)),
                Err(source) => return Err(JournalError { path, source }),
            },
        };
        let simulation = Simulation::new(options.seed, options.scenario, Timestamp::now());
        let (requests, inbox) = mpsc::channel::<Request>(REQUESTS);
        let exchange = Exchange::new(simulation, journal, options.speed).run(inbox, shutdown.clone());
        let terms = Terms {
            password: options.password.into(),
            queue_frames: options.queue_frames,
            requests,
            shutdown: shutdown.clone(),
        };
        let mut connections = JoinSet::new();
        tokio::join!(exchange, self.accept(&mut connections, terms, &shutdown));
        if timeout(LAST_WRITES, async { while connections.join_next().await.is_some() {} }).await.is_err() {
            connections.shutdown().await;
        }
        Ok(())
    }

    async fn accept(&self, connections: &mut JoinSet<()>, terms: Terms, shutdown: &CancellationToken) {
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                Some(_) = connections.join_next() => {}
                accepted = self.listener.accept() => match accepted {
                    Ok((socket, peer)) => {
                        connections.spawn(connection::serve(socket, peer, terms.clone()));
                    }
                    Err(error) => {
                        // Out of file descriptors, mostly: others leave, and then it works again.
                        tracing::warn!(%error, "a client could not be accepted");
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                },
            }
        }
    }
}
