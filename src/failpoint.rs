//! The instants at which a test may end the process, each named once.
//!
//! With the feature `failpoints` of the crate `fail` (tests only; without it these are empty functions) a point that is
//! set to `return`, by code or in the environment variable `FAILPOINTS`, aborts the process there as a power cut would:
//! nothing is flushed, nothing is unwound. Actions can be counted: `3*off->return` lets three pass.

use fail::fail_point;

/// Every point that a webhook meets, in its order.
pub const ALL: [&str; 4] = [BEFORE_COMMIT, AFTER_COMMIT, BEFORE_REQUEST, AFTER_RESPONSE];

/// The points that a command to FreeSWITCH meets.
pub const OF_COMMANDS: [&str; 2] = [BEFORE_COMMAND, AFTER_ANSWER];

/// The transaction is written, not yet committed.
pub const BEFORE_COMMIT: &str = "outbox-before-commit";
/// The transaction is committed, and neither who waits for it nor the runner has been told.
pub const AFTER_COMMIT: &str = "outbox-after-commit";
/// A request is made and not yet sent.
pub const BEFORE_REQUEST: &str = "delivery-before-request";
/// The receiver has answered, and the try is not yet recorded.
pub const AFTER_RESPONSE: &str = "delivery-after-response";

/// A command is made and not yet given.
pub const BEFORE_COMMAND: &str = "flow-before-command";
/// FreeSWITCH has answered a command, and the try is not yet recorded.
pub const AFTER_ANSWER: &str = "flow-after-answer";

/// A run is taken up: the program fails in it, as by a bug.
pub const IN_RUN: &str = "flow-in-run";

pub(crate) fn in_run() {
    fail_point!(IN_RUN);
}

pub(crate) fn before_commit() {
    fail_point!(BEFORE_COMMIT, |_| std::process::abort());
}

pub(crate) fn after_commit() {
    fail_point!(AFTER_COMMIT, |_| std::process::abort());
}

pub(crate) fn before_request() {
    fail_point!(BEFORE_REQUEST, |_| std::process::abort());
}

pub(crate) fn after_response() {
    fail_point!(AFTER_RESPONSE, |_| std::process::abort());
}

pub(crate) fn before_command() {
    fail_point!(BEFORE_COMMAND, |_| std::process::abort());
}

pub(crate) fn after_answer() {
    fail_point!(AFTER_ANSWER, |_| std::process::abort());
}
