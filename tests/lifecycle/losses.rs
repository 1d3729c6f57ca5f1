//! What is lost, and what is told nevertheless.

use hookswitch::freeswitch::Snapshot;
use hookswitch::lifecycle::Effects;
use hookswitch::moment::EventName;
use hookswitch::moment::value::{CancelReason, CcResult, Outcome, Seconds, Time};

use jiff::SignedDuration;

use crate::story::{Ended, Ring, Stay, Story, micros, snapshot};

/// A conversation of which one event, the first of that name that is left, is lost.
fn without(name: &str, occurrence: usize) -> Story {
    let mut story = Story::new();
    let stay = story.caller();
    story.pass(2_000);
    let ring = story.talk(&stay, "agent1");
    story.caller_ends(&stay, &ring);
    let place = story.sent.iter().enumerate().filter(|(_, sent)| sent.name == name).nth(occurrence);
    let place = place.map(|(place, _)| place).expect("there is such an event");
    story.sent.remove(place);
    story
}

const CONVERSATION: [&str; 6] =
    ["joined", "offering agent1", "answered agent1", "bridged agent1", "processing agent1", "leaving success"];

#[test]
fn any_one_lost_event_of_a_channel_changes_no_hook() {
    for (name, occurrence) in [
        ("CHANNEL_CREATE", 0),
        ("CHANNEL_CREATE", 1),
        ("CHANNEL_ANSWER", 0),
        ("CHANNEL_ANSWER", 1),
        ("CHANNEL_BRIDGE", 0),
        ("CHANNEL_HANGUP_COMPLETE", 0),
        ("CHANNEL_HANGUP_COMPLETE", 1),
    ] {
        let told = without(name, occurrence).told();
        assert_eq!(told.hooks(), CONVERSATION, "{name} {occurrence}");
        assert_eq!(told.leaving().call_cause.as_deref(), Some("NORMAL_CLEARING"), "{name} {occurrence}");
    }
}

#[test]
fn any_one_lost_event_of_the_queue_changes_no_hook_but_its_own() {
    for name in ["member-queue-start", "agent-offering", "bridge-agent-start", "member-queue-end"] {
        let told = without(name, 0).told();
        let mut hooks = told.hooks();
        hooks.sort();
        let mut expected = CONVERSATION.map(str::to_owned);
        expected.sort();
        assert_eq!(hooks, expected, "{name}");
    }
    let told = without("bridge-agent-end", 0).told();
    assert_eq!(told.hooks(), CONVERSATION);
    assert!(told.only(EventName::Processing).synthetic);
    assert_eq!(told.outcomes(), [Outcome::Bridged]);
}

#[test]
fn who_hung_up_is_not_told_where_the_end_of_the_agents_leg_was_lost() {
    let mut story = Story::new();
    let stay = story.caller();
    let ring = story.talk(&stay, "agent1");
    story.lost(|story| story.hang_up(ring.leg, "NORMAL_CLEARING", Ended::ByPhone));
    story.set(stay.leg, "last_bridge_hangup_cause", "NORMAL_CLEARING");
    story.hang_up(stay.leg, "NORMAL_CLEARING", Ended::ByFreeSwitch);
    story.leave(&stay, None);
    let told = story.told();
    let leaving = told.leaving();
    assert_eq!((leaving.cc_result, leaving.hangup_side, leaving.talk_ended_by), (Some(CcResult::Success), None, None));
}

#[test]
fn an_end_that_nobody_heard_is_read_off_the_calls_later_end() {
    let mut story = Story::new();
    let stay = story.caller();
    story.pass(3_000);
    story.set(stay.leg, "cc_exit_key", "9");
    let left_at = story.now();
    story.lost(|story| story.leave(&stay, Some("EXIT_WITH_KEY")));
    story.pass(1_200);
    story.hang_up(stay.leg, "NORMAL_CLEARING", Ended::ByFreeSwitch);
    let told = story.told();
    assert_eq!(told.hooks(), ["joined", "leaving cancel exit_with_key"]);
    let leaving = told.leaving();
    assert!(leaving.synthetic);
    assert_eq!((&leaving.call_cause, leaving.hangup_side, leaving.exit_key.as_deref()), (&None, None, Some("9")));
    let told_at = leaving.left_at.expect("it left").0;
    assert!((0..1_000_000).contains(&(left_at - told_at.as_microsecond())), "to the second: {told_at}");
}

#[test]
fn a_call_that_outlives_an_unheard_end_does_not_tell_how_the_stay_ended() {
    for remembers in [true, false] {
        let mut story = Story::new();
        let stay = story.caller();
        let (mut lifecycle, mut effects) = (story.lifecycle(), Effects::default());
        story.play(&mut lifecycle, &mut effects);
        let heard = story.sent.len();
        lifecycle.end_connection(lifecycle.now());
        story.lost(|story| {
            story.pass(3_000);
            story.leave(&stay, Some("TIMEOUT"));
            story.pass(100);
        });
        lifecycle.begin_connection();
        let found = Snapshot { taken_at: Some(micros(story.now())), members: Vec::new(), ..snapshot(&story, &[&stay]) };
        let open = lifecycle.open_attempts();
        lifecycle.reconcile(&found, &open, &mut effects);
        story.pass(1_100);
        if !remembers {
            story.set(stay.leg, "cc_cause", "");
        }
        story.hang_up(stay.leg, "NORMAL_CLEARING", Ended::ByFreeSwitch);
        for sent in &story.sent[heard..] {
            lifecycle.handle_event(&sent.event, &mut effects);
        }
        lifecycle.advance(lifecycle.now() + SignedDuration::from_mins(1), &mut effects);
        let leaving = &effects.moments.last().expect("it left").payload;
        let reason = if remembers { CancelReason::Timeout } else { CancelReason::Lost };
        assert_eq!((leaving.cc_result, leaving.cc_cancel_reason), (Some(CcResult::Cancel), Some(reason)));
        assert_eq!((&leaving.call_cause, leaving.synthetic), (&None, true));
    }
}

#[test]
fn a_lost_connection_is_read_off_the_channels_and_marked() {
    let told = without("CHANNEL_BRIDGE", 0).told();
    let bridged = told.only(EventName::Bridged);
    assert!(bridged.synthetic);
    assert_eq!(bridged.wait_sec, Some(Seconds(3.02)));
    assert_eq!(told.leaving().call_voice_sec.map(|voice| voice.0), Some(5.0));
}

#[test]
fn a_lost_offering_is_made_up_and_marked() {
    let told = without("agent-offering", 0).told();
    assert!(told.only(EventName::Offering).synthetic);

    let mut story = Story::new();
    let stay = story.caller();
    story.lost(|story| story.offering(&stay, "agent1"));
    let ring = story.ring(&stay, "agent1");
    story.pass(3_000);
    story.miss(&stay, &ring, "USER_BUSY", Ended::ByPhone);
    let told = story.told();
    assert_eq!(told.hooks(), ["joined", "offering agent1", "missed agent1 busy"]);
    assert!(told.only(EventName::Offering).synthetic);
    assert_eq!(
        told.only(EventName::Missed).agent_channel_id.as_ref().map(|id| id.as_str()),
        Some(&*story.uuid(ring.leg))
    );
}

#[test]
fn an_offer_that_was_not_heard_of_was_made_when_its_leg_was() {
    let mut story = Story::new();
    let stay = story.caller();
    story.pass(1_000);
    let offered_at = story.now();
    story.lost(|story| story.offering(&stay, "agent1"));
    let ring = story.ring(&stay, "agent1");
    story.pass(3_000);
    story.miss(&stay, &ring, "USER_BUSY", Ended::ByPhone);
    let told = story.told();
    let missed = told.only(EventName::Missed);
    assert_eq!(missed.offered_at, Some(Time(micros(offered_at))));
    assert_eq!(missed.ring_sec, Some(Seconds(3.0)));
}

#[test]
fn whoever_hears_little_of_an_offer_gives_the_same_times_as_who_hears_all() {
    let times = |lost: &[&str]| {
        let mut story = Story::new();
        let stay = story.caller();
        story.pass(2_000);
        let ring = story.offer(&stay, "agent1");
        story.pass(1_000);
        story.pick_up(ring.leg);
        story.pass(20);
        story.bridge_start(&stay, &ring);
        story.pass(2_000);
        story.bridge(&stay, &ring);
        story.pass(5_000);
        story.caller_ends(&stay, &ring);
        let is_of_member = |place: usize| place < 3;
        let mut place = 0..;
        story.sent.retain(|sent| is_of_member(place.next().unwrap_or(0)) || !lost.contains(&sent.name.as_str()));
        let told = story.told();
        let leaving = told.leaving();
        (leaving.offered_at, leaving.answered_at, leaving.bridged_at)
    };
    let whole = times(&[]);
    assert!(whole.0 < whole.1 && whole.1 < whole.2);
    for lost in [
        &["agent-offering", "CHANNEL_CREATE", "CHANNEL_ANSWER"][..],
        &["agent-offering", "CHANNEL_CREATE", "CHANNEL_ANSWER", "bridge-agent-start"],
        &["agent-offering", "CHANNEL_CREATE", "CHANNEL_ANSWER", "bridge-agent-start", "CHANNEL_BRIDGE"],
        &["CHANNEL_ANSWER"],
        &["CHANNEL_ANSWER", "bridge-agent-start"],
    ] {
        assert_eq!(times(lost), whole, "{lost:?}");
    }
}

#[test]
fn an_answer_of_which_only_the_connection_tells_is_marked() {
    let mut story = Story::new();
    let stay = story.caller();
    let ring = story.offer(&stay, "agent1");
    story.pass(1_000);
    story.lost(|story| {
        story.pick_up(ring.leg);
        story.bridge_start(&stay, &ring);
    });
    story.bridge(&stay, &ring);
    let told = story.told();
    assert!(told.only(EventName::Answered).synthetic);
    assert!(!told.only(EventName::Bridged).synthetic);
}

#[test]
fn agent_and_member_that_are_up_are_not_connected_without_a_connection() {
    let mut story = Story::new();
    let stay = story.caller();
    let ring = story.offer(&stay, "agent1");
    story.pass(1_000);
    story.pick_up(ring.leg);
    story.bridge_start(&stay, &ring);
    story.set(stay.leg, "cc_cause", "answered");
    story.set(stay.leg, "cc_agent_bridged", "true");
    story.pass(1_000);
    story.hang_up(stay.leg, "NORMAL_CLEARING", Ended::ByPhone);
    story.hang_up(ring.leg, "NORMAL_CLEARING", Ended::ByFreeSwitch);
    story.bridge_end(&stay, &ring, true);
    let told = story.told();
    assert_eq!(told.hooks(), ["joined", "offering agent1", "answered agent1", "leaving abandoned hangup"]);
    assert!(told.leaving().synthetic);
    assert_eq!(told.outcomes(), [Outcome::Failed]);
}

#[test]
fn an_offer_whose_end_was_lost_ends_as_its_leg_did() {
    let mut story = Story::new();
    let stay = story.caller();
    let ring = story.offer(&stay, "agent1");
    story.pass(1_000);
    story.hang_up(ring.leg, "USER_BUSY", Ended::ByPhone);
    story.lost(|story| story.fail(&stay, "agent1", "USER_BUSY"));
    story.pass(60_000);
    story.give_up(&stay);
    let told = story.told();
    assert_eq!(told.hooks(), ["joined", "offering agent1", "missed agent1 busy", "leaving abandoned hangup"]);
    assert!(told.only(EventName::Missed).synthetic);
    assert_eq!(told.only(EventName::Missed).ring_sec.map(|s| s.0), Some(1.0));
}

#[test]
fn an_answer_of_which_only_the_legs_end_tells_was_in_vain() {
    let mut story = Story::new();
    let stay = story.caller();
    let ring = story.offer(&stay, "agent1");
    story.pass(2_000);
    story.lost(|story| {
        story.pick_up(ring.leg);
        story.bridge_start(&stay, &ring);
    });
    story.pass(500);
    story.ending(stay.leg, "NORMAL_CLEARING", Ended::ByPhone);
    story.gone(stay.leg);
    story.pass(1_500);
    story.hang_up(ring.leg, "NORMAL_CLEARING", Ended::ByFreeSwitch);
    let told = story.told();
    assert_eq!(told.hooks(), ["joined", "offering agent1", "answered agent1", "leaving abandoned hangup"]);
    assert!(told.only(EventName::Answered).synthetic);
    assert_eq!(told.offers(), ["agent1 failed"]);
}

#[test]
fn the_next_offer_to_an_agent_ends_the_one_whose_end_was_lost() {
    let mut story = Story::new();
    let stay = story.caller();
    let ring = story.offer(&stay, "agent1");
    story.pass(15_000);
    story.hang_up(ring.leg, "ALLOTTED_TIMEOUT", Ended::ByFreeSwitch);
    story.lost(|story| story.fail(&stay, "agent1", "ALLOTTED_TIMEOUT"));
    story.pass(5_000);
    let ring = story.talk(&stay, "agent1");
    story.caller_ends(&stay, &ring);
    let told = story.told();
    assert_eq!(
        told.hooks(),
        [
            "joined",
            "offering agent1",
            "missed agent1 no_answer",
            "offering agent1",
            "answered agent1",
            "bridged agent1",
            "processing agent1",
            "leaving success"
        ]
    );
    assert_eq!(told.leaving().left_at, Some(told.leaving().timestamp));
}

#[test]
fn a_loser_whose_end_was_lost_lost_the_race() {
    let mut story = Story::new();
    let stay = story.caller();
    let winner = story.offer(&stay, "agent1");
    let loser = story.offer(&stay, "agent2");
    story.pass(1_000);
    story.answer(&stay, &winner);
    story.lost(|story| story.miss(&stay, &loser, "LOSE_RACE", Ended::ByFreeSwitch));
    story.pass(1_000);
    story.caller_ends(&stay, &winner);
    let told = story.told();
    assert!(told.all(EventName::Missed).is_empty());
    assert_eq!(told.offers(), ["agent1 bridged", "agent2 lost_race"]);
}

#[test]
fn an_offer_to_two_phones_whose_end_was_lost_ends_as_the_last_of_them() {
    let mut story = Story::new();
    let stay = story.caller();
    story.offering(&stay, "agent1");
    let [first, second] = [(); 2].map(|()| story.ring(&stay, "agent1"));
    story.hang_up(first.leg, "USER_BUSY", Ended::ByPhone);
    story.pass(3_000);
    story.hang_up(second.leg, "LOSE_RACE", Ended::ByFreeSwitch);
    story.lost(|story| story.fail(&stay, "agent1", "LOSE_RACE"));
    story.pass(1_000);
    let ring = story.talk(&stay, "agent1");
    story.caller_ends(&stay, &ring);
    let told = story.told();
    assert!(told.all(EventName::Missed).is_empty());
    assert_eq!(told.offers(), ["agent1 lost_race", "agent1 bridged"]);
}

/// A caller who hangs up while waiting, with the events around it reordered and lost.
fn given_up(part: impl FnOnce(&mut Story, &Stay, &Ring)) -> Story {
    let mut story = Story::new();
    let stay = story.caller();
    let ring = story.offer(&stay, "agent1");
    story.pass(1_000);
    story.ending(stay.leg, "NORMAL_CLEARING", Ended::ByPhone);
    part(&mut story, &stay, &ring);
    story
}

#[test]
fn a_member_is_told_to_have_left_once_whatever_was_lost_of_the_end() {
    let stories = [
        given_up(|story, stay, _| story.leave(stay, Some("BREAK_OUT"))),
        given_up(|story, stay, _| story.gone(stay.leg)),
        given_up(|story, stay, ring| {
            story.gone(stay.leg);
            story.pass(20);
            story.miss(stay, ring, "ORIGINATOR_CANCEL", Ended::ByFreeSwitch);
        }),
        given_up(|story, stay, ring| {
            story.miss(stay, ring, "ORIGINATOR_CANCEL", Ended::ByFreeSwitch);
            story.pass(20);
            story.leave(stay, Some("BREAK_OUT"));
        }),
    ];
    for story in stories {
        let told = story.told();
        assert_eq!(told.hooks(), ["joined", "offering agent1", "missed agent1 abandoned", "leaving abandoned hangup"]);
        assert_eq!(told.leaving().wait_sec, Some(Seconds(1.0)));
        assert_eq!(told.lifecycle.next_deadline(), None);
    }
}

#[test]
fn a_stay_of_which_only_the_end_is_heard_was_not_connected_in_the_queue_before() {
    let mut story = Story::new();
    let first = story.caller();
    let ring = story.offer(&first, "agent1");
    story.pass(1_000);
    story.answer(&first, &ring);
    story.part(first.leg);
    story.hang_up(ring.leg, "NORMAL_CLEARING", Ended::ByPhone);
    story.bridge_end(&first, &ring, true);
    story.leave(&first, None);
    let next = story.lost(|story| story.join(first.leg, "sales@default"));
    story.pass(4_000);
    story.give_up(&next);
    let told = story.told();
    assert_eq!(told.hooks_of("sales@default"), ["joined", "leaving abandoned hangup"]);
}

#[test]
fn a_hold_whose_end_was_lost_ends_with_the_stay() {
    let mut story = Story::new();
    let stay = story.caller();
    let ring = story.talk(&stay, "agent1");
    story.hold(ring.leg);
    story.pass(3_000);
    story.set(stay.leg, "transfer_source", "1795421930:x:bl_xfer:2002/default/XML");
    story.hang_up(ring.leg, "NORMAL_CLEARING", Ended::ByFreeSwitch);
    story.lost(|story| story.bridge_end(&stay, &ring, true));
    story.leave(&stay, None);
    story.pass(10_000);
    story.part(stay.leg);
    story.hang_up(stay.leg, "NORMAL_CLEARING", Ended::ByPhone);
    let told = story.told();
    assert_eq!(told.leaving().hold_sec.map(|s| s.0), Some(3.0));
}

#[test]
fn a_conversation_whose_end_freeswitch_forgot_ends_with_the_call() {
    let mut story = Story::new();
    let stay = story.caller();
    let ring = story.talk(&stay, "agent1");
    story.hang_up(stay.leg, "NORMAL_CLEARING", Ended::ByPhone);
    story.hang_up(ring.leg, "NORMAL_CLEARING", Ended::ByFreeSwitch);
    let told = story.told();
    let leaving = told.leaving();
    assert_eq!((leaving.cc_result, leaving.cc_cancel_reason), (Some(CcResult::Success), None));
    assert!(leaving.synthetic);
    assert_eq!(leaving.call_voice_sec.map(|s| s.0), Some(5.0));
}

#[test]
fn an_ended_conversation_without_any_word_of_the_call_was_no_kill() {
    let mut story = Story::new();
    let stay = story.caller();
    let ring = story.offer(&stay, "agent1");
    story.pass(1_000);
    story.pick_up(ring.leg);
    story.bridge_start(&stay, &ring);
    story.lost(|story| {
        story.hang_up(stay.leg, "NORMAL_CLEARING", Ended::ByPhone);
        story.hang_up(ring.leg, "NORMAL_CLEARING", Ended::ByFreeSwitch);
    });
    story.bridge_end(&stay, &ring, true);
    story.leave(&stay, None);
    let told = story.told();
    let leaving = told.leaving();
    assert_eq!((leaving.cc_result, leaving.cc_cancel_reason), (Some(CcResult::Abandoned), Some(CancelReason::Hangup)));
}

/// mod_callcenter tells in whole seconds when a member joined: the conversation before can seem to fall into this stay.
#[test]
fn the_conversation_of_the_stay_before_is_none_of_a_stay_whose_beginning_was_lost() {
    let mut story = Story::new();
    let stay = story.caller();
    let ring = story.offer(&stay, "agent1");
    let second = story.now() / 1_000_000 + 2;
    story.go_to(second * 1_000_000);
    story.answer(&stay, &ring);
    story.pass(500);
    story.hang_up(ring.leg, "NORMAL_CLEARING", Ended::ByPhone);
    story.bridge_end(&stay, &ring, true);
    story.leave(&stay, None);
    let next = story.lost(|story| story.join(stay.leg, "sales@default"));
    story.pass(3_000);
    story.fail(&next, "agent1", "ORIGINATOR_CANCEL");
    story.leave(&next, Some("BREAK_OUT"));
    story.hang_up(stay.leg, "NORMAL_CLEARING", Ended::ByFreeSwitch);
    let told = ["joined", "offering agent1", "missed agent1 withdrawn", "leaving cancel break_out"];
    assert_eq!(story.told().hooks_of("sales@default"), told);
}
