//! The outbox from outside: what is committed is delivered at least once, in order, or visible as failed.

mod archive;
mod chronicle;
#[cfg(unix)]
mod crash;
mod deliveries;
mod delivery;
mod displaced;
mod intervention;
mod migration;
mod model;
mod receiver;
mod sample;
mod store;
