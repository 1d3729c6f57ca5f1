//! Post-processing and its end: by the wrap-up time, by what the agent does next, across restarts and losses.

use std::collections::BTreeMap;

use hookswitch::freeswitch::Snapshot;
use hookswitch::freeswitch::snapshot::AgentRow;
use hookswitch::id::AttemptHash;

use hookswitch::lifecycle::kept::Kept;
use hookswitch::lifecycle::{Effects, Lifecycle};
use hookswitch::moment::value::Seconds;
use hookswitch::moment::{EventName, Payload};
use jiff::SignedDuration;

use crate::story::{Ended, Story};

/// A snapshot in which agent1 has a wrap-up time of so many seconds.
fn wrap_up_time(seconds: &str) -> Snapshot {
    let agent = AgentRow { name: "agent1".into(), wrap_up_time: seconds.into(), ..AgentRow::default() };
    Snapshot { core: Some("core-1".into()), agents: vec![agent], ..Snapshot::default() }
}

/// Tells the story to a daemon that knows agent1's wrap-up time, and then lets a day pass.
fn told(story: &Story, seconds: &str) -> (Vec<Payload>, Lifecycle) {
    let (mut lifecycle, mut effects) = (story.lifecycle(), Effects::default());
    lifecycle.reconcile(&wrap_up_time(seconds), &Default::default(), &mut Effects::default());
    story.play(&mut lifecycle, &mut effects);
    lifecycle.advance(lifecycle.now() + SignedDuration::from_hours(24), &mut effects);
    (effects.moments.into_iter().map(|moment| moment.payload).collect(), lifecycle)
}

/// How long each post-processing lasted, and whether its end was inferred.
fn processed(payloads: &[Payload]) -> Vec<(f64, bool)> {
    let ends = payloads.iter().filter(|payload| payload.event == EventName::Processed);
    ends.map(|payload| (payload.lasted_sec.expect("it lasted").0, payload.synthetic)).collect()
}

/// A caller talks with agent1 and hangs up; mod_callcenter then says that the agent waits.
fn conversation(story: &mut Story) {
    let stay = story.caller();
    let ring = story.talk(&stay, "agent1");
    story.caller_ends(&stay, &ring);
    story.state("agent1", "Waiting");
}

#[test]
fn it_ends_with_the_wrap_up_time() {
    let mut story = Story::heard("");
    conversation(&mut story);
    let (payloads, lifecycle) = told(&story, "30");
    assert_eq!(processed(&payloads), [(30.0, false)]);
    let of = |event| payloads.iter().find(|payload| payload.event == event).expect("told");
    let (processing, leaving, processed) =
        (of(EventName::Processing), of(EventName::Leaving), of(EventName::Processed));
    assert_eq!(processed.timestamp.0, processing.timestamp.0 + SignedDuration::from_secs(30));
    assert_eq!(processed.sequence, leaving.sequence, "the last number of the eight");
    assert_eq!(processed.agent_name, processing.agent_name);
    assert_eq!(processed.call_voice_sec, leaving.call_voice_sec, "the talk was over");
    assert_eq!(processed.call_duration, leaving.call_duration, "post-processing is not counted");
    assert_eq!((lifecycle.live(), lifecycle.next_deadline()), (0, None));
}

#[test]
fn it_ends_earlier_with_what_the_agent_does_next() {
    type Step = fn(&mut Story);
    let next: [(&str, Step); 4] = [
        ("a status", |story| story.status("agent1", "On Break")),
        ("the same status again", |story| story.status("agent1", "Available")),
        ("a state", |story| story.state("agent1", "Idle")),
        ("a second `Waiting`", |story| story.state("agent1", "Waiting")),
    ];
    for (what, next) in next {
        let mut story = Story::heard("");
        conversation(&mut story);
        story.pass(7_000);
        next(&mut story);
        assert_eq!(processed(&told(&story, "30").0), [(7.0, false)], "{what}");
    }
}

#[test]
fn an_offer_from_another_queue_ends_it() {
    let mut story = Story::heard("");
    conversation(&mut story);
    story.pass(4_000);
    let leg = story.call("40712345002", "2002");
    let stay = story.join(leg, "sales@default");
    let ring = story.offer(&stay, "agent1");
    story.pass(1_000);
    story.miss(&stay, &ring, "USER_BUSY", Ended::ByPhone);
    story.give_up(&stay);
    assert_eq!(processed(&told(&story, "30").0), [(4.0, false)]);
}

#[test]
fn another_conversation_ends_it_although_its_offer_was_lost() {
    let mut story = Story::heard("");
    conversation(&mut story);
    story.pass(4_000);
    let leg = story.call("40712345002", "2002");
    let stay = story.join(leg, "sales@default");
    let ring = story.lost(|story| story.offer(&stay, "agent1"));
    story.pass(1_000);
    story.answer(&stay, &ring);
    story.pass(5_000);
    story.caller_ends(&stay, &ring);
    assert_eq!(processed(&told(&story, "30").0), [(5.0, false), (30.0, false)]);
}

#[test]
fn what_other_agents_do_and_what_comes_late_does_not_end_it() {
    let mut story = Story::heard("");
    story.late(20_000, |story| story.status("agent1", "On Break"));
    story.pass(1_000);
    conversation(&mut story);
    story.pass(1_000);
    story.status("agent2", "On Break");
    story.pass(60_000);
    story.heartbeat();
    assert_eq!(processed(&told(&story, "30").0), [(30.0, false)]);
}

#[test]
fn without_a_wrap_up_time_it_lasts_until_the_agent_does_something_and_not_for_ever() {
    let mut story = Story::heard("");
    conversation(&mut story);
    let twelve_hours = 43_200.0;
    assert_eq!(processed(&told(&story, "0").0), [(twelve_hours, true)]);
    story.pass(90_000);
    story.status("agent1", "Available");
    assert_eq!(processed(&told(&story, "0").0), [(90.0, false)]);
}

#[test]
fn where_nobody_hears_of_its_end_nothing_is_kept() {
    let mut story = Story::new();
    conversation(&mut story);
    let (mut lifecycle, mut effects) = (story.lifecycle(), Effects::default());
    story.play(&mut lifecycle, &mut effects);
    lifecycle.advance(lifecycle.now() + SignedDuration::from_secs(2), &mut effects);
    assert_eq!(lifecycle.next_deadline(), None);
    assert!(effects.changed.iter().all(|hash| lifecycle.state(*hash).is_none()));
    assert!(effects.moments.iter().all(|moment| moment.payload.event.is_of_the_eight()));
}

/// Plays the story to one daemon after another: the first is ended before the event at `cut`.
fn restarted(story: &Story, cut: usize) -> Vec<Payload> {
    let (mut lifecycle, mut kept) = (story.lifecycle(), BTreeMap::<AttemptHash, String>::new());
    lifecycle.reconcile(&wrap_up_time("30"), &Default::default(), &mut Effects::default());
    let mut payloads = Vec::new();
    let mut commit = |lifecycle: &Lifecycle, effects: Effects, kept: &mut BTreeMap<_, _>| {
        for hash in &effects.changed {
            match lifecycle.state(*hash) {
                Some((_, state)) => kept.insert(*hash, state),
                None => kept.remove(hash),
            };
        }
        payloads.extend(effects.moments.into_iter().map(|moment| moment.payload));
    };
    for (place, sent) in story.sent.iter().enumerate() {
        if place == cut {
            lifecycle = story.lifecycle();
            for state in kept.values() {
                lifecycle.restore(Kept::read(state).expect("a state reads back"));
            }
        }
        let mut effects = Effects::default();
        lifecycle.handle_event(&sent.event, &mut effects);
        commit(&lifecycle, effects, &mut kept);
    }
    let mut effects = Effects::default();
    lifecycle.advance(lifecycle.now() + SignedDuration::from_hours(24), &mut effects);
    commit(&lifecycle, effects, &mut kept);
    assert!(kept.is_empty(), "nothing is open any more");
    payloads
}

#[test]
fn it_survives_a_restart() {
    let mut story = Story::heard("");
    conversation(&mut story);
    story.pass(10_000);
    story.heartbeat();
    story.pass(10_000);
    story.heartbeat();
    let since_processing = story.sent.iter().position(|sent| sent.name == "bridge-agent-end").expect("it was sent") + 1;
    let whole = restarted(&story, usize::MAX);
    let end = |payloads: &[Payload]| {
        let last = payloads.last().expect("a moment").clone();
        (last.event, last.id, last.timestamp, last.lasted_sec)
    };
    assert_eq!(end(&whole).0, EventName::Processed);
    assert_eq!(end(&whole).3, Some(Seconds(30.0)));
    for cut in since_processing..story.sent.len() {
        assert_eq!(end(&restarted(&story, cut)), end(&whole), "restarted before event {cut}");
    }
}

#[test]
fn it_goes_with_its_node_to_another_follower() {
    let mut story = Story::heard("");
    conversation(&mut story);
    let (mut lifecycle, mut effects) = (story.lifecycle(), Effects::default());
    lifecycle.reconcile(&wrap_up_time("30"), &Default::default(), &mut Effects::default());
    story.play(&mut lifecycle, &mut effects);
    let handed_over = lifecycle.remove(&"fs1".into());
    assert_eq!(handed_over.len(), 1);
    assert_eq!(lifecycle.next_deadline(), None);
    let (mut next, mut effects) = (story.lifecycle(), Effects::default());
    handed_over.into_iter().for_each(|attempt| next.restore(attempt));
    next.advance(next.now() + SignedDuration::from_hours(1), &mut effects);
    let payloads: Vec<_> = effects.moments.into_iter().map(|moment| moment.payload).collect();
    assert_eq!(processed(&payloads), [(30.0, false)]);
}

#[test]
fn a_status_set_on_another_node_of_the_cluster_ends_it() {
    let mut story = Story::heard("");
    conversation(&mut story);
    let (mut lifecycle, mut effects) = (story.lifecycle(), Effects::default());
    story.play(&mut lifecycle, &mut effects);
    story.sent.clear();
    story.restart();
    story.pass(5_000);
    story.status("agent1", "On Break");
    story.play(lifecycle.on(&"fs2".into()), &mut effects);
    let payloads: Vec<_> = effects.moments.into_iter().map(|moment| moment.payload).collect();
    assert_eq!(processed(&payloads), [(5.0, false)]);
}

#[test]
fn what_the_agent_did_while_the_link_was_down_ends_it() {
    let found = |row: AgentRow| {
        let mut story = Story::heard("");
        conversation(&mut story);
        let (mut lifecycle, mut effects) = (story.lifecycle(), Effects::default());
        lifecycle.reconcile(&wrap_up_time("30"), &Default::default(), &mut Effects::default());
        story.play(&mut lifecycle, &mut effects);
        lifecycle.begin_connection();
        lifecycle.advance(lifecycle.now() + SignedDuration::from_secs(12), &mut effects);
        let snapshot = Snapshot { core: Some("core-1".into()), agents: vec![row], ..Snapshot::default() };
        lifecycle.reconcile(&snapshot, &Default::default(), &mut effects);
        lifecycle.advance(lifecycle.now() + SignedDuration::from_hours(1), &mut effects);
        let payloads: Vec<_> = effects.moments.into_iter().map(|moment| moment.payload).collect();
        processed(&payloads)
    };
    let agent = |status: i64, state: &str| AgentRow {
        name: "agent1".into(),
        wrap_up_time: "30".into(),
        status: "Available".into(),
        state: state.into(),
        last_status_change: status.into(),
        ..AgentRow::default()
    };
    assert_eq!(found(agent(1_795_421_900, "Waiting")), [(30.0, false)], "nothing has happened");
    assert_eq!(found(agent(1_795_421_900, "Receiving")), [(12.0, true)]);
    let end = found(agent(1_795_421_942, "Waiting"));
    assert!(matches!(end[..], [(lasted, true)] if lasted < 12.0), "{end:?}");
}
