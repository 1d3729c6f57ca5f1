//! The command line: one file for each command.

pub mod check;
pub mod deliveries;
pub mod hooks;
