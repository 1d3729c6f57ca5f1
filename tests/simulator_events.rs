//! The simulated FreeSWITCH held against recordings of a real one: the same headers, in the same order, in the same spelling.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use hookswitch::simulator::{Scenario, SimulatedEvent, Simulation, WireFormat};
use jiff::Timestamp;
use percent_encoding::percent_decode_str;

/// An event as a list of names and decoded values.
type Headers = Vec<(String, String)>;

/// The recordings that show what the simulation can do.
const RECORDINGS: [&str; 13] = [
    "01_answered",
    "03_abandon_waiting",
    "04_abandon_ringing",
    "05c_max_no_answer",
    "06a_reject_486",
    "07a_ringall",
    "08a_queue_timeout",
    "09a_exit_key_api",
    "10b_blind_transfer_refer_queue",
    "11a_hold_reinvite",
    "15b_shutdown_sigterm",
    "16a_dialer_human",
    "24b_caller_gone_during_whisper",
];

/// The kinds of events that a client of hookswitch's sort subscribes to; every one must occur in the simulation.
const KINDS: [&str; 21] = [
    "CHANNEL_CREATE inbound",
    "CHANNEL_CREATE outbound",
    "CHANNEL_PROGRESS outbound",
    "CHANNEL_ANSWER inbound",
    "CHANNEL_ANSWER outbound",
    "CHANNEL_BRIDGE inbound",
    "CHANNEL_UNBRIDGE inbound",
    "CHANNEL_HOLD outbound",
    "CHANNEL_UNHOLD outbound",
    "CHANNEL_HANGUP_COMPLETE inbound",
    "CHANNEL_HANGUP_COMPLETE outbound",
    "HEARTBEAT",
    "member-queue-start inbound",
    "member-queue-end inbound",
    "agent-offering",
    "bridge-agent-start outbound",
    "bridge-agent-end outbound",
    "bridge-agent-fail",
    "agent-status-change",
    "agent-state-change",
    "members-count",
];

/// A parser of its own: headers to the blank line, a line each, values percent-encoded.
fn parse(text: &str) -> Headers {
    let lines = text.split('\n').take_while(|line| !line.is_empty());
    let headers = lines.filter_map(|line| line.split_once(": "));
    headers.map(|(name, value)| (name.to_owned(), percent_decode_str(value).decode_utf8_lossy().into_owned())).collect()
}

fn value<'a>(event: &'a Headers, name: &str) -> &'a str {
    event.iter().find(|(candidate, _)| candidate == name).map_or("", |(_, value)| value)
}

fn kind(event: &Headers) -> String {
    let action = value(event, "CC-Action");
    let name = if action.is_empty() { value(event, "Event-Name") } else { action };
    format!("{name} {}", value(event, "Call-Direction")).trim_end().to_owned()
}

/// The events of a recording.
fn recorded(name: &str) -> Vec<Headers> {
    let path = Path::new("tests/recordings").join(format!("{name}.plain.esl.zst"));
    let bytes = zstd::decode_all(std::fs::File::open(&path).expect("the recording is there")).expect("it is whole");
    let mut rest = bytes.as_slice();
    let mut events = Vec::new();
    while let Some(end) = rest.windows(2).position(|pair| pair == b"\n\n") {
        let frame = parse(&String::from_utf8_lossy(&rest[..end + 1]));
        let length: usize = value(&frame, "Content-Length").parse().unwrap_or(0);
        let body = &rest[end + 2..end + 2 + length];
        if value(&frame, "Content-Type") == "text/event-plain" {
            events.push(parse(&String::from_utf8_lossy(body)));
        }
        rest = &rest[end + 2 + length..];
    }
    events
}

fn start() -> Timestamp {
    "2026-11-23T08:00:00Z".parse().expect("a time")
}

fn simulate(seed: u64, scenario: Scenario, minutes: u64) -> Vec<SimulatedEvent> {
    let mut simulation = Simulation::new(seed, scenario, start());
    simulation.advance(start() + Duration::from_secs(60 * minutes))
}

fn parsed(events: &[SimulatedEvent]) -> Vec<Headers> {
    events.iter().map(|event| parse(&event.to_text(WireFormat::Plain))).collect()
}

fn by_kind(events: impl IntoIterator<Item = Headers>) -> BTreeMap<String, Vec<Headers>> {
    let mut kinds: BTreeMap<String, Vec<Headers>> = BTreeMap::new();
    for event in events {
        kinds.entry(kind(&event)).or_default().push(event);
    }
    kinds
}

fn names(event: &Headers) -> Vec<&str> {
    event.iter().map(|(name, _)| name.as_str()).filter(|name| !name.starts_with("variable_")).collect()
}

/// Whether `part` is `whole` with some left out.
fn is_within(part: &[&str], whole: &[&str]) -> bool {
    let mut rest = whole.iter();
    part.iter().all(|name| rest.any(|candidate| candidate == name))
}

#[test]
fn every_kind_of_event_has_the_headers_of_a_recorded_one_in_their_order() {
    let simulated = by_kind(parsed(&simulate(1, Scenario::plausible_day(), 25)));
    let recorded = by_kind(RECORDINGS.iter().flat_map(|name| recorded(name)));
    for kind in KINDS {
        let models = recorded.get(kind).unwrap_or_else(|| panic!("{kind} is recorded"));
        let models: BTreeSet<Vec<&str>> = models.iter().map(names).collect();
        let ours = simulated.get(kind).unwrap_or_else(|| panic!("{kind} is simulated"));
        let exact = ours.iter().filter(|event| models.contains(&names(event))).count();
        assert!(exact > 0, "no {kind} is as recorded:\n{:#?}\nbut\n{models:#?}", names(&ours[0]));
        for event in ours {
            let names = names(event);
            let fits = models.iter().any(|model| is_within(&names, model) || is_within(model, &names));
            assert!(fits, "{kind} has headers or an order that was never seen: {names:#?}");
        }
    }
}

#[test]
fn no_variable_is_made_up() {
    let mut known: BTreeSet<String> = ["language", "note", "percent", "customer_id", "ticket", "tags", "cc_member_id"]
        .map(|name| format!("variable_{name}"))
        .into();
    for event in RECORDINGS.iter().flat_map(|name| recorded(name)) {
        known.extend(event.into_iter().map(|(name, _)| name));
    }
    for event in parsed(&simulate(2, Scenario::plausible_day(), 25)) {
        for (name, _) in event {
            assert!(known.contains(&name), "{name} is in no recording");
        }
    }
}

#[test]
fn what_decides_the_story_is_on_the_last_event_of_a_leg() {
    for event in parsed(&simulate(3, Scenario::plausible_day(), 25)) {
        if !kind(&event).starts_with("CHANNEL_HANGUP_COMPLETE") {
            continue;
        }
        let (cause, disposition) = (value(&event, "Hangup-Cause"), value(&event, "variable_sip_hangup_disposition"));
        assert_eq!(value(&event, "variable_hangup_cause"), cause);
        assert_eq!(value(&event, "Answer-State"), "hangup");
        let status = value(&event, "variable_sip_term_status");
        match (cause, disposition) {
            ("NORMAL_CLEARING", "recv_bye") => assert_eq!(status, "200"),
            ("USER_BUSY", "recv_refuse") => assert_eq!(status, "486"),
            ("CALL_REJECTED", "recv_refuse") => assert_eq!(status, "603"),
            ("NO_USER_RESPONSE", "recv_refuse") => assert_eq!(status, "480"),
            ("ALLOTTED_TIMEOUT" | "ORIGINATOR_CANCEL" | "LOSE_RACE", "send_cancel") => {
                assert_eq!(value(&event, "variable_sip_invite_failure_status"), "487");
                assert_eq!(status, "");
            }
            ("NORMAL_CLEARING" | "ORIGINATOR_CANCEL", "send_bye") => assert_eq!(status, ""),
            other => panic!("{other:?} is not in the recordings"),
        }
    }
}

#[test]
fn times_are_ticks_of_20_ms_and_a_channel_keeps_its_order() {
    let mut latest: BTreeMap<String, (i64, u64)> = BTreeMap::new();
    let mut backwards = 0;
    let mut last = 0;
    for event in parsed(&simulate(4, Scenario::plausible_day(), 15)) {
        let time: i64 = value(&event, "Event-Date-Timestamp").parse().expect("a number");
        let sequence: u64 = value(&event, "Event-Sequence").parse().expect("a number");
        assert_eq!(time % 20_000, 0);
        backwards += u32::from(sequence < last);
        last = sequence;
        let uuid = value(&event, "Unique-ID");
        if !uuid.is_empty() {
            let before = latest.insert(uuid.to_owned(), (time, sequence)).unwrap_or_default();
            assert!(before < (time, sequence), "{uuid} went back");
        }
    }
    assert!(backwards > 0, "neighbours change places now and then");
}

#[test]
fn the_same_seed_gives_the_same_events_and_another_gives_others() {
    let first = simulate(5, Scenario::plausible_day(), 10);
    assert_eq!(first, simulate(5, Scenario::plausible_day(), 10));
    assert_ne!(first, simulate(6, Scenario::plausible_day(), 10));
}

#[test]
fn small_steps_of_time_tell_the_same_story_as_a_large_one() {
    let mut calm = Scenario::plausible_day();
    calm.disorder = 0.0;
    let end = start() + Duration::from_secs(600);
    let mut simulation = Simulation::new(7, calm.clone(), start());
    let mut events = Vec::new();
    while let Some(next) = simulation.next_deadline().filter(|next| *next <= end) {
        events.extend(simulation.advance(next));
    }
    assert_eq!(events, simulate(7, calm, 10));
}

#[test]
fn a_plain_and_a_json_event_say_the_same() {
    for event in simulate(8, Scenario::plausible_day(), 10) {
        let json: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(&event.to_text(WireFormat::Json)).expect("JSON");
        for (name, plain) in parse(&event.to_text(WireFormat::Plain)) {
            // What held `%XX` before it was encoded reads back as something else: FreeSWITCH loses that, too.
            if let Some(text) = json.get(&name).and_then(|value| value.as_str()).filter(|text| !text.contains('%')) {
                assert_eq!(text, plain, "{name}");
            }
        }
    }
}
