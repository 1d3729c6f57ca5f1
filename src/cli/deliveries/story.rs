//! One run with all that is known of it.

use std::io::{self, Write};

use anstyle::Style;

use super::table;
use crate::cli::printable::printable;
use crate::delivery::TryRecord;
use crate::delivery::record::{CommandRecord, ParcelRecord};
use crate::outbox::deliveries::{StepRecord, Story};

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();

/// Writes it: facts, steps, tries, payload.
pub(super) fn write(story: &Story, out: &mut impl Write) -> io::Result<()> {
    let Story { run, payload, steps, tries } = story;
    let style = table::style(run.state);
    writeln!(out, "run        {}", run.id)?;
    writeln!(out, "state      {style}{}{style:#}", run.state)?;
    writeln!(out, "event      {} in {}", printable(&run.event), printable(&run.queue))?;
    writeln!(out, "attempt    {} ({})", run.attempt, run.attempt.attempt_id())?;
    writeln!(out, "hook       {}", printable(&run.hook))?;
    writeln!(out, "flow       {}, step {}", printable(&run.flow), run.step)?;
    let times = [
        ("committed", Some(run.created_at)),
        ("due      ", run.due_at),
        ("expires  ", run.expires_at.filter(|_| !run.state.is_over())),
        ("ended    ", run.ended_at),
    ];
    for (name, time) in times {
        let Some(time) = time else { continue };
        writeln!(out, "{name}  {:.3}", time.0)?;
    }
    if let Some(error) = &run.error {
        writeln!(out, "error      {}", printable(error))?;
    }
    if !steps.is_empty() {
        writeln!(out, "\n{BOLD}steps{BOLD:#}")?;
        steps.iter().try_for_each(|step| write_step(step, out))?;
    }
    for (number, attempted) in tries.iter().enumerate() {
        write_try(number + 1, attempted, out)?;
    }
    let payload: serde_json::Value = serde_json::from_str(payload.get())?;
    let pretty = serde_json::to_string_pretty(&payload)?;
    writeln!(out, "\n{BOLD}payload{BOLD:#}")?;
    for line in pretty.lines() {
        writeln!(out, "  {}", printable(line))?;
    }
    Ok(())
}

fn write_step(step: &StepRecord, out: &mut impl Write) -> io::Result<()> {
    let StepRecord { path, kind, ended_at, error, saved } = step;
    writeln!(out, "  {}  {}  {DIM}{:.3}{DIM:#}", printable(path), printable(kind), ended_at.0)?;
    if let Some(error) = error {
        writeln!(out, "    failed: {}", printable(error))?;
    }
    match saved {
        Some(saved) => writeln!(out, "    saved: {}", printable(saved.get())),
        None => Ok(()),
    }
}

fn write_try(number: usize, attempted: &TryRecord, out: &mut impl Write) -> io::Result<()> {
    let step = printable(&attempted.step);
    let (started_at, duration_ms) = (attempted.started_at.0, attempted.duration_ms);
    writeln!(out, "\n{BOLD}try {number} of step {step}{BOLD:#}, {started_at:.3}, took {duration_ms} ms")?;
    if let Some(request) = &attempted.request {
        writeln!(out, "  > {} {}", printable(&request.method), printable(&request.url))?;
        for (name, value) in &request.headers {
            writeln!(out, "  {DIM}> {}: {}{DIM:#}", printable(name), printable(value))?;
        }
    }
    if let Some(CommandRecord { node, line, answer }) = &attempted.command {
        writeln!(out, "  > {}: {}", printable(node.as_str()), printable(line))?;
        for line in answer.iter().flat_map(|answer| answer.lines()) {
            writeln!(out, "  < {}", printable(line))?;
        }
    }
    if let Some(ParcelRecord { destination, line, answer }) = &attempted.parcel {
        writeln!(out, "  > {}: {}", printable(destination), printable(line))?;
        for line in answer.iter().flat_map(|answer| answer.lines()) {
            writeln!(out, "  < {}", printable(line))?;
        }
    }
    if let Some(response) = &attempted.response {
        writeln!(out, "  < {}", response.status)?;
        for line in response.body.lines() {
            writeln!(out, "  < {}", printable(line))?;
        }
        if response.truncated {
            writeln!(out, "  < … there was more")?;
        }
    }
    match &attempted.error {
        Some(error) => writeln!(out, "  {}", printable(error)),
        None => Ok(()),
    }
}
