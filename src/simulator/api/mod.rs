//! The answers to `api` commands, in the shapes that FreeSWITCH gives them.
//!
//! - [`callcenter`]: `callcenter_config`, as text and as JSON.
//! - [`channels`]: `show channels`, `uuid_dump` and what changes a channel.
//! - [`table`]: rows with named columns, in both forms.

mod callcenter;
mod channels;
mod table;

mod answer;

pub use answer::answer;
