//! Stories: what happens on a FreeSWITCH, told in order, as the events that it would send.
//!
//! - [`plot`]: the steps of a story; [`channel`]: the channels they happen to; [`wire`]: an event's bytes.
//! - [`listing`]: what FreeSWITCH would list; [`told`]: the hooks that the lifecycle makes of a story.

mod channel;
mod listing;
mod plot;
mod told;
mod wire;

pub(crate) use channel::{Ended, Leg};
pub(crate) use listing::snapshot;
pub(crate) use plot::{Ring, Sent, Stay, Story, micros};
pub(crate) use told::Told;
