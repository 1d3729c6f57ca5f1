//! What FreeSWITCH says, typed: header names and hangup causes once, events as facts, answers to commands as snapshots.
//!
//! - [`header`]: the names of the headers that are read.
//! - [`fact`]: an event as the fact that the lifecycle acts on.
//! - [`channel`]: what channel data tells of one leg of a call.
//! - [`cause`]: hangup causes with their Q.850 and SIP codes.
//! - [`directory`]: a user of its directory.
//! - [`snapshot`]: what FreeSWITCH has right now; [`queue_info`]: how one queue is.

pub mod cause;
pub mod channel;
pub mod directory;
pub mod fact;
pub mod header;
pub mod queue_info;
pub mod snapshot;

pub use channel::ChannelData;
pub use fact::{Fact, FactKind, Stamp};
pub use queue_info::QueueInfo;
pub use snapshot::Snapshot;
