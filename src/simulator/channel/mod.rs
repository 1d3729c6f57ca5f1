//! One leg of a call, as its events show it.
//!
//! The `.txt` files beside this one list the variables that FreeSWITCH sets at each stage, in its order; `{…}` is filled
//! in, `\r` and `\n` stand for themselves.
//!
//! - [`leg`]: the leg.
//! - [`headers`]: its headers.
//! - [`variables`]: its variables, in the order in which they were set.
//! - [`cause`]: hangup causes and how SIP tells them.
//! - [`record`]: what a leg's last event sums up.

pub mod cause;
pub mod headers;
pub mod leg;
pub mod record;
pub mod variables;

pub use cause::{Disposition, HangupCause};
pub use headers::OtherSide;
pub use leg::{Caller, Leg};
