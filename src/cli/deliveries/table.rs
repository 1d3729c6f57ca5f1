//! Runs in a list.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};

use crate::cli::printable::{column, printable, width};
use crate::outbox::RunState;
use crate::outbox::deliveries::Delivery;

const HEADINGS: [&str; 8] = ["RUN", "STATE", "EVENT", "QUEUE", "FLOW", "COMMITTED", "TRIES", "ERROR"];

/// The column of the state.
const STATE: usize = 1;

/// How many digits of a run's identifier are shown: 48 bits, which name one among millions.
const DIGITS: usize = 12;

/// Writes a line for each run.
pub(super) fn write(deliveries: &[Delivery], out: &mut impl Write) -> io::Result<()> {
    if deliveries.is_empty() {
        return writeln!(out, "No runs.");
    }
    let rows: Vec<[String; 8]> = deliveries.iter().map(cells).collect();
    let mut widths = HEADINGS.map(str::len);
    for row in &rows {
        for (wide, cell) in widths.iter_mut().zip(row) {
            *wide = (*wide).max(width(cell));
        }
    }
    let bold = Style::new().bold();
    let headings = HEADINGS.iter().zip(widths).map(|(heading, wide)| column(heading, wide)).collect::<Vec<_>>();
    writeln!(out, "{bold}{}{bold:#}", headings.join("  ").trim_end())?;
    for (delivery, row) in deliveries.iter().zip(&rows) {
        let style = style(delivery.state);
        let mut cells: Vec<String> = row.iter().zip(widths).map(|(cell, wide)| column(cell, wide)).collect();
        cells[STATE] = format!("{style}{}{style:#}", cells[STATE]);
        writeln!(out, "{}", cells.join("  ").trim_end())?;
    }
    Ok(())
}

fn cells(delivery: &Delivery) -> [String; 8] {
    [
        delivery.id.to_string().chars().take(DIGITS).collect(),
        delivery.state.to_string(),
        printable(&delivery.event),
        printable(&delivery.queue),
        printable(&delivery.flow),
        format!("{:.0}", delivery.created_at.0),
        delivery.tries.to_string(),
        delivery.error.as_deref().map(printable).unwrap_or_default(),
    ]
}

/// How a state is painted.
pub(super) fn style(state: RunState) -> Style {
    match state {
        RunState::Failed | RunState::Expired => AnsiColor::Red.on_default(),
        RunState::Waiting | RunState::Pending | RunState::Running | RunState::Cancelling => {
            AnsiColor::Yellow.on_default()
        }
        RunState::Delivered => AnsiColor::Green.on_default(),
        RunState::Cancelled => Style::new().dimmed(),
    }
}
