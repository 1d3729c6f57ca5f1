//! The HTTP interface, asked from outside.

mod gate;
mod interventions;
mod kill;
mod looking;
mod signals;
mod stage;
mod tls;
mod tools;
mod types;
