//! FreeSWITCH's clock is set back in the middle of a recording: the same hooks come, in the same order, with the same results,
//! and no duration is negative.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use hookswitch::config::Config;
use hookswitch::esl::Event;
use hookswitch::esl::recording::{self, Item, decompress};
use hookswitch::lifecycle::{Effects, Lifecycle};
use hookswitch::moment::{EventName, Payload};
use jiff::SignedDuration;
use proptest::prelude::*;

/// Cases of each property, unless `PROPTEST_CASES` says otherwise.
const CASES: u32 = 60;

/// Recordings with more events than this are left out: each case replays two.
const MOST_EVENTS: usize = 4_000;

const CONFIG: &str = r#"
[queues."*"]
processing = true
[queues.dialer]
source = "channel"
type = "progressive"
[queues.cool]
source = "fifo"
"#;

/// An event's headers.
type Headers = Vec<(String, String)>;

struct Recording {
    name: String,
    events: Vec<Headers>,
}

fn recordings() -> &'static [Recording] {
    static RECORDINGS: LazyLock<Vec<Recording>> = LazyLock::new(|| {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recordings");
        let mut paths: Vec<PathBuf> =
            directory.read_dir().expect("is there").map(|entry| entry.expect("readable").path()).collect();
        paths.retain(|path| path.to_string_lossy().ends_with(".plain.esl.zst"));
        paths.sort();
        let read = |path: &PathBuf| {
            let items = recording::events(decompress(File::open(path).expect("opens")).expect("zstd"));
            let events = items.filter_map(|item| match item.expect("a recording") {
                Item::Event(event) => Some(event.headers().map(|(n, v)| (n.into_owned(), v.into_owned())).collect()),
                _ => None,
            });
            Recording {
                name: path.file_name().expect("a name").to_string_lossy().into_owned(),
                events: events.collect(),
            }
        };
        paths.iter().map(read).filter(|recording| recording.events.len() <= MOST_EVENTS).collect()
    });
    &RECORDINGS
}

fn header<'a>(headers: &'a Headers, name: &str) -> Option<&'a str> {
    headers.iter().find(|(found, _)| found == name).map(|(_, value)| &**value)
}

fn micros(headers: &Headers) -> Option<i64> {
    header(headers, "Event-Date-Timestamp")?.parse().ok()
}

/// The value of a header that has a time, as the clock that was set at `set_at` showed it.
fn moved(name: &str, value: &str, set_at: i64, step: i64) -> Option<String> {
    let is_micros = name == "Event-Date-Timestamp"
        || ((name.starts_with("Caller-") || name.starts_with("Other-Leg-")) && name.ends_with("-Time"));
    let is_seconds = (name.starts_with("CC-") && name.ends_with("-Time")) || name.ends_with("_epoch");
    let number: i64 = value.parse().ok()?;
    if is_micros {
        (number >= set_at).then(|| (number + step).to_string())
    } else if is_seconds {
        (number > 0 && number * 1_000_000 >= set_at).then(|| (number + step / 1_000_000).to_string())
    } else {
        None
    }
}

/// The events, as a process sends them whose clock is set by `step` microseconds just before the event of that number.
fn with_clock_set(recording: &Recording, place: usize, step: i64) -> Vec<Event> {
    let set_at = micros(&recording.events[place]).unwrap_or(i64::MAX);
    let event = |headers: &Headers| {
        let mut text = String::new();
        for (name, value) in headers {
            let value = moved(name, value, set_at, step).map_or(Cow::Borrowed(&**value), Cow::Owned);
            let value = percent_encoding::utf8_percent_encode(&value, percent_encoding::NON_ALPHANUMERIC);
            writeln!(text, "{name}: {value}").expect("writes");
        }
        text.push('\n');
        Event::from_plain(Bytes::from(text))
    };
    recording.events.iter().map(event).collect()
}

/// What is told of the events; by a daemon that hears them when they happen, whose own clock is not set, where `times` says when
/// that is.
fn replay(events: &[Event], times: Option<&[i64]>) -> Vec<Payload> {
    static SHARED: LazyLock<Arc<Config>> =
        LazyLock::new(|| Arc::new(Config::from_toml("test", CONFIG).expect("a good configuration")));
    let mut lifecycle = Lifecycle::new("node".into(), Arc::clone(&SHARED));
    let mut effects = Effects::default();
    let mut heard_at = None;
    for (place, event) in events.iter().enumerate() {
        if let Some(at) = times.map(|times| times[place]) {
            let passed = SignedDuration::from_micros(heard_at.map_or(0, |before| at - before).max(0));
            if !passed.is_zero() {
                lifecycle.advance(lifecycle.now() + passed - SignedDuration::from_nanos(1), &mut effects);
            }
            heard_at = heard_at.max(Some(at));
        }
        lifecycle.handle_event(event, &mut effects);
    }
    lifecycle.finish(&mut effects);
    effects.moments.into_iter().map(|moment| moment.payload).collect()
}

/// What must be the same whatever the clock showed.
fn words(payload: &Payload) -> String {
    format!(
        "{} {} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {}",
        payload.event.as_str(),
        payload.id,
        payload.agent_name,
        payload.sequence,
        payload.cc_result,
        payload.cc_cancel_reason,
        payload.missed_reason,
        payload.hangup_side,
        payload.call_cause,
        payload.synthetic,
    )
}

/// What is told of each attempt, in its order. How that of one lies between that of others is no more than how fast time
/// passed, where waits are over.
fn stories(payloads: &[Payload]) -> BTreeMap<Option<u64>, Vec<String>> {
    let mut stories: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for payload in payloads {
        stories.entry(payload.attempt_id).or_default().push(words(payload));
    }
    stories
}

fn negative_durations(payloads: &[Payload]) -> Vec<String> {
    let durations = |p: &Payload| {
        [p.wait_sec, p.ring_sec, p.call_duration, p.call_bill_sec, p.call_voice_sec, p.hold_sec, p.lasted_sec]
    };
    let is_negative = |p: &&Payload| durations(p).into_iter().flatten().any(|seconds| seconds.0 < 0.0);
    payloads.iter().filter(is_negative).map(words).collect()
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if std::env::var_os("PROPTEST_CASES").is_some() { ProptestConfig::default().cases } else { CASES },
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_clock_that_is_set_back_changes_no_story(
        which in any::<prop::sample::Index>(),
        place in any::<prop::sample::Index>(),
        seconds in prop_oneof![1_i64..60, 60_i64..86_400, 86_400_i64..1_000_000],
    ) {
        let recording = which.get(recordings());
        let place = place.index(recording.events.len());
        let times: Vec<_> = recording.events.iter().map(|headers| micros(headers).unwrap_or(0)).collect();
        let usual = replay(&with_clock_set(recording, place, 0), Some(&times));
        let set_back = with_clock_set(recording, place, -seconds * 1_000_000);
        let told = replay(&set_back, Some(&times));
        let difference = stories(&usual).into_iter().zip(stories(&told)).find(|(usual, told)| usual != told);
        prop_assert!(
            difference.is_none() && stories(&usual).len() == stories(&told).len(),
            "{} set back by {seconds} s before event {place}: {difference:#?}",
            recording.name
        );
        // How much time passed while the clock was set is in no recording: a wait may end otherwise, but all is told.
        let replayed = replay(&set_back, None);
        let joined = |payloads: &[Payload]| payloads.iter().filter(|p| p.event == EventName::Joined).count();
        prop_assert_eq!(joined(&replayed), joined(&usual), "{}", recording.name);
        for payloads in [&told, &replayed] {
            prop_assert_eq!(negative_durations(payloads), Vec::<String>::new(), "{}", recording.name);
        }
    }
}
