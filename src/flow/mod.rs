//! Flows: what is done for a moment.
//!
//! - [`definition`]: a flow's steps, compiled; [`action`]: what each does.
//! - [`layout`]: how blocks within blocks become one list of steps.
//! - [`context`], [`names`]: what templates and expressions can name: one moment's fields, and what steps have saved.
//! - [`expression`]: conditions and values over those.
//! - [`template`]: texts filled in from them, one type for each position that a text can stand in.
//! - [`request`]: an `http` step filled in.
//! - [`step`]: doing one step.
//! - [`flows`]: which flow, and which definition of it, a run goes by.
//! - [`walk`]: a run under way, from step to step; [`runner`]: all of them; [`trial`]: one that is only tried.

pub mod action;
pub mod context;
pub mod definition;
pub mod expression;
pub mod flows;
pub mod layout;
pub mod names;
pub mod request;
pub mod runner;
pub mod step;
pub mod template;
pub mod trial;
pub mod walk;

pub use action::Action;
pub use context::Context;
pub use definition::{Definition, Flow};
pub use expression::Expression;
pub use flows::Flows;
pub use names::SavedNames;
pub use request::RenderedRequest;
pub use runner::Runner;
