//! The lifecycle against its contract: stories told event by event, as FreeSWITCH would, and what hooks they give.
//!
//! Recordings of a real FreeSWITCH show what usually happens (`tests/recordings.rs`). Here is what happens rarely: events
//! that are lost, late or doubled, two ends at once, channels without SIP. [`story`] makes the events; each test tells
//! one story. [`properties`] holds random stories against the truth that [`model`] knows of them.

mod agents;
mod beyond;
mod bounds;
mod clusters;
mod connections;
mod delays;
mod dialers;
mod endings;
mod fifos;
mod joining;
mod legs;
mod losses;
mod missed;
mod model;
mod nodes;
mod offers;
mod payloads;
mod properties;
mod queues;
mod situations;
mod story;
mod surveys;
mod told;
mod transfers;
mod wrap_ups;
