//! Members who wait already when the daemon sees their node for the first time.

use std::collections::BTreeSet;
use std::sync::Arc;

use hookswitch::config::Config;
use hookswitch::esl::Event;
use hookswitch::freeswitch::Snapshot;
use hookswitch::lifecycle::{Effects, Lifecycle};
use hookswitch::moment::EventName;
use serde_json::json;

/// When the node is first heard of.
const START: i64 = 1_800_000_000;

fn event(name: &str, at: i64, more: &[(&str, &str)]) -> Event {
    let mut headers = json!({
        "Event-Name": name,
        "Core-UUID": "core",
        "Event-Date-Timestamp": (at * 1_000_000).to_string(),
    });
    for (header, value) in more {
        headers[*header] = (*value).into();
    }
    Event::from_json(headers.to_string().as_bytes()).expect("an event")
}

/// What FreeSWITCH shows of one member of `support` who joined at that time.
fn snapshot(session: &str, joined_at: i64) -> Snapshot {
    let row = json!({
        "queue": "support", "uuid": "member", "session_uuid": session, "state": "Waiting",
        "joined_epoch": joined_at.to_string(), "cid_name": "Ada", "cid_number": "1",
    });
    let dump = event("CHANNEL_DATA", START + 60, &[("Unique-ID", session), ("variable_cc_queue", "support")]);
    Snapshot {
        core: Some("core".into()),
        channels: [session.into()].into(),
        members: vec![serde_json::from_value(row).expect("a row")],
        dumps: [(session.into(), dump)].into(),
        ..Snapshot::default()
    }
}

fn lifecycle(way: &str) -> Lifecycle {
    let text = format!("[daemon]\nwaiting_at_start = \"{way}\"\n");
    Lifecycle::new("fs1".into(), Arc::new(Config::from_toml("test.toml", &text).expect("a good configuration")))
}

/// The moments of a comparison with a member who joined so long after the start.
fn joined(lifecycle: &mut Lifecycle, session: &str, after_start: i64) -> Vec<(EventName, bool)> {
    let mut effects = Effects::default();
    lifecycle.reconcile(&snapshot(session, START + after_start), &BTreeSet::new(), &mut effects);
    effects.moments.iter().map(|moment| (moment.payload.event, moment.payload.synthetic)).collect()
}

fn connected(way: &str) -> Lifecycle {
    let mut lifecycle = lifecycle(way);
    lifecycle.begin_connection();
    lifecycle.handle_event(&event("HEARTBEAT", START, &[]), &mut Effects::default());
    lifecycle
}

#[test]
fn who_waits_at_the_start_is_taken_over() {
    assert_eq!(joined(&mut connected("take_over"), "a", -100), [(EventName::Joined, true)]);
}

#[test]
fn who_waits_at_the_start_can_be_left_alone() {
    let mut lifecycle = connected("ignore");
    assert_eq!(joined(&mut lifecycle, "a", -100), []);
    assert_eq!(lifecycle.live(), 0);
    // Nor does a later connection take them over, or what happens to them.
    lifecycle.begin_connection();
    lifecycle.handle_event(&event("HEARTBEAT", START + 50, &[]), &mut Effects::default());
    assert_eq!(joined(&mut lifecycle, "a", -100), []);
}

#[test]
fn who_joined_while_the_connection_was_down_is_taken_over_either_way() {
    for way in ["take_over", "ignore"] {
        let mut lifecycle = connected(way);
        lifecycle.begin_connection();
        lifecycle.handle_event(&event("HEARTBEAT", START + 50, &[]), &mut Effects::default());
        assert_eq!(joined(&mut lifecycle, "b", 20), [(EventName::Joined, true)], "{way}");
    }
}

#[test]
fn before_the_first_event_everybody_waits_already() {
    assert_eq!(joined(&mut lifecycle("ignore"), "a", 0), []);
    assert_eq!(joined(&mut lifecycle("take_over"), "a", 0), [(EventName::Joined, true)]);
}
