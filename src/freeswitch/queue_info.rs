//! How a queue is right now: who waits, and which agents are free.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::snapshot::MemberRow;
use crate::id::QueueName;
use crate::moment::value::Seconds;

/// A queue, counted.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct QueueInfo {
    /// The queue.
    pub queue_name: QueueName,
    /// The members who wait, or are just being offered to an agent.
    pub waiting: usize,
    /// How long the one of them has waited who came first; 0 if nobody waits.
    pub longest_wait_sec: Seconds,
    /// The agents who could take a call.
    pub agents_free: usize,
    /// The agents who are called, or talk.
    pub agents_busy: usize,
    /// The agents who are signed out, on a break, or in post-processing.
    pub agents_away: usize,
}

/// An agent of a queue, as `callcenter_config queue list agents` tells it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct QueueAgentRow {
    /// What the agent wants: `Available`, `On Break`, `Logged Out`.
    pub status: String,
    /// What the agent does: `Waiting`, `Receiving`, `In a queue call`, `Idle`.
    pub state: String,
}

impl QueueInfo {
    /// Counts the rows that FreeSWITCH told at `now`.
    pub fn new(queue: QueueName, members: Vec<MemberRow>, agents: &[QueueAgentRow], now: Timestamp) -> Self {
        let waiting: Vec<_> = members.into_iter().filter(|row| matches!(&*row.state, "Waiting" | "Trying")).collect();
        let first = waiting.iter().filter_map(MemberRow::joined_at).min();
        let busy = |row: &&QueueAgentRow| is_busy(&row.state);
        let free = |row: &&QueueAgentRow| is_free(&row.status, &row.state);
        let (agents_free, agents_busy) = (agents.iter().filter(free).count(), agents.iter().filter(busy).count());
        Self {
            queue_name: queue,
            waiting: waiting.len(),
            longest_wait_sec: first.map_or(Seconds(0.0), |first| Seconds::between(first, now)),
            agents_free,
            agents_busy,
            agents_away: agents.len() - agents_free - agents_busy,
        }
    }
}

/// Whether an agent of that status and state could take a call.
pub fn is_free(status: &str, state: &str) -> bool {
    status.starts_with("Available") && state == "Waiting"
}

/// Whether an agent of that state is called, or talks.
pub fn is_busy(state: &str) -> bool {
    matches!(state, "Receiving" | "Reserved" | "In a queue call")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_and_agents_are_counted_by_what_they_do() {
        let member = |state: &str, epoch: i64| -> MemberRow {
            let row = serde_json::json!({ "queue": "q", "uuid": "m", "session_uuid": "s", "state": state,
                "joined_epoch": epoch.to_string() });
            serde_json::from_value(row).expect("a row")
        };
        let agent = |status: &str, state: &str| QueueAgentRow { status: status.into(), state: state.into() };
        let members = vec![member("Answered", 10), member("Waiting", 70), member("Trying", 40), member("Abandoned", 5)];
        let agents = [
            agent("Available", "Waiting"),
            agent("Available (On Demand)", "Waiting"),
            agent("Available", "In a queue call"),
            agent("On Break", "Receiving"),
            agent("Available", "Idle"),
            agent("Logged Out", "Waiting"),
        ];
        let now = Timestamp::from_second(100).expect("in range");
        let info = QueueInfo::new("q".into(), members, &agents, now);
        assert_eq!((info.waiting, info.longest_wait_sec), (2, Seconds(60.0)));
        assert_eq!((info.agents_free, info.agents_busy, info.agents_away), (2, 2, 2));
    }

    #[test]
    fn an_empty_queue_waits_no_time() {
        let info = QueueInfo::new("q".into(), vec![], &[], Timestamp::UNIX_EPOCH);
        assert_eq!((info.waiting, info.longest_wait_sec), (0, Seconds(0.0)));
    }
}
