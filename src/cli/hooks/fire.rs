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

use jiff::Timestamp;
use serde_json::{Map, json};

use self::assignment::{Assignment, AssignmentError};
use self::teller::{Ending, Teller};
use crate::cli::configuration::ConfigFile;
use crate::cli::exit;
use crate::config::Config;
use crate::config::suggestion;
use crate::delivery::{Client, Limits};
use crate::esl::Nodes;
use crate::esl::command::InvalidCommand;
use crate::esl::link::{LinkTasks, connect_for_commands};
use crate::flow::definition::{Step, StepKind};
use crate::flow::step::{Done, Intent, Outcome, StepEnd, Surroundings};
use crate::flow::walk::{After, Start, StartError, Walk};
use crate::flow::{Action, Flow, Flows};
use crate::id::{FlowName, MomentId};
use crate::moment::{EventName, Payload};
use crate::outbox::deliveries::DeliveriesError;
use crate::outbox::filter::RunRef;
use crate::outbox::{Cancellations, Progress, Run};

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
    Client(#[from] reqwest::Error),
    /// The output can't be written.
    #[error("can't print: {0}")]
    Output(#[from] io::Error),
}

/// What a flow is tried with.
struct Trial<'a> {
    args: &'a Args,
    client: Client,
    nodes: Nodes,
    cancellations: Cancellations,
    teller: Teller,
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
    let mut trial = Trial {
        args,
        client: Client::new(Limits::default())?,
        nodes: Nodes::default(),
        cancellations: Cancellations::none(),
        teller: Teller::new(args.json),
    };
    let run = Run::apart(payload.id.run("hooks fire", &flow.name), &flow, serde_json::to_string(payload)?);
    trial.teller.begin(&flow.name, run.id, &occasion.told, payload, args.dry_run)?;
    let link = trial.connect(&config, &flow, payload)?;
    let start = Start::find(&run, &Flows::default())?;
    let ending = trial.walk(Walk::begin(run, start)).await;
    if let Some(link) = link {
        link.shut_down().await;
    }
    let ending = ending?;
    trial.teller.end(&ending)?;
    Ok(match ending {
        Ending::Delivered => ExitCode::SUCCESS,
        Ending::Failed { .. } => ExitCode::from(exit::FAILURE),
    })
}

impl Trial<'_> {
    /// Connects to the payload's node, if a step has a command for it.
    fn connect(&mut self, config: &Config, flow: &Flow, payload: &Payload) -> Result<Option<LinkTasks>, FireError> {
        let has_command = |step: &Step| match &step.kind {
            StepKind::Do(action) => matches!(**action, Action::Freeswitch(_) | Action::QueueInfo(_)),
            StepKind::If { .. } | StepKind::Switch { .. } | StepKind::Call(_) => false,
        };
        let node = config.freeswitch.iter().find(|node| node.name == payload.node);
        if self.args.dry_run || !flow.steps.iter().any(has_command) {
            return Ok(None);
        }
        self.teller.tell_of_node(&payload.node, node.map(|node| node.address.as_str()))?;
        let Some(node) = node else { return Ok(None) };
        let (link, tasks) = connect_for_commands(node.link_address()?);
        self.nodes.insert(node.name.clone(), link);
        Ok(Some(tasks))
    }

    /// Goes from step to step to the end.
    async fn walk(&mut self, mut walk: Walk) -> io::Result<Ending> {
        let flow = walk.flow();
        while let Some(step) = flow.step(walk.place()) {
            let (end, intent) = self.perform(step, &walk).await?;
            let retries = match &end.outcome {
                Outcome::Retry { .. } => retries(step),
                _ => 0,
            };
            let end = StepEnd { outcome: without_retry(end.outcome), ..end };
            self.teller.end_step(step, intent.as_ref(), &end, retries)?;
            let after = walk.take(step, end, Timestamp::now());
            self.teller.go_on(step, flow.step(walk.place()))?;
            let After::Record(report) = after else { continue };
            match report.progress() {
                Progress::Next { .. } => {}
                Progress::Wait { until, .. } => self.rest(*until).await?,
                Progress::Delivered => break,
                Progress::Failed { reason } | Progress::Expired { reason } | Progress::Retry { reason, .. } => {
                    return Ok(Ending::Failed { reason: reason.clone() });
                }
                Progress::Cancelled => return Ok(Ending::Failed { reason: "cancelled".into() }),
            }
        }
        Ok(Ending::Delivered)
    }

    /// Does one step, or pretends to.
    async fn perform(&mut self, step: &Step, walk: &Walk) -> io::Result<(StepEnd, Option<Intent>)> {
        let around = Surroundings {
            run: walk.id(),
            context: walk.context(),
            resumed_at: walk.resumed_at(),
            client: &self.client,
            nodes: &self.nodes,
            cancellations: &self.cancellations,
        };
        let intent = match step.intent(around) {
            Ok(intent) => intent,
            Err(reason) => {
                self.teller.begin_step(step, None)?;
                return Ok((StepEnd { attempted: None, outcome: Outcome::Failed { reason } }, None));
            }
        };
        self.teller.begin_step(step, Some(&intent))?;
        let end = match &intent {
            Intent::Request(_) | Intent::Commands { .. } | Intent::Parcel(_) if self.args.dry_run => pretended(step, &intent),
            // Its text has just been shown.
            Intent::Line(_) => pretended(step, &intent),
            Intent::Request(_) | Intent::Commands { .. } | Intent::Parcel(_) | Intent::Nothing => {
                step.perform(around).await
            }
        };
        Ok((end, Some(intent)))
    }

    async fn rest(&mut self, until: Timestamp) -> io::Result<()> {
        if self.args.wait && !self.args.dry_run {
            let left = until.duration_since(Timestamp::now());
            tokio::time::sleep(left.try_into().unwrap_or_default()).await;
            return Ok(());
        }
        self.teller.skip_wait()
    }
}

/// How often the daemon would try the step again.
fn retries(step: &Step) -> usize {
    match &step.kind {
        StepKind::Do(action) => action.retry().map_or(0, |retry| retry.waits.len()),
        StepKind::If { .. } | StepKind::Switch { .. } | StepKind::Call(_) => 0,
    }
}

/// What may work later has failed here: who tries a flow wants to know now.
fn without_retry(outcome: Outcome) -> Outcome {
    match outcome {
        Outcome::Retry { reason, .. } => Outcome::Failed { reason },
        outcome => outcome,
    }
}

/// The end of a step that has done nothing.
fn pretended(step: &Step, intent: &Intent) -> StepEnd {
    let result = match intent {
        Intent::Request(_) => json!({ "status": 200, "headers": {}, "body": null, "truncated": false }),
        Intent::Parcel(_) if step.kind.name() == "sql" => json!({ "count": 0, "rows": [] }),
        Intent::Parcel(_) => json!({ "message_id": "whr_test" }),
        Intent::Commands { .. } | Intent::Line(_) | Intent::Nothing => json!(null),
    };
    let saved = step.save.iter().map(|name| (name.clone(), result.clone())).collect::<Map<_, _>>();
    StepEnd { attempted: None, outcome: Outcome::Done(Done { saved, next: None }) }
}

/// The configured flow of that name.
fn configured<'a>(config: &'a Config, name: &str) -> Result<&'a std::sync::Arc<Flow>, FireError> {
    let names = || config.flows().map(|flow| flow.name.as_str());
    config.flow(name).ok_or_else(|| FireError::NoFlow {
        name: crate::cli::printable::printable(name),
        remedy: suggestion::among(name, names()),
    })
}

/// A moment's identifier that no other has.
fn fresh_id() -> MomentId {
    MomentId::from_bytes(fastrand::u128(..).to_be_bytes())
}

/// Whether the hook starts the flow.
fn starts(hook: &crate::hook::Hook, flow: &FlowName) -> bool {
    hook.flow.name == *flow
}
