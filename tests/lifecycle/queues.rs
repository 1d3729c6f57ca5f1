//! Queues: how many members wait, whether they wait too long, and what a comparison with FreeSWITCH shows.

use hookswitch::freeswitch::Snapshot;
use hookswitch::freeswitch::snapshot::TierRow;
use hookswitch::lifecycle::Effects;
use hookswitch::lifecycle::kept::Kept;
use hookswitch::moment::value::Seconds;
use hookswitch::moment::{EventName, Payload};
use jiff::SignedDuration;

use crate::story::{Story, micros, snapshot};

/// The numbers of one queue, with the longest wait.
fn counts(payloads: &[Payload], queue: &str) -> Vec<(u32, Option<f64>)> {
    let told = payloads.iter().filter(|payload| payload.event == EventName::QueueCount);
    let of_queue = told.filter(|payload| payload.queue_name.as_ref().is_some_and(|name| name.as_str() == queue));
    let count = |payload: &Payload| (payload.waiting.expect("a number"), payload.longest_wait_sec.map(|wait| wait.0));
    of_queue.map(count).collect()
}

#[test]
fn a_number_is_of_those_who_wait() {
    let mut story = Story::heard("");
    let first = story.caller();
    story.pass(1_000);
    let leg = story.call("40712345002", "2001");
    let second = story.join(leg, "support@default");
    let other = story.call("40712345003", "2002");
    let third = story.join(other, "sales@default");
    let ring = story.talk(&first, "agent1");
    story.caller_ends(&first, &ring);
    story.give_up(&second);
    story.give_up(&third);
    let told = story.told();
    let support = [(1, Some(0.0)), (2, Some(1.0)), (1, Some(1.02)), (0, None)];
    assert_eq!(counts(&told.payloads, "support@default"), support);
    assert_eq!(counts(&told.payloads, "sales@default"), [(1, Some(0.0)), (0, None)]);
}

#[test]
fn whoever_counts_names_a_change_alike_whatever_it_has_missed() {
    let mut story = Story::heard("");
    let before = story.caller();
    story.pass(1_000);
    let missed = story.sent.len();
    let leg = story.call("40712345002", "2001");
    let stay = story.join(leg, "support@default");
    story.pass(1_000);
    story.give_up(&stay);
    story.give_up(&before);
    let ids = |payloads: &[Payload]| {
        let counts = payloads.iter().filter(|payload| payload.event == EventName::QueueCount);
        counts.map(|payload| payload.id).collect::<Vec<_>>()
    };
    let all = ids(&story.told().payloads);
    story.sent.drain(..missed);
    let late = ids(&story.told().payloads);
    assert_eq!(late.len(), 2);
    assert!(late.iter().all(|id| all.contains(id)), "{late:?} {all:?}");
}

#[test]
fn a_number_goes_on_after_a_restart_and_after_another_configuration() {
    let mut story = Story::heard("");
    let first = story.caller();
    let (mut lifecycle, mut effects) = (story.lifecycle(), Effects::default());
    story.play(&mut lifecycle, &mut effects);
    let states: Vec<_> = effects.changed.iter().filter_map(|hash| lifecycle.state(*hash)).collect();
    let mut restarted = story.lifecycle();
    for (_, state) in states {
        restarted.restore(serde_json::from_str(&state).expect("a state reads back"));
    }
    restarted.configure(story.config());
    story.sent.clear();
    let leg = story.call("40712345002", "2001");
    story.join(leg, "support@default");
    story.give_up(&first);
    let mut effects = Effects::default();
    story.play(&mut restarted, &mut effects);
    let payloads: Vec<_> = effects.moments.into_iter().map(|moment| moment.payload).collect();
    assert_eq!(counts(&payloads, "support@default"), [(2, Some(0.0)), (1, Some(0.0))]);
}

#[test]
fn a_wait_that_is_too_long_is_told_once_when_it_becomes_so() {
    let mut story = Story::heard("sla = '20s'");
    let stay = story.caller();
    story.pass(19_000);
    story.heartbeat();
    story.pass(30_000);
    story.offer(&stay, "agent1");
    story.pass(30_000);
    story.give_up(&stay);
    let told = story.told();
    let missed = told.only(EventName::SlaMissed);
    let joined = told.only(EventName::Joined);
    assert_eq!(missed.timestamp.0, joined.timestamp.0 + SignedDuration::from_secs(20));
    assert_eq!((missed.wait_sec, missed.sla_sec, missed.sequence), (Some(Seconds(20.0)), Some(Seconds(20.0)), Some(1)));
    assert!(!missed.synthetic);
}

#[test]
fn whoever_is_connected_or_gone_by_then_did_not_wait_too_long() {
    for connected in [true, false] {
        let mut story = Story::heard("sla = '2s'");
        let stay = story.caller();
        if connected {
            let ring = story.offer(&stay, "agent1");
            story.pass(1_980);
            story.answer(&stay, &ring);
            story.pass(60_000);
            story.caller_ends(&stay, &ring);
        } else {
            story.pass(2_000);
            story.give_up(&stay);
        }
        assert!(story.told().all(EventName::SlaMissed).is_empty(), "connected: {connected}");
    }
}

#[test]
fn whoever_is_connected_in_time_did_not_wait_too_long_although_it_is_heard_late() {
    let mut story = Story::heard("sla = '20s'");
    let stay = story.caller();
    let ring = story.offer(&stay, "agent1");
    story.pass(19_960);
    story.late(1_500, |story| story.answer(&stay, &ring));
    story.pass(1_000);
    story.heartbeat();
    story.pass(60_000);
    story.caller_ends(&stay, &ring);
    assert!(story.told().all(EventName::SlaMissed).is_empty());
}

#[test]
fn a_wait_that_ends_soon_after_it_has_become_too_long_was_too_long() {
    for connected in [true, false] {
        let mut story = Story::heard("sla = '20s'");
        let stay = story.caller();
        let ring = story.offer(&stay, "agent1");
        story.pass(20_500);
        if connected {
            story.answer(&stay, &ring);
            story.pass(60_000);
            story.caller_ends(&stay, &ring);
        } else {
            story.give_up(&stay);
        }
        let told = story.told();
        let missed = told.only(EventName::SlaMissed);
        assert_eq!(missed.timestamp.0, told.only(EventName::Joined).timestamp.0 + SignedDuration::from_secs(20));
        assert_eq!(missed.wait_sec, Some(Seconds(20.0)));
    }
}

#[test]
fn whether_a_wait_was_too_long_is_not_told_of_who_may_have_been_connected_unheard() {
    let mut story = Story::heard("sla = '20s'");
    let connected = story.caller();
    let leg = story.call("40712345002", "2001");
    let waiting = story.join(leg, "support@default");
    let (mut lifecycle, mut effects) = (story.lifecycle(), Effects::default());
    story.play(&mut lifecycle, &mut effects);
    let (there, open) = (snapshot(&story, &[&connected, &waiting]), lifecycle.open_attempts());
    lifecycle.reconcile(&there, &open, &mut effects);
    lifecycle.end_connection(lifecycle.now());
    let ring = story.lost(|story| {
        story.pass(10_000);
        let ring = story.offer(&connected, "agent1");
        story.answer(&connected, &ring);
        story.pass(20_000);
        ring
    });
    lifecycle.advance(micros(story.now()), &mut effects);
    lifecycle.begin_connection();
    let mut found = snapshot(&story, &[&connected, &waiting]);
    found.taken_at = Some(micros(story.now()));
    found.channels.insert(story.uuid(ring.leg).as_str().into());
    found.members[0].state = "Answered".into();
    let dump = story.dump(connected.leg, story.now()).expect("it is up");
    found.dumps.insert(story.uuid(connected.leg).as_str().into(), dump);
    let open = lifecycle.open_attempts();
    lifecycle.reconcile(&found, &open, &mut effects);
    lifecycle.advance(lifecycle.now() + SignedDuration::from_mins(1), &mut effects);
    let told = effects.moments.iter().map(|moment| &moment.payload);
    let missed: Vec<_> = told.filter(|payload| payload.event == EventName::SlaMissed).collect();
    assert_eq!(missed.iter().map(|payload| &payload.member_number).collect::<Vec<_>>(), [&Some("40712345002".into())]);
}

#[test]
fn a_wait_goes_on_while_the_daemon_is_down() {
    let mut story = Story::heard("sla = '20s'");
    let stay = story.caller();
    let (mut lifecycle, mut effects) = (story.lifecycle(), Effects::default());
    story.play(&mut lifecycle, &mut effects);
    let whole = {
        let mut effects = Effects::default();
        lifecycle.advance(lifecycle.now() + SignedDuration::from_mins(1), &mut effects);
        effects.moments
    };
    for down in [1, 300] {
        let states: Vec<_> = effects.changed.iter().filter_map(|hash| lifecycle.state(*hash)).collect();
        let mut restarted = story.lifecycle();
        for (_, state) in states {
            let mut attempt: hookswitch::lifecycle::attempt::Attempt =
                serde_json::from_str(&state).expect("reads back");
            attempt.sla_settled = false;
            restarted.restore(Kept::Open(Box::new(attempt)));
        }
        let mut later = Effects::default();
        let open = restarted.open_attempts();
        let taken_at = Some(restarted.now() + SignedDuration::from_secs(down));
        restarted.reconcile(&Snapshot { taken_at, ..snapshot(&story, &[&stay]) }, &open, &mut later);
        restarted.advance(restarted.now() + SignedDuration::from_mins(5), &mut later);
        let of = |moments: &[hookswitch::moment::Moment]| {
            let told = moments.iter().map(|moment| &moment.payload);
            let missed = told.filter(|payload| payload.event == EventName::SlaMissed);
            missed.map(|payload| (payload.id, payload.timestamp)).collect::<Vec<_>>()
        };
        assert_eq!(of(&later.moments), of(&whole), "down for {down} s");
    }
}

#[test]
fn a_comparison_tells_each_queue_what_it_has_shown() {
    let mut story = Story::heard("");
    let gone = story.caller();
    let leg = story.call("40712345002", "2001");
    let there = story.join(leg, "support@default");
    let (mut lifecycle, mut effects) = (story.lifecycle(), Effects::default());
    story.play(&mut lifecycle, &mut effects);
    lifecycle.begin_connection();
    let open = lifecycle.open_attempts();
    let tier = |queue: &str| TierRow { queue: queue.into(), agent: "agent1".into() };
    let snapshot =
        Snapshot { tiers: vec![tier("support@default"), tier("sales@default")], ..snapshot(&story, &[&there]) };
    let mut found = Effects::default();
    lifecycle.reconcile(&snapshot, &open, &mut found);
    lifecycle.advance(lifecycle.now() + SignedDuration::from_mins(1), &mut found);
    let told = found.moments.iter().map(|moment| &moment.payload);
    let told = told.filter(|payload| payload.event == EventName::Reconciled);
    let words = |payload: &Payload| {
        let queue = payload.queue_name.as_ref().map(ToString::to_string).unwrap_or_default();
        (queue, payload.attempts_compared, payload.attempts_closed, payload.attempts_opened)
    };
    assert_eq!(
        told.map(words).collect::<Vec<_>>(),
        [
            ("sales@default".to_owned(), Some(0), Some(0), Some(0)),
            ("support@default".to_owned(), Some(2), Some(1), Some(0)),
        ]
    );
    let payloads: Vec<_> = found.moments.into_iter().map(|moment| moment.payload).collect();
    assert_eq!(counts(&payloads, "support@default"), [(1, Some(2.0))], "{} is over", story.uuid(gone.leg));
}
