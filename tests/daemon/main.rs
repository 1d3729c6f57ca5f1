//! The daemon as a process: what an operator does to it, and what it says.

mod agents;
mod check;
mod clock;
mod crowd;
mod disk;
mod init;
mod losses;
mod nodes;
mod pause;
mod place;
mod process;
mod reload;
mod service;
mod switch;
