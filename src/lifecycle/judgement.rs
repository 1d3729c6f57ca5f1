//! Who ended a call: judged here alone, from what each leg says of its end and from which ended first.
//!
//! An endpoint that signals says itself who ended its leg (`sip_hangup_disposition`, `verto_hangup_disposition`). Others
//! (loopback, FreeTDM, …) say nothing; then FreeSWITCH's mark on a leg that ended because the bridged one did
//! (`last_bridge_hangup_cause`) tells, and the order of the ends. Result, side, the reason of a missed offer and the end of the
//! conversation all come from here, so that a payload does not contradict itself.

use jiff::Timestamp;

use super::attempt::{Attempt, QueueEnd};
use super::bridge::Bridge;
use super::ending::{CALL_END_WAIT, HANGUP_WAIT};
use super::leg::LegEnd;
use super::verdict::MemberFate;
use crate::freeswitch::channel::Disposition;
use crate::moment::value::{CancelReason, Side};

/// Who ended a leg, as far as the leg alone tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EndedBy {
    /// The phone, or the network behind it.
    FarEnd,
    /// FreeSWITCH, by itself or because the other leg had ended.
    FreeSwitch,
    /// The endpoint does not say.
    Unsaid,
}

/// The leg of the agent who was connected, when the member's call has ended.
#[derive(Clone, Copy, Debug)]
enum AgentLeg<'a> {
    /// Nobody was connected.
    None,
    /// A standing call, which outlives the conversation, or a leg of which nothing was heard.
    Standing,
    /// Its end was not seen: it is up, or its end is late, or was missed.
    Unseen,
    /// It has ended.
    Ended(&'a LegEnd),
}

impl LegEnd {
    /// Who ended the leg, as far as it tells by itself.
    pub(super) fn ended_by(&self) -> EndedBy {
        match (self.hangup.disposition, self.cause.as_deref()) {
            // The phone that transfers the other one away is released by FreeSWITCH after it asked for that.
            _ if self.hangup.by_own_transfer => EndedBy::FarEnd,
            // The network lost the far end: that counts as its leaving.
            (_, Some("MEDIA_TIMEOUT")) => EndedBy::FarEnd,
            (Disposition::ByFarEnd, _) => EndedBy::FarEnd,
            (Disposition::ByFreeSwitch, _) => EndedBy::FreeSwitch,
            (Disposition::Unknown, Some("SYSTEM_SHUTDOWN" | "MANAGER_REQUEST" | "ALLOTTED_TIMEOUT")) => {
                EndedBy::FreeSwitch
            }
            (Disposition::Unknown, _) => EndedBy::Unsaid,
        }
    }
}

/// Who ended the member's call; none where that cannot be known before the agent's leg has ended.
fn call_ended_by(member: &LegEnd, agent: AgentLeg<'_>) -> Option<Side> {
    let by_bridge = member.hangup.by_bridge;
    Some(match (member.ended_by(), agent) {
        (EndedBy::FarEnd, _) | (EndedBy::Unsaid, AgentLeg::None) => Side::Member,
        (EndedBy::FreeSwitch, AgentLeg::None | AgentLeg::Standing) => Side::System,
        // The agent's leg had left the bridge; whether the agent ended it was not seen.
        (EndedBy::FreeSwitch, AgentLeg::Unseen) if by_bridge => return None,
        (EndedBy::FreeSwitch, AgentLeg::Unseen) => Side::System,
        (EndedBy::Unsaid, AgentLeg::Unseen | AgentLeg::Standing) => {
            if by_bridge {
                Side::Agent
            } else {
                Side::Member
            }
        }
        // What ended afterwards cannot have ended it.
        (EndedBy::FreeSwitch, AgentLeg::Ended(agent)) if member.at < agent.at => Side::System,
        (EndedBy::Unsaid, AgentLeg::Ended(agent)) if member.at < agent.at => {
            if by_bridge && !agent.hangup.by_bridge {
                Side::System
            } else {
                Side::Member
            }
        }
        (member_said, AgentLeg::Ended(agent)) => {
            let was_first = by_bridge || (agent.at < member.at && !agent.hangup.by_bridge);
            match (member_said, agent.ended_by()) {
                (_, EndedBy::FarEnd) => Side::Agent,
                (_, EndedBy::Unsaid) if was_first => Side::Agent,
                (EndedBy::Unsaid, _) if agent.hangup.by_bridge => Side::Member,
                (_, EndedBy::FreeSwitch | EndedBy::Unsaid) => Side::System,
            }
        }
    })
}

impl Attempt {
    /// Who ended the member's call; none while it goes on, or where that was not seen.
    pub fn hangup_side(&self) -> Option<Side> {
        call_ended_by(self.call.end.as_ref()?, self.bridged_leg())
    }

    /// Who ended the conversation, also where the member's call went on.
    pub fn talk_ended_by(&self) -> Option<Side> {
        self.bridge.as_ref()?;
        if self.was_lost() {
            return None;
        }
        if self.call.end.is_some() {
            return self.hangup_side();
        }
        let AgentLeg::Ended(agent) = self.bridged_leg() else { return Some(Side::System) };
        let was_taken_away = self.transfer_mark().is_some() || agent.hangup.by_bridge;
        let is_agent = match agent.ended_by() {
            _ if agent.hangup.by_own_transfer => true,
            _ if self.parted_at().is_some_and(|parted_at| parted_at + HANGUP_WAIT < agent.at) => false,
            EndedBy::FarEnd => true,
            EndedBy::Unsaid => !was_taken_away,
            EndedBy::FreeSwitch => false,
        };
        Some(if is_agent { Side::Agent } else { Side::System })
    }

    /// What is known of the member, to explain why an offer was cancelled.
    pub(super) fn member_fate(&self) -> MemberFate {
        if self.queue_end.as_ref().is_some_and(|end| end.call_goes_on) {
            return MemberFate::TakenAway;
        }
        if let Some(end) = &self.call.end {
            return match end.ended_by() {
                EndedBy::FarEnd | EndedBy::Unsaid => MemberFate::HungUp,
                EndedBy::FreeSwitch => MemberFate::TakenAway,
            };
        }
        match (&self.queue_end, &self.loss) {
            (None, None) => MemberFate::Waiting,
            (None, Some(loss)) => MemberFate::Gone { call_lives: loss.call_lives, until: loss.grace_until },
            (Some(QueueEnd { reason: None | Some(CancelReason::BreakOut), seen_at, .. }), _) => {
                MemberFate::Unclear { until: *seen_at + CALL_END_WAIT }
            }
            (Some(_), _) => MemberFate::TakenAway,
        }
    }

    /// Whether only the end of the agent's leg can tell who hung up.
    pub(super) fn awaits_agents_leg(&self) -> bool {
        let ended_by_member = self.call.end.as_ref().is_some_and(|end| end.ended_by() == EndedBy::FarEnd);
        !ended_by_member && matches!(self.bridged_leg(), AgentLeg::Unseen)
    }

    /// When the two were parted, or the member left, whichever came first.
    fn parted_at(&self) -> Option<Timestamp> {
        let Bridge { disconnected_at, .. } = self.bridge.as_ref()?;
        let left_at = self.queue_end.as_ref().map(|end| end.at);
        [*disconnected_at, left_at].into_iter().flatten().min()
    }

    fn bridged_leg(&self) -> AgentLeg<'_> {
        let Some(Bridge { offer, .. }) = self.bridge.as_ref() else { return AgentLeg::None };
        let offer = &self.offers[*offer];
        match offer.leg().map(|leg| leg.end.as_ref()) {
            Some(Some(end)) => AgentLeg::Ended(end),
            Some(None) if !offer.standby => AgentLeg::Unseen,
            Some(None) | None => AgentLeg::Standing,
        }
    }
}
