//! `hookswitch hooks fire`: one flow for one moment, in this process, to see what it does.
//!
//! The steps, the client and the signatures are the daemon's. What is not: nothing is recorded, so there is no outbox and no
//! second try; the identifiers are new, and the payload says `test`.
//!
//! - [`occasion`]: the moment: a sample, or one of the outbox.
//! - [`assignment`] reads `--set`.
//! - [`teller`]: what is printed.

mod assignment;
mod occasion;
mod teller;

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use self::assignment::{Assignment, AssignmentError};
use self::teller::Teller;
use crate::cli::configuration::ConfigFile;
use crate::cli::exit;
use crate::config::Config;
use crate::config::suggestion;
use crate::delivery::{Client, Limits};
use crate::esl::Nodes;
use crate::esl::command::InvalidCommand;
use crate::esl::link::{LinkTasks, connect_for_commands};
use crate::flow::trial::{Ending, Trial, has_commands};
use crate::flow::walk::{Start, StartError, Walk};
use crate::flow::{Flow, Flows};
use crate::id::{FlowName, MomentId};
use crate::moment::{EventName, Payload};
use crate::outbox::deliveries::DeliveriesError;
use crate::outbox::filter::RunRef;
use crate::outbox::{Failure, FailureKind, Run};

/// Runs a flow for a sample moment, or a past one, and shows what each step does.
///
/// Requests are really sent and commands really given, once each and signed as the daemon's are, with fresh ids and
/// `"test": true` in the payload. A daemon need not run, and nothing is written to its outbox.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    file: ConfigFile,
    /// The flow; that of --run if it is left out.
    #[arg(value_name = "FLOW", required_unless_present = "run")]
    flow: Option<String>,
    /// The sample's event; if it is left out, that of the first hook that starts the flow, or `offering`.
    #[arg(long, value_parser = super::parse_event, conflicts_with_all = ["moment", "run"])]
    event: Option<EventName>,
    /// Takes this moment of the outbox: the `id` of a payload.
    #[arg(long, value_name = "ID", conflicts_with = "run")]
    moment: Option<MomentId>,
    /// Takes the moment of this run of the outbox, as `deliveries list` names it.
    #[arg(long, value_name = "RUN")]
    run: Option<RunRef>,
    /// The outbox, if it is not the configuration's.
    #[arg(long, value_name = "FILE")]
    outbox: Option<PathBuf>,
    /// Sets a field of the payload, `variables.NAME` too: JSON, or a text.
    #[arg(long = "set", value_name = "FIELD=VALUE")]
    assignments: Vec<Assignment>,
    /// Shows what would be sent, and sends nothing. What a step would save is taken to be a bare 200, or null.
    #[arg(long)]
    dry_run: bool,
    /// Really rests at a `wait`.
    #[arg(long)]
    wait: bool,
    /// Prints JSON lines: the moment, each step, the end.
    #[arg(long)]
    json: bool,
}

/// Why a flow can't be tried.
#[derive(Debug, thiserror::Error)]
pub enum FireError {
    /// There is no such flow.
    #[error("there is no flow `{name}`: {remedy}")]
    NoFlow {
        /// The flow.
        name: String,
        /// What there is.
        remedy: String,
    },
    /// There is no such moment.
    #[error("there is no moment {0} in the outbox")]
    NoMoment(MomentId),
    /// The outbox can't be read.
    #[error(transparent)]
    Deliveries(#[from] DeliveriesError),
    /// What is stored of the moment is no payload.
    #[error("what is stored of the moment can't be read: {0}")]
    Stored(#[from] serde_json::Error),
    /// A field can't be set so.
    #[error(transparent)]
    Assignment(#[from] AssignmentError),
    /// The flow can't be taken up.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The node's password can't be sent.
    #[error("the node's password cannot be sent")]
    Password(#[from] InvalidCommand),
    /// The HTTP client can't be made.
    #[error("the HTTP client cannot be made")]
    Client(#[from] crate::delivery::connections::ConnectionsError),
    /// The output can't be written.
    #[error("can't print: {0}")]
    Output(#[from] io::Error),
}

/// Tries the flow. The exit code says whether the run would have been delivered.
pub async fn run(args: &Args) -> Result<ExitCode, FireError> {
    // What is sent nowhere needs no secrets.
    let loaded = if args.dry_run { args.file.load_without_secrets() } else { args.file.load() };
    let config = match loaded {
        Ok(config) => config,
        Err(code) => return Ok(code),
    };
    let occasion = occasion::find(args, &config)?;
    let (flow, payload) = (occasion.flow, &occasion.payload);
    let mut teller = Teller::new(args.json);
    let run = Run::apart(payload.id.run("hooks fire", &flow.name), &flow, serde_json::to_string(payload)?);
    let is_told = config.flows_of_runs().on_failure().is_some_and(|told| told.name == flow.name);
    let run = if is_told { run.being_told(&sample_failure()) } else { run };
    teller.begin(&flow.name, run.id, &occasion.told, payload, args.dry_run)?;
    let (client, nodes) = (Client::new(Limits::default())?, Nodes::default());
    client.mask(config.secrets());
    teller.mask(config.secrets());
    let link = connect(args, &config, &flow, payload, &nodes, &mut teller)?;
    let start = Start::find(&run, &Flows::default())?;
    let trial = Trial { client: &client, nodes: &nodes, dry_run: args.dry_run, waits: args.wait };
    let ending = trial.walk(Walk::begin(run, start), |told| teller.tell(told)).await;
    if let Some(link) = link {
        link.shut_down().await;
    }
    let ending = ending?;
    teller.end(&ending)?;
    Ok(match ending {
        Ending::Delivered => ExitCode::SUCCESS,
        Ending::Failed { .. } => ExitCode::from(exit::FAILURE),
    })
}

/// What a flow is told of that is told of failures.
fn sample_failure() -> Failure {
    Failure { kind: FailureKind::Run, step: "0".into(), reason: "503 Service Unavailable (try 8, the last)".into() }
}

/// Connects to the payload's node, if a step has a command for it.
fn connect(
    args: &Args,
    config: &Config,
    flow: &Flow,
    payload: &Payload,
    nodes: &Nodes,
    teller: &mut Teller,
) -> Result<Option<LinkTasks>, FireError> {
    let node = config.freeswitch.iter().find(|node| node.name == payload.node);
    if args.dry_run || !has_commands(flow) {
        return Ok(None);
    }
    teller.tell_of_node(&payload.node, node.map(|node| node.address.as_str()))?;
    let Some(node) = node else { return Ok(None) };
    let (link, tasks) = connect_for_commands(node.link_address()?);
    nodes.insert(node.name.clone(), link);
    Ok(Some(tasks))
}

/// The configured flow of that name.
fn configured<'a>(config: &'a Config, name: &str) -> Result<&'a std::sync::Arc<Flow>, FireError> {
    let names = || config.flows().map(|flow| flow.name.as_str());
    config.flow(name).ok_or_else(|| FireError::NoFlow {
        name: crate::cli::printable::printable(name),
        remedy: suggestion::among(name, names()),
    })
}

/// Whether the hook starts the flow.
fn starts(hook: &crate::hook::Hook, flow: &FlowName) -> bool {
    hook.flow.name == *flow
}
