//! The sample moments: each is one of a recording, or of what a program told.

use std::sync::Arc;

use hookswitch::config::Config;
use hookswitch::lifecycle::{Effects, Lifecycle};
use hookswitch::moment::EventName;
use hookswitch::signal::Telling;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{in_file, in_tests, replayed, twin, wrong};

/// The agent, and what of the variables is carried.
const CONFIG: &str = r#"
[agents.agent1]
id = 17
user_id = 4
extension = "1000"
[queues."*"]
processing = true
sla = "5s"
exclude = ["note_*", "lua_*", "originated_legs", "hangup_after_bridge"]
"#;

/// Which moments of which recording are samples: the first of each event that it gives, or of those that are named.
const SAMPLES: &[(&str, &[&str])] = &[
    ("recordings/01_answered", &["joined", "offering", "answered", "bridged", "processing", "leaving"]),
    ("recordings/05a_noanswer_then_answer", &["missed", "offer_ended", "sla_missed", "queue_count", "agent_status"]),
    ("recordings/05a_noanswer_then_answer", &["agent_state"]),
    ("recordings/13_abandon_resume", &["abandoned", "resumed"]),
    ("recordings/11a_hold_reinvite", &["hold", "unhold"]),
    ("recordings/10d_attended_transfer", &["transferred"]),
    ("recordings/01b_wrapup_delays_next", &["processed"]),
    ("record/version_1", &["reconciled"]),
    ("recordings/60a_progressive_human", OF_DIALERS),
    ("recordings/62c_predictive_answered", OF_DIALERS),
    ("recordings/64b_preview_next_agent", OF_DIALERS),
    ("recordings/65b_offline_refused_then_taken", OF_DIALERS),
    ("recordings/63b_outbound_ivr_amd", &["joined", "offering", "bridged", "leaving"]),
];

/// Those of dialers' queues, as far as the recording has them.
const OF_DIALERS: &[&str] = &["joined", "offering", "answered", "bridged", "missed", "processing", "leaving"];

/// What a program tells of a chat, a second apart.
fn of_chat() -> Vec<Value> {
    let config =
        "[queues.chats]\ntype = \"chat\"\nsource = \"api\"\nprocessing = true\n[agents.anna]\nid = 21\nuser_id = 8\n";
    let mut lifecycle = Lifecycle::of_api(Arc::new(Config::from_toml("chat.toml", config).expect("good")));
    let opening = json!({ "member_name": "Zoë Müller", "member_number": "zoe@web", "destination": "web", "variables": { "topic": "billing" } });
    let steps = [
        json!({ "offering": { "agent": "boris" } }),
        json!({ "missed": { "agent": "boris" } }),
        json!({ "offering": { "agent": "anna" } }),
        json!({ "answered": { "agent": "anna" } }),
        json!({ "bridged": { "agent": "anna" } }),
        json!({ "processing": { "agent": "anna" } }),
        json!({ "leaving": {} }),
    ];
    let opening = Telling::Opening(serde_json::from_value(opening).expect("an opening"));
    let signal = |(id, step): (usize, Value)| {
        let signal = json!({ "id": id.to_string(), "signal": step });
        Telling::Signal(serde_json::from_value(signal).expect("a signal"))
    };
    let mut effects = Effects::default();
    let key = "chat-1".parse().expect("a key");
    for (second, telling) in std::iter::once(opening).chain(steps.into_iter().enumerate().map(signal)).enumerate() {
        lifecycle.advance(Timestamp::from_second(1_795_421_926 + second as i64).expect("in range"), &mut effects);
        lifecycle.tell(&"chats".into(), &key, &telling, &mut effects).expect("it is accepted");
    }
    effects.moments.iter().map(|moment| serde_json::to_value(&moment.payload).expect("JSON")).collect()
}

/// The first moment of each of the events, without the fields that are null.
fn chosen(moments: &[Value], events: &[&str]) -> Vec<Value> {
    let first = |event: &&str| moments.iter().find(|moment| moment["event"] == **event).cloned();
    let mut samples: Vec<_> = events.iter().filter_map(first).collect();
    for sample in &mut samples {
        let fields = sample.as_object_mut().expect("an object");
        fields.retain(|name, value| !value.is_null() && name != "test");
    }
    samples
}

fn samples() -> Vec<Value> {
    let sources = std::fs::read_to_string(in_tests("recordings/sources.toml")).expect("readable");
    let (_, sources) = sources.split_once("processing = true").expect("the common part");
    let config = in_file(&format!("{CONFIG}{sources}"));
    let of = |(recording, events): &(&str, &[&str])| {
        let path = [".plain.esl.zst", ".esl.zst"].map(|end| in_tests(&format!("{recording}{end}")));
        let path = path.into_iter().find(|path| path.exists()).expect("the recording is there");
        let moments = replayed(config.path(), &path);
        chosen(&moments, events)
    };
    let mut samples: Vec<_> = SAMPLES.iter().flat_map(of).collect();
    samples.extend(chosen(&of_chat(), OF_DIALERS));
    let twins: Vec<_> = samples.iter().filter(|sample| sample["event"] == "answered").map(twin).collect();
    samples.extend(twins);
    samples
}

/// `HOOKSWITCH_BLESS=1 cargo test --test schema` writes them anew.
#[test]
fn every_sample_is_a_moment_of_a_recording() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/moment/samples.json");
    let lines: Vec<_> = samples().iter().map(Value::to_string).collect();
    let written = format!("[\n{}\n]\n", lines.join(",\n"));
    if std::env::var_os("HOOKSWITCH_BLESS").is_some() {
        std::fs::write(path, &written).expect("written");
    }
    assert!(std::fs::read_to_string(path).expect("the samples") == written, "the recordings give other samples");
}

#[test]
fn every_sample_is_as_its_schema_says() {
    let whole = |sample: Value| serde_json::from_value::<hookswitch::moment::Payload>(sample).expect("a payload");
    let samples: Vec<_> =
        samples().into_iter().map(|sample| serde_json::to_value(whole(sample)).expect("JSON")).collect();
    let has = |event: EventName| samples.iter().any(|sample| sample["event"] == event.as_str());
    assert!(EventName::ALL.into_iter().all(has));
    assert_eq!(wrong(&samples), Vec::<String>::new());
}
