//! Changing the configuration's files by program: hooks, so far.
//!
//! What a person has written stays as it is: comments, order, blanks. A change is made in memory, all files are then read as
//! the daemon reads them, and only what it would take is written, in one step.
//!
//! - [`draft`]: a hook as somebody wants it, and what is to be done.
//! - [`edition`]: the files, and writing them.
//! - `hooks`: where hooks stand in a file, and how a list of them is changed.

pub mod draft;
pub mod edition;
mod hooks;

pub use draft::{HookChange, HookDraft};
pub use edition::{Changed, EditError, Edition};
