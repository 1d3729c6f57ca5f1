//! What the lifecycle makes of recordings of a real FreeSWITCH, compared with what truly happened.
//!
//! `tests/recordings/` holds the bytes that an Event Socket client got, a note with the SIP messages that the phones
//! themselves saw, and beside both the truth, worked out by hand from the note. Its README tells how to read them.

mod blanks;
mod cut;
mod subscriber;
mod truth;

use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hookswitch::config::Config;
use hookswitch::esl::recording::{self, Item};
use hookswitch::esl::{Event, recording::decompress};
use hookswitch::lifecycle::{Effects, Lifecycle};
use hookswitch::moment::Payload;
use hookswitch::moment::value::{CcResult, Outcome};
use serde_json::Value;
use truth::Truth;
use truth::beyond::Beyond;

/// The events that the daemon subscribes to.
const SUBSCRIBED: &[&str] = &[
    "CHANNEL_CREATE",
    "CHANNEL_PROGRESS",
    "CHANNEL_PROGRESS_MEDIA",
    "CHANNEL_ANSWER",
    "CHANNEL_BRIDGE",
    "CHANNEL_UNBRIDGE",
    "CHANNEL_HANGUP_COMPLETE",
    "CHANNEL_HOLD",
    "CHANNEL_UNHOLD",
    "HEARTBEAT",
    "SHUTDOWN",
];

/// The subclasses of `CUSTOM` to which it does, for every source of queues.
const SUBCLASSES: &[&str] = &["callcenter::info", "avmd::beep", "hookswitch::amd", "fifo::info"];

fn is_subscribed(event: &Event) -> bool {
    let is_among = |header: &str, known: &[&str]| event.header(header).is_some_and(|text| known.contains(&&*text));
    is_among("Event-Name", SUBSCRIBED) || is_among("Event-Subclass", SUBCLASSES)
}

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recordings")
}

fn truths() -> Vec<Truth> {
    let entries = directory().read_dir().expect("tests/recordings is there");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("a readable entry").path()).collect();
    paths.retain(|path| path.to_string_lossy().ends_with(".truth.json"));
    paths.sort();
    paths.iter().map(|path| Truth::read(path)).collect()
}

fn events_of(name: &str, form: &str) -> Option<Vec<Event>> {
    let file = File::open(directory().join(format!("{name}.{form}.esl.zst"))).ok()?;
    let items = recording::events(decompress(file).expect("zstd"));
    let event = |item| match item {
        Ok(Item::Event(event)) => Some(event),
        Ok(_) => None,
        Err(error) => panic!("{name}.{form}: {error}"),
    };
    Some(items.filter_map(event).collect())
}

fn with_processing() -> Arc<Config> {
    let config = Config::from_toml("test", "[queues.\"*\"]\nprocessing = true\n");
    Arc::new(config.expect("a good configuration"))
}

/// The configuration with which a recording is to be replayed.
fn configuration(truth: &Truth) -> Arc<Config> {
    truth.config.as_ref().map_or_else(with_processing, |name| {
        let text = std::fs::read_to_string(directory().join(name)).expect("a readable configuration");
        Arc::new(Config::from_toml(name, &text).expect("a good configuration"))
    })
}

/// The moments of all events, those beyond the eight too.
fn replay_all<'a>(beyond: &Beyond, events: impl IntoIterator<Item = &'a Event>) -> Vec<Payload> {
    let config = Config::from_toml("test", &beyond.configuration()).expect("a good configuration");
    let mut lifecycle = Lifecycle::new("fs1".into(), Arc::new(config));
    lifecycle.tell_all();
    let mut effects = Effects::default();
    if let Some(snapshot) = beyond.snapshot() {
        lifecycle.reconcile(&snapshot, &BTreeSet::new(), &mut Effects::default());
    }
    for event in events {
        lifecycle.handle_event(event, &mut effects);
    }
    lifecycle.finish(&mut effects);
    // Wrap-ups go on after the recording: what has a time of its own ends by it.
    lifecycle.advance(lifecycle.now() + jiff::SignedDuration::from_mins(1), &mut effects);
    effects.moments.into_iter().map(|moment| moment.payload).collect()
}

fn beyonds() -> Vec<Beyond> {
    let text = std::fs::read_to_string(directory().join("beyond.json")).expect("a readable list");
    let list: Vec<Value> = serde_json::from_str(&text).expect("a list");
    list.into_iter().filter(Value::is_object).map(|v| serde_json::from_value(v).expect("a truth")).collect()
}

fn replay<'a>(events: impl IntoIterator<Item = &'a Event>) -> Vec<Payload> {
    replay_with(with_processing(), events)
}

fn replay_with<'a>(config: Arc<Config>, events: impl IntoIterator<Item = &'a Event>) -> Vec<Payload> {
    let mut lifecycle = Lifecycle::new("fs1".into(), config);
    let mut effects = Effects::default();
    for event in events {
        lifecycle.handle_event(event, &mut effects);
    }
    lifecycle.finish(&mut effects);
    effects.moments.into_iter().map(|moment| moment.payload).collect()
}

#[test]
fn every_recording_gives_the_hooks_that_truly_happened() {
    let mut wrong = Vec::new();
    let mut compared = 0;
    for truth in truths() {
        for form in ["plain", "json", "sub"] {
            if let Some(events) = events_of(&truth.recording, form) {
                compared += 1;
                let differences = truth.compare(&replay_with(configuration(&truth), &events));
                wrong.extend(differences.into_iter().map(|text| format!("{}.{form}: {text}", truth.recording)));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(compared >= 38, "only {compared} recordings were compared");
}

#[test]
fn every_recording_gives_the_events_beyond_the_eight_that_truly_happened() {
    let mut wrong = Vec::new();
    for beyond in beyonds() {
        let events = events_of(&beyond.recording, "plain").expect("the recording is there");
        let told = replay_all(&beyond, &events);
        wrong.extend(beyond.compare(&told));
        let doubled = replay_all(&beyond, events.iter().flat_map(|event| [event, event]));
        assert_eq!(doubled, told, "{}: repeats are told apart", beyond.recording);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn events_beyond_the_eight_change_nothing_of_these_and_have_ids_of_their_own() {
    for beyond in beyonds().iter().filter(|beyond| beyond.snapshot().is_none()) {
        let events = events_of(&beyond.recording, "plain").expect("the recording is there");
        let all = replay_all(beyond, &events);
        let ids: BTreeSet<_> = all.iter().map(|payload| payload.id).collect();
        assert_eq!(ids.len(), all.len(), "{}", beyond.recording);
        let eight: Vec<_> = all.into_iter().filter(|payload| payload.event.is_of_the_eight()).collect();
        assert_eq!(eight, replay(&events), "{}", beyond.recording);
    }
}

#[test]
fn all_events_and_the_daemons_own_subscription_give_the_same() {
    for truth in truths() {
        let Some(events) = events_of(&truth.recording, "plain") else { continue };
        let subscribed: Vec<_> = events.iter().filter(|event| is_subscribed(event)).collect();
        assert!(subscribed.len() < events.len(), "{}", truth.recording);
        let replay = |events: Vec<&Event>| replay_with(configuration(&truth), events);
        assert_eq!(replay(events.iter().collect()), replay(subscribed), "{}", truth.recording);
    }
}

#[test]
fn plain_and_json_give_the_same_but_for_values_with_a_literal_percent_sequence() {
    let mut compared = 0;
    for truth in truths() {
        let (Some(plain), Some(json)) = (events_of(&truth.recording, "plain"), events_of(&truth.recording, "json"))
        else {
            continue;
        };
        compared += 1;
        let (plain, json) = (replay(&plain), replay(&json));
        assert_eq!(plain.len(), json.len(), "{}", truth.recording);
        for (plain, json) in plain.iter().zip(&json) {
            let (mut plain, mut json) = (object(plain), object(json));
            for fields in [&mut plain, &mut json] {
                let variables = fields["variables"].as_object_mut().expect("an object");
                // FreeSWITCH leaves an existing %XX alone when it encodes, so the plain form has lost it.
                variables.retain(|name, _| !["note_percent", "percent"].contains(&name.as_str()));
            }
            assert_eq!(plain, json, "{}", truth.recording);
        }
    }
    assert!(compared >= 5, "only {compared} recordings have both forms");
}

#[test]
fn moments_have_unlike_ids_and_a_replay_repeats_them() {
    for truth in truths() {
        let Some(events) = events_of(&truth.recording, "plain").or_else(|| events_of(&truth.recording, "sub")) else {
            continue;
        };
        let replay = || replay_with(configuration(&truth), &events);
        let (first, second) = (replay(), replay());
        assert_eq!(first, second, "{}", truth.recording);
        let ids: BTreeSet<_> = first.iter().map(|payload| payload.id).collect();
        assert_eq!(ids.len(), first.len(), "{}", truth.recording);
    }
}

#[test]
fn doubled_events_change_nothing() {
    for truth in truths() {
        let Some(events) = events_of(&truth.recording, "plain") else { continue };
        let doubled: Vec<_> = events.iter().flat_map(|event| [event, event]).collect();
        let replay = |events: Vec<&Event>| replay_with(configuration(&truth), events);
        assert_eq!(replay(events.iter().collect()), replay(doubled), "{}", truth.recording);
    }
}

#[test]
fn no_channel_and_no_fifo_is_followed_whose_queue_has_no_such_source() {
    for truth in truths().iter().filter(|truth| truth.config.is_some() || truth.attempts.is_empty()) {
        let Some(events) = events_of(&truth.recording, "plain") else { continue };
        assert_eq!(replay(&events), [], "{}", truth.recording);
    }
}

#[test]
fn no_queue_of_mod_callcenter_is_followed_twice_whatever_its_source_is_said_to_be() {
    for source in ["channel", "fifo"] {
        for truth in truths().iter().filter(|truth| truth.config.is_none()) {
            let Some(events) = events_of(&truth.recording, "plain") else { continue };
            let queue = |attempt: &truth::Attempt| {
                format!("[queues.{:?}]\nsource = \"{source}\"\ntype = \"progressive\"\n", attempt.queue)
            };
            let queues: BTreeSet<_> = truth.attempts.iter().map(queue).collect();
            let config =
                Config::from_toml("test", &queues.into_iter().collect::<String>()).expect("a good configuration");
            assert_eq!(replay_with(Arc::new(config), &events), [], "{} by {source}", truth.recording);
        }
    }
}

fn object(payload: &Payload) -> serde_json::Map<String, Value> {
    match serde_json::to_value(payload).expect("serializes") {
        Value::Object(fields) => fields,
        other => panic!("{other} is no object"),
    }
}

/// What one payload must carry.
#[derive(serde::Deserialize)]
struct Expectation {
    recording: String,
    event: String,
    /// Of this queue, where a recording has several.
    queue: Option<String>,
    /// Which of those that remain, from 0.
    #[serde(default)]
    nth: usize,
    #[serde(default)]
    within: f64,
    #[serde(default)]
    expect: serde_json::Map<String, Value>,
    #[serde(default)]
    variables: serde_json::Map<String, Value>,
    #[serde(default)]
    without: Vec<String>,
}

impl Expectation {
    fn differences(&self) -> Vec<String> {
        let events = events_of(&self.recording, "plain").expect("the recording is there");
        let payloads: Vec<_> = replay(&events).iter().map(object).collect();
        let meant = |fields: &&serde_json::Map<String, Value>| {
            fields["event"] == *self.event && self.queue.as_ref().is_none_or(|queue| fields["queue_name"] == **queue)
        };
        let Some(fields) = payloads.iter().filter(meant).nth(self.nth) else {
            return vec![format!("{}: no {}", self.recording, self.event)];
        };
        let carried = self.expect.iter().map(|(name, expected)| (name, expected, &fields[name]));
        let variables = self.variables.iter().map(|(name, expected)| (name, expected, &fields["variables"][name]));
        let leaked = self.without.iter().map(|name| (name, &Value::Null, &fields["variables"][name]));
        let wrong = carried.chain(variables).chain(leaked).filter(|(_, expected, told)| !self.alike(expected, told));
        wrong
            .map(|(name, expected, told)| {
                format!("{} {}: {name} is {told}, on the phones {expected}", self.recording, self.event)
            })
            .collect()
    }

    fn alike(&self, expected: &Value, told: &Value) -> bool {
        match (expected.as_f64(), told.as_f64()) {
            (Some(expected), Some(told)) => (expected - told).abs() <= self.within,
            _ => expected == told,
        }
    }
}

#[test]
fn every_other_field_agrees_with_what_the_phones_saw() {
    let text = std::fs::read_to_string(directory().join("fields.json")).expect("a readable list");
    let list: Vec<Value> = serde_json::from_str(&text).expect("a list");
    let expectations: Vec<Expectation> =
        list.into_iter().filter(Value::is_object).map(|v| serde_json::from_value(v).expect("an expectation")).collect();
    let wrong: Vec<_> = expectations.iter().flat_map(Expectation::differences).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(expectations.len() > 25);
}

/// The recording's moments without the events that `is_missed` names, as words; what was inferred bears a star.
fn story_without(name: &str, is_missed: impl Fn(&Event) -> bool) -> (Vec<String>, Payload) {
    let events = events_of(name, "plain").expect("the recording is there");
    let moments = replay(events.iter().filter(|event| !is_missed(event)));
    let word = |moment: &Payload| format!("{}{}", moment.event, if moment.synthetic { "*" } else { "" });
    (moments.iter().map(word).collect(), moments.last().expect("moments").clone())
}

fn says(event: &Event, header: &str, value: &str) -> bool {
    event.header(header).is_some_and(|said| said == value)
}

#[test]
fn a_connection_is_inferred_although_the_answer_was_missed_too() {
    let (story, leaving) = story_without("01_answered", |event| {
        says(event, "Event-Name", "CHANNEL_BRIDGE")
            || says(event, "CC-Action", "bridge-agent-start")
            || (says(event, "Event-Name", "CHANNEL_ANSWER") && says(event, "variable_cc_side", "agent"))
    });
    assert_eq!(story, ["joined", "offering", "answered*", "bridged*", "processing", "leaving"]);
    assert_eq!(leaving.cc_result, Some(CcResult::Success));
}

#[test]
fn a_connection_is_inferred_although_nothing_was_seen_of_the_agent_before() {
    let (story, leaving) = story_without("01_answered", |event| {
        let is_of_agent = says(event, "variable_cc_side", "agent") && !says(event, "CC-Action", "bridge-agent-end");
        says(event, "Event-Name", "CHANNEL_BRIDGE") || says(event, "CC-Action", "agent-offering") || is_of_agent
    });
    assert_eq!(story, ["joined", "offering*", "answered*", "bridged*", "processing", "leaving"]);
    assert_eq!(leaving.cc_result, Some(CcResult::Success));
    assert_eq!(leaving.agent_name.as_ref().map(|agent| agent.as_str()), Some("agent1"));
}

#[test]
fn an_offer_whose_end_was_missed_is_over_when_the_agent_is_called_again() {
    let ends = std::cell::Cell::new(0);
    let (story, leaving) = story_without("05c_max_no_answer", |event| {
        let is_end = says(event, "CC-Action", "bridge-agent-fail");
        is_end && ends.replace(ends.get() + 1) == 0
    });
    assert_eq!(story, ["joined", "offering", "missed*", "offering", "missed", "leaving"]);
    let outcomes: Vec<_> = leaving.offers.iter().flatten().map(|offer| offer.outcome).collect();
    assert_eq!(outcomes, [Outcome::NoAnswer, Outcome::NoAnswer]);
}

/// What `hookswitch replay` prints of a recording, with these arguments before it.
fn replayed_by_the_program(arguments: &[&str], name: &str) -> String {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_hookswitch"))
        .arg("replay")
        .args(arguments)
        .arg(directory().join(format!("{name}.plain.esl.zst")))
        .output()
        .expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8")
}

#[test]
fn the_program_prints_the_events_beyond_the_eight_when_it_is_asked_for_all() {
    let printed = |arguments: &[&str]| {
        let lines = replayed_by_the_program(&[arguments, &["--format", "jsonl"]].concat(), "11a_hold_reinvite");
        lines.lines().map(|line| serde_json::from_str::<Payload>(line).expect("a payload")).collect::<Vec<_>>()
    };
    let (eight, mut all) = (printed(&[]), printed(&["--all"]));
    assert!(eight.iter().all(|payload| payload.event.is_of_the_eight()));
    for event in ["hold", "unhold", "offer_ended", "queue_count", "agent_status", "agent_state"] {
        assert!(all.iter().any(|payload| payload.event.as_str() == event), "no {event}");
    }
    all.retain(|payload| payload.event.is_of_the_eight());
    assert_eq!(all, eight);
    assert!(replayed_by_the_program(&["--all"], "11a_hold_reinvite").contains("held by agent"));
}
