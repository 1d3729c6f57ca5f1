//! A FreeSWITCH's clock that is set: noticed by its events, and followed by what is known of its attempts.
//!
//! Within one process the number of an event says which came later. An event that is later and bears an earlier time tells
//! that the clock was set back, by about the difference; all times that are known of the node's attempts are moved by it,
//! deadlines too, so that spans stay as long as they were. A new process begins a new clock. Of a clock that is set ahead
//! the events alone tell nothing: time may have passed as well.

use jiff::{SignedDuration, Timestamp};

use super::agents::Agents;
use super::attempt::{Attempt, Call, Loss, QueueEnd};
use super::bridge::Bridge;
use super::leg::{Leg, LegEnd, Progress};
use super::machine::{Effects, Lifecycle};
use super::node::Node;
use super::offer::{Offer, OfferState};
use crate::moment::value::Source;

/// A difference up to which a later event's earlier time is no sign of a clock that was set: threads of FreeSWITCH number and
/// date their events one after the other, and may be interrupted in between. In recordings, overloaded ones among them, it is
/// below 50 ms.
const TOLERANCE: SignedDuration = SignedDuration::from_millis(250);

/// The same for the first event that is heard of a process that ran before: under load it can be sent late, by 7.7 s at most
/// as far as was seen, and its number tells nothing yet.
const LATENESS: SignedDuration = SignedDuration::from_secs(30);

/// The clock of one process, as its events show it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct EventClock {
    /// The event with the highest number, and its time.
    latest: Option<(u64, Timestamp)>,
    /// Whether the clock was set back.
    was_set: bool,
    /// Whether the process has begun just now.
    is_new: bool,
}

impl EventClock {
    /// The clock of a process that has taken another one's place.
    pub(super) fn of_new_process() -> Self {
        Self { is_new: true, ..Self::default() }
    }

    /// Reads the time of an event, the node being known to have had the time `now`: gives when the event happened by the
    /// present clock, and by how much the clock was set back just before, if it was.
    pub(super) fn read(
        &mut self,
        sequence: Option<u64>,
        at: Timestamp,
        now: Timestamp,
    ) -> (Timestamp, Option<SignedDuration>) {
        let Some(sequence) = sequence else { return (at, None) };
        let (number, latest) = self.latest.unwrap_or((0, now));
        if sequence <= number && self.latest.is_some() {
            // What was sent before is not later, whatever the clock showed then.
            return (if self.was_set { at.min(latest) } else { at }, None);
        }
        let tolerance = if self.latest.is_some() || self.is_new { TOLERANCE } else { LATENESS };
        if at + tolerance < latest {
            *self = Self { latest: Some((sequence, at)), was_set: true, is_new: false };
            return (at, Some(at.duration_since(latest)));
        }
        self.latest = Some((sequence, at));
        (at, None)
    }
}

/// Times that follow a clock that was set.
pub(super) trait FollowClock {
    /// Moves every time in it by as much as the clock was set.
    fn follow_clock(&mut self, step: SignedDuration);
}

impl FollowClock for Timestamp {
    fn follow_clock(&mut self, step: SignedDuration) {
        *self = self.saturating_add(step).unwrap_or(*self);
    }
}

impl<T: FollowClock> FollowClock for Option<T> {
    fn follow_clock(&mut self, step: SignedDuration) {
        self.iter_mut().for_each(|value| value.follow_clock(step));
    }
}

impl<T: FollowClock> FollowClock for Vec<T> {
    fn follow_clock(&mut self, step: SignedDuration) {
        self.iter_mut().for_each(|value| value.follow_clock(step));
    }
}

impl<T: FollowClock> FollowClock for Box<T> {
    fn follow_clock(&mut self, step: SignedDuration) {
        (**self).follow_clock(step);
    }
}

/// Follows the clock with each of these.
macro_rules! follow {
    ($step:expr, $($time:expr),+ $(,)?) => {{ $( ($time).follow_clock($step); )+ }};
}

impl FollowClock for LegEnd {
    fn follow_clock(&mut self, step: SignedDuration) {
        follow!(step, self.at, self.answered_at);
    }
}

impl FollowClock for Loss {
    fn follow_clock(&mut self, step: SignedDuration) {
        follow!(step, self.at, self.grace_until, self.over_by);
    }
}

impl FollowClock for Leg {
    fn follow_clock(&mut self, step: SignedDuration) {
        follow!(step, self.end, self.loss);
        if let Progress::Ringing { since } = &mut self.progress {
            since.follow_clock(step);
        }
    }
}

impl FollowClock for Offer {
    fn follow_clock(&mut self, step: SignedDuration) {
        follow!(step, self.offered_at, self.answered_at, self.agent_left_at, self.legs);
        match &mut self.state {
            OfferState::Open | OfferState::Bridged => {}
            OfferState::Failing { at, seen_at, .. } => follow!(step, at, seen_at),
            OfferState::Closed { at, .. } => at.follow_clock(step),
        }
    }
}

impl FollowClock for Bridge {
    fn follow_clock(&mut self, step: SignedDuration) {
        follow!(step, self.at, self.agent_done_at, self.disconnected_at, self.hold);
    }
}

impl FollowClock for QueueEnd {
    fn follow_clock(&mut self, step: SignedDuration) {
        follow!(step, self.at, self.seen_at, self.call_end);
    }
}

impl FollowClock for Call {
    fn follow_clock(&mut self, step: SignedDuration) {
        follow!(step, self.rang_at, self.connected_at, self.created_at, self.answered_at);
        follow!(step, self.bridged_before, self.end, self.end_seen_at, self.left_queue);
    }
}

impl FollowClock for Attempt {
    fn follow_clock(&mut self, step: SignedDuration) {
        follow!(step, self.member.first_joined_at, self.call, self.joined_at, self.offers, self.bridge);
        follow!(step, self.queue_end, self.loss);
        for unclaimed in &mut self.unclaimed_legs {
            follow!(step, unclaimed.created_at, unclaimed.leg);
        }
        if let Some(wrap_up) = &mut self.wrap_up {
            follow!(step, wrap_up.since, wrap_up.due);
        }
        self.dirty = true;
    }
}

impl Lifecycle {
    /// The clock of the node at hand was set by `step`, so that it shows `at` now.
    pub(super) fn set_clock_of_node(&mut self, step: SignedDuration, at: Timestamp, effects: &mut Effects) {
        let Self { here, attempts, agents, .. } = self;
        follow_with_node(here, agents, step, at);
        let mut hashes = Vec::new();
        for (hash, held) in attempts.all_held_mut().filter(|(_, held)| held.attempt.node == here.name) {
            if held.attempt.is_told() {
                held.attempt.follow_wall_clock(step);
            } else {
                held.attempt.follow_clock(step);
            }
            held.deadline.follow_clock(step);
            here.deadlines.extend(held.deadline.map(|at| (at, hash)));
            hashes.push((held.attempt.joined_at, hash));
        }
        self.recount();
        hashes.sort_unstable();
        for (_, hash) in hashes {
            self.with_attempt(hash, at, &Source::default(), effects, |_, _| {});
        }
    }
}

fn follow_with_node(node: &mut Node, agents: &mut Agents, step: SignedDuration, at: Timestamp) {
    node.follow_clock(step);
    node.now = at;
    agents.not_after(at);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millisecond(1_000_000 + millis).expect("in range")
    }

    #[test]
    fn a_later_event_with_an_earlier_time_tells_of_a_clock_that_was_set_back() {
        let mut clock = EventClock::default();
        assert_eq!(clock.read(Some(1), at(0), Timestamp::UNIX_EPOCH), (at(0), None));
        assert_eq!(clock.read(Some(3), at(60_000), at(0)), (at(60_000), None), "time has passed");
        assert_eq!(clock.read(Some(2), at(30_000), at(60_000)), (at(30_000), None), "a late event");
        assert_eq!(clock.read(Some(4), at(59_950), at(60_000)), (at(59_950), None), "threads");
        let step = SignedDuration::from_millis(-49_950);
        assert_eq!(clock.read(Some(7), at(10_000), at(60_000)), (at(10_000), Some(step)));
        assert_eq!(clock.read(Some(6), at(60_000), at(10_000)), (at(10_000), None), "a late event of before");
        assert_eq!(clock.read(Some(8), at(10_020), at(10_000)), (at(10_020), None));
    }

    #[test]
    fn the_first_event_of_a_process_shows_its_clock() {
        let mut clock = EventClock::default();
        let step = SignedDuration::from_millis(-3_600_000);
        assert_eq!(clock.read(Some(900), at(0), at(3_600_000)), (at(0), Some(step)));
        assert_eq!(EventClock::default().read(Some(900), at(0), at(8_000)), (at(0), None), "it may be late");
        let step = SignedDuration::from_millis(-8_000);
        assert_eq!(EventClock::of_new_process().read(Some(9), at(0), at(8_000)), (at(0), Some(step)));
        assert_eq!(EventClock::default().read(None, at(0), at(3_600_000)), (at(0), None), "what has no number");
    }
}
