//! What truly became of an attempt, written when it is over.
//!
//! The words are those of the recordings' truth: whoever follows the events can be held against these lines.

use serde::Serialize;

use crate::moment::value::{AmdResult, CancelReason, CcResult, MissedReason, Outcome, Seconds, Side};

/// The truth about one attempt.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Truth {
    /// The queue.
    pub queue: String,
    /// The member's number.
    pub number: String,
    /// The member's channel.
    pub member_channel_id: String,
    /// Whether the member was resumed. The simulation has no resuming.
    pub resumed: bool,
    /// The hooks that the attempt must give, in their order: `joined`, `offering AGENT`, `missed AGENT REASON` …
    pub hooks: Vec<String>,
    /// The offers, each an agent and its outcome.
    pub offers: Vec<(String, Outcome)>,
    /// How it ended.
    pub cc_result: CcResult,
    /// Why it ended without an agent.
    pub cc_cancel_reason: Option<CancelReason>,
    /// The hangup cause of the member's call; null where the call went on.
    pub call_cause: Option<&'static str>,
    /// 200 once the member's call was answered; null where the call went on.
    pub call_sip_code: Option<u16>,
    /// Who ended the member's call; null where it went on.
    pub hangup_side: Option<Side>,
    /// From joining to the bridge or to leaving.
    pub wait_sec: Seconds,
    /// From the bridge to the end of the agent's part.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub call_voice_sec: Option<Seconds>,
    /// The key that the member pressed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit_key: Option<String>,
    /// What the dialer's answering machine detector said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amd_result: Option<AmdResult>,
    /// Whether no `member-queue-end` was sent.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub no_queue_end: bool,
}

impl Truth {
    /// The truth about an attempt that has just begun.
    pub(super) fn begin(queue: &str, number: &str, member_channel_id: &str) -> Self {
        Self {
            queue: queue.into(),
            number: number.into(),
            member_channel_id: member_channel_id.into(),
            resumed: false,
            hooks: vec!["joined".into()],
            offers: Vec::new(),
            cc_result: CcResult::Cancel,
            cc_cancel_reason: None,
            call_cause: None,
            call_sip_code: None,
            hangup_side: None,
            wait_sec: Seconds::default(),
            call_voice_sec: None,
            exit_key: None,
            amd_result: None,
            no_queue_end: false,
        }
    }

    pub(super) fn hook(&mut self, event: &str, agent: &str) {
        self.hooks.push(format!("{event} {agent}"));
    }

    pub(super) fn missed(&mut self, agent: &str, reason: MissedReason) {
        let reason = match reason {
            MissedReason::NoAnswer => "no_answer",
            MissedReason::Busy => "busy",
            MissedReason::Rejected => "rejected",
            MissedReason::Unavailable => "unavailable",
            MissedReason::Abandoned => "abandoned",
            MissedReason::Withdrawn => "withdrawn",
            MissedReason::Failed => "failed",
        };
        self.hooks.push(format!("missed {agent} {reason}"));
    }

    /// One line of the journal, without its line break.
    pub fn to_json_line(&self) -> String {
        // Nothing in here can fail to serialize: plain fields, no maps.
        serde_json::to_string(self).unwrap_or_default()
    }
}
