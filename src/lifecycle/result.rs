//! How an attempt ended: read off its facts.

use super::attempt::Attempt;
use super::verdict::MemberFate;
use crate::config::queue::Unserved;
use crate::moment::value::{CancelReason, CcResult};

/// What a transfer mark says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransferMark<'a> {
    /// A blind transfer to that destination.
    Blind(&'a str),
    /// An attended transfer to the person on that channel.
    Attended(&'a str),
}

impl Attempt {
    /// FreeSWITCH's mark of a transfer that took the member away, if there is one: the mark that brought the member into
    /// the queue, and the mark of the connection with an agent, mean nothing.
    pub fn transfer_mark(&self) -> Option<TransferMark<'_>> {
        self.transfer_mark_in(self.call.transfer_mark.as_deref()?)
    }

    /// What a mark on the member's channel says, if it means something.
    pub fn transfer_mark_in<'a>(&self, mark: &'a str) -> Option<TransferMark<'a>> {
        if self.call.transfer_mark_at_join.as_deref() == Some(mark) || self.is_of_dialer(mark) {
            return None;
        }
        if let Some((_, target)) = mark.split_once(":bl_xfer:") {
            return Some(TransferMark::Blind(target.split('/').next().unwrap_or(target)));
        }
        let (_, uuid) = mark.split_once(":uuid_br:")?;
        (!self.offers.iter().any(|offer| offer.has_leg(uuid))).then_some(TransferMark::Attended(uuid))
    }

    /// Whether a mark is that of a dialer who sent the member to where agents are called: it begins with its second.
    fn is_of_dialer(&self, mark: &str) -> bool {
        let made_at: Option<i64> = mark.split(':').next().and_then(|second| second.parse().ok());
        let talks_since = self.bridge.as_ref().map_or(i64::MAX, |bridge| bridge.at.as_second());
        self.is_dialled() && made_at.is_some_and(|made_at| made_at < talks_since)
    }

    /// Result and reason.
    pub fn result(&self) -> (CcResult, Option<CancelReason>) {
        match self.plain_result() {
            (CcResult::Cancel, reason) if self.counts_as_abandoned(reason) => (CcResult::Abandoned, reason),
            other => other,
        }
    }

    /// Whether the queue counts a member who left so as abandoned.
    fn counts_as_abandoned(&self, reason: Option<CancelReason>) -> bool {
        let reached = if self.call.answered_at.is_some() { Unserved::Reached } else { Unserved::Unreached };
        let counted = &self.settings.count_as_abandoned;
        let as_dialled = self.settings.queue_type.calls_members() && counted.contains(&reached);
        match reason {
            Some(CancelReason::Lost) => false,
            Some(CancelReason::Timeout) => as_dialled || counted.contains(&Unserved::Timeout),
            Some(CancelReason::NoAgentTimeout) => as_dialled || counted.contains(&Unserved::NoAgentTimeout),
            _ => as_dialled,
        }
    }

    fn plain_result(&self) -> (CcResult, Option<CancelReason>) {
        if self.connected_at().is_some() {
            return (CcResult::Success, self.was_lost().then_some(CancelReason::Lost));
        }
        if self.was_lost() {
            return (CcResult::Cancel, Some(CancelReason::Lost));
        }
        if self.is_dialled() {
            let is_uncalled = self.channel().is_none();
            return self.dialled_result(is_uncalled || self.member_fate() == MemberFate::TakenAway);
        }
        if let Some(reason @ (CancelReason::Timeout | CancelReason::NoAgentTimeout | CancelReason::ExitWithKey)) =
            self.queue_end.as_ref().and_then(|end| end.reason)
        {
            return (CcResult::Cancel, Some(reason));
        }
        let taken_out = match &self.queue_end {
            Some(end) => end.call_goes_on,
            // FreeSWITCH can fail to say that a member was transferred out of the queue.
            None => self.transfer_mark().is_some(),
        };
        if taken_out {
            return (CcResult::Cancel, Some(CancelReason::BreakOut));
        }
        match self.member_fate() {
            MemberFate::TakenAway => (CcResult::Cancel, Some(CancelReason::Killed)),
            MemberFate::HungUp | MemberFate::Unclear { .. } | MemberFate::Waiting | MemberFate::Gone { .. } => {
                (CcResult::Abandoned, Some(CancelReason::Hangup))
            }
        }
    }

    pub(super) fn was_lost(&self) -> bool {
        self.loss.is_some() && self.queue_end.is_none() && self.call.end.is_none()
    }
}
