//! What is hidden, and that the story stays.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hookswitch::config::Config;
use hookswitch::esl::recording::{self, Item};
use hookswitch::lifecycle::Effects;
use hookswitch::recording::Playback;
use hookswitch::recording::redaction::{Key, Redaction};
use percent_encoding::percent_decode;
use serde_json::Value;

use crate::bytes::{read, recordings};
use crate::place::{FreeSwitch, Line, Place, Replayed, program};

fn redacted(bytes: &[u8], key: [u8; 32]) -> Vec<u8> {
    let (mut redaction, mut out) = (Redaction::new(Key::from_bytes(key)), Vec::new());
    // In pieces, as they come.
    for piece in bytes.chunks(10_007) {
        redaction.redact(piece, &mut out).expect("frames");
    }
    redaction.finish().expect("ends between two frames");
    assert_eq!(redaction.left_out(), 0);
    out
}

/// Who called whom: the numbers of five digits and more, and the names, as headers that exist to tell them do.
fn callers(bytes: &[u8]) -> (BTreeSet<String>, BTreeSet<String>) {
    let (mut numbers, mut names, mut words) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for item in recording::events(bytes) {
        let Ok(Item::Event(event)) = item else { continue };
        for (name, value) in event.headers() {
            words.extend(name.split(|c: char| !c.is_alphabetic()).map(str::to_lowercase));
            let number = ["ID-Number", "ANI", "RDNIS", "Destination-Number", "sip_from_user", "sip_to_user", "DNIS"];
            if number.iter().any(|end| name.ends_with(end))
                && value.len() >= 5
                && value.bytes().all(|b| b.is_ascii_digit())
            {
                numbers.insert(value.into_owned());
            } else if name.contains("Caller-ID-Name") || name == "CC-Member-CID-Name" {
                let words = value.split(|c: char| !c.is_alphabetic()).filter(|word| word.chars().count() > 2);
                names.extend(words.map(str::to_lowercase));
            }
        }
    }
    // What stands in the names of headers, too, would be found there.
    names.retain(|name| !words.contains(name) && !["agent", "outbound", "anonymous", "unknown"].contains(&&**name));
    (numbers, names)
}

/// The text as it stands, and decoded.
fn forms(bytes: &[u8]) -> [String; 3] {
    let once: Vec<u8> = percent_decode(bytes).collect();
    let twice: Vec<u8> = percent_decode(&once).collect();
    [bytes, &once, &twice].map(|bytes| String::from_utf8_lossy(bytes).to_lowercase())
}

fn has_word(text: &str, word: &str) -> bool {
    text.match_indices(word).any(|(at, _)| {
        let (before, after) = (text[..at].chars().next_back(), text[at + word.len()..].chars().next());
        ![before, after].into_iter().flatten().any(char::is_alphabetic)
    })
}

fn assert_hidden(redacted: &[u8], numbers: &BTreeSet<String>, names: &BTreeSet<String>, file: &str) {
    for text in forms(redacted) {
        let left: Vec<_> = numbers.iter().filter(|number| text.contains(&***number)).collect();
        assert!(left.is_empty(), "{file} still has {left:?}");
        let left: Vec<_> = names.iter().filter(|name| has_word(&text, name)).collect();
        assert!(left.is_empty(), "{file} still has {left:?}");
    }
}

fn replay(bytes: &[u8]) -> Vec<Value> {
    let config = Config::from_toml("test", "[queues.\"*\"]\nprocessing = true\n").expect("a good configuration");
    let mut playback = Playback::new("fs1".into(), Arc::new(config));
    let mut effects = Effects::default();
    playback.begin();
    for item in recording::events(bytes) {
        playback.play(item.expect("whole"), &mut effects).expect("a mark");
    }
    playback.finish(&mut effects);
    effects.moments.iter().map(|moment| serde_json::to_value(&moment.payload).expect("JSON")).collect()
}

/// The fields that may differ.
const HIDDEN: [&str; 7] =
    ["destination", "agent_extension", "member_name", "member_id", "member_number", "transferred_to", "variables"];

/// The two stories are one but for values that were exchanged, each for one other of its length throughout.
fn assert_same_story(original: &[Value], redacted: &[Value], name: &str) {
    assert_eq!(original.len(), redacted.len(), "{name}");
    let mut exchanged = BTreeMap::new();
    for (original, redacted) in original.iter().zip(redacted) {
        for (field, value) in original.as_object().expect("an object") {
            if !HIDDEN.contains(&&**field) {
                assert_eq!(value, &redacted[field], "{name}: {field}");
            } else if field != "variables" {
                let (value, other) = (value.to_string(), redacted[field].to_string());
                assert_eq!(value.len(), other.len(), "{name}: {field} {value} {other}");
                assert_eq!(exchanged.entry(value).or_insert_with(|| other.clone()), &other, "{name}: {field}");
            }
        }
        let keys =
            |moment: &Value| moment["variables"].as_object().expect("an object").keys().cloned().collect::<Vec<_>>();
        assert_eq!(keys(original), keys(redacted), "{name}");
    }
    let different: BTreeSet<_> = exchanged.values().collect();
    assert_eq!(different.len(), exchanged.len(), "{name}: two became one");
}

/// The longest recording that is tried: the load test's has 14 MB of nothing else than the others.
const MOST: usize = 5_000_000;

#[test]
fn no_number_and_no_name_of_a_caller_is_left_and_the_story_stays() {
    let mut hidden = (0, 0);
    for path in recordings() {
        let (bytes, path) = (read(&path), path.display());
        if bytes.len() > MOST {
            continue;
        }
        let redacted = redacted(&bytes, [1; 32]);
        let (numbers, names) = callers(&bytes);
        assert_hidden(&redacted, &numbers, &names, &path.to_string());
        assert_same_story(&replay(&bytes), &replay(&redacted), &path.to_string());
        hidden = (hidden.0 + numbers.len(), hidden.1 + names.len());
    }
    assert!(hidden.0 > 100 && hidden.1 > 50, "{hidden:?} numbers and names are too few to prove anything");
}

#[test]
fn another_file_has_other_replacements() {
    let bytes = read(&recordings()[0]);
    assert_eq!(redacted(&bytes, [1; 32]), redacted(&bytes, [1; 32]));
    assert_ne!(redacted(&bytes, [1; 32]), redacted(&bytes, [2; 32]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_recording_can_be_redacted_at_once_and_afterwards() {
    let (place, freeswitch) = (Place::new(), FreeSwitch::at_work().await);
    let line = Line::to(freeswitch.address).await;
    let config = place.configure(line.address);
    let record = |name: &str, more: &[&str]| {
        let mut command = program(&["record"]);
        command.args(more).arg("--config").arg(&config).arg("--out").arg(place.path(name));
        command
    };
    let at_once = record("at_once.esl.zst", &["--redact", "--for", "5s"]).spawn().expect("starts");
    let plain = record("plain.esl.zst", &["--for", "5s"]).spawn().expect("starts");
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    line.cut();
    line.mend();
    for recorder in [at_once, plain] {
        assert!(recorder.wait_with_output().expect("ends").status.success());
    }
    let from = place.path("plain.esl.zst");
    let mut copy = program(&["record", "--redact", "--from"]);
    let copied = copy.arg(&from).arg("--out").arg(place.path("copy.esl")).output().expect("runs");
    assert!(copied.status.success(), "{}", String::from_utf8_lossy(&copied.stderr));

    let original = read(&from);
    let (numbers, names) = callers(&original);
    assert!(numbers.len() > 3 && names.len() > 3, "{numbers:?} {names:?}");
    for name in ["at_once.esl.zst", "copy.esl"] {
        assert_hidden(&read(&place.path(name)), &numbers, &names, name);
    }
    let moments = |name| Replayed::of(&[&place.path(name)], Some(&config)).moments();
    assert_same_story(&moments("plain.esl.zst"), &moments("copy.esl"), "copy");
}

#[test]
fn a_recording_that_is_damaged_is_redacted_up_to_the_damage() {
    let place = Place::new();
    let whole = read(&recordings()[0]);
    let copy = |name: &str, bytes: &[u8]| {
        let (from, out) = (place.path(name), place.path(&format!("{name}.zst")));
        std::fs::write(&from, bytes).expect("writes");
        let mut command = program(&["record", "--redact", "--from"]);
        let output = command.arg(from).arg("--out").arg(&out).output().expect("runs");
        assert_eq!(output.status.code(), Some(1));
        (String::from_utf8_lossy(&output.stderr).into_owned(), read(&out))
    };
    let (error, redacted) = copy("cut", &whole[..whole.len() / 2]);
    assert!(error.contains("cut cannot be read on; what came before is in the copy"), "{error}");
    assert!(!replay(&redacted).is_empty());
    let (error, redacted) = copy("torn", &[&whole[..], b"HTTP/1.1 400\n\n"].concat());
    assert!(error.contains("lack a Content-Type"), "{error}");
    assert_eq!(replay(&redacted).len(), replay(&whole).len());
    let nothing = program(&["record", "--from", "/nonexistent", "--out", "/nonexistent/x"]).output().expect("runs");
    assert!(String::from_utf8_lossy(&nothing.stderr).contains("/nonexistent cannot be read"));
}
