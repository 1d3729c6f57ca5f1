//! How many are let in at once.

use crate::delivery::Priority;
use crate::delivery::gate::{Gate, Place};

/// The way into one destination. Who waits before it holds nothing that other destinations need.
#[derive(Debug)]
pub struct Door {
    name: String,
    gate: Gate,
}

impl Door {
    /// A door that lets in so many at once.
    pub(super) fn new(name: &str, concurrency: usize) -> Self {
        Self { name: name.to_owned(), gate: Gate::new(concurrency) }
    }

    /// The destination's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Waits for the right to go in.
    pub async fn enter(&self, priority: Priority) -> Place {
        self.gate.enter(priority).await
    }
}
