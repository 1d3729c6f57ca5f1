//! What is done within one transaction of the writer.
//!
//! - [`entry`]: storing what is committed.
//! - [`report`]: storing what runs have come to.
//! - [`follow_up`]: runs that tell of others' failures.
//! - [`turn`]: whose turn it is: handing runs over that are due, or that nobody is before any more.
//! - [`stored`]: what need not be stored again.

mod entry;
mod follow_up;
mod report;
mod stored;
mod turn;

use rusqlite::Connection;

pub(super) use stored::Stored;

use super::clock::Reading;
use super::desk::Desk;
use super::run::Run;

/// One transaction at work.
pub(super) struct Work<'a> {
    pub(super) connection: &'a Connection,
    pub(super) desk: &'a mut Desk,
    pub(super) stored: &'a mut Stored,
    /// What the clocks said when the transaction began.
    pub(super) clock: Reading,
    /// Runs to be handed over once the transaction is committed.
    pub(super) ready: Vec<Run>,
}

impl Work<'_> {
    /// The transaction's time, in milliseconds since 1970.
    fn now_ms(&self) -> i64 {
        self.clock.wall_ms()
    }
}
