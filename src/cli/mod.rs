//! The command line: one file for each command.

mod interrupt;

pub mod demo;
pub mod simulate;
