//! How an offer that failed ended, and why it was missed.

use jiff::{SignedDuration, Timestamp};

use super::offer::{ORIGINATOR_CANCEL, Offer, OfferState};
use crate::freeswitch::cause;
use crate::moment::value::MissedReason;

/// How long a failed offer waits for the end of its own leg, which brings the SIP status. FreeSWITCH sends both within
/// a few milliseconds, from two threads, in either order.
const LEG_END_WAIT: SignedDuration = SignedDuration::from_millis(500);

/// How long a cancelled offer waits for the event that explains the cancel (rule of `missed_reason`).
const EXPLANATION_WAIT: SignedDuration = SignedDuration::from_secs(2);

/// How long after an agent's change of status the cancel that it causes can come.
const STATUS_CANCEL_TIME: SignedDuration = SignedDuration::from_secs(1);

/// FreeSWITCH's cause for a leg whose agent was slower than another.
const LOSE_RACE: &str = "LOSE_RACE";

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
    /// Found gone from the queue; how the member left was not seen.
    Gone {
        /// Whether the call still was there.
        call_lives: bool,
        /// Until when the events that tell it may still come.
        until: Timestamp,
    },
}

impl MemberFate {
    /// Whether it is known by inference alone.
    pub fn is_inferred(self) -> bool {
        matches!(self, Self::Gone { .. })
    }
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
            MemberFate::Unclear { until } | MemberFate::Gone { until, .. } if now < until => Readiness::Until(until),
            // Whose call is gone has most likely hung up.
            MemberFate::Gone { call_lives: false, .. } => Readiness::Ready(Verdict::Missed(MissedReason::Abandoned)),
            MemberFate::Waiting if self.agent_has_just_left(*at) => {
                Readiness::Ready(Verdict::Missed(MissedReason::Withdrawn))
            }
            MemberFate::Waiting if now < explained_by => Readiness::Until(explained_by),
            MemberFate::Unclear { .. } | MemberFate::Waiting | MemberFate::Gone { .. } => {
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
            _ if matches!(fate, MemberFate::HungUp | MemberFate::Gone { call_lives: false, .. }) => {
                Verdict::Missed(MissedReason::Abandoned)
            }
            _ => Verdict::Missed(MissedReason::Withdrawn),
        }
    }

    /// Whether the agent's status explains a cancel. With ring-all mod_callcenter cancels nothing when a status changes,
    /// so a change from long before explains nothing.
    fn agent_has_just_left(&self, cancelled_at: Timestamp) -> bool {
        self.agent_left_at.is_some_and(|left_at| cancelled_at.duration_since(left_at) <= STATUS_CANCEL_TIME)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::freeswitch::channel::Hangup;
    use crate::lifecycle::leg::{Leg, LegEnd};

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
        offer.end_leg("leg", &LegEnd { at: at(1_010), answered_at: None, cause: Some("CALL_REJECTED".into()), hangup });
        let verdict = offer.verdict(MemberFate::Waiting, at(1_010));
        assert_eq!(verdict, Some(Readiness::Ready(Verdict::Missed(MissedReason::Rejected))));
        assert_eq!(offer.failure(), (Some("CALL_REJECTED".into()), Some(403)));
    }
}
