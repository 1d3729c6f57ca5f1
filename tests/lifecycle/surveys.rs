//! Surveys: when an attempt that FreeSWITCH does not have is believed to be lost, and since when.

use hookswitch::freeswitch::Snapshot;
use hookswitch::lifecycle::kept::Kept;
use hookswitch::lifecycle::survey::Differences;
use hookswitch::lifecycle::{Effects, Lifecycle};
use hookswitch::moment::EventName;
use hookswitch::moment::value::{CancelReason, CcResult, Outcome};
use jiff::{SignedDuration, Timestamp};

use crate::story::{Ended, Stay, Story, micros, snapshot};

/// The pause between routine surveys.
const PAUSE: SignedDuration = SignedDuration::from_mins(5);

/// A daemon that follows a node, surveyed once when it connected.
struct Watch {
    lifecycle: Lifecycle,
    effects: Effects,
}

impl Watch {
    fn of(story: &Story, stays: &[&Stay]) -> Self {
        let (mut lifecycle, mut effects) = (story.lifecycle(), Effects::default());
        story.play(&mut lifecycle, &mut effects);
        let mut watch = Self { lifecycle, effects };
        watch.survey(&snapshot(story, stays));
        watch
    }

    fn survey(&mut self, snapshot: &Snapshot) -> Differences {
        let open = self.lifecycle.open_attempts();
        self.lifecycle.reconcile(snapshot, &open, &mut self.effects)
    }

    fn pass(&mut self, time: SignedDuration) -> Timestamp {
        let now = self.lifecycle.now() + time;
        self.lifecycle.advance(now, &mut self.effects);
        now
    }

    /// When the one member left, and why.
    fn left(&self) -> Option<(Timestamp, Option<CancelReason>)> {
        let mut left = self.effects.moments.iter().filter(|moment| moment.payload.event == EventName::Leaving);
        let payload = &left.next()?.payload;
        assert!(left.next().is_none() && payload.synthetic);
        Some((payload.left_at.expect("has left").0, payload.cc_cancel_reason))
    }
}

#[test]
fn a_member_whom_mod_callcenter_forgot_is_lost_when_two_surveys_agree() {
    let mut story = Story::new();
    let stay = story.caller();
    let mut watch = Watch::of(&story, &[&stay]);
    let last_there = watch.pass(PAUSE);
    assert_eq!(watch.survey(&snapshot(&story, &[&stay])), Differences::default());
    watch.pass(PAUSE);
    // The channel lives, but no queue lists it any more.
    let forgotten = Snapshot { members: Vec::new(), ..snapshot(&story, &[&stay]) };
    assert_eq!(watch.survey(&forgotten), Differences { gone: 1, new: 0 });
    watch.pass(PAUSE);
    assert_eq!(watch.left(), None, "it may be there after all");
    assert_eq!(watch.survey(&forgotten), Differences::default(), "it is counted once");
    watch.pass(PAUSE);
    assert_eq!(watch.left(), Some((last_there, Some(CancelReason::Lost))));
    assert_eq!(watch.lifecycle.live(), 0);
}

#[test]
fn a_member_whom_the_next_survey_shows_was_there_all_the_time() {
    let mut story = Story::new();
    let stay = story.caller();
    let mut watch = Watch::of(&story, &[&stay]);
    for shown in [&[][..], &[&stay], &[], &[&stay]] {
        watch.pass(PAUSE);
        watch.survey(&snapshot(&story, shown));
    }
    watch.pass(PAUSE + PAUSE);
    assert_eq!((watch.left(), watch.lifecycle.live()), (None, 1));
    story.sent.clear();
    story.pass(1_800_000);
    story.give_up(&stay);
    story.play(&mut watch.lifecycle, &mut watch.effects);
    assert_eq!(watch.lifecycle.live(), 0);
}

#[test]
fn who_is_gone_after_a_gap_was_there_until_it_began() {
    let mut story = Story::new();
    let stay = story.caller();
    let mut watch = Watch::of(&story, &[&stay]);
    let cut = watch.pass(SignedDuration::from_secs(30));
    watch.lifecycle.end_connection(cut);
    watch.pass(SignedDuration::from_hours(1));
    watch.lifecycle.begin_connection();
    watch.survey(&snapshot(&story, &[]));
    watch.pass(SignedDuration::from_secs(5));
    assert_eq!(watch.left(), Some((cut, Some(CancelReason::Lost))));
}

#[test]
fn how_a_stay_ended_is_not_read_off_a_call_that_ends_in_the_next_queue_before_the_survey() {
    let mut story = Story::new();
    let stay = story.caller();
    let mut watch = Watch::of(&story, &[&stay]);
    watch.lifecycle.end_connection(watch.lifecycle.now());
    story.sent.clear();
    story.lost(|story| {
        let ring = story.talk(&stay, "agent1");
        story.set(stay.leg, "transfer_source", "1795421926:x:bl_xfer:2002/default/XML");
        story.hang_up(ring.leg, "NORMAL_CLEARING", Ended::ByFreeSwitch);
        story.join(stay.leg, "sales@default");
        story.bridge_end(&stay, &ring, true);
        story.leave(&stay, None);
        story.pass(3_000);
    });
    watch.lifecycle.begin_connection();
    story.hang_up(stay.leg, "NORMAL_CLEARING", Ended::ByPhone);
    story.play(&mut watch.lifecycle, &mut watch.effects);
    watch.survey(&snapshot(&story, &[]));
    watch.pass(SignedDuration::from_mins(1));
    assert_eq!(watch.left().map(|(_, reason)| reason), Some(Some(CancelReason::Lost)));
}

#[test]
fn who_was_connected_between_two_questions_of_a_survey_was_connected_in_this_stay() {
    let mut story = Story::new();
    let (stay, ring) = story.lost(|story| {
        let stay = story.caller();
        story.pass(2_000);
        let ring = story.offer(&stay, "agent1");
        story.pass(1_000);
        (stay, ring)
    });
    // Mod_callcenter's list still shows the member waiting, the channel's data were asked for later.
    let mut found = snapshot(&story, &[&stay]);
    found.members[0].joined_epoch = (stay.joined_at / 1_000_000).to_string().into();
    story.lost(|story| story.answer(&stay, &ring));
    found.taken_at = Some(micros(story.now()));
    found.channels.insert(story.uuid(ring.leg).as_str().into());
    let dump = story.dump(stay.leg, story.now()).expect("it is up");
    found.dumps.insert(story.uuid(stay.leg).as_str().into(), dump);
    let mut watch = Watch { lifecycle: story.lifecycle(), effects: Effects::default() };
    watch.survey(&found);
    story.pass(5_000);
    story.caller_ends(&stay, &ring);
    story.play(&mut watch.lifecycle, &mut watch.effects);
    watch.pass(SignedDuration::from_mins(1));
    let leaving = &watch.effects.moments.last().expect("it left").payload;
    assert_eq!(leaving.cc_result, Some(CcResult::Success));
}

#[test]
fn who_is_gone_when_the_daemon_comes_back_was_there_when_something_was_last_known() {
    let mut story = Story::new();
    let stay = story.caller();
    story.pass(20_000);
    story.offer(&stay, "agent1");
    let offered_at = story.now();
    let (mut before, mut effects) = (story.lifecycle(), Effects::default());
    story.play(&mut before, &mut effects);
    let (_, state) = before.state(*before.open_attempts().first().expect("is open")).expect("has a state");
    let mut watch = Watch { lifecycle: story.lifecycle(), effects: Effects::default() };
    watch.lifecycle.restore(Kept::read(&state).expect("reads back"));
    watch.lifecycle.begin_connection();
    story.sent.clear();
    story.pass(3_600_000);
    story.heartbeat();
    story.play(&mut watch.lifecycle, &mut watch.effects);
    watch.survey(&snapshot(&story, &[]));
    watch.pass(SignedDuration::from_secs(5));
    let offered_at = Timestamp::from_microsecond(offered_at).expect("in range");
    assert_eq!(watch.left(), Some((offered_at, Some(CancelReason::Lost))));
}

#[test]
fn a_conversation_that_is_lost_while_the_daemon_is_down_lasted_at_least_as_long_as_its_holds() {
    let mut story = Story::new();
    let stay = story.caller();
    let ring = story.talk(&stay, "agent1");
    story.hold(ring.leg);
    story.pass(10_000);
    story.unhold(ring.leg);
    let (mut before, mut effects) = (story.lifecycle(), Effects::default());
    story.play(&mut before, &mut effects);
    let (_, state) = before.state(*before.open_attempts().first().expect("is open")).expect("has a state");
    let mut watch = Watch { lifecycle: story.lifecycle(), effects: Effects::default() };
    watch.lifecycle.restore(Kept::read(&state).expect("reads back"));
    watch.lifecycle.begin_connection();
    watch.survey(&snapshot(&story, &[]));
    watch.pass(SignedDuration::from_secs(5));
    let leaving = &watch.effects.moments.last().expect("leaves").payload;
    assert_eq!(leaving.hold_sec.map(|hold| hold.0), Some(10.0));
    assert!(leaving.hold_sec <= leaving.call_voice_sec, "{leaving:?}");
}

#[test]
fn what_is_on_its_way_when_the_daemon_comes_back_is_waited_for() {
    let mut story = Story::new();
    let stay = story.caller();
    let (mut before, mut effects) = (story.lifecycle(), Effects::default());
    story.play(&mut before, &mut effects);
    let (_, state) = before.state(*before.open_attempts().first().expect("is open")).expect("has a state");
    let mut watch = Watch { lifecycle: story.lifecycle(), effects: Effects::default() };
    watch.lifecycle.restore(Kept::read(&state).expect("reads back"));
    watch.lifecycle.begin_connection();
    story.pass(3_600_000);
    let taken_at = Some(micros(story.now()));
    watch.survey(&Snapshot { taken_at, ..snapshot(&story, &[]) });
    story.sent.clear();
    story.give_up(&stay);
    story.play(&mut watch.lifecycle, &mut watch.effects);
    watch.pass(SignedDuration::from_mins(1));
    let leaving = &watch.effects.moments.last().expect("leaves").payload;
    assert_eq!(leaving.cc_cancel_reason, Some(CancelReason::Hangup));
}

#[test]
fn a_connection_of_which_is_heard_after_the_member_was_found_gone_was_before_that() {
    let mut story = Story::new();
    let stay = story.caller();
    let ring = story.offer(&stay, "agent1");
    story.pass(1_000);
    let mut watch = Watch::of(&story, &[&stay]);
    story.sent.clear();
    watch.lifecycle.begin_gap();
    watch.survey(&snapshot(&story, &[]));
    story.answer(&stay, &ring);
    story.play(&mut watch.lifecycle, &mut watch.effects);
    watch.pass(SignedDuration::from_mins(1));
    let leaving = &watch.effects.moments.last().expect("leaves").payload;
    assert_eq!(leaving.cc_cancel_reason, Some(CancelReason::Lost));
    assert!(leaving.bridged_at.is_some() && leaving.bridged_at <= leaving.left_at);
}

#[test]
fn who_was_connected_in_the_queue_before_is_not_in_the_next() {
    let mut story = Story::new();
    let first = story.caller();
    let ring = story.offer(&first, "agent1");
    story.pass(1_000);
    story.answer(&first, &ring);
    story.part(first.leg);
    story.hang_up(ring.leg, "NORMAL_CLEARING", Ended::ByPhone);
    story.bridge_end(&first, &ring, true);
    story.leave(&first, None);
    let next = story.join(first.leg, "sales@default");
    story.sent.clear();
    let mut watch = Watch { lifecycle: story.lifecycle(), effects: Effects::default() };
    let dump = story.dump(first.leg, story.now()).expect("it is up");
    let mut found = snapshot(&story, &[&next]);
    // The list tells whole seconds, and the connection was in the same one.
    found.members[0].joined_epoch = (next.joined_at / 1_000_000).into();
    found.dumps.insert(story.uuid(first.leg).as_str().into(), dump);
    watch.lifecycle.begin_connection();
    watch.survey(&found);
    story.pass(2_000);
    story.give_up(&next);
    story.play(&mut watch.lifecycle, &mut watch.effects);
    watch.pass(SignedDuration::from_mins(1));
    let leaving = &watch.effects.moments.last().expect("leaves").payload;
    assert_eq!((leaving.cc_cancel_reason, leaving.bridged_at), (Some(CancelReason::Hangup), None));
}

#[test]
fn an_offer_whose_end_fell_into_a_gap_is_over_with_its_legs() {
    let mut story = Story::new();
    let stay = story.caller();
    let [rings_on, gone] = ["agent1", "agent2"].map(|agent| story.offer(&stay, agent));
    let mut watch = Watch::of(&story, &[&stay]);
    story.sent.clear();
    watch.lifecycle.begin_gap();
    story.lost(|story| story.miss(&stay, &gone, "USER_BUSY", Ended::ByPhone));
    let mut found = snapshot(&story, &[&stay]);
    found.channels.insert(story.uuid(rings_on.leg).as_str().into());
    watch.survey(&found);
    story.pass(20_000);
    story.give_up(&stay);
    story.miss(&stay, &rings_on, "ORIGINATOR_CANCEL", Ended::ByFreeSwitch);
    story.play(&mut watch.lifecycle, &mut watch.effects);
    let leaving = &watch.effects.moments.last().expect("a moment").payload;
    assert_eq!(leaving.event, EventName::Leaving, "no more is waited for");
    let outcomes: Vec<_> = leaving.offers.iter().flatten().map(|offer| offer.outcome).collect();
    assert_eq!(outcomes, [Outcome::Abandoned, Outcome::Lost]);
}

#[test]
fn an_offer_to_two_phones_of_which_one_fell_silent_in_a_gap_goes_on() {
    let mut story = Story::new();
    let stay = story.caller();
    story.offering(&stay, "agent1");
    let [silent, rings_on] = [(); 2].map(|()| story.ring(&stay, "agent1"));
    let mut watch = Watch::of(&story, &[&stay]);
    story.sent.clear();
    watch.lifecycle.begin_gap();
    story.lost(|story| story.hang_up(silent.leg, "USER_BUSY", Ended::ByPhone));
    let mut found = snapshot(&story, &[&stay]);
    found.channels.insert(story.uuid(rings_on.leg).as_str().into());
    watch.survey(&found);
    story.pass(20_000);
    story.miss(&stay, &rings_on, "ALLOTTED_TIMEOUT", Ended::ByFreeSwitch);
    story.give_up(&stay);
    story.play(&mut watch.lifecycle, &mut watch.effects);
    watch.pass(SignedDuration::from_mins(1));
    let leaving = &watch.effects.moments.last().expect("a moment").payload;
    let outcomes: Vec<_> = leaving.offers.iter().flatten().map(|offer| offer.outcome).collect();
    assert_eq!(outcomes, [Outcome::NoAnswer]);
}
