//! What callers and tellers can fill is bounded in bytes: a node's attempts go on without variables, tellers are refused.

use std::sync::Arc;

use hookswitch::config::Config;
use hookswitch::esl::Event;
use hookswitch::lifecycle::anomaly::Anomaly;
use hookswitch::lifecycle::told::Refusal;
use hookswitch::lifecycle::{Effects, Lifecycle};
use hookswitch::signal::{Opening, Signal, Telling};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

/// What the live attempts may have, as the documents say it.
const LIVE_BYTES: usize = 64 * 1024 * 1024;

/// What one attempt brings.
const BROUGHT: usize = 60_000;

fn config() -> Arc<Config> {
    let text = "[queues.desk]\nsource = \"api\"\n[queues.\"*\"]\nvariables = { crm = \"acme\" }\n";
    Arc::new(Config::from_toml("test.toml", text).expect("good"))
}

fn opening() -> Telling {
    let variables = json!({ "note": "x".repeat(BROUGHT) });
    Telling::Opening(Opening { variables: variables.as_object().expect("an object").clone(), ..Opening::default() })
}

fn signal(id: usize, signal: serde_json::Value) -> Telling {
    let signal: Signal = serde_json::from_value(json!({ "id": id.to_string(), "signal": signal })).expect("a signal");
    Telling::Signal(signal)
}

#[test]
fn tellers_are_refused_when_live_attempts_have_too_many_bytes_and_can_always_end_theirs() {
    let mut lifecycle = Lifecycle::of_api(config());
    lifecycle.advance(Timestamp::now(), &mut Effects::default());
    let mut tell = |key: usize, telling: &Telling| {
        let key = format!("k{key}").parse().expect("a key");
        lifecycle.tell(&"desk".into(), &key, telling, &mut Effects::default())
    };
    let opening = opening();
    let opened = (0..10_000).find(|key| tell(*key, &opening) == Err(Refusal::TooManyBytes)).expect("it has an end");
    assert!((LIVE_BYTES / BROUGHT - 20..=LIVE_BYTES / BROUGHT + 1).contains(&opened), "{opened}");
    let offering = json!({ "offering": { "agent": "anna" } });
    assert_eq!(tell(0, &signal(1, offering.clone())), Err(Refusal::TooManyBytes));
    tell(0, &signal(2, json!({ "leaving": {} }))).expect("an end is taken");
    tell(1, &signal(1, offering)).expect("there is room again");
    tell(opened, &opening).expect("there is room again");
    assert_eq!(tell(opened + 1, &opening), Err(Refusal::TooManyBytes));
}

#[test]
fn what_is_remembered_of_signals_is_bounded() {
    const ATTEMPTS: usize = 1_300;
    let mut lifecycle = Lifecycle::of_api(config());
    lifecycle.advance(Timestamp::now(), &mut Effects::default());
    let long = "i".repeat(120);
    let mut forgotten = 0;
    for key in 0..ATTEMPTS {
        let key = format!("k{key}").parse().expect("a key");
        let mut tell = |telling: &Telling| {
            let mut effects = Effects::default();
            lifecycle.tell(&"desk".into(), &key, telling, &mut effects).expect("is taken");
            forgotten += effects.changed.iter().filter(|hash| lifecycle.state(**hash).is_none()).count();
        };
        tell(&Telling::Opening(Opening::default()));
        for number in 0..100 {
            let agent = json!({ "agent": "anna" });
            let what = if number % 2 == 0 { json!({ "offering": agent }) } else { json!({ "missed": agent }) };
            let said = json!({ "id": format!("{long}{number}"), "signal": what });
            tell(&Telling::Signal(serde_json::from_value(said).expect("a signal")));
        }
        tell(&signal(0, json!({ "leaving": {} })));
    }
    assert_eq!(lifecycle.live(), 0);
    assert!((1..ATTEMPTS / 2).contains(&forgotten), "{forgotten}");
}

#[test]
fn times_outside_of_all_reason_are_refused() {
    let mut lifecycle = Lifecycle::of_api(config());
    lifecycle.advance(Timestamp::now(), &mut Effects::default());
    let mut open = |at: Timestamp| {
        let opening = Telling::Opening(Opening { at: Some(at), ..Opening::default() });
        lifecycle.tell(&"desk".into(), &"k1".parse().expect("a key"), &opening, &mut Effects::default())
    };
    for at in ["-009999-01-03T00:00:00Z", "0001-01-01T00:00:00Z", "1969-12-31T00:00:00Z", "1999-12-31T23:59:59.999Z"] {
        let at = at.parse().expect("a time");
        assert_eq!(open(at), Err(Refusal::LongAgo(at)));
    }
    for at in [Timestamp::MAX, Timestamp::now() + SignedDuration::from_mins(1)] {
        assert!(matches!(open(at), Err(Refusal::InFuture { .. })));
    }
    open("2000-01-01T00:00:00Z".parse().expect("a time")).expect("can be");
}

#[test]
fn a_node_s_attempts_go_on_without_their_variables_when_they_have_too_many_bytes() {
    let mut lifecycle = Lifecycle::new("fs1".into(), config());
    let (mut sequence, now) = (0, Timestamp::from_second(1_795_000_000).expect("in range"));
    let mut handle = |lifecycle: &mut Lifecycle, number: usize, more: &str| {
        sequence += 1;
        let at = (now + SignedDuration::from_millis(sequence)).as_microsecond();
        let text = format!(
            "Event-Name: CUSTOM\nEvent-Subclass: callcenter%3A%3Ainfo\nCore-UUID: core\nEvent-Sequence: {sequence}\n\
             Event-Date-Timestamp: {at}\nCC-Queue: support\nCC-Member-UUID: m{number}\nUnique-ID: c{number}\n\
             CC-Member-Session-UUID: c{number}\nvariable_note: {}\n{more}\n\n",
            "x".repeat(BROUGHT)
        );
        let mut effects = Effects::default();
        lifecycle.handle_event(&Event::from_plain(text.into_bytes().into()), &mut effects);
        effects.moments
    };
    let members = LIVE_BYTES / BROUGHT + 200;
    let joined: Vec<_> = (0..members)
        .map(|number| {
            let moments = handle(&mut lifecycle, number, "CC-Action: member-queue-start\nCC-Member-CID-Name: anna");
            assert_eq!(moments.len(), 1);
            moments[0].payload.variables.as_json().to_owned()
        })
        .collect();
    assert!(joined[0].len() > BROUGHT && joined[0].contains("acme"));
    assert_eq!(joined[members - 1], r#"{"crm":"acme","hookswitch_variables_cut":1}"#);
    assert!(lifecycle.anomalies().of(Anomaly::TooManyBytes) >= 199, "{:?}", lifecycle.anomalies());
    assert_eq!(lifecycle.live(), members);
    for number in 0..members {
        let end = "Answer-State: hangup\nCC-Action: member-queue-end\nCC-Cancel-Reason: TIMEOUT";
        handle(&mut lifecycle, number, end);
    }
    lifecycle.advance(now + SignedDuration::from_hours(1), &mut Effects::default());
    assert_eq!(lifecycle.live(), 0);
    let moments = handle(&mut lifecycle, members, "CC-Action: member-queue-start");
    assert!(moments[0].payload.variables.as_json().len() > BROUGHT, "there is room again");
}
