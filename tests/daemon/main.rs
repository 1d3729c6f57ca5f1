//! The daemon as a process: what an operator does to it, and what it says.

mod init;
mod process;
mod reload;
mod service;
