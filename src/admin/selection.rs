//! Runs to which something is to be done, as a request says which, and what was done to them.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use super::app::App;
use super::problem::Problem;
use crate::id::{AttemptHash, RunId};
use crate::outbox::filter::{AttemptRef, RunRef};
use crate::outbox::intervention::{Change, Effect, Intervention};
use crate::outbox::{Filter, RunState};

/// Which runs are meant: at least one of these is said, and all that are said must hold. Nothing is ever done to all runs
/// because a program has left out what it wanted to say.
#[derive(Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("minProperties" = 1))]
pub struct Selection {
    /// These.
    #[serde(deserialize_with = "said")]
    #[schemars(with = "Vec<RunId>", length(min = 1), skip_serializing_if = "Option::is_none")]
    runs: Option<Vec<RunId>>,
    /// Those of this queue.
    #[serde(deserialize_with = "said")]
    #[schemars(with = "String", skip_serializing_if = "Option::is_none")]
    queue: Option<String>,
    /// Those of this flow.
    #[serde(deserialize_with = "said")]
    #[schemars(with = "String", skip_serializing_if = "Option::is_none")]
    flow: Option<String>,
    /// Those of this attempt.
    #[serde(deserialize_with = "said")]
    #[schemars(with = "AttemptHash", skip_serializing_if = "Option::is_none")]
    attempt: Option<AttemptHash>,
    /// Those in one of these states.
    #[serde(deserialize_with = "said")]
    #[schemars(with = "Vec<RunState>", length(min = 1), skip_serializing_if = "Option::is_none")]
    states: Option<Vec<RunState>>,
    /// Those that were committed at or after this time.
    #[serde(deserialize_with = "said")]
    #[schemars(with = "Timestamp", skip_serializing_if = "Option::is_none")]
    since: Option<Timestamp>,
    /// Those that were committed before this time.
    #[serde(deserialize_with = "said")]
    #[schemars(with = "Timestamp", skip_serializing_if = "Option::is_none")]
    until: Option<Timestamp>,
}

/// Reads a field that may be left out but not be null: who says null has nothing to say, and would mean all.
fn said<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// What was done, or would be: how many runs have which fate.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub struct Verdict {
    /// How many are in another state now, by that state.
    pub changed: BTreeMap<RunState, u32>,
    /// How many stay as they are, because in their state there is nothing to be done, by that state.
    pub stayed: BTreeMap<RunState, u32>,
    /// How many stay as they are because their time is over.
    pub too_late: u32,
}

/// Why nothing is done.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error("`which` must say something: runs, queue, flow, attempt, states, since or until")]
    NothingSaid,
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        Self::plain(StatusCode::UNPROCESSABLE_ENTITY, refused.to_string())
    }
}

impl Selection {
    /// Does it to the runs that are meant, or only tells what would be done.
    pub async fn intervene(
        self,
        app: &App,
        intervention: Intervention,
        is_rehearsal: bool,
    ) -> Result<Verdict, Problem> {
        let is_empty = |said: Option<usize>| said == Some(0);
        let nothing_listed = is_empty(self.runs.as_ref().map(Vec::len)) || is_empty(self.states.as_ref().map(Vec::len));
        if self == Self::default() || nothing_listed {
            return Err(Refused::NothingSaid.into());
        }
        let changes = app.deliveries(move |mut log| {
            let named = self.runs.iter().flatten().map(|run| log.find(&RunRef::from(*run)));
            let runs = named.collect::<Result<_, _>>()?;
            let filter = intervention.aim(Filter { runs, ..self.into() });
            let now = Timestamp::now();
            if is_rehearsal {
                log.rehearse(intervention, &filter, now)
            } else {
                log.intervene(intervention, &filter, now)
            }
        });
        changes.await.map(|changes| Verdict::of(&changes))
    }
}

impl From<Selection> for Filter {
    fn from(selection: Selection) -> Self {
        let Selection { runs, queue, flow, attempt, states, since, until } = selection;
        let (runs, states) = (runs.unwrap_or_default(), states.unwrap_or_default());
        let attempt = attempt.map(AttemptRef::Hash);
        Self { runs, queue, flow, attempt, after: 0, number: None, states, since, until }
    }
}

impl Verdict {
    fn of(changes: &[Change]) -> Self {
        let mut verdict = Self::default();
        for change in changes {
            match change.effect {
                Effect::Became(state) => *verdict.changed.entry(state).or_default() += 1,
                Effect::Stayed => *verdict.stayed.entry(change.was).or_default() += 1,
                Effect::TooLate => verdict.too_late += 1,
            }
        }
        verdict
    }
}
