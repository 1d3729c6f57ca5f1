//! Queue webhooks and flows for FreeSWITCH call centers.
//!
//! # The way of an event
//!
//! ```text
//! FreeSWITCH ──> esl ──────────> freeswitch ──> lifecycle ──> moment ───────> hook ────────> outbox ─────> flow ──> delivery
//!                bytes→frames    typed facts    pure state    id, payload     which flows    one commit,   steps    HTTP,
//!                →events                        machines                      want it        durable                retries
//! ```
//!
//! One straight line, one owner at each station. Left of the outbox nothing waits for the network on the right. What was
//! committed is delivered at least once, or visible as failed. [`daemon`] draws the tasks and channels, with their
//! capacities; [`node`] is the task that carries one FreeSWITCH's events from the socket to the outbox.
//!
//! # What holds
//!
//! 1. **Moments are named by their meaning** ([`id`]): a moment's id is a hash of the attempt, the event and the offer. So
//!    whoever infers it, by event, timer or snapshot, before or after a restart, names it alike, and a unique key makes
//!    repeats harmless.
//! 2. **One transaction** ([`outbox`]): a moment, the attempt's new state and the runs that its hooks start are committed
//!    together, before anything acts on them.
//! 3. **At least once, or visible as failed** ([`flow`], [`delivery`]): nothing is dropped without a count and a log line.
//! 4. **Order**: runs of one flow for one attempt follow each other; attempts never wait for each other.
//! 5. **The event connection is always read** ([`esl`]): a client that reads slowly makes FreeSWITCH stall. What cannot be
//!    taken in is dropped, counted, and made good by a snapshot.
//! 6. **Data of a call never becomes code**: not in a FreeSWITCH command, a URL's host, a header, a template, a log line or a terminal.
//! 7. **Time is an input** ([`lifecycle`]): durations and deadlines are measured by the events' own times, so that a recording
//!    plays back to the same moments.
//!
//! # Beside the line
//!
//! [`admin`] is what is asked and told over HTTP, and the page. [`config`] reads the one TOML file; [`cli`] has a file for each command; [`simulator`] is a FreeSWITCH that never was, for
//! the demonstration and for tests; [`recording`] keeps what a node's follower was fed, to be replayed; [`telemetry`] is what the daemon says of itself, and
//! [`service`] what it says to systemd; [`failpoint`] is where tests end it.

pub mod admin;
mod charset;
pub mod cli;
pub mod config;
mod crypto;
pub mod daemon;
pub mod delivery;
pub mod esl;
pub mod failpoint;
pub mod flow;
pub mod freeswitch;
pub mod hook;
pub mod id;
pub mod lifecycle;
pub mod moment;
pub mod node;
pub mod outbox;
mod printable;
pub mod recording;
pub mod service;
pub mod signal;
pub mod simulator;
pub mod telemetry;
