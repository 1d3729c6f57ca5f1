//! Joining: what opens an attempt, what it is called, and what it follows.

use std::collections::BTreeSet;

use hookswitch::lifecycle::anomaly::Anomaly;
use hookswitch::moment::EventName;

use crate::story::{Ended, Story};

#[test]
fn an_offering_before_the_start_is_kept() {
    let mut story = Story::new();
    let leg = story.call("40712345001", "2001");
    let stay = story.late(1_500, |story| story.join(leg, "support@default"));
    story.pass(100);
    story.offer(&stay, "agent1");
    let told = story.told();
    assert_eq!(told.hooks(), ["joined", "offering agent1"]);
    assert!(!told.payloads[0].synthetic);
}

#[test]
fn a_lost_start_is_made_up_where_the_member_joined_since_the_connection() {
    let mut story = Story::new();
    let leg = story.call("40712345001", "2001");
    story.pass(300);
    let stay = story.lost(|story| story.join(leg, "support@default"));
    let ring = story.talk(&stay, "agent1");
    story.caller_ends(&stay, &ring);
    let told = story.told();
    assert_eq!(told.all(EventName::Joined).len(), 1);
    assert!(told.only(EventName::Joined).synthetic);
    assert_eq!(told.leaving().cc_result.map(|result| format!("{result:?}")), Some("Success".into()));
}

#[test]
fn a_made_up_attempt_has_no_time_before_its_call() {
    let mut story = Story::new();
    story.pass(500);
    let leg = story.call("40712345001", "2001");
    story.pass(100);
    let stay = story.lost(|story| story.join(leg, "support@default"));
    story.pass(1_000);
    story.give_up(&stay);
    let told = story.told();
    let leaving = told.leaving();
    assert!(leaving.wait_sec <= leaving.call_duration, "{leaving:?}");
}

#[test]
fn what_began_before_the_connection_gives_nothing() {
    let mut story = Story::new();
    let leg = story.call("40712345001", "2001");
    let stay = story.join(leg, "support@default");
    story.sent.clear();
    story.pass(10_000);
    let ring = story.talk(&stay, "agent1");
    story.caller_ends(&stay, &ring);
    let told = story.told();
    assert!(told.payloads.is_empty(), "{:?}", told.hooks());
    assert!(told.anomalies(Anomaly::BeganBefore) > 0);
}

#[test]
fn a_start_that_comes_after_the_attempt_was_made_up_opens_no_second_one() {
    for late in [3_000, 60_000] {
        let mut story = Story::new();
        let leg = story.call("40712345001", "2001");
        story.pass(100);
        let stay = story.late(late, |story| story.join(leg, "support@default"));
        story.pass(100);
        story.ending(leg, "NORMAL_CLEARING", Ended::ByPhone);
        story.leave(&stay, Some("BREAK_OUT"));
        story.pass(20);
        story.gone(leg);
        let told = story.told();
        assert_eq!(told.hooks(), ["joined", "leaving abandoned hangup"], "{late}");
        assert_eq!(told.lifecycle.live(), 0);
        assert_eq!(told.leaving().call_cause.as_deref(), Some("NORMAL_CLEARING"));
    }
}

#[test]
fn a_member_in_two_queues_at_once_has_two_attempts() {
    let mut story = Story::new();
    let leg = story.call("40712345001", "2001");
    let first = story.join(leg, "support@default");
    story.pass(1_000);
    story.set(leg, "transfer_source", "1795421926:x:bl_xfer:2002/default/XML");
    story.set(leg, "tag", "of the second");
    let second = story.join(leg, "sales@default");
    story.pass(20);
    story.leave(&first, Some("BREAK_OUT"));
    story.pass(2_000);
    story.give_up(&second);
    let told = story.told();
    assert_eq!(told.hooks_of("support@default"), ["joined", "leaving cancel break_out"]);
    assert_eq!(told.hooks_of("sales@default"), ["joined", "leaving abandoned hangup"]);
    let leaving = told.all(EventName::Leaving);
    assert_eq!(leaving[0].transferred_to.as_deref(), Some("2002"));
    assert_eq!(leaving[1].transferred_to, None);
    assert_eq!(leaving[1].previous_attempt_id, leaving[0].attempt_id);
    assert_eq!(leaving[0].variables.as_json(), "{}", "the second queue's are not the first's");
    assert_eq!(leaving[1].variables.as_json(), r#"{"tag":"of the second"}"#);
}

#[test]
fn a_member_transferred_into_the_same_queue_has_two_attempts_with_variables_of_their_own() {
    let mut story = Story::new();
    let leg = story.call("40712345001", "2001");
    let first = story.join(leg, "support@default");
    story.pass(1_000);
    story.set(leg, "transfer_source", "1795421926:x:bl_xfer:2001/default/XML");
    story.set(leg, "tag", "of the second");
    let second = story.join(leg, "support@default");
    story.leave(&first, Some("BREAK_OUT"));
    story.pass(2_000);
    story.give_up(&second);
    let told = story.told();
    assert_eq!(told.hooks(), ["joined", "joined", "leaving cancel break_out", "leaving abandoned hangup"]);
    let leaving = told.all(EventName::Leaving);
    assert_ne!(leaving[0].attempt_id, leaving[1].attempt_id);
    assert_eq!(leaving[0].variables.as_json(), "{}", "the second stay's are not the first's");
}

#[test]
fn a_resumed_member_keeps_its_place_in_the_count() {
    let mut story = Story::new();
    let first = story.caller();
    story.pass(3_000);
    story.give_up(&first);
    story.pass(10_000);
    let again = story.call("40712345001", "2001");
    let second = story.resume(again, &first);
    story.pass(1_000);
    story.give_up(&second);
    let told = story.told();
    assert_eq!(told.hooks(), ["joined", "leaving abandoned hangup", "joined", "leaving abandoned hangup"]);
    let leaving = told.all(EventName::Leaving);
    assert_eq!(leaving[1].cc_attempt_seq, Some(2));
    assert_eq!(leaving[1].first_joined_at, leaving[0].joined_at);
    assert_eq!(leaving[1].previous_attempt_id, leaving[0].attempt_id);
}

#[test]
fn a_member_resumed_on_the_same_channel_is_another_attempt() {
    let mut story = Story::new();
    let first = story.caller();
    story.pass(3_000);
    story.leave(&first, Some("EXIT_WITH_KEY"));
    story.pass(1_000);
    let second = story.resume(first.leg, &first);
    story.pass(1_000);
    story.leave(&second, Some("EXIT_WITH_KEY"));
    story.pass(900_000);
    let other = story.caller();
    story.give_up(&other);
    let third = story.resume(first.leg, &first);
    story.give_up(&third);
    let told = story.told();
    let ids: BTreeSet<_> = told.payloads.iter().map(|payload| payload.id).collect();
    assert_eq!(ids.len(), 8, "a repeated id would be taken for a repeat of the first attempt");
    let seq: Vec<_> = told.all(EventName::Leaving).iter().map(|leaving| leaving.cc_attempt_seq).collect();
    assert_eq!(seq, [Some(1), Some(2), Some(1), Some(3)]);
}

#[test]
fn an_exit_key_while_ringing_and_a_resume_at_once_are_told_apart() {
    let mut story = Story::new();
    let first = story.caller();
    let ring = story.offer(&first, "agent1");
    story.pass(3_000);
    story.leave(&first, Some("EXIT_WITH_KEY"));
    let second = story.resume(first.leg, &first);
    story.pass(20);
    story.miss(&first, &ring, "ORIGINATOR_CANCEL", Ended::ByFreeSwitch);
    story.pass(5_000);
    let ring = story.talk(&second, "agent1");
    story.caller_ends(&second, &ring);
    let told = story.told();
    let mut by_attempt: Vec<(Option<u64>, Vec<String>)> = Vec::new();
    for (payload, words) in told.payloads.iter().zip(told.hooks()) {
        match by_attempt.iter_mut().find(|(id, _)| *id == payload.attempt_id) {
            Some((_, hooks)) => hooks.push(words),
            None => by_attempt.push((payload.attempt_id, vec![words])),
        }
    }
    assert_eq!(
        by_attempt[0].1,
        ["joined", "offering agent1", "missed agent1 withdrawn", "leaving cancel exit_with_key"]
    );
    assert_eq!(
        by_attempt[1].1,
        ["joined", "offering agent1", "answered agent1", "bridged agent1", "processing agent1", "leaving success"]
    );
    let leaving = told.all(EventName::Leaving);
    assert_eq!(leaving[1].cc_attempt_seq, Some(2));
    assert_eq!(leaving[1].first_joined_at, leaving[0].joined_at);
    let waited = leaving[0].left_at.expect("left").0.duration_since(leaving[0].joined_at.expect("joined").0);
    assert_eq!(waited.as_millis(), 3_000);
}

#[test]
fn a_resume_that_overtakes_the_end_before_it_opens_an_attempt() {
    let mut story = Story::new();
    let first = story.caller();
    story.pass(3_000);
    story.late(10, |story| story.leave(&first, Some("EXIT_WITH_KEY")));
    story.pass(5);
    let second = story.resume(first.leg, &first);
    story.pass(1_000);
    story.give_up(&second);
    assert_eq!(story.told().hooks(), ["joined", "joined", "leaving cancel exit_with_key", "leaving abandoned hangup"]);
}

#[test]
fn a_resume_on_the_same_channel_ends_the_attempt_whose_end_was_lost() {
    let mut story = Story::new();
    let first = story.caller();
    story.pass(3_000);
    story.lost(|story| story.leave(&first, Some("EXIT_WITH_KEY")));
    let second = story.resume(first.leg, &first);
    story.pass(5_000);
    story.give_up(&second);
    let told = story.told();
    assert_eq!(told.hooks(), ["joined", "joined", "leaving cancel lost", "leaving abandoned hangup"]);
    let leaving = told.all(EventName::Leaving);
    assert!(leaving[0].synthetic);
    assert_eq!(leaving[0].left_at, leaving[1].joined_at);
}

#[test]
fn an_offering_before_the_resume_on_the_same_channel_is_kept() {
    let mut story = Story::new();
    let first = story.caller();
    story.pass(3_000);
    story.leave(&first, Some("EXIT_WITH_KEY"));
    story.pass(1_000);
    let second = story.late(200, |story| story.resume(first.leg, &first));
    story.pass(100);
    story.offer(&second, "agent1");
    assert_eq!(story.told().hooks(), ["joined", "leaving cancel exit_with_key", "joined", "offering agent1"]);
}

#[test]
fn the_dialers_attempt_id_is_the_first_attempts_only() {
    let mut story = Story::new();
    let leg = story.dial("2001", "40712345001");
    story.set(leg, "cc_attempt_id", "4711");
    let first = story.join(leg, "support@default");
    story.leave(&first, Some("BREAK_OUT"));
    let second = story.join(leg, "sales@default");
    story.give_up(&second);
    let told = story.told();
    let leaving = told.all(EventName::Leaving);
    assert_eq!(leaving[0].attempt_id, Some(4711));
    assert_ne!(leaving[1].attempt_id, Some(4711));
    assert!(leaving[1].attempt_id < Some(1 << 53));
    assert_eq!(leaving[1].previous_attempt_id, Some(4711));
}

#[test]
fn a_dialers_attempt_id_that_is_no_integer_is_not_taken() {
    let mut story = Story::new();
    let leg = story.dial("2001", "40712345001");
    story.set(leg, "cc_attempt_id", "x-1");
    story.join(leg, "support@default");
    let joined = story.told();
    assert!(joined.only(EventName::Joined).attempt_id < Some(1 << 53));
}

#[test]
fn the_dialers_count_of_attempts_is_taken() {
    let mut story = Story::new();
    let leg = story.dial("2001", "40712345001");
    story.set(leg, "cc_attempt_seq", "3");
    let stay = story.join(leg, "support@default");
    story.give_up(&stay);
    assert_eq!(story.told().leaving().cc_attempt_seq, Some(3));
}

#[test]
fn doubled_events_change_nothing() {
    let mut story = Story::new();
    let stay = story.caller();
    let ring = story.talk(&stay, "agent1");
    story.caller_ends(&stay, &ring);
    let once = story.told();
    story.sent = story.sent.iter().flat_map(|sent| [sent.clone(), sent.clone()]).collect();
    let twice = story.told();
    assert_eq!(once.payloads, twice.payloads);
    assert!(twice.anomalies(Anomaly::RepeatedEvent) > 5);
}
