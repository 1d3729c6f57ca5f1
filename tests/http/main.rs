//! The HTTP interface, asked from outside.

mod gate;
mod interventions;
mod kill;
mod looking;
mod signals;
mod stage;
mod tools;
mod types;
