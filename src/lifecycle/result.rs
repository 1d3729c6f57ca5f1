//! How an attempt ended, and who ended it: read off its facts.

use super::attempt::{Attempt, QueueEnd};
use super::bridge::Bridge;
use super::ending::CALL_END_WAIT;
use super::leg::LegEnd;
use super::verdict::MemberFate;
use crate::config::queue::Unserved;
use crate::freeswitch::channel::Disposition;
use crate::moment::value::{CancelReason, CcResult, Side};

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
            MemberFate::HungUp | MemberFate::Unclear { .. } | MemberFate::Waiting => {
                (CcResult::Abandoned, Some(CancelReason::Hangup))
            }
        }
    }

    /// What is known of the member, to explain why an offer was cancelled.
    pub(super) fn member_fate(&self) -> MemberFate {
        if self.queue_end.as_ref().is_some_and(|end| end.call_goes_on) {
            return MemberFate::TakenAway;
        }
        if let Some(end) = &self.call.end {
            return match end.hangup.disposition {
                Disposition::ByFarEnd => MemberFate::HungUp,
                Disposition::ByFreeSwitch => MemberFate::TakenAway,
                Disposition::Unknown if ended_by_operator(end.cause.as_deref()) => MemberFate::TakenAway,
                Disposition::Unknown => MemberFate::HungUp,
            };
        }
        match &self.queue_end {
            None => MemberFate::Waiting,
            Some(QueueEnd { reason: None | Some(CancelReason::BreakOut), seen_at, .. }) => {
                MemberFate::Unclear { until: *seen_at + CALL_END_WAIT }
            }
            Some(_) => MemberFate::TakenAway,
        }
    }

    /// Who ended the member's call; none while it goes on, or where that was not seen.
    pub fn hangup_side(&self) -> Option<Side> {
        let end = self.call.end.as_ref()?;
        Some(match (end.hangup.disposition, self.bridged_leg_end()) {
            (Disposition::ByFarEnd, _) => Side::Member,
            (_, Some(agent)) if agent.hangup.disposition == Disposition::ByFarEnd => Side::Agent,
            (Disposition::Unknown, _) if end.hangup.by_bridge && self.bridge.is_some() => Side::Agent,
            (Disposition::Unknown, Some(agent)) if agent.hangup.by_bridge => Side::Member,
            (Disposition::ByFreeSwitch | Disposition::Unknown, _) => Side::System,
        })
    }

    /// Who ended the conversation, also where the member's call went on.
    pub fn talk_ended_by(&self) -> Option<Side> {
        self.bridge.as_ref()?;
        if self.was_lost() {
            return None;
        }
        if let Some(side) = self.hangup_side() {
            return Some(side);
        }
        Some(match self.bridged_leg_end() {
            Some(agent) if agent.hangup.disposition == Disposition::ByFarEnd || agent.hangup.by_own_transfer => {
                Side::Agent
            }
            _ => Side::System,
        })
    }

    pub(super) fn was_lost(&self) -> bool {
        self.loss.is_some() && self.queue_end.is_none() && self.call.end.is_none()
    }

    fn bridged_leg_end(&self) -> Option<&LegEnd> {
        let Bridge { offer, .. } = self.bridge.as_ref()?;
        self.offers[*offer].leg()?.end.as_ref()
    }
}

/// Whether the cause says that FreeSWITCH or its operator ended the call, where the leg's own signalling says nothing.
fn ended_by_operator(cause: Option<&str>) -> bool {
    matches!(cause, Some("SYSTEM_SHUTDOWN" | "MANAGER_REQUEST"))
}
