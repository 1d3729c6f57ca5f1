//! Nodes: a crash, a snapshot, a restart of the daemon, and times that make no sense.

use std::collections::BTreeMap;

use hookswitch::esl::Event;
use hookswitch::lifecycle::kept::Kept;
use hookswitch::lifecycle::{Effects, Lifecycle};
use hookswitch::moment::Payload;
use hookswitch::moment::value::{MissedReason, Outcome};

use crate::story::{Ended, Story, snapshot};

fn payloads(effects: &Effects) -> Vec<&Payload> {
    effects.moments.iter().map(|moment| &moment.payload).collect()
}

#[test]
fn another_process_means_that_every_attempt_is_over() {
    let mut story = Story::new();
    let waiting = story.caller();
    let other = story.call("40712345002", "2001");
    let talking = story.join(other, "sales@default");
    story.talk(&talking, "agent1");
    story.offer(&waiting, "agent2");
    story.restart();
    let told = story.told();
    assert_eq!(told.hooks_of("sales@default").last().map(String::as_str), Some("leaving success lost"));
    assert_eq!(told.hooks_of("support@default"), ["joined", "offering agent2", "leaving cancel lost"]);
    assert_eq!(told.lifecycle.live(), 0);
}

#[test]
fn what_was_known_of_an_end_before_a_crash_is_told_at_once() {
    let mut story = Story::new();
    let stay = story.caller();
    let ring = story.offer(&stay, "agent1");
    story.pass(15_000);
    story.fail(&stay, "agent1", "ALLOTTED_TIMEOUT");
    story.pass(100);
    story.lost(|story| story.hang_up(ring.leg, "ALLOTTED_TIMEOUT", Ended::ByFreeSwitch));
    story.ending(stay.leg, "NORMAL_CLEARING", Ended::ByPhone);
    story.leave(&stay, Some("BREAK_OUT"));
    story.restart();
    let (mut lifecycle, mut effects) = (story.lifecycle(), Effects::default());
    story.play(&mut lifecycle, &mut effects);
    let missed = payloads(&effects).into_iter().find_map(|payload| payload.missed_reason);
    assert_eq!(missed, Some(MissedReason::NoAnswer));
    assert_eq!(lifecycle.live(), 0, "nothing more can come of the old process");
}

#[test]
fn an_offer_that_failed_just_before_a_crash_was_missed() {
    let mut story = Story::new();
    let stay = story.caller();
    story.offer(&stay, "agent1");
    story.pass(15_000);
    story.fail(&stay, "agent1", "ALLOTTED_TIMEOUT");
    story.pass(100);
    story.restart();
    let told = story.told();
    assert_eq!(told.hooks(), ["joined", "offering agent1", "missed agent1 no_answer", "leaving cancel lost"]);
    assert_eq!(told.outcomes(), [Outcome::NoAnswer]);
}

#[test]
fn a_member_that_freeswitch_does_not_have_any_more_is_lost_and_others_stay() {
    let mut story = Story::new();
    let gone = story.caller();
    let leg = story.call("40712345002", "2001");
    let there = story.join(leg, "support@default");
    let (mut lifecycle, mut effects) = (story.lifecycle(), Effects::default());
    story.play(&mut lifecycle, &mut effects);
    let open = lifecycle.open_attempts();
    lifecycle.begin_connection();
    lifecycle.reconcile(&snapshot(&story, &[&there]), &open, &mut effects);
    assert_eq!(lifecycle.live(), 2, "the events that tell its end may be on their way");
    let later = lifecycle.now() + jiff::SignedDuration::from_mins(1);
    lifecycle.advance(later, &mut effects);
    assert_eq!(lifecycle.live(), 1);
    let leaving = payloads(&effects).into_iter().last().expect("a moment");
    assert_eq!(leaving.member_channel_id.as_ref().map(|id| id.as_str()), Some(&*story.uuid(gone.leg)));
    assert!(leaving.synthetic && leaving.cc_cancel_reason.is_some());
}

#[test]
fn a_daemon_that_was_restarted_goes_on_as_if_it_had_not_been() {
    let mut story = Story::new();
    let stay = story.caller();
    let first = story.offer(&stay, "agent1");
    story.pass(1_000);
    story.miss(&stay, &first, "USER_BUSY", Ended::ByPhone);
    story.pass(5_000);
    let ring = story.offer(&stay, "agent1");
    story.pass(1_000);
    story.answer(&stay, &ring);
    story.hold(ring.leg);
    story.pass(3_000);
    story.unhold(ring.leg);
    story.caller_ends(&stay, &ring);
    let whole: Vec<Payload> = story.told().payloads;
    for cut in 1..story.sent.len() {
        let (mut lifecycle, mut effects) = (story.lifecycle(), Effects::default());
        let mut kept = std::collections::BTreeMap::new();
        for (place, sent) in story.sent.iter().enumerate() {
            if place == cut {
                lifecycle = restarted(&story, kept.values());
            }
            let mut some = Effects::default();
            lifecycle.handle_event(&sent.event, &mut some);
            for hash in &some.changed {
                match lifecycle.state(*hash) {
                    Some((_, state)) => kept.insert(*hash, state),
                    None => kept.remove(hash),
                };
            }
            effects.moments.extend(some.moments);
        }
        let end = lifecycle.now() + jiff::SignedDuration::from_hours(1);
        lifecycle.advance(end, &mut effects);
        let hooks = |payloads: &[&Payload]| {
            payloads.iter().map(|payload| (payload.event, payload.id, payload.sequence)).collect::<Vec<_>>()
        };
        let told = hooks(&payloads(&effects));
        let expected = hooks(&whole.iter().collect::<Vec<_>>());
        // What only the memory of the process held, the channels and the offer that had no leg yet, may be made up.
        assert_eq!(told, expected, "restarted before event {cut}, {}", story.sent[cut].name);
    }
}

#[test]
fn a_member_who_comes_back_on_the_same_channel_after_a_restart_is_known() {
    let mut story = Story::new();
    let stay = story.caller();
    story.pass(5_000);
    story.leave(&stay, Some("TIMEOUT"));
    story.pass(1_000);
    let restarted_at = story.sent.len();
    let again = story.resume(stay.leg, &stay);
    story.pass(2_000);
    story.leave(&again, Some("TIMEOUT"));
    story.pass(1_000);
    let another = story.join(stay.leg, "sales@default");
    story.pass(1_000);
    story.give_up(&another);
    let whole: Vec<_> = story.told().payloads;
    let (mut lifecycle, mut effects) = (story.lifecycle(), Effects::default());
    let mut kept = BTreeMap::new();
    for (place, sent) in story.sent.iter().enumerate() {
        if place == restarted_at {
            lifecycle = restarted(&story, kept.values());
        }
        lifecycle.handle_event(&sent.event, &mut effects);
        for hash in std::mem::take(&mut effects.changed) {
            match lifecycle.state(hash) {
                Some((_, state)) => kept.insert(hash, state),
                None => kept.remove(&hash),
            };
        }
    }
    lifecycle.finish(&mut effects);
    let named =
        |payload: &Payload| (payload.id, payload.attempt_id, payload.cc_attempt_seq, payload.previous_attempt_id);
    let told: Vec<_> = payloads(&effects).into_iter().map(named).collect();
    assert_eq!(told, whole.iter().map(named).collect::<Vec<_>>());
    assert_eq!(whole.iter().map(|payload| payload.id).collect::<std::collections::BTreeSet<_>>().len(), whole.len());
}

#[test]
fn what_is_kept_of_an_attempt_that_is_over_is_forgotten_in_time() {
    let mut story = Story::new();
    for _ in 0..2 {
        let stay = story.caller();
        story.pass(5_000);
        story.give_up(&stay);
        story.pass(2 * 3_600_000);
    }
    let mut effects = Effects::default();
    let mut lifecycle = story.lifecycle();
    story.play(&mut lifecycle, &mut effects);
    lifecycle.finish(&mut effects);
    let kept: Vec<_> = effects.changed.iter().filter(|hash| lifecycle.state(**hash).is_some()).collect();
    assert_eq!((effects.changed.len(), kept.len()), (2, 1), "the first is to be forgotten");
}

fn restarted<'a>(story: &Story, states: impl Iterator<Item = &'a String>) -> Lifecycle {
    let mut lifecycle = story.lifecycle();
    for state in states {
        lifecycle.restore(Kept::read(state).expect("a state reads back"));
    }
    lifecycle
}

#[test]
fn an_event_from_the_end_of_time_ends_nothing_but_waits() {
    let mut story = Story::new();
    let stay = story.caller();
    story.offering(&stay, "agent1");
    let (mut lifecycle, mut effects) = (story.lifecycle(), Effects::default());
    story.play(&mut lifecycle, &mut effects);
    for time in ["253402207199999999", "9223372036854775807", "-377705023201000000", "-1", "x", ""] {
        for action in ["agent-offering", "member-queue-end", "bridge-agent-fail"] {
            let text = format!(
                "Event-Name: CUSTOM\nCore-UUID: core-1\nEvent-Date-Timestamp: {time}\nCC-Action: {action}\n\
                 CC-Queue: support@default\nCC-Agent: agent1\nCC-Hangup-Cause: NONE\nCC-Member-UUID: {time}\n\
                 CC-Member-Session-UUID: {time}\nCC-Member-Joined-Time: {time}\n\n"
            );
            lifecycle.handle_event(&Event::from_plain(text.into_bytes().into()), &mut effects);
        }
    }
    story.give_up(&stay);
    story.play(&mut lifecycle, &mut effects);
    assert!(lifecycle.next_deadline().is_none_or(|at| at >= lifecycle.now()));
}
