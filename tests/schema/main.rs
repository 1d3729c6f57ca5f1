//! That the published schemas and samples tell the truth: every moment of every recording is as its schema says, in every
//! format, and every sample is a moment that a recording gives.
//!
//! The schemas are those that the program prints, and another project's validator reads them.

mod samples;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use hookswitch::id::MomentId;
use hookswitch::moment::{EventName, Format};
use jsonschema::Validator;
use serde_json::Value;
use serde_json::value::to_raw_value;

/// The formats in which a moment is sent, and none for the payload itself.
const SHAPES: [Option<Format>; 4] = [None, Some(Format::Standard), Some(Format::CloudEvents), Some(Format::Webitel)];

/// What the program prints.
fn printed(args: &[&str]) -> String {
    let done = Command::new(env!("CARGO_BIN_EXE_hookswitch")).args(args).output().expect("it runs");
    assert!(done.status.success(), "{args:?}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).expect("UTF-8")
}

/// Every moment that a replay with this configuration gives, the events beyond the eight as well.
fn replayed(config: &Path, recording: &Path) -> Vec<Value> {
    let [config, recording] = [config, recording].map(|path| path.to_str().expect("UTF-8"));
    let lines = printed(&["replay", "--all", "--format", "jsonl", "--config", config, recording]);
    lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

fn in_tests(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(path)
}

/// Every recording there is.
fn recordings() -> Vec<PathBuf> {
    let entries = ["recordings", "record"].map(|directory| in_tests(directory).read_dir().expect("it is there"));
    let mut paths: Vec<_> = entries.into_iter().flatten().map(|entry| entry.expect("readable").path()).collect();
    paths.retain(|path| path.to_string_lossy().ends_with(".esl.zst"));
    paths.sort();
    paths
}

/// The validators of each event's moments in a shape.
fn validators(shape: Option<Format>) -> BTreeMap<&'static str, Validator> {
    let format = shape.map_or_else(Vec::new, |format| vec!["--format", format.as_str()]);
    let args = [vec!["hooks", "schema"], format].concat();
    let schemas: Value = serde_json::from_str(&printed(&args)).expect("JSON");
    let validator = |event: EventName| {
        let schema = &schemas[event.as_str()];
        let validator = jsonschema::draft202012::options().should_validate_formats(true).build(schema);
        (event.as_str(), validator.unwrap_or_else(|error| panic!("{event} as {shape:?}: {error}")))
    };
    EventName::ALL.into_iter().map(validator).collect()
}

/// A moment in a shape.
fn shaped(moment: &Value, shape: Option<Format>) -> Value {
    let Some(format) = shape else { return moment.clone() };
    let body = format.body(&to_raw_value(moment).expect("JSON")).expect("a payload");
    serde_json::from_slice(&body).expect("every format is JSON")
}

/// What of the moments is not as the schemas say.
fn wrong<'a>(moments: impl IntoIterator<Item = &'a Value> + Clone) -> Vec<String> {
    let mut found = Vec::new();
    for shape in SHAPES {
        let validators = validators(shape);
        for moment in moments.clone() {
            let event = moment["event"].as_str().expect("a name");
            let errors = validators[event]
                .iter_errors(&shaped(moment, shape))
                .map(|error| error.to_string())
                .collect::<Vec<_>>();
            found.extend(errors.into_iter().map(|error| format!("{event} as {shape:?}: {error}")));
        }
    }
    found
}

/// An `answered` under its second name.
fn twin(answered: &Value) -> Value {
    let id: MomentId = serde_json::from_value(answered["id"].clone()).expect("an identifier");
    let mut twin = answered.clone();
    (twin["event"], twin["id"]) = ("active".into(), id.twin("active").to_string().into());
    twin
}

fn in_file(text: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), text).expect("written");
    file
}

#[test]
fn every_moment_of_every_recording_is_as_its_schema_says() {
    let sources = std::fs::read_to_string(in_tests("recordings/sources.toml")).expect("readable");
    let with_sla = sources.replace("processing = true", "processing = true\nsla = \"1s\"");
    assert_ne!(with_sla, sources);
    let configs = [in_file(&with_sla), in_file("")];
    let mut moments: Vec<Value> = configs
        .iter()
        .flat_map(|config| recordings().into_iter().flat_map(|recording| replayed(config.path(), &recording)))
        .collect();
    let twins: Vec<_> = moments.iter().filter(|moment| moment["event"] == "answered").map(twin).collect();
    moments.extend(twins);
    let seen = |event: EventName| moments.iter().any(|moment| moment["event"] == event.as_str());
    assert_eq!(EventName::ALL.into_iter().find(|event| !seen(*event)), None, "every event occurs");
    assert!(moments.iter().any(|moment| moment["event"] == "offering" && moment["member_channel_id"].is_null()));
    assert_eq!(wrong(&moments), Vec::<String>::new());
}

#[test]
fn a_moment_that_is_not_as_the_schema_says_is_found() {
    let sample = serde_json::to_value(hookswitch::moment::Payload::sample(EventName::Leaving)).expect("JSON");
    assert_eq!(wrong([&sample]), Vec::<String>::new());
    for (field, value) in [
        ("cc_result", Value::Null),
        ("cc_result", "won".into()),
        ("timestamp", "yesterday".into()),
        ("missed_reason", "busy".into()),
        ("offers", "none".into()),
        ("member_number", 40.into()),
    ] {
        let mut moment = sample.clone();
        moment[field] = value;
        let validator = &validators(None)["leaving"];
        assert!(!validator.is_valid(&moment), "{field}");
        let standard =
            serde_json::json!({ "type": "queue.leaving", "timestamp": "2026-11-23T08:18:46.202Z", "data": moment });
        assert!(!validators(Some(Format::Standard))["leaving"].is_valid(&standard), "{field}");
    }
}
