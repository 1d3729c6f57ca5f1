//! What was done to runs, in words.

use std::collections::BTreeMap;
use std::io::{self, Write};

use crate::outbox::RunState;
use crate::outbox::intervention::{Change, Effect, Intervention};

/// Writes what precedes the words of a rehearsal.
pub(super) fn write_rehearsal(runs: usize, listed: u32, out: &mut impl Write) -> io::Result<()> {
    let more = runs.saturating_sub(usize::try_from(listed).unwrap_or(usize::MAX));
    if more > 0 {
        writeln!(out, "… and {}", counted(more, "more run", "more runs"))?;
    }
    writeln!(out, "Nothing was changed. Without --dry-run:")
}

/// Writes a sentence for each kind of effect.
pub(super) fn write(intervention: Intervention, changes: &[Change], out: &mut impl Write) -> io::Result<()> {
    let count = |effect| changes.iter().filter(|change| change.effect == effect).count();
    let mut write = |count: usize, (one, many): (&str, &str)| match count {
        0 => Ok(()),
        _ => writeln!(out, "{}.", counted(count, one, many)),
    };
    match intervention {
        Intervention::Retry { .. } => {
            let again =
                ("run is done again, now or when the daemon runs", "runs are done again, now or when the daemon runs");
            write(count(Effect::Became(RunState::Pending)), again)?;
            let behind =
                ("run waits for an earlier one of its attempt", "runs wait for earlier ones of their attempts");
            write(count(Effect::Became(RunState::Waiting)), behind)?;
            let late = (
                "run has expired and stays so: --expired does it all the same, late as it is",
                "runs have expired and stay so: --expired does them all the same, late as they are",
            );
            write(count(Effect::TooLate), late)?;
        }
        Intervention::Cancel => {
            write(count(Effect::Became(RunState::Cancelled)), ("run is cancelled", "runs are cancelled"))?;
            let under_way = (
                "run is being done: the try at hand ends, and nothing follows",
                "runs are being done: the tries at hand end, and nothing follows",
            );
            write(count(Effect::Became(RunState::Cancelling)), under_way)?;
        }
    }
    if changes.is_empty() {
        return writeln!(out, "No run is meant.");
    }
    let mut stayed: BTreeMap<RunState, usize> = BTreeMap::new();
    for change in changes.iter().filter(|change| change.effect == Effect::Stayed) {
        *stayed.entry(change.was).or_default() += 1;
    }
    if stayed.is_empty() {
        return Ok(());
    }
    let states: Vec<_> = stayed.iter().map(|(state, count)| format!("{count} {state}")).collect();
    let one_or_many = counted(stayed.values().sum(), "run stays as it is", "runs stay as they are");
    writeln!(out, "{one_or_many}: {}.", states.join(", "))
}

fn counted(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}
