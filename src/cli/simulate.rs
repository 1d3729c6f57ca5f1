//! `hookswitch simulate`: a simulated FreeSWITCH alone, for trying flows without a telephone.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::interrupt::{interrupted_or_after, parse_span};
use crate::simulator::Scenario;
use crate::simulator::scenario::ScenarioError;
use crate::simulator::server::{DEFAULT_PASSWORD, JournalError, Server, ServerOptions};

/// The highest rate that one process keeps up with, with room to spare.
const MAX_CALLS_PER_SECOND: f64 = 1_000.0;
/// More agents than any call center has.
const MAX_AGENTS: u16 = 10_000;
/// Faster than this one process does not keep up, and time would run out within years.
const MAX_SPEED: f64 = 1_000.0;

/// Simulates a FreeSWITCH with queues, agents and callers, for trying flows without a telephone.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Where to listen for Event Socket clients; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8021")]
    listen: String,
    /// The password that clients sign in with.
    #[arg(long, value_name = "TEXT", default_value = DEFAULT_PASSWORD)]
    password: String,
    /// How many calls come in a second, over all queues, instead of the scenario's.
    #[arg(long, value_name = "N", value_parser = parse_rate)]
    calls_per_second: Option<f64>,
    /// How many agents there are, instead of the scenario's.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=i64::from(MAX_AGENTS)))]
    agents: Option<u16>,
    /// The same seed gives the same calls.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Ends after this time (`30s`, `2h 30m`); without it, when interrupted.
    #[arg(long = "for", value_name = "SPAN", value_parser = parse_span)]
    span: Option<Duration>,
    /// How many simulated seconds pass in one.
    #[arg(long, value_name = "N", default_value_t = 1.0, value_parser = parse_speed)]
    speed: f64,
    /// Writes what truly became of each attempt into this file, a JSON object a line.
    #[arg(long, value_name = "FILE")]
    journal: Option<PathBuf>,
    /// A scenario (TOML) instead of the built-in plausible day.
    #[arg(long, value_name = "FILE")]
    scenario: Option<PathBuf>,
}

/// Why nothing is simulated.
#[derive(Debug, thiserror::Error)]
pub enum SimulateError {
    /// The scenario's file cannot be read.
    #[error("cannot read the scenario {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The scenario is not sound.
    #[error("the scenario {path} cannot be simulated")]
    Scenario {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: ScenarioError,
    },
    /// The address cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: String,
        /// Why not.
        source: std::io::Error,
    },
    /// The journal cannot be written.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The terminal or the signals are gone.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// Simulates until the time is over or somebody interrupts.
pub async fn run(args: Args) -> Result<ExitCode, SimulateError> {
    let scenario = scenario(&args)?;
    let server = Server::bind(&args.listen)
        .await
        .map_err(|source| SimulateError::Listen { address: args.listen.clone(), source })?;
    writeln!(anstream::stdout(), "{}", greeting(&server, &scenario, &args))?;
    let options = ServerOptions {
        scenario,
        seed: args.seed,
        speed: args.speed,
        password: args.password,
        journal: args.journal,
        ..ServerOptions::default()
    };
    let shutdown = CancellationToken::new();
    let mut simulation = std::pin::pin!(server.run(options, shutdown.clone()));
    tokio::select! {
        failed = &mut simulation => failed?,
        interrupted = interrupted_or_after(args.span) => {
            interrupted?;
            shutdown.cancel();
            simulation.await?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn scenario(args: &Args) -> Result<Scenario, SimulateError> {
    let mut scenario = match &args.scenario {
        None => Scenario::plausible_day(),
        Some(path) => {
            let text =
                std::fs::read_to_string(path).map_err(|source| SimulateError::Read { path: path.clone(), source })?;
            Scenario::parse(&text).map_err(|source| SimulateError::Scenario { path: path.clone(), source })?
        }
    };
    if let Some(calls) = args.calls_per_second {
        scenario = scenario.with_calls_per_second(calls);
    }
    if let Some(agents) = args.agents {
        scenario = scenario.with_agents(usize::from(agents));
    }
    Ok(scenario)
}

fn greeting(server: &Server, scenario: &Scenario, args: &Args) -> String {
    let per_second: f64 = scenario.queues.iter().map(|queue| queue.calls_per_hour).sum::<f64>() / 3_600.0;
    format!(
        "A simulated FreeSWITCH listens on {} (password {}): {} queues, {} agents, {per_second:.2} calls a second, seed {}, \
         {}x real time.",
        server.local_addr(),
        if args.password == DEFAULT_PASSWORD { DEFAULT_PASSWORD } else { "as given" },
        scenario.queues.len(),
        scenario.agents.len(),
        args.seed,
        args.speed,
    )
}

fn parse_rate(text: &str) -> Result<f64, String> {
    parse_within(text, MAX_CALLS_PER_SECOND)
}

pub(super) fn parse_speed(text: &str) -> Result<f64, String> {
    parse_within(text, MAX_SPEED)
}

fn parse_within(text: &str, most: f64) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if number >= 0.001 && number <= most => Ok(number),
        _ => Err(format!("not a number between 0.001 and {most}")),
    }
}
