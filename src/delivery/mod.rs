//! Delivery: the way of a request to its receiver, with signature, retries and limits.

pub mod retry;
pub mod signature;
