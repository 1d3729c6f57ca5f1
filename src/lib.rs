//! Queue webhooks and flows for FreeSWITCH call centers.

pub mod cli;
pub mod config;
pub mod delivery;
pub mod esl;
pub mod flow;
pub mod freeswitch;
pub mod hook;
pub mod id;
pub mod lifecycle;
pub mod moment;
pub mod outbox;
pub mod simulator;
