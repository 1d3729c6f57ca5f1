//! One offering of an attempt to one agent.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::attempt::Loss;
use crate::freeswitch::cause;
use crate::freeswitch::channel::{ChannelData, Hangup};
use crate::freeswitch::header as h;
use crate::id::{AgentName, ChannelUuid};
use crate::moment::value::{MissedReason, OfferSummary, Outcome, Seconds};

/// How long a failed offer waits for the end of its own leg, which brings the SIP status. FreeSWITCH sends both within
/// a few milliseconds, from two threads, in either order.
const LEG_END_WAIT: SignedDuration = SignedDuration::from_millis(500);

/// How long a cancelled offer waits for the event that explains the cancel (rule of `missed_reason`).
const EXPLANATION_WAIT: SignedDuration = SignedDuration::from_secs(2);

/// How long after an agent's change of status the cancel that it causes can come.
const STATUS_CANCEL_TIME: SignedDuration = SignedDuration::from_secs(1);

/// FreeSWITCH's cause for a leg that it gave up itself, before it says why.
const ORIGINATOR_CANCEL: &str = "ORIGINATOR_CANCEL";

/// FreeSWITCH's cause for a leg whose agent was slower than another.
const LOSE_RACE: &str = "LOSE_RACE";

/// An offer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Offer {
    /// The agent.
    pub agent: AgentName,
    /// 0 for the attempt's first offer to this agent, then counting up.
    pub ordinal: u32,
    /// Whether the agent is on a standing call, so that no leg of its own rings.
    pub standby: bool,
    /// Whether it was inferred from what followed: its `agent-offering` was lost, or has been overtaken.
    pub inferred: bool,
    /// When the agent was called.
    pub offered_at: Timestamp,
    /// Whether `offering` was sent.
    pub announced: bool,
    /// The legs on which the agent is called: one for each device.
    pub legs: Vec<Leg>,
    /// When the agent answered.
    pub answered_at: Option<Timestamp>,
    /// When the agent's status last changed to one in which mod_callcenter takes offers back.
    pub agent_left_at: Option<Timestamp>,
    /// What the agent's leg said of the agent.
    pub identity: LegIdentity,
    /// Where the offer stands.
    pub state: OfferState,
}

/// Where an offer stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum OfferState {
    /// The agent is being called, or has answered.
    Open,
    /// Agent and member are connected.
    Bridged,
    /// The agent was not reached; what it means is not known yet.
    Failing {
        /// The result of calling the agent.
        cause: String,
        /// When it failed.
        at: Timestamp,
        /// The node's clock when that was seen: waits are measured from there, because events can be late.
        seen_at: Timestamp,
    },
    /// It is over.
    Closed {
        /// How it ended.
        outcome: Outcome,
        /// When it ended.
        at: Timestamp,
    },
}

/// A leg on which an agent is called.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leg {
    /// Its channel.
    pub channel: ChannelUuid,
    /// How it ended, once it has.
    pub end: Option<LegEnd>,
    /// That it was found gone.
    #[serde(default)]
    pub loss: Option<Loss>,
}

impl Leg {
    /// A leg that lives.
    pub fn new(channel: ChannelUuid) -> Self {
        Self { channel, end: None, loss: None }
    }
}

/// How a leg ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LegEnd {
    /// When.
    pub at: Timestamp,
    /// FreeSWITCH's cause.
    pub cause: Option<String>,
    /// Who ended it, and its SIP status.
    pub hangup: Hangup,
}

/// A leg that was seen before the offer that it was made for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct UnclaimedLeg {
    /// The agent who is called on it.
    pub agent: AgentName,
    /// The leg.
    pub leg: Leg,
    /// What it says of the agent.
    pub identity: LegIdentity,
}

/// Who the agent is, as far as the leg tells.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LegIdentity {
    /// The variable `cc_agent_id`.
    pub agent_id: Option<i64>,
    /// The variable `cc_user_id`.
    pub user_id: Option<i64>,
    /// The user that was dialled.
    pub dialled: Option<String>,
}

impl LegIdentity {
    /// Takes what the leg's channel data say.
    pub fn absorb(&mut self, data: ChannelData<'_>) {
        let number = |name| data.header(name)?.parse().ok();
        self.agent_id = number(h::CC_AGENT_ID).or(self.agent_id);
        self.user_id = number(h::CC_USER_ID).or(self.user_id);
        if self.dialled.is_none() && !data.is_inbound() {
            self.dialled = data.header(h::CALLER_DESTINATION_NUMBER).map(|text| text.into_owned());
        }
    }
}

/// What is known of the member when an offer is cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemberFate {
    /// Still waiting, as far as is known.
    Waiting,
    /// Leaving the queue, and it is not known yet who ended the call; known by then at the latest.
    Unclear {
        /// When waiting for it ends.
        until: Timestamp,
    },
    /// The member hung up.
    HungUp,
    /// Taken out of the queue, or ended by FreeSWITCH.
    TakenAway,
}

/// Whether something can be decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness<T> {
    /// It can: this is it.
    Ready(T),
    /// Not before more is known, or this time has come.
    Until(Timestamp),
}

impl Offer {
    /// An offer that has just been made.
    pub fn new(agent: AgentName, ordinal: u32, standby: bool, offered_at: Timestamp) -> Self {
        Self {
            agent,
            ordinal,
            standby,
            inferred: false,
            offered_at,
            announced: false,
            // Most agents have one device; a vector that grows by itself would begin with room for four.
            legs: Vec::with_capacity(1),
            answered_at: None,
            agent_left_at: None,
            identity: LegIdentity::default(),
            state: OfferState::Open,
        }
    }

    /// Whether it is not over yet.
    pub fn is_open(&self) -> bool {
        !matches!(self.state, OfferState::Closed { .. })
    }

    /// The leg that stands for the offer: the one that was connected, else the first.
    pub fn leg(&self) -> Option<&Leg> {
        self.legs.first()
    }

    /// That the offer was found gone: no leg of it lives, and how the last of them ended was not seen.
    pub fn loss(&self) -> Option<&Loss> {
        let is_settling = matches!(self.state, OfferState::Failing { .. } | OfferState::Closed { .. });
        if is_settling || self.legs.iter().any(|leg| leg.end.is_none() && leg.loss.is_none()) {
            return None;
        }
        let unseen = self.legs.iter().filter(|leg| leg.end.is_none()).filter_map(|leg| leg.loss.as_ref());
        let seen_until = self.last_leg_end().map(|end| end.at);
        unseen.max_by_key(|loss| loss.at).filter(|loss| seen_until.is_none_or(|seen_until| seen_until <= loss.at))
    }

    /// How the offer's legs ended, as far as that is known: as the last of them.
    pub fn last_leg_end(&self) -> Option<&LegEnd> {
        self.legs.iter().filter_map(|leg| leg.end.as_ref()).max_by_key(|end| end.at)
    }

    /// Whether the channel is one of its legs.
    pub fn has_leg(&self, channel: &str) -> bool {
        self.legs.iter().any(|leg| leg.channel.as_str() == channel)
    }

    /// Whether something that happened then, to an offer of this agent, happened to one that is over, or to this one
    /// although it is: what tells of an offer can be overtaken by its end.
    pub fn is_past(&self, at: Timestamp) -> bool {
        let ended_by_then = match &self.state {
            // Of who has answered and lost the race, the leg may stay up.
            OfferState::Closed { outcome: Outcome::LostRace, .. } if self.answered_at.is_some() => true,
            OfferState::Closed { at: closed_at, .. } => at <= *closed_at,
            OfferState::Open | OfferState::Bridged | OfferState::Failing { .. } => false,
        };
        at < self.offered_at || ended_by_then
    }

    /// Adds a leg, if it is not among them.
    pub fn add_leg(&mut self, leg: Leg) {
        if !self.has_leg(leg.channel.as_str()) {
            self.legs.push(leg);
        }
    }

    /// Makes the leg the one that stands for the offer: mod_callcenter says that it is the one it will connect.
    pub fn choose_leg(&mut self, channel: ChannelUuid) {
        let leg = match self.legs.iter().position(|leg| leg.channel == channel) {
            Some(place) => self.legs.remove(place),
            None => Leg::new(channel),
        };
        self.legs.insert(0, leg);
    }

    /// Keeps how a leg ended.
    pub fn end_leg(&mut self, channel: &str, end: &LegEnd) {
        if let Some(leg) = self.legs.iter_mut().find(|leg| leg.channel.as_str() == channel) {
            leg.end = Some(end.clone());
        }
    }

    /// Closes the offer.
    pub fn close(&mut self, outcome: Outcome, at: Timestamp) {
        self.state = OfferState::Closed { outcome, at };
    }

    /// How long it rang, up to `now` where it still does.
    pub fn ring(&self, now: Timestamp) -> Seconds {
        let end = match (&self.answered_at, &self.state) {
            (Some(at), _) => *at,
            (None, OfferState::Failing { at, .. } | OfferState::Closed { at, .. }) => *at,
            (None, OfferState::Open | OfferState::Bridged) => now,
        };
        Seconds::between(self.offered_at, end)
    }

    /// What `leaving` tells of it.
    pub fn summary(&self, now: Timestamp) -> OfferSummary {
        let outcome = match &self.state {
            OfferState::Closed { outcome, .. } => *outcome,
            OfferState::Bridged => Outcome::Bridged,
            OfferState::Open | OfferState::Failing { .. } => Outcome::Lost,
        };
        OfferSummary { agent: self.agent.clone(), outcome, ring_sec: self.ring(now) }
    }

    /// FreeSWITCH's cause and the SIP status of an offer that failed.
    pub fn failure(&self) -> (Option<String>, Option<u16>) {
        let cause = match &self.state {
            OfferState::Failing { cause, .. } => Some(cause.clone()),
            _ => self.last_leg_end().and_then(|end| end.cause.clone()),
        };
        let told = self.legs.iter().rev().filter_map(|leg| leg.end.as_ref()).find_map(|end| end.hangup.sip_status);
        let status = told.or_else(|| cause.as_deref().map(cause::sip_status));
        (cause, status)
    }

    /// How a failing offer ended, and why it was missed; none for one that is not failing.
    pub fn verdict(&self, fate: MemberFate, now: Timestamp) -> Option<Readiness<Verdict>> {
        let OfferState::Failing { cause, at, seen_at } = &self.state else { return None };
        if cause == LOSE_RACE {
            return Some(Readiness::Ready(Verdict::LostRace));
        }
        if self.answered_at.is_some() {
            return Some(Readiness::Ready(Verdict::AnsweredInVain));
        }
        let legs_end = *seen_at + LEG_END_WAIT;
        if self.legs.iter().any(|leg| leg.end.is_none()) && now < legs_end {
            return Some(Readiness::Until(legs_end));
        }
        if cause != ORIGINATOR_CANCEL {
            return Some(Readiness::Ready(Verdict::Missed(cause::missed_reason(cause))));
        }
        let explained_by = *seen_at + EXPLANATION_WAIT;
        Some(match fate {
            MemberFate::HungUp => Readiness::Ready(Verdict::Missed(MissedReason::Abandoned)),
            MemberFate::TakenAway => Readiness::Ready(Verdict::Missed(MissedReason::Withdrawn)),
            MemberFate::Unclear { until } if now < until => Readiness::Until(until),
            MemberFate::Waiting if self.agent_has_just_left(*at) => {
                Readiness::Ready(Verdict::Missed(MissedReason::Withdrawn))
            }
            MemberFate::Waiting if now < explained_by => Readiness::Until(explained_by),
            MemberFate::Unclear { .. } | MemberFate::Waiting => {
                Readiness::Ready(Verdict::Missed(MissedReason::Withdrawn))
            }
        })
    }

    /// How it ended, where nothing more can come: by what FreeSWITCH said of it, else by its leg's end.
    pub fn final_verdict(&self, fate: MemberFate) -> Verdict {
        if let Some(Readiness::Ready(verdict)) = self.verdict(fate, Timestamp::MAX) {
            return verdict;
        }
        match self.last_leg_end().and_then(|end| end.cause.as_deref()) {
            _ if self.answered_at.is_some() => Verdict::AnsweredInVain,
            Some(LOSE_RACE) => Verdict::LostRace,
            Some(cause) if cause != ORIGINATOR_CANCEL => Verdict::Missed(cause::missed_reason(cause)),
            _ if fate == MemberFate::HungUp => Verdict::Missed(MissedReason::Abandoned),
            _ => Verdict::Missed(MissedReason::Withdrawn),
        }
    }

    /// Whether the agent's status explains a cancel. With ring-all mod_callcenter cancels nothing when a status changes,
    /// so a change from long before explains nothing.
    fn agent_has_just_left(&self, cancelled_at: Timestamp) -> bool {
        self.agent_left_at.is_some_and(|left_at| cancelled_at.duration_since(left_at) <= STATUS_CANCEL_TIME)
    }
}

/// How a failing offer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Another agent was faster.
    LostRace,
    /// The agent answered and was never connected.
    AnsweredInVain,
    /// The agent did not answer.
    Missed(MissedReason),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millisecond(millis).expect("in range")
    }

    fn failing(cause: &str) -> Offer {
        let mut offer = Offer::new("1000".into(), 0, false, at(0));
        offer.state = OfferState::Failing { cause: cause.into(), at: at(1_000), seen_at: at(1_000) };
        offer
    }

    #[test]
    fn a_cancel_is_explained_by_what_follows_it() {
        let offer = failing("ORIGINATOR_CANCEL");
        let missed = |reason| Some(Readiness::Ready(Verdict::Missed(reason)));
        assert_eq!(offer.verdict(MemberFate::Waiting, at(1_000)), Some(Readiness::Until(at(3_000))));
        assert_eq!(offer.verdict(MemberFate::HungUp, at(1_000)), missed(MissedReason::Abandoned));
        assert_eq!(offer.verdict(MemberFate::TakenAway, at(1_000)), missed(MissedReason::Withdrawn));
        assert_eq!(offer.verdict(MemberFate::Waiting, at(3_000)), missed(MissedReason::Withdrawn));
    }

    #[test]
    fn an_agent_on_break_withdraws_the_offer() {
        let mut offer = failing("ORIGINATOR_CANCEL");
        offer.agent_left_at = Some(at(990));
        let verdict = offer.verdict(MemberFate::Waiting, at(1_000));
        assert_eq!(verdict, Some(Readiness::Ready(Verdict::Missed(MissedReason::Withdrawn))));
    }

    #[test]
    fn a_change_of_status_long_before_explains_no_cancel() {
        let mut offer = failing("ORIGINATOR_CANCEL");
        offer.offered_at = at(-9_000);
        offer.agent_left_at = Some(at(-5_000));
        assert_eq!(offer.verdict(MemberFate::Waiting, at(1_000)), Some(Readiness::Until(at(3_000))));
    }

    #[test]
    fn a_failed_offer_waits_for_its_legs_sip_status() {
        let mut offer = failing("CALL_REJECTED");
        offer.add_leg(Leg::new("leg".into()));
        assert_eq!(offer.verdict(MemberFate::Waiting, at(1_000)), Some(Readiness::Until(at(1_500))));
        let hangup = Hangup { sip_status: Some(403), ..Hangup::default() };
        offer.end_leg("leg", &LegEnd { at: at(1_010), cause: Some("CALL_REJECTED".into()), hangup });
        let verdict = offer.verdict(MemberFate::Waiting, at(1_010));
        assert_eq!(verdict, Some(Readiness::Ready(Verdict::Missed(MissedReason::Rejected))));
        assert_eq!(offer.failure(), (Some("CALL_REJECTED".into()), Some(403)));
    }
}
