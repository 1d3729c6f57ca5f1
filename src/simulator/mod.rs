//! The module simulator.
