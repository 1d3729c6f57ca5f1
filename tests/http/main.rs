//! The HTTP interface, asked from outside.

mod gate;
mod looking;
mod stage;
