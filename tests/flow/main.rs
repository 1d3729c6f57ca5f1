//! Flows from outside: a configuration, an outbox and a runner, receivers of every kind and a FreeSWITCH that takes commands.

mod breaker;
#[cfg(unix)]
mod crash;
mod definitions;
mod endurance;
mod failure;
mod fire;
mod priority;
#[expect(dead_code, reason = "it can answer worse than is needed here")]
#[path = "../outbox/receiver.rs"]
mod receiver;
mod stage;
mod steps;
mod switchboard;
mod time;
