//! Delivery: the way of a request to its receiver, with signature, retries and limits.
//!
//! - [`client`]: sends one try.
//! - [`way`]: how it gets to a receiver; [`credentials`]: who we say we are.
//! - [`verdict`], [`network`]: what came of it.
//! - [`retry`]: when it is repeated.
//! - [`record`]: what the delivery log keeps of it; [`mask`]: its secrets are masked there, and wherever else they show.
//! - [`limits`]: how many requests may be under way; [`gate`], [`priority`]: who goes first; [`breaker`]: when a receiver is
//!   left alone.
//! - [`signature`]: how the receiver knows that it is ours.
//! - [`destination`]: brokers, databases and mail servers.

pub mod breaker;
pub mod client;
pub mod credentials;
pub mod destination;
pub mod gate;
pub mod limits;
pub mod mask;
pub mod network;
pub mod priority;
pub mod record;
pub mod retry;
pub mod signature;
pub mod verdict;
pub mod way;

pub use client::Client;
pub use destination::Destination;
pub use limits::Limits;
pub use priority::Priority;
pub use record::TryRecord;
pub use retry::RetrySchedule;
pub use verdict::Verdict;
