//! Events of an attempt beyond the eight: ends of offers, holds, transfers, resumptions, and who hears of them.

use hookswitch::moment::EventName;
use hookswitch::moment::value::{CcResult, Outcome, Seconds, Side};

use crate::story::{Ended, Story};

#[test]
fn every_offer_has_one_end() {
    let mut story = Story::heard("");
    let stay = story.caller();
    let busy = story.offer(&stay, "agent1");
    story.pass(500);
    story.miss(&stay, &busy, "USER_BUSY", Ended::ByPhone);
    let loser = story.offer(&stay, "agent2");
    let ring = story.offer(&stay, "agent1");
    story.pass(1_000);
    story.answer(&stay, &ring);
    story.miss(&stay, &loser, "LOSE_RACE", Ended::ByFreeSwitch);
    story.pass(5_000);
    story.caller_ends(&stay, &ring);
    let told = story.told();
    assert_eq!(
        told.beyond()[..3],
        ["offer_ended agent1 busy", "offer_ended agent2 lost_race", "offer_ended agent1 bridged"]
    );
    let ends = told.all(EventName::OfferEnded);
    assert_eq!((ends[0].ring_sec, ends[0].agent_cause.as_deref()), (Some(Seconds(0.5)), Some("USER_BUSY")));
    assert_eq!(
        told.payloads.iter().map(|payload| payload.id).collect::<std::collections::BTreeSet<_>>().len(),
        told.payloads.len()
    );
    let hooks = told.hooks();
    let place = |words: &str| hooks.iter().position(|hook| hook.starts_with(words)).expect("told");
    assert!(place("missed agent1") < place("offer_ended agent1"), "what closes a screen pop comes last: {hooks:?}");
}

#[test]
fn an_offer_that_nobody_saw_the_end_of_ends_all_the_same() {
    let mut story = Story::heard("");
    let stay = story.caller();
    story.offer(&stay, "agent1");
    story.pass(3_000);
    story.lost(|story| story.status("agent1", "x"));
    story.give_up(&stay);
    let told = story.told();
    let end = told.only(EventName::OfferEnded);
    assert_eq!((end.offer_outcome, end.synthetic), (Some(Outcome::Abandoned), true));
}

#[test]
fn a_conversation_is_on_hold_as_long_as_anybody_holds_it() {
    let mut story = Story::heard("");
    let stay = story.caller();
    let ring = story.talk(&stay, "agent1");
    story.hold(ring.leg);
    story.pass(2_000);
    story.hold(stay.leg);
    story.pass(2_000);
    story.unhold(ring.leg);
    story.pass(2_000);
    story.unhold(stay.leg);
    story.pass(1_000);
    story.hold(stay.leg);
    story.pass(3_000);
    story.caller_ends(&stay, &ring);
    let told = story.told();
    assert_eq!(told.beyond()[..3], ["hold agent", "unhold member", "hold member"]);
    let unhold = told.only(EventName::Unhold);
    assert_eq!(
        (unhold.lasted_sec, unhold.hold_sec, unhold.hold_side),
        (Some(Seconds(6.0)), Some(Seconds(6.0)), Some(Side::Member))
    );
    let holds = told.all(EventName::Hold);
    assert_eq!((holds[0].hold_count, holds[1].hold_count), (Some(1), Some(2)));
    assert_ne!(holds[0].id, holds[1].id);
    assert_eq!((told.leaving().hold_count, told.leaving().hold_sec), (Some(2), Some(Seconds(9.0))));
}

#[test]
fn a_hold_that_comes_after_its_end_is_none() {
    let mut story = Story::heard("");
    let stay = story.caller();
    let ring = story.talk(&stay, "agent1");
    story.late(3_000, |story| story.hold(ring.leg));
    story.pass(1_000);
    story.unhold(ring.leg);
    story.pass(5_000);
    story.caller_ends(&stay, &ring);
    let told = story.told();
    assert!(told.all(EventName::Hold).is_empty() && told.all(EventName::Unhold).is_empty());
    assert_eq!((told.leaving().hold_count, told.leaving().hold_sec), (Some(0), Some(Seconds(0.0))));
}

#[test]
fn a_consultation_is_no_hold_and_one_that_is_given_up_lets_holds_count_again() {
    let mut story = Story::heard("");
    let stay = story.caller();
    let ring = story.talk(&stay, "agent1");
    story.part(stay.leg);
    let expert = story.dial("agent1", "3000");
    story.pick_up(expert);
    story.connect(ring.leg, expert);
    story.hold(expert);
    story.hold(ring.leg);
    story.pass(2_000);
    story.unhold(ring.leg);
    story.hang_up(expert, "NORMAL_CLEARING", Ended::ByPhone);
    story.bridge(&stay, &ring);
    assert!(story.told().all(EventName::Hold).is_empty());
    story.pass(1_000);
    story.hold(stay.leg);
    story.pass(1_000);
    story.unhold(stay.leg);
    story.pass(1_000);
    story.caller_ends(&stay, &ring);
    assert_eq!(story.told().only(EventName::Unhold).lasted_sec, Some(Seconds(1.0)));
}

#[test]
fn a_transfer_and_an_abandonment_are_told_with_all_that_leaving_tells() {
    let mut story = Story::heard("");
    let stay = story.caller();
    story.set(stay.leg, "transfer_source", "1795421926:x:bl_xfer:3000/default/XML");
    story.leave(&stay, Some("BREAK_OUT"));
    let told = story.told();
    let (leaving, transferred) = (told.leaving(), told.only(EventName::Transferred));
    assert_eq!(transferred.transferred_to.as_deref(), Some("3000"));
    assert_eq!((transferred.sequence, transferred.cc_result), (leaving.sequence, leaving.cc_result));
    assert_ne!(transferred.id, leaving.id);

    let mut story = Story::heard("");
    let stay = story.caller();
    story.give_up(&stay);
    let told = story.told();
    let mut abandoned = told.only(EventName::Abandoned).clone();
    assert_eq!(abandoned.cc_result, Some(CcResult::Abandoned));
    (abandoned.id, abandoned.event) = (told.leaving().id, EventName::Leaving);
    assert_eq!(&abandoned, told.leaving());
}

#[test]
fn a_member_who_comes_back_is_told_as_resumed_also_where_the_first_stay_was_not_seen() {
    for seen in [true, false] {
        let mut story = Story::heard("");
        let leave = |story: &mut Story| {
            let stay = story.caller();
            story.pass(1_000);
            story.give_up(&stay);
            stay
        };
        let before = if seen { leave(&mut story) } else { story.lost(leave) };
        story.pass(5_000);
        let leg = story.call("40712345001", "2001");
        let stay = story.resume(leg, &before);
        story.give_up(&stay);
        let told = story.told();
        let resumed = told.only(EventName::Resumed);
        assert_eq!(resumed.sequence, Some(1));
        assert_eq!((resumed.first_joined_at.is_some(), resumed.previous_attempt_id.is_some()), (seen, seen));
    }
}

#[test]
fn only_queues_whose_hooks_hear_an_event_tell_it() {
    let mut story = Story::with(
        "[flows.f]\nsteps = [{ log = { message = 'x' } }]\n\
         [queues.\"sales@*\"]\nhooks = [{ event = 'abandoned', flow = 'f' }, \
         { event = 'offer_ended', flow = 'f', enabled = false }]\n",
    );
    for queue in ["support@default", "sales@default"] {
        let leg = story.call("40712345001", "2001");
        let stay = story.join(leg, queue);
        story.offer(&stay, "agent1");
        story.pass(1_000);
        story.give_up(&stay);
    }
    let told = story.told();
    assert_eq!(told.beyond(), ["abandoned abandoned hangup"]);
    assert_eq!(told.only(EventName::Abandoned).queue_name, Some("sales@default".into()));
}
