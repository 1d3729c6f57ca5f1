//! Stories: what happens on a FreeSWITCH, told in order, as the events that it would send.
//!
//! - [`plot`]: the steps of a story; [`channel`]: the channels they happen to; [`wire`]: an event's bytes.
//! - [`dialled`]: steps without mod_callcenter.
//! - [`listing`]: what FreeSWITCH would list; [`told`]: the hooks that the lifecycle makes of a story.

mod channel;
mod dialled;
mod listing;
mod plot;
mod told;
mod wire;

pub(crate) use channel::{Ended, Leg};
pub(crate) use dialled::SOURCES;
pub(crate) use listing::snapshot;
pub(crate) use plot::{Ring, Sent, Stay, Story, micros};
pub(crate) use told::Told;
