//! Flows: what is done for a moment.
//!
//! - [`definition`]: a flow's steps, compiled.
//! - [`template`]: texts filled in from a moment's fields.

pub mod definition;
pub mod template;

pub use definition::Flow;
