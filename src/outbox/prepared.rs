//! Entries in the form in which they are stored, made by whoever commits so that the one writer has little left to do.

use std::sync::Arc;

use jiff::Timestamp;

use super::clock::Reading;
use super::entry::{AttemptChange, Entry, PlannedRun};
use crate::id::{AttemptHash, MomentId};
use crate::moment::value::{CancelReason, Variables};
use crate::moment::{EventName, Moment, Payload};

/// An entry, ready to be stored.
#[derive(Debug)]
pub(super) struct PreparedEntry {
    pub(super) moments: Vec<PreparedMoment>,
    pub(super) attempts: Vec<PreparedChange>,
    /// What the clocks said when it was given: its times are of this wall clock.
    pub(super) given: Reading,
}

/// A moment, ready to be stored.
#[derive(Debug)]
pub(super) struct PreparedMoment {
    pub(super) id: MomentId,
    pub(super) attempt: AttemptHash,
    /// Empty, where it happened in none.
    pub(super) queue: String,
    pub(super) event: EventName,
    /// Whether the attempt left because it was found gone.
    pub(super) is_loss: bool,
    pub(super) happened_at: Timestamp,
    pub(super) payload: StoredPayload,
    /// The whole payload, for its runs.
    pub(super) whole: Arc<str>,
    pub(super) runs: Vec<PlannedRun>,
}

/// What becomes of an attempt's row.
#[derive(Debug)]
pub(super) enum PreparedChange {
    Keep { hash: AttemptHash, key: String, state: String },
    Forget(AttemptHash),
}

/// A payload in two parts: its JSON without the variables, which many moments of an attempt share, and the variables.
#[derive(Clone, Debug)]
pub(super) struct StoredPayload {
    pub(super) head: String,
    pub(super) variables: Variables,
}

impl PreparedEntry {
    pub(super) fn new(entry: Entry) -> Self {
        Self {
            moments: entry.moments.into_iter().map(PreparedMoment::new).collect(),
            attempts: entry.attempts.into_iter().map(PreparedChange::new).collect(),
            given: Reading::now(),
        }
    }
}

impl PreparedMoment {
    fn new((moment, runs): (Moment, Vec<PlannedRun>)) -> Self {
        let Moment { attempt, payload } = moment;
        let (id, event) = (payload.id, payload.event);
        let is_loss = event == EventName::Leaving && payload.cc_cancel_reason == Some(CancelReason::Lost);
        let queue = payload.queue_name.as_ref().map_or_else(String::new, ToString::to_string);
        let happened_at = payload.timestamp.0;
        let payload = StoredPayload::new(payload);
        let whole = if runs.is_empty() { Arc::default() } else { payload.whole() };
        Self { id, attempt, queue, event, is_loss, happened_at, payload, whole, runs }
    }
}

impl PreparedChange {
    fn new(change: AttemptChange) -> Self {
        match change {
            AttemptChange::Keep { key, state } => {
                let hash = key.hash();
                let key = serde_json::to_string(&key).expect("a key of texts and a number is JSON");
                Self::Keep { hash, key, state }
            }
            AttemptChange::Forget(hash) => Self::Forget(hash),
        }
    }
}

/// How a payload without variables ends: the field is the declaration's last.
const NO_VARIABLES: &str = r#","variables":{}}"#;

impl StoredPayload {
    fn new(mut payload: Payload) -> Self {
        let variables = std::mem::take(&mut payload.variables);
        let mut head = serde_json::to_string(&payload).expect("a payload's fields are JSON");
        assert!(head.ends_with(NO_VARIABLES), "`variables` is the payload's last field");
        head.truncate(head.len() - NO_VARIABLES.len());
        head.push('}');
        Self { head, variables }
    }

    fn whole(&self) -> Arc<str> {
        whole_payload(&self.head, self.variables.as_json())
    }
}

/// Puts a payload's two parts together again.
pub(super) fn whole_payload(head: &str, variables: &str) -> Arc<str> {
    let open = head.strip_suffix('}').unwrap_or(head);
    [open, r#","variables":"#, variables, "}"].concat().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::moment::EventName;

    #[test]
    fn a_payload_is_whole_again_after_it_was_parted() {
        for event in EventName::ALL {
            let payload = Payload::sample(event);
            let stored = StoredPayload::new(payload.clone());
            assert!(!stored.head.contains("customer_id"));
            serde_json::from_str::<serde_json::Value>(&stored.head).expect("the stored part is JSON by itself");
            assert_eq!(serde_json::from_str::<Payload>(&stored.whole()).expect("reads back"), payload);
        }
    }
}
