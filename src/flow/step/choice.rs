//! The steps `if`, `switch` and `flow`: they choose which step follows.

use std::collections::BTreeMap;

use super::{Done, Outcome, StepEnd, Surroundings};
use crate::flow::expression::Expression;
use crate::flow::template::engine::{plain_text, reason};

pub(super) fn perform_if(condition: &Expression, then: u32, otherwise: u32, around: Surroundings<'_>) -> StepEnd {
    match condition.holds(around.context.fields()) {
        Ok(holds) => go_to(if holds { then } else { otherwise }),
        Err(error) => unevaluated(&error),
    }
}

/// The case is the value's text; what is no text is compared as a template would insert it.
pub(super) fn perform_switch(
    value: &Expression,
    cases: &BTreeMap<String, u32>,
    default: u32,
    around: Surroundings<'_>,
) -> StepEnd {
    match value.evaluate(around.context.fields()) {
        Ok(value) => go_to(cases.get(&plain_text(&value)).copied().unwrap_or(default)),
        Err(error) => unevaluated(&error),
    }
}

pub(super) fn go_to(step: u32) -> StepEnd {
    StepEnd::untried(Outcome::Done(Done { next: Some(step), ..Done::default() }))
}

/// What the engine says in detail can quote a call's data.
fn unevaluated(error: &minijinja::Error) -> StepEnd {
    StepEnd::failed(format!("the expression failed: {}", reason(error)))
}
