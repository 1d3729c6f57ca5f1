//! Flows: what is done for a moment.
//!
//! - [`definition`]: a flow's steps, compiled.
//! - [`context`]: what templates and expressions can name: one moment's fields.
//! - [`expression`]: conditions and values over those fields.
//! - [`template`]: texts filled in from them, one type for each position that a text can stand in.
//! - [`request`]: an `http` step filled in.
//! - [`step`]: doing one step.
//! - [`runner`]: doing all steps of a run.

pub mod context;
pub mod definition;
pub mod expression;
pub mod request;
pub mod runner;
pub mod step;
pub mod template;

pub use context::Context;
pub use definition::Flow;
pub use expression::Expression;
pub use request::RenderedRequest;
pub use runner::{Flows, Runner};
