//! A hook: one event of a queue, and the flow that it starts.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use minijinja::Value;

use crate::flow::{Expression, Flow};
use crate::moment::EventName;

/// A configured subscription.
#[derive(Debug)]
pub struct Hook {
    /// The queue pattern and the hook's name, or its place in the list: `support@default/pop`, `*/0`. Runs are named by it.
    pub id: String,
    /// The event.
    pub event: EventName,
    /// The flow that it starts.
    pub flow: Arc<Flow>,
    /// The condition under which it does.
    pub when: Option<Expression>,
    /// Whether it does at all.
    pub enabled: bool,
    /// Whether it only logs what it would start.
    pub dry_run: bool,
    /// How long after its moment a run is of use; unset: as long as the flow says.
    pub expires_after: Option<Duration>,
    condition_failures: AtomicU64,
}

impl Hook {
    /// A hook that fires whenever its event happens.
    pub fn new(id: String, event: EventName, flow: Arc<Flow>) -> Self {
        Self {
            id,
            event,
            flow,
            when: None,
            enabled: true,
            dry_run: false,
            expires_after: None,
            condition_failures: AtomicU64::new(0),
        }
    }

    /// The queue's or agent's pattern that it belongs to, and its name or place there. An agent's pattern has `agents/`
    /// before it.
    pub fn pattern(&self) -> &str {
        self.id.rsplit_once('/').map_or("", |(pattern, _)| pattern)
    }

    /// Its name within its pattern, or its place there.
    pub fn name(&self) -> &str {
        self.id.rsplit_once('/').map_or(&*self.id, |(_, name)| name)
    }

    /// How often the condition could not be evaluated, so that the hook did not fire.
    pub fn condition_failures(&self) -> u64 {
        self.condition_failures.load(Ordering::Relaxed)
    }

    /// Whether the condition holds for a moment with these fields. One that cannot be evaluated does not; that is counted.
    pub(super) fn holds(&self, when: &Expression, fields: &Value) -> bool {
        when.holds(fields).unwrap_or_else(|error| {
            self.condition_failures.fetch_add(1, Ordering::Relaxed);
            // What the engine says in detail can quote a call's data.
            tracing::warn!(
                hook = self.id,
                reason = Expression::reason(&error),
                "a hook's condition failed, the hook did not fire"
            );
            tracing::debug!(hook = self.id, %error, "why the condition failed");
            false
        })
    }
}
