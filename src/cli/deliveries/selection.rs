//! Which runs are meant.

use jiff::{Span, SpanRelativeTo, Timestamp};

use super::DeliveriesCommandError;
use crate::outbox::deliveries::Deliveries;
use crate::outbox::filter::{AttemptRef, RunRef};
use crate::outbox::{Filter, RunState};

/// The runs to which something is to be done, and how.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Selection {
    /// The runs, as `list` names them, or webhooks' ids.
    #[arg(value_name = "RUN")]
    runs: Vec<RunRef>,
    #[command(flatten)]
    filter: FilterArgs,
    /// Every run, where nothing else says which.
    #[arg(long)]
    all: bool,
    /// Tells what would be done, and does nothing.
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Prints one JSON object per run: where it stood, and what has become of it.
    #[arg(long)]
    pub(super) json: bool,
}

/// Conditions, of which every one must hold.
#[derive(Clone, Debug, Default, PartialEq, clap::Args)]
pub(super) struct FilterArgs {
    /// Only of this queue.
    #[arg(long)]
    queue: Option<String>,
    /// Only of this flow.
    #[arg(long)]
    flow: Option<String>,
    /// Only of this attempt: its hash or its `attempt_id`.
    #[arg(long)]
    attempt: Option<AttemptRef>,
    /// Only in this state, or in one of several (`failed,expired`).
    #[arg(long, value_delimiter = ',')]
    state: Vec<RunState>,
    /// Only of this last while (`2h`, `3 days`) or since this time (`2026-11-23T08:00:00Z`).
    #[arg(long, value_name = "WHEN", value_parser = parse_when)]
    since: Option<Timestamp>,
    /// Only before this last while, or before this time.
    #[arg(long, value_name = "WHEN", value_parser = parse_when)]
    until: Option<Timestamp>,
}

impl Selection {
    /// The filter, with the runs that are named looked up. All runs must be meant on purpose.
    pub(super) fn filter(&self, deliveries: &Deliveries) -> Result<Filter, DeliveriesCommandError> {
        if self.runs.is_empty() && self.filter == FilterArgs::default() && !self.all {
            return Err(DeliveriesCommandError::NoSelection);
        }
        let runs = self.runs.iter().map(|run| deliveries.find(run)).collect::<Result<_, _>>()?;
        Ok(Filter { runs, ..self.filter.clone().into() })
    }
}

impl From<FilterArgs> for Filter {
    fn from(args: FilterArgs) -> Self {
        let FilterArgs { queue, flow, attempt, state: states, since, until } = args;
        Self { runs: Vec::new(), queue, flow, attempt, after: 0, number: None, states, since, until }
    }
}

fn parse_when(text: &str) -> Result<Timestamp, String> {
    if let Ok(time) = text.parse() {
        return Ok(time);
    }
    let span: Span = text.parse().map_err(|_| "neither a duration (`2h`) nor a time".to_owned())?;
    let span = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|error| error.to_string())?;
    Timestamp::now().checked_sub(span.abs()).map_err(|_| "too long ago".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_while_and_a_time_both_say_when() {
        for (text, hours) in [("2h", 2), ("3 days", 72), ("1w", 168), ("-2h", 2)] {
            let when = parse_when(text).expect("a while");
            assert_eq!(Timestamp::now().duration_since(when).as_hours(), hours, "{text}");
        }
        assert!(parse_when("2026-11-23T08:00:00Z").is_ok());
        assert!(parse_when("lately").is_err());
    }
}
