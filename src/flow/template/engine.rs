//! The template engine as we use it: what templates and expressions may do, and how much of it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::LazyLock;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::ValueKind;
use minijinja::{Environment, Error, UndefinedBehavior, Value};

use super::guard;

/// How much work one rendering may do: about as many instructions, or 64 bytes for each. A payload's template takes a few
/// hundred, so this ends only what would hold up deliveries (0.8 MB, or some milliseconds).
const FUEL: u64 = 12_500;

/// The engine's own syntax; but a text is what its author wrote, to the last line's end.
static SYNTAX: LazyLock<SyntaxConfig> = LazyLock::new(|| {
    SyntaxConfig::builder().keep_trailing_newline(true).build().expect("the default delimiters differ from each other")
});

/// An environment without templates, in which what is missing below a known field is nothing rather than an error.
pub(in crate::flow) fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Chainable);
    environment.set_fuel(Some(FUEL));
    environment.set_syntax(SYNTAX.clone());
    // It would print every field into a request.
    environment.remove_global("debug");
    // Its errors would carry the fields' values into log lines.
    environment.set_debug(false);
    guard::add_to(&mut environment);
    environment
}

/// The syntax of all texts.
pub(super) fn syntax() -> SyntaxConfig {
    SYNTAX.clone()
}

/// Does what the engine is to do. It does not guard all of its arithmetic (`'abc'[::-9223372036854775808]`): a panic of it is
/// an error like any other.
pub(in crate::flow) fn caught<T>(work: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err(guard::Refusal::EngineFailed.into()))
}

/// Why an evaluation failed, without a call's data, which the engine may quote.
pub(in crate::flow) fn reason(error: &Error) -> String {
    refusal(error).map_or_else(|| error.kind().to_string(), ToString::to_string)
}

/// What of ours refused to go on, if anything did.
pub(super) fn refusal(error: &Error) -> Option<&guard::Refusal> {
    let causes = std::iter::successors(std::error::Error::source(error), |cause| cause.source());
    causes.into_iter().find_map(|cause| cause.downcast_ref())
}

/// Such an environment whose templates encode every inserted value with `encode`, whether marked safe or not.
pub(super) fn encoding(encode: fn(&str) -> String) -> Environment<'static> {
    let mut environment = environment();
    environment.set_formatter(move |output, _, value| Ok(output.write_str(&encode(&plain_text(value)))?));
    environment
}

/// A value as a text holds it: nothing for null, JSON for truth values, lists and objects.
pub(in crate::flow) fn plain_text(value: &Value) -> String {
    match value.kind() {
        ValueKind::Undefined | ValueKind::None => String::new(),
        // Else a truth value would be `True`.
        ValueKind::Bool | ValueKind::Map | ValueKind::Seq => {
            serde_json::to_string(value).unwrap_or_else(|_| value.to_string())
        }
        _ => value.to_string(),
    }
}
