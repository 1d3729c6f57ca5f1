//! The time that a conversation spends on hold.
//!
//! FreeSWITCH takes a leg that is hung up off hold first, by an event that says no more than that. So an end of a hold is told
//! only when the conversation has gone on for a moment: a hold that ends with the conversation has no `unhold`.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::attempt::Attempt;
use super::bridge::Bridge;
use super::clock::FollowClock;
use super::world::Occasion;
use crate::moment::EventName;
use crate::moment::value::{Seconds, Side, Source};

/// How long after a hold the conversation has to go on. FreeSWITCH tells of a hangup, and of its consequences for the other
/// leg, within some 20 ms ticks of its clock.
const UNHOLD_WAIT: SignedDuration = SignedDuration::from_millis(300);

/// The time that a conversation spends on hold.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Hold {
    /// How often it was put on hold.
    pub count: u32,
    /// The holds that are over, in microseconds.
    pub done_micros: i64,
    /// Since when it is on hold.
    pub since: Option<Timestamp>,
    /// Who holds it: it goes on when nobody does.
    #[serde(default)]
    pub held_by: Vec<Side>,
    /// When it was last taken off hold by anybody: what happened before comes late.
    #[serde(default)]
    pub released_at: Option<Timestamp>,
    /// That nobody holds it any more, which is told when the conversation goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    release: Option<Box<Release>>,
}

/// How a hold ended.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Release {
    side: Side,
    at: Timestamp,
    source: Source,
}

impl Hold {
    /// One side holds it; gives whether it is on hold only since then.
    fn hold(&mut self, side: Side, at: Timestamp) -> bool {
        let is_late = self.released_at.is_some_and(|released_at| at < released_at);
        if is_late || self.held_by.contains(&side) {
            return false;
        }
        self.held_by.push(side);
        if self.since.is_some() {
            return false;
        }
        self.since = Some(at);
        self.count += 1;
        true
    }

    /// One side does not hold it any more.
    fn release(&mut self, side: Side, at: Timestamp, source: &Source) {
        self.released_at = self.released_at.max(Some(at));
        self.held_by.retain(|holder| *holder != side);
        if self.since.is_some() && self.held_by.is_empty() && self.release.is_none() {
            self.release = Some(Box::new(Release { side, at, source: source.clone() }));
        }
    }

    /// Times at which something of it was seen; of holds that are over, one by which they can have been at the earliest.
    pub(super) fn facts_at(&self, talks_since: Timestamp) -> impl Iterator<Item = Timestamp> + use<> {
        let done = talks_since.checked_add(SignedDuration::from_micros(self.done_micros)).ok();
        [done, self.since, self.release.as_ref().map(|release| release.at)].into_iter().flatten()
    }

    /// It is over, whoever holds it.
    pub(super) fn end(&mut self, at: Timestamp) {
        self.held_by.clear();
        if let Some(since) = self.since.take() {
            self.done_micros += (at.as_microsecond() - since.as_microsecond()).max(0);
        }
    }
}

impl FollowClock for Hold {
    fn follow_clock(&mut self, step: SignedDuration) {
        self.since.follow_clock(step);
        self.released_at.follow_clock(step);
        if let Some(release) = &mut self.release {
            release.at.follow_clock(step);
        }
    }
}

impl Attempt {
    /// Either leg of the connected pair was put on hold, or taken off it.
    pub fn hold(&mut self, occasion: &mut Occasion<'_>, channel: &str, on: bool) {
        let at = occasion.at;
        let is_of_pair = self.is_of_pair(channel) && self.ended_at().is_none_or(|ended_at| at <= ended_at);
        let is_members = self.channel().is_some_and(|own| own.as_str() == channel);
        let side = if is_members { Side::Member } else { Side::Agent };
        let is_connected = |bridge: &Bridge| bridge.disconnected_at.is_none() && bridge.at <= at;
        if !is_of_pair || !self.bridge.as_ref().is_some_and(is_connected) {
            return;
        }
        self.dirty = true;
        if on {
            // Whoever holds it anew shows that it went on.
            self.tell_unhold(occasion);
        }
        let Some(bridge) = &mut self.bridge else { return };
        let offer = Some(bridge.offer);
        if !on {
            bridge.hold.release(side, at, occasion.source);
        } else if bridge.hold.hold(side, at) {
            self.tell_with(occasion, EventName::Hold, offer, at, false, |_, payload| payload.hold_side = Some(side));
        }
    }

    /// Tells that a hold is over, once the conversation has gone on; returns when that is to be seen.
    pub(super) fn settle_hold(&mut self, occasion: &mut Occasion<'_>) -> Option<Timestamp> {
        let released_at = self.bridge.as_ref()?.hold.release.as_ref()?.at;
        let due = released_at + UNHOLD_WAIT;
        match self.talk_ended_at() {
            Some(ended_at) if ended_at < due => {
                let hold = &mut self.bridge.as_mut()?.hold;
                hold.release = None;
                hold.end(ended_at);
                self.dirty = true;
                None
            }
            None if occasion.now < due => Some(due),
            Some(_) | None => {
                self.tell_unhold(occasion);
                None
            }
        }
    }

    fn tell_unhold(&mut self, occasion: &mut Occasion<'_>) {
        let Some(Bridge { offer, hold, .. }) = &mut self.bridge else { return };
        let (Some(release), offer) = (hold.release.take(), Some(*offer)) else { return };
        let Release { side, at, source } = *release;
        self.dirty = true;
        let Some(since) = hold.since else { return };
        hold.end(at);
        let Occasion { world, hash, now, known_until, moments, .. } = occasion;
        let mut then =
            Occasion { world, hash: *hash, at, now: *now, known_until: *known_until, source: &source, moments };
        self.tell_with(&mut then, EventName::Unhold, offer, at, false, |_, payload| {
            payload.hold_side = Some(side);
            payload.lasted_sec = Some(Seconds::between(since, at));
        });
    }

    /// The first sign that the conversation is over, if there is one.
    fn talk_ended_at(&self) -> Option<Timestamp> {
        let bridge = self.bridge.as_ref()?;
        let agents = self.offers[bridge.offer].leg().and_then(|leg| leg.end.as_ref());
        let legs = [self.call.end.as_ref(), agents].into_iter().flatten().map(|end| end.at);
        let left_at = self.queue_end.as_ref().map(|end| end.at);
        legs.chain(left_at).chain(bridge.agent_done_at).chain(bridge.disconnected_at).min()
    }
}
