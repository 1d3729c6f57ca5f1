//! The HTTP interface, asked from outside.

mod flood;
mod gate;
mod interventions;
mod kill;
mod looking;
mod signals;
mod sites;
mod stage;
mod tls;
mod tools;
mod types;
