//! `hookswitch deliveries`: what became of each run, from a terminal, and sending it again.

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use anstyle::{AnsiColor, Style};
use clap::Subcommand;
use jiff::{Span, SpanRelativeTo, Timestamp};

use super::configuration::OutboxFile;
use crate::delivery::TryRecord;
use crate::delivery::record::CommandRecord;
use crate::id::RunId;
use crate::outbox::RunState;
use crate::outbox::deliveries::{
    AttemptRef, Definitions, Deliveries, DeliveriesError, Delivery, Filter, StepRecord, Story,
};

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
    run_on(args.deliveries, &outbox, &mut anstream::stdout().lock())?;
    Ok(ExitCode::SUCCESS)
}

/// Shows what became of hooks, and sends them again.
#[derive(Clone, Debug, clap::Args)]
pub struct DeliveriesArgs {
    #[command(subcommand)]
    command: DeliveriesCommand,
}

#[derive(Clone, Debug, Subcommand)]
enum DeliveriesCommand {
    /// Lists runs, the newest first.
    List(ListArgs),
    /// Shows one run with its payload and all its tries.
    Show(ShowArgs),
    /// Does failed runs again, with the same webhook ids.
    Retry(RetryArgs),
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
    #[arg(value_name = "RUN", value_parser = parse_run)]
    run: RunId,
    /// Prints one JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Debug, clap::Args)]
struct RetryArgs {
    /// The runs, as `list` names them, or webhooks' ids. A run that waits for its next try is then done at once.
    #[arg(value_name = "RUN", value_parser = parse_run, conflicts_with_all = ["queue", "flow", "attempt", "state", "since"])]
    runs: Vec<RunId>,
    #[command(flatten)]
    filter: FilterArgs,
    /// With the flows as they are configured now, rather than as they were when the runs began.
    #[arg(long)]
    latest: bool,
}

/// Which runs are meant.
#[derive(Clone, Debug, Default, clap::Args)]
struct FilterArgs {
    /// Only of this queue.
    #[arg(long)]
    queue: Option<String>,
    /// Only of this flow.
    #[arg(long)]
    flow: Option<String>,
    /// Only of this attempt: its hash or its `attempt_id`.
    #[arg(long)]
    attempt: Option<AttemptRef>,
    /// Only in this state.
    #[arg(long)]
    state: Option<RunState>,
    /// Only of this last while (`2h`, `3 days`) or since this time (`2026-11-23T08:00:00Z`).
    #[arg(long, value_parser = parse_since)]
    since: Option<Timestamp>,
}

/// Why the command failed.
#[derive(Debug, thiserror::Error)]
pub enum DeliveriesCommandError {
    /// The delivery log failed.
    #[error(transparent)]
    Deliveries(#[from] DeliveriesError),
    /// There is no such run.
    #[error("there is no run {0}")]
    NoRun(RunId),
    /// The run is not one that can be sent again.
    #[error("run {0} is {1}, and only failed and pending ones can be done again")]
    NotRetried(RunId, RunState),
    /// Nothing was said of which runs are to be sent again.
    #[error("say which runs: by name, or by --queue, --flow, --attempt or --since")]
    NoSelection,
    /// Only failed runs can be sent again in numbers.
    #[error("runs that are {0} can't be done again all at once, only failed ones")]
    NotFailed(RunState),
    /// The output could not be written.
    #[error("can't print: {0}")]
    Output(#[from] io::Error),
}

/// Runs the command on the outbox at `outbox`, and prints to `out`.
pub fn run_on(args: DeliveriesArgs, outbox: &Path, out: &mut impl Write) -> Result<(), DeliveriesCommandError> {
    let mut deliveries = Deliveries::open(outbox)?;
    match args.command {
        DeliveriesCommand::List(args) => list(&deliveries, args, out),
        DeliveriesCommand::Show(args) => show(&deliveries, &args, out),
        DeliveriesCommand::Retry(args) => retry(&mut deliveries, args, out),
    }
}

fn list(deliveries: &Deliveries, args: ListArgs, out: &mut impl Write) -> Result<(), DeliveriesCommandError> {
    let found = deliveries.list(&args.filter.into(), args.limit)?;
    if args.json {
        for delivery in &found {
            write_json(delivery, out)?;
        }
        return Ok(());
    }
    Ok(write_table(&found, out)?)
}

fn show(deliveries: &Deliveries, args: &ShowArgs, out: &mut impl Write) -> Result<(), DeliveriesCommandError> {
    let story = deliveries.show(args.run)?.ok_or(DeliveriesCommandError::NoRun(args.run))?;
    if args.json { Ok(write_json(&story, out)?) } else { Ok(write_story(&story, out)?) }
}

fn retry(deliveries: &mut Deliveries, args: RetryArgs, out: &mut impl Write) -> Result<(), DeliveriesCommandError> {
    let now = Timestamp::now();
    let with = if args.latest { Definitions::Latest } else { Definitions::Own };
    let retried = if args.runs.is_empty() {
        match args.filter {
            FilterArgs { queue: None, flow: None, attempt: None, since: None, .. } => {
                return Err(DeliveriesCommandError::NoSelection);
            }
            FilterArgs { state: Some(state), .. } if state != RunState::Failed => {
                return Err(DeliveriesCommandError::NotFailed(state));
            }
            filter => deliveries.retry_all(&filter.into(), with, now)?,
        }
    } else {
        for run in &args.runs {
            match deliveries.retry(*run, with, now)? {
                None => return Err(DeliveriesCommandError::NoRun(*run)),
                Some(RunState::Failed | RunState::Pending) => {}
                Some(state) => return Err(DeliveriesCommandError::NotRetried(*run, state)),
            }
        }
        args.runs.len()
    };
    let noun = if retried == 1 { "run is" } else { "runs are" };
    Ok(writeln!(out, "{retried} {noun} done again, now or when the daemon runs")?)
}

fn write_json(value: &impl serde::Serialize, out: &mut impl Write) -> io::Result<()> {
    serde_json::to_writer(&mut *out, value)?;
    writeln!(out)
}

const HEADINGS: [&str; 8] = ["RUN", "STATE", "EVENT", "QUEUE", "FLOW", "COMMITTED", "TRIES", "ERROR"];

fn write_table(deliveries: &[Delivery], out: &mut impl Write) -> io::Result<()> {
    let rows: Vec<[String; 8]> = deliveries.iter().map(cells).collect();
    let mut widths = HEADINGS.map(str::len);
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let bold = Style::new().bold();
    write_row(HEADINGS, widths, bold, out)?;
    for (delivery, row) in deliveries.iter().zip(&rows) {
        write_row(row.each_ref().map(String::as_str), widths, style(delivery.state), out)?;
    }
    Ok(())
}

fn cells(delivery: &Delivery) -> [String; 8] {
    [
        delivery.id.to_string(),
        delivery.state.to_string(),
        printable(&delivery.event),
        printable(&delivery.queue),
        printable(&delivery.flow),
        format!("{:.0}", delivery.created_at.0),
        delivery.tries.to_string(),
        delivery.error.as_deref().map(printable).unwrap_or_default(),
    ]
}

fn write_row(cells: [&str; 8], widths: [usize; 8], style: Style, out: &mut impl Write) -> io::Result<()> {
    let padded = cells.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
    let line = padded.collect::<Vec<_>>().join("  ");
    writeln!(out, "{style}{}{style:#}", line.trim_end())
}

fn style(state: RunState) -> Style {
    match state {
        RunState::Failed | RunState::Expired => AnsiColor::Red.on_default(),
        RunState::Waiting | RunState::Pending | RunState::Running => AnsiColor::Yellow.on_default(),
        RunState::Delivered => Style::new(),
    }
}

fn write_story(story: &Story, out: &mut impl Write) -> io::Result<()> {
    let Story { run, payload, steps, tries } = story;
    writeln!(out, "run        {}", run.id)?;
    writeln!(out, "state      {}", run.state)?;
    writeln!(out, "event      {} in {}", printable(&run.event), printable(&run.queue))?;
    writeln!(out, "attempt    {} ({})", run.attempt, run.attempt.attempt_id())?;
    writeln!(out, "hook       {}", printable(&run.hook))?;
    writeln!(out, "flow       {}, step {}", printable(&run.flow), run.step)?;
    writeln!(out, "committed  {:.3}", run.created_at.0)?;
    if let Some(due_at) = run.due_at {
        writeln!(out, "next try   {:.3}", due_at.0)?;
    }
    if let Some(ended_at) = run.ended_at {
        writeln!(out, "ended      {:.3}", ended_at.0)?;
    }
    if let Some(error) = &run.error {
        writeln!(out, "error      {}", printable(error))?;
    }
    if !steps.is_empty() {
        writeln!(out, "\nsteps")?;
        steps.iter().try_for_each(|step| write_step(step, out))?;
    }
    for (number, attempted) in tries.iter().enumerate() {
        write_try(number + 1, attempted, out)?;
    }
    let payload: serde_json::Value = serde_json::from_str(payload.get())?;
    let pretty = serde_json::to_string_pretty(&payload)?;
    writeln!(out, "\npayload")?;
    for line in pretty.lines() {
        writeln!(out, "  {}", printable(line))?;
    }
    Ok(())
}

fn write_step(step: &StepRecord, out: &mut impl Write) -> io::Result<()> {
    let StepRecord { path, kind, ended_at, error, saved } = step;
    writeln!(out, "  {}  {}  {:.3}", printable(path), printable(kind), ended_at.0)?;
    if let Some(error) = error {
        writeln!(out, "    failed: {}", printable(error))?;
    }
    match saved {
        Some(saved) => writeln!(out, "    saved: {}", printable(saved.get())),
        None => Ok(()),
    }
}

fn write_try(number: usize, attempted: &TryRecord, out: &mut impl Write) -> io::Result<()> {
    let TryRecord { step, started_at, duration_ms, request, response, command, error } = attempted;
    let step = printable(step);
    writeln!(out, "\ntry {number} of step {step}, {:.3}, took {duration_ms} ms", started_at.0)?;
    if let Some(request) = request {
        writeln!(out, "  > {} {}", printable(&request.method), printable(&request.url))?;
        for (name, value) in &request.headers {
            writeln!(out, "  > {}: {}", printable(name), printable(value))?;
        }
    }
    if let Some(CommandRecord { node, line, answer }) = command {
        writeln!(out, "  > {}: {}", printable(node.as_str()), printable(line))?;
        for line in answer.iter().flat_map(|answer| answer.lines()) {
            writeln!(out, "  < {}", printable(line))?;
        }
    }
    if let Some(response) = response {
        writeln!(out, "  < {}", response.status)?;
        for line in response.body.lines() {
            writeln!(out, "  < {}", printable(line))?;
        }
        if response.truncated {
            writeln!(out, "  < … there was more")?;
        }
    }
    match error {
        Some(error) => writeln!(out, "  {}", printable(error)),
        None => Ok(()),
    }
}

/// The text as a terminal may have it: what would steer the terminal, break the line or turn the writing's direction is
/// escaped, because names and answers come from callers and receivers.
fn printable(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' => {
                safe.extend(character.escape_unicode());
            }
            _ if character.is_control() => safe.extend(character.escape_default()),
            _ => safe.push(character),
        }
    }
    safe
}

/// A run's id, or a webhook's id, which has it in its middle (`whr_RUN_STEP`).
fn parse_run(text: &str) -> Result<RunId, String> {
    let run = text.strip_prefix("whr_").map_or(text, |rest| rest.split('_').next().unwrap_or(rest));
    run.parse().map_err(|_| "neither a run's id (32 hexadecimal digits) nor a webhook's (`whr_…`)".into())
}

fn parse_since(text: &str) -> Result<Timestamp, String> {
    if let Ok(time) = text.parse() {
        return Ok(time);
    }
    let span: Span = text.parse().map_err(|_| "neither a duration (`2h`) nor a time".to_owned())?;
    let span = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|error| error.to_string())?;
    Timestamp::now().checked_sub(span.abs()).map_err(|_| "too long ago".into())
}

impl From<FilterArgs> for Filter {
    fn from(args: FilterArgs) -> Self {
        let FilterArgs { queue, flow, attempt, state, since } = args;
        Self { queue, flow, attempt, state, since }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_call_steers_the_terminal() {
        let shown = printable("\u{1b}[31mred\r\n\u{9b}2J\u{202e}gnp\u{7f} Zoë 日本");
        assert_eq!(shown, "\\u{1b}[31mred\\r\\n\\u{9b}2J\\u{202e}gnp\\u{7f} Zoë 日本");
    }

    #[test]
    fn a_run_is_named_by_its_id_or_by_its_webhooks() {
        let id = "000102030405060708090a0b0c0d0e0f";
        let run = parse_run(id).expect("a run");
        assert_eq!(parse_run(&format!("whr_{id}_2-then-0")), Ok(run));
        assert!(parse_run("whr_").is_err());
    }

    #[test]
    fn a_while_and_a_time_both_say_since_when() {
        for (text, hours) in [("2h", 2), ("3 days", 72), ("1w", 168), ("-2h", 2)] {
            let since = parse_since(text).expect("a while");
            assert_eq!(Timestamp::now().duration_since(since).as_hours(), hours, "{text}");
        }
        assert!(parse_since("2026-11-23T08:00:00Z").is_ok());
        assert!(parse_since("lately").is_err());
    }
}
