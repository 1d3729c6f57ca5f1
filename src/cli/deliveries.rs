//! `hookswitch deliveries`: what became of each run, from a terminal, sending it again, and cancelling it.
//!
//! - [`selection`]: which runs are meant.
//! - [`table`], [`story`]: runs in a list, and one with all that is known of it.
//! - [`verdict`]: what was done to runs, in words.

mod selection;
mod story;
mod table;
mod verdict;

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use clap::Subcommand;
use jiff::Timestamp;

use self::selection::{FilterArgs, Selection};
use super::configuration::OutboxFile;
use super::exit;
use crate::outbox::deliveries::{Deliveries, DeliveriesError};
use crate::outbox::filter::RunRef;
use crate::outbox::intervention::{Definitions, Effect, Intervention};
use crate::outbox::{Filter, RunState};
use crate::printable::EscapingJson;

/// The arguments of `deliveries`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    outbox: OutboxFile,
    #[command(flatten)]
    deliveries: DeliveriesArgs,
}

/// Runs the command on the outbox that the arguments name, and prints to standard output.
pub fn run(args: Args) -> Result<ExitCode, DeliveriesCommandError> {
    let outbox = match args.outbox.path() {
        Ok(path) => path,
        Err(code) => return Ok(code),
    };
    let is_done = run_on(args.deliveries, &outbox, &mut anstream::stdout().lock())?;
    Ok(if is_done { ExitCode::SUCCESS } else { ExitCode::from(exit::FAILURE) })
}

/// Shows what became of hooks, sends them again and cancels them.
#[derive(Clone, Debug, clap::Args)]
pub struct DeliveriesArgs {
    #[command(subcommand)]
    command: DeliveriesCommand,
}

#[derive(Clone, Debug, Subcommand)]
enum DeliveriesCommand {
    /// Lists runs, the newest first.
    List(ListArgs),
    /// Shows one run with its payload, its steps and all its tries.
    Show(ShowArgs),
    /// Does runs again from the step that failed, with the same webhook ids.
    ///
    /// Those that failed, unless --state says otherwise; of runs that are named also those that are cancelled or wait for
    /// a time, which are then done at once.
    Retry(RetryArgs),
    /// Cancels runs that are not over.
    ///
    /// One that is being done ends the try at hand, and nothing follows. The next run of the attempt has its turn.
    Cancel(CancelArgs),
}

#[derive(Clone, Debug, clap::Args)]
struct ListArgs {
    #[command(flatten)]
    filter: FilterArgs,
    /// At most so many.
    #[arg(long, default_value_t = 50, value_name = "COUNT")]
    limit: u32,
    /// Prints one JSON object per line.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Debug, clap::Args)]
struct ShowArgs {
    /// The run, as `list` names it, or a webhook's id.
    #[arg(value_name = "RUN")]
    run: RunRef,
    /// Prints one JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Debug, clap::Args)]
struct RetryArgs {
    #[command(flatten)]
    selection: Selection,
    /// With the flows as they are configured now, rather than as they were when the runs began.
    #[arg(long)]
    latest: bool,
    /// Also runs that have expired: all are done as if they were meant for now. A late transfer can do harm.
    #[arg(long)]
    expired: bool,
}

#[derive(Clone, Debug, clap::Args)]
struct CancelArgs {
    #[command(flatten)]
    selection: Selection,
}

/// Why the command failed.
#[derive(Debug, thiserror::Error)]
pub enum DeliveriesCommandError {
    /// The delivery log failed.
    #[error(transparent)]
    Deliveries(#[from] DeliveriesError),
    /// Nothing was said of which runs are meant.
    #[error(
        "say which runs: by name, or by --queue, --flow, --attempt, --state, --since or --until; --all means every one"
    )]
    NoSelection,
    /// Expired runs are not done again by accident.
    #[error("expired runs are done again only with --expired, late as they are")]
    NotExpired,
    /// The output could not be written.
    #[error("can't print: {0}")]
    Output(#[from] io::Error),
}

/// Runs the command on the outbox at `outbox`, and prints to `out`. Tells whether everything that was named was done.
pub fn run_on(args: DeliveriesArgs, outbox: &Path, out: &mut impl Write) -> Result<bool, DeliveriesCommandError> {
    let mut deliveries = Deliveries::open(outbox)?;
    match args.command {
        DeliveriesCommand::List(args) => list(&deliveries, args, out)?,
        DeliveriesCommand::Show(args) => show(&deliveries, &args, out)?,
        DeliveriesCommand::Retry(args) => {
            let RetryArgs { selection, latest, expired } = args;
            let filter = selection.filter(&deliveries)?;
            if filter.states == [RunState::Expired] && !expired {
                return Err(DeliveriesCommandError::NotExpired);
            }
            let with = if latest { Definitions::Latest } else { Definitions::Own };
            let retry = Intervention::Retry { with, expired };
            return intervene(&mut deliveries, retry, &selection, &retry.aim(filter), out);
        }
        DeliveriesCommand::Cancel(CancelArgs { selection }) => {
            let filter = Intervention::Cancel.aim(selection.filter(&deliveries)?);
            return intervene(&mut deliveries, Intervention::Cancel, &selection, &filter, out);
        }
    }
    Ok(true)
}

fn list(deliveries: &Deliveries, args: ListArgs, out: &mut impl Write) -> Result<(), DeliveriesCommandError> {
    let found = deliveries.list(&args.filter.into(), args.limit)?;
    if args.json {
        for delivery in &found {
            write_json(delivery, out)?;
        }
        return Ok(());
    }
    table::write(&found, out)?;
    if u32::try_from(found.len()) == Ok(args.limit) {
        writeln!(out, "These are the latest {}; --limit shows more.", args.limit)?;
    }
    Ok(())
}

fn show(deliveries: &Deliveries, args: &ShowArgs, out: &mut impl Write) -> Result<(), DeliveriesCommandError> {
    let run = deliveries.find(&args.run)?;
    let story = deliveries.show(run)?.ok_or_else(|| DeliveriesError::NoRun(args.run.clone()))?;
    if args.json { Ok(write_json(&story, out)?) } else { Ok(story::write(&story, out)?) }
}

/// How many runs a rehearsal lists.
const MOST_LISTED: u32 = 20;

fn intervene(
    deliveries: &mut Deliveries,
    intervention: Intervention,
    selection: &Selection,
    filter: &Filter,
    out: &mut impl Write,
) -> Result<bool, DeliveriesCommandError> {
    let now = Timestamp::now();
    let changes = if selection.dry_run {
        if !selection.json {
            table::write(&deliveries.list(filter, MOST_LISTED)?, out)?;
        }
        deliveries.rehearse(intervention, filter, now)?
    } else {
        deliveries.intervene(intervention, filter, now)?
    };
    if selection.json {
        for change in &changes {
            write_json(change, out)?;
        }
    } else {
        if selection.dry_run {
            verdict::write_rehearsal(changes.len(), MOST_LISTED, out)?;
        }
        verdict::write(intervention, &changes, out)?;
    }
    let was_changed = |effect: Effect| matches!(effect, Effect::Became(_));
    Ok(filter.runs.is_empty() || changes.iter().all(|change| was_changed(change.effect)))
}

fn write_json(value: &impl serde::Serialize, out: &mut impl Write) -> io::Result<()> {
    serde_json::to_writer(EscapingJson(&mut *out), value)?;
    writeln!(out)
}
