//! Nodes that share one callcenter database: several processes tell one story, and none spoils another's.

use std::collections::BTreeSet;

use hookswitch::freeswitch::Snapshot;
use hookswitch::lifecycle::anomaly::Anomaly;
use hookswitch::lifecycle::{Effects, Lifecycle};
use hookswitch::moment::value::MissedReason;
use hookswitch::moment::{EventName, Payload};
use jiff::SignedDuration;

use crate::story::{Ended, Stay, Story, snapshot};

const CONVERSATION: [&str; 6] =
    ["joined", "offering agent1", "answered agent1", "bridged agent1", "processing agent1", "leaving success"];

/// A caller on the first node, and one on the second.
fn two_callers() -> (Story, Stay, Stay) {
    let mut story = Story::new();
    let first = story.caller();
    story.on("fs2");
    story.heartbeat();
    let second = story.caller();
    (story, first, second)
}

fn played(story: &Story) -> (Lifecycle, Effects) {
    let (mut lifecycle, mut effects) = (story.lifecycle(), Effects::default());
    story.play(&mut lifecycle, &mut effects);
    (lifecycle, effects)
}

/// The member's hooks.
fn of<'a>(payloads: &'a [Payload], story: &Story, stay: &Stay) -> Vec<&'a Payload> {
    let channel = story.uuid(stay.leg);
    payloads.iter().filter(|p| p.member_channel_id.as_ref().is_some_and(|id| id.as_str() == channel)).collect()
}

#[test]
fn an_offer_that_another_node_makes_is_the_attempts_own() {
    let mut story = Story::new();
    let stay = story.caller();
    story.on("fs2");
    let ring = story.offer(&stay, "agent1");
    story.pass(1_000);
    story.pick_up(ring.leg);
    story.bridge_start(&stay, &ring);
    story.on("fs1");
    story.bridge(&stay, &ring);
    story.pass(5_000);
    story.hang_up(stay.leg, "NORMAL_CLEARING", Ended::ByPhone);
    story.on("fs2");
    story.hang_up(ring.leg, "NORMAL_CLEARING", Ended::ByFreeSwitch);
    story.bridge_end(&stay, &ring, true);
    story.on("fs1");
    story.leave(&stay, None);
    let told = story.told();
    assert_eq!(told.hooks(), CONVERSATION);
    assert!(told.payloads.iter().all(|payload| payload.node.as_str() == "fs1" && !payload.synthetic));
    assert_eq!(told.only(EventName::Offering).source.core_uuid.as_ref().map(|core| core.as_str()), Some("core-2"));
}

#[test]
fn an_offer_that_another_node_tells_too_early_waits_for_its_attempt() {
    let mut story = Story::new();
    let leg = story.call("40712345001", "2001");
    let stay = story.late(500, |story| story.join(leg, "support@default"));
    story.on("fs2");
    story.pass(100);
    let ring = story.offer(&stay, "agent1");
    story.pass(1_000);
    story.miss(&stay, &ring, "USER_BUSY", Ended::ByPhone);
    let told = story.told();
    assert_eq!(told.hooks(), ["joined", "offering agent1", "missed agent1 busy"]);
    assert!(told.payloads.iter().all(|payload| payload.node.as_str() == "fs1" && !payload.synthetic));
}

#[test]
fn an_attempt_whose_start_was_lost_is_of_the_node_that_has_its_channel() {
    let mut story = Story::new();
    let leg = story.call("40712345001", "2001");
    let stay = story.lost(|story| story.join(leg, "support@default"));
    story.on("fs2");
    story.heartbeat();
    story.pass(2_000);
    story.fail(&stay, "agent1", "USER_BUSY");
    let (mut lifecycle, mut effects) = played(&story);
    let fs2 = "fs2".into();
    let later = lifecycle.on(&fs2).now() + SignedDuration::from_secs(10);
    lifecycle.advance(later, &mut effects);
    let joined = &effects.moments.first().expect("a moment").payload;
    assert_eq!((joined.event, joined.node.as_str()), (EventName::Joined, "fs1"));
    let attempt = lifecycle.attempt(effects.moments[0].attempt).expect("lives");
    assert_eq!(attempt.key.core.as_str(), "core-1");
}

#[test]
fn a_nodes_restart_ends_its_own_attempts_alone() {
    let (mut story, first, second) = two_callers();
    story.pass(1_000);
    story.restart();
    story.on("fs1");
    story.pass(1_000);
    let ring = story.talk(&first, "agent1");
    story.caller_ends(&first, &ring);
    let told = story.told();
    let words =
        |stay| of(&told.payloads, &story, stay).iter().map(|payload| payload.event.as_str()).collect::<Vec<_>>();
    assert_eq!(words(&second), ["joined", "leaving"]);
    assert_eq!(words(&first), ["joined", "offering", "answered", "bridged", "processing", "leaving"]);
}

#[test]
fn the_same_number_from_two_processes_is_no_repeat() {
    let (story, _, _) = two_callers();
    let (lifecycle, _) = played(&story);
    assert_eq!(lifecycle.live(), 2);
    assert_eq!(lifecycle.anomalies().of(Anomaly::RepeatedEvent), 0);
}

#[test]
fn a_snapshot_of_one_node_ends_and_takes_over_nothing_of_another() {
    let (story, first, second) = two_callers();
    let (mut lifecycle, mut effects) = played(&story);
    // Both nodes list both members, and each its own channels.
    let of_second = Snapshot {
        core: Some("core-2".into()),
        channels: [story.uuid(second.leg).as_str().into()].into(),
        ..snapshot(&story, &[&first, &second])
    };
    let fs2 = "fs2".into();
    lifecycle.on(&fs2).begin_connection();
    let open: BTreeSet<_> = lifecycle.open_attempts();
    assert_eq!(open.len(), 1, "only the node's own are judged");
    lifecycle.reconcile(&of_second, &open, &mut effects);
    let nothing = Snapshot { channels: BTreeSet::new(), members: Vec::new(), ..of_second };
    lifecycle.reconcile(&nothing, &open, &mut effects);
    let later = lifecycle.now() + SignedDuration::from_hours(1);
    lifecycle.advance(later, &mut effects);
    let left: Vec<_> = effects.moments.iter().filter(|moment| moment.payload.event == EventName::Leaving).collect();
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].payload.node.as_str(), "fs2");
    assert_eq!(lifecycle.live(), 1);
}

#[test]
fn a_clock_that_is_ahead_ends_no_wait_and_no_memory_of_another_node() {
    let mut story = Story::new();
    story.on("fs2");
    story.set_clock_ahead(7_200);
    story.heartbeat();
    story.on("fs1");
    let stay = story.caller();
    let ring = story.offer(&stay, "agent1");
    story.pass(1_000);
    // The cancel waits for the event that explains it.
    story.ending(stay.leg, "NORMAL_CLEARING", Ended::ByPhone);
    story.miss(&stay, &ring, "ORIGINATOR_CANCEL", Ended::ByFreeSwitch);
    story.on("fs2");
    let other = story.caller();
    story.give_up(&other);
    story.on("fs1");
    story.pass(100);
    story.leave(&stay, Some("BREAK_OUT"));
    story.gone(stay.leg);
    story.on("fs2");
    story.pass(5_000);
    let leg = story.call("40712345001", "2001");
    let again = story.resume(leg, &stay);
    story.give_up(&again);
    let told = story.told();
    let missed = of(&told.payloads, &story, &stay).into_iter().find_map(|payload| payload.missed_reason);
    assert_eq!(missed, Some(MissedReason::Abandoned));
    let leaving = told.payloads.last().expect("a hook");
    assert_eq!((leaving.event, leaving.cc_attempt_seq), (EventName::Leaving, Some(2)));
}

#[test]
fn a_break_that_another_node_tells_takes_no_offer_back() {
    let mut story = Story::new();
    story.on("fs2");
    story.set_clock_ahead(7_200);
    story.on("fs1");
    let stay = story.caller();
    let ring = story.offer(&stay, "agent1");
    story.on("fs2");
    story.status("agent1", "On Break");
    story.on("fs1");
    story.pass(100);
    story.ending(stay.leg, "NORMAL_CLEARING", Ended::ByPhone);
    story.miss(&stay, &ring, "ORIGINATOR_CANCEL", Ended::ByFreeSwitch);
    story.leave(&stay, Some("BREAK_OUT"));
    story.gone(stay.leg);
    assert_eq!(story.told().only(EventName::Missed).missed_reason, Some(MissedReason::Abandoned));
}

#[test]
fn a_member_who_resumes_on_another_node_is_the_same_one() {
    let (mut story, _, second) = two_callers();
    story.pass(1_000);
    story.give_up(&second);
    story.on("fs1");
    story.pass(10_000);
    let leg = story.call("40712345001", "2001");
    let again = story.resume(leg, &second);
    story.pass(1_000);
    story.give_up(&again);
    let told = story.told();
    let (before, after) = (of(&told.payloads, &story, &second), of(&told.payloads, &story, &again));
    let leaving = after.last().expect("a hook");
    assert_eq!((before[0].node.as_str(), leaving.node.as_str()), ("fs2", "fs1"));
    assert_eq!(leaving.previous_attempt_id, before[0].attempt_id);
    assert_eq!(leaving.first_joined_at, before[0].joined_at);
    assert_ne!(leaving.attempt_id, before[0].attempt_id);
}

#[test]
fn a_node_that_is_taken_out_gives_its_attempts_and_takes_them_up_again() {
    let (mut story, first, second) = two_callers();
    let (mut lifecycle, mut effects) = played(&story);
    let (fs1, fs2) = ("fs1".into(), "fs2".into());
    let removed = lifecycle.remove(&fs2);
    assert_eq!((removed.len(), lifecycle.live()), (1, 1));
    assert_eq!(lifecycle.now(), lifecycle.on(&fs1).now());
    story.sent.clear();
    story.on("fs1");
    story.pass(1_000);
    story.give_up(&first);
    story.play(&mut lifecycle, &mut effects);
    assert_eq!(lifecycle.live(), 0);
    for attempt in removed {
        lifecycle.restore(attempt);
    }
    story.sent.clear();
    story.on("fs2");
    story.pass(1_000);
    story.give_up(&second);
    story.play(&mut lifecycle, &mut effects);
    assert_eq!(lifecycle.live(), 0);
    let payloads: Vec<_> = effects.moments.into_iter().map(|moment| moment.payload).collect();
    for stay in [&first, &second] {
        let told: Vec<_> =
            of(&payloads, &story, stay).iter().map(|payload| (payload.event, payload.sequence)).collect();
        assert_eq!(told, [(EventName::Joined, Some(1)), (EventName::Leaving, Some(2))]);
    }
}
