//! The HTTP interface, asked from outside.

mod gate;
mod kill;
mod looking;
mod signals;
mod stage;
mod tools;
