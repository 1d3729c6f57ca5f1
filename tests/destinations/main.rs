//! Brokers, databases and mail servers, each a real one: what steps give them is read back, while they are frozen and killed.
//!
//! `tests/run` installs them; each test is named after the server that it needs.

#![cfg(target_os = "linux")]

mod caller;
mod email;
mod nats;
mod outage;
mod postgres;
mod rabbitmq;
mod reach;
mod server;
mod smtp;
#[expect(dead_code, reason = "it can do more than is needed here")]
#[path = "../flow/stage.rs"]
mod stage;
#[expect(dead_code, reason = "no step here gives commands")]
#[path = "../flow/switchboard.rs"]
mod switchboard;
mod tls;
