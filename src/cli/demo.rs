//! `hookswitch demo`: everything at once and nothing to install. A simulated FreeSWITCH, the daemon, and a receiver that
//! prints each hook as it arrives.
//!
//! ```text
//!  simulated FreeSWITCH ──Event Socket──> daemon ──signed webhooks──> receiver ──> one line per moment
//! ```
//!
//! - [`receiver`]: takes the webhooks and checks their signatures.
//! - [`mod@line`]: a moment as one line.
//! - [`tally`]: what all of them add up to.
//! - [`history`]: the hours before it.
//! - [`workplace`]: the directory with the daemon's configuration.

mod history;
mod line;
mod receiver;
mod tally;
mod workplace;

use std::error::Error;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::pin;
use std::process::ExitCode;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::interrupt::{interrupted_or_after, parse_span};
use super::simulate::parse_speed;
use crate::outbox::store::OpenError;
use crate::simulator::{Server, ServerOptions};
use line::LineWriter;
use receiver::{Arrival, Receiver};
use tally::Tally;
use workplace::Workplace;

/// How many webhooks wait to be printed; then the receiver answers later.
const ARRIVALS: usize = 256;
/// How long the daemon may take to end.
const DAEMON_ENDS: Duration = Duration::from_secs(10);
/// The exit code when something went wrong that the summary tells.
const NOT_WELL: u8 = 1;

/// Shows everything at once: a simulated FreeSWITCH, the daemon, and each webhook as it arrives.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Ends after this time (`30s`); without it, when interrupted.
    #[arg(long = "for", value_name = "SPAN", value_parser = parse_span)]
    span: Option<Duration>,
    /// How many simulated seconds pass in one.
    #[arg(long, value_name = "N", default_value_t = 10.0, value_parser = parse_speed)]
    speed: f64,
    /// The same seed gives the same calls.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// How much of today before the demonstration is made up, for the page.
    #[arg(long, value_name = "SPAN", default_value = "4h", value_parser = parse_span)]
    history: Duration,
    /// Writes what truly became of each attempt into this file, a JSON object a line.
    #[arg(long, value_name = "FILE")]
    journal: Option<PathBuf>,
}

impl Args {
    /// A demonstration of so long at such a speed with nothing before it, for tests.
    pub fn new(span: Duration, speed: f64) -> Self {
        Self { span: Some(span), speed, seed: 1, history: Duration::ZERO, journal: None }
    }
}

/// Why there is no demonstration.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// No port, no directory, no terminal.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The daemon ended by itself.
    #[error("the daemon ended before the demonstration")]
    Daemon(#[source] Option<Box<dyn Error + Send + Sync>>),
    /// What came before it can't be written.
    #[error(transparent)]
    History(#[from] OpenError),
    /// The simulated FreeSWITCH ended by itself.
    #[error("the simulated FreeSWITCH ended before the demonstration")]
    Simulator(#[source] Option<Box<dyn Error + Send + Sync>>),
}

/// What runs beside the printing.
struct Parts {
    simulator: JoinHandle<Result<(), Box<dyn Error + Send + Sync>>>,
    daemon: JoinHandle<Result<(), Box<dyn Error + Send + Sync>>>,
    simulator_off: CancellationToken,
    daemon_off: CancellationToken,
}

/// Demonstrates until the time is over or somebody interrupts.
///
/// `start_daemon` is given the configuration's path and a token; it runs the daemon until the token is cancelled, then ends
/// it in good order. Everything else is in here, so that the demonstration shows the daemon as it is.
pub async fn run<D, F, E>(args: Args, start_daemon: D) -> Result<ExitCode, DemoError>
where
    D: FnOnce(PathBuf, CancellationToken) -> F,
    F: Future<Output = Result<(), E>> + Send + 'static,
    E: Into<Box<dyn Error + Send + Sync>>,
{
    let server = Server::bind("127.0.0.1:0").await?;
    let options =
        ServerOptions { seed: args.seed, speed: args.speed, journal: args.journal, ..ServerOptions::default() };
    let (arrivals, inbox) = mpsc::channel(ARRIVALS);
    let secret = workplace::secret();
    let receiver = Receiver::start(&secret, arrivals).await?;
    let page = free_address()?;
    let workplace = Workplace::create(server.local_addr(), &options.password, receiver.address(), page, &secret)?;
    let mut lines = LineWriter::new(anstream::stdout());
    lines.greet(page, server.local_addr(), &options.password, receiver.address(), &workplace.config())?;
    if !args.history.is_zero() {
        lines.announce_history(args.history)?;
        let (outbox, seed) = (workplace.outbox(), args.seed);
        let write = move || history::write(&outbox, seed, args.history);
        tokio::task::spawn_blocking(write).await.map_err(io::Error::other)??;
    }

    let (simulator_off, daemon_off) = (CancellationToken::new(), CancellationToken::new());
    let simulation = server.run(options, simulator_off.clone());
    let daemon = start_daemon(workplace.config(), daemon_off.clone());
    let mut parts = Parts {
        simulator: tokio::spawn(async { simulation.await.map_err(Into::into) }),
        daemon: tokio::spawn(async { daemon.await.map_err(Into::into) }),
        simulator_off,
        daemon_off,
    };
    let mut tally = Tally::default();
    let shown = show(&mut parts, inbox, &mut lines, &mut tally, args.span).await;
    parts.end().await;
    shown?;
    lines.summarize(&tally)?;
    Ok(if tally.is_well() { ExitCode::SUCCESS } else { ExitCode::from(NOT_WELL) })
}

/// An address of this machine that nobody listens at now, for the page: the daemon reads it from its configuration.
fn free_address() -> io::Result<SocketAddr> {
    std::net::TcpListener::bind(("127.0.0.1", 0))?.local_addr()
}

/// Prints what arrives, until the end.
async fn show(
    parts: &mut Parts,
    mut inbox: mpsc::Receiver<Arrival>,
    lines: &mut LineWriter<impl Write>,
    tally: &mut Tally,
    span: Option<Duration>,
) -> Result<(), DemoError> {
    let mut end = pin!(interrupted_or_after(span));
    loop {
        tokio::select! {
            ended = &mut end => break ended?,
            ended = &mut parts.daemon => return Err(DemoError::Daemon(cause(ended))),
            ended = &mut parts.simulator => return Err(DemoError::Simulator(cause(ended))),
            Some(arrival) = inbox.recv() => {
                if tally.count(&arrival) {
                    lines.show(&arrival)?;
                }
            }
        }
    }
    // The daemon ends first, so that nobody hears of a FreeSWITCH that goes down; what it still sends is taken.
    parts.daemon_off.cancel();
    let ended = timeout(DAEMON_ENDS, async {
        loop {
            tokio::select! {
                ended = &mut parts.daemon => break ended,
                Some(arrival) = inbox.recv() => {
                    tally.count(&arrival);
                }
            }
        }
    });
    match ended.await {
        Ok(Ok(Ok(()))) => Ok(()),
        Ok(failed) => Err(DemoError::Daemon(cause(failed))),
        Err(_) => Err(DemoError::Daemon(Some("it does not end".into()))),
    }
}

type Ended = Result<Result<(), Box<dyn Error + Send + Sync>>, tokio::task::JoinError>;

fn cause(ended: Ended) -> Option<Box<dyn Error + Send + Sync>> {
    match ended {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(error),
        Err(panicked) => Some(panicked.into()),
    }
}

impl Parts {
    /// Ends what is still running.
    async fn end(self) {
        self.daemon_off.cancel();
        self.daemon.abort();
        self.simulator_off.cancel();
        // A simulation that fails at its end has nothing more to show.
        if !self.simulator.is_finished() {
            let _ = self.simulator.await;
        }
    }
}
