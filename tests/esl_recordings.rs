//! The Event Socket as a real FreeSWITCH spoke it: every recording reads whole, alike in both notations, however it is
//! cut, and as an independent client reads it.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use bytes::BytesMut;
use freeswitch_esl_tokio::{EslClient, EslConnectOptions};
use hookswitch::esl::Event;
use hookswitch::esl::codec::{Decoded, FrameCodec};
use hookswitch::esl::recording::{self, Item, RecordingError};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

fn recordings() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recordings");
    let mut found: Vec<_> =
        fs::read_dir(folder).expect("the folder is there").map(|e| e.expect("reads").path()).collect();
    found.retain(|path| path.to_string_lossy().ends_with(".esl.zst"));
    found.sort();
    assert!(found.len() >= 129, "only {} recordings", found.len());
    found
}

fn bytes_of(path: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    recording::open(path).expect("opens").read_to_end(&mut bytes).expect("decompresses");
    bytes
}

fn events_of(bytes: &[u8]) -> Vec<Event> {
    recording::events(bytes)
        .filter_map(|item| match item.expect("reads") {
            Item::Event(event) => Some(event),
            Item::Connected | Item::Disconnected(_) | Item::Mark(_) | Item::Other(_) | Item::Skipped(_) => None,
        })
        .collect()
}

fn headers_of(event: &Event) -> Vec<(String, String)> {
    event.headers().map(|(name, value)| (name.into_owned(), value.into_owned())).collect()
}

#[test]
fn every_recording_reads_to_its_end() {
    for path in recordings() {
        let bytes = bytes_of(&path);
        let framed = memchr::memmem::find_iter(&bytes, b"\nContent-Type: text/event-").count();
        let mut counts = BTreeMap::new();
        for item in recording::events(&bytes[..]) {
            let kind = match item.unwrap_or_else(|error| panic!("{}: {error}", path.display())) {
                Item::Connected => "connected",
                Item::Event(_) => "event",
                Item::Disconnected(_) => "disconnected",
                Item::Other(_) => "reply",
                Item::Mark(_) | Item::Skipped(_) => "unexpected",
            };
            *counts.entry(kind).or_insert(0) += 1;
        }
        let farewell =
            ["15b_shutdown_sigterm.", "15g_reload_event_socket."].iter().any(|n| path.to_string_lossy().contains(n));
        assert_eq!(counts.get("event"), Some(&framed), "{}", path.display());
        assert_eq!(counts.get("disconnected"), farewell.then_some(&1), "{}", path.display());
        assert_eq!(counts.get("unexpected"), None, "{}", path.display());
    }
}

#[test]
fn plain_and_json_of_one_run_hold_the_same_headers() {
    let mut compared = 0;
    for path in recordings() {
        let name = path.to_string_lossy().into_owned();
        let Some(stem) = name.strip_suffix(".json.esl.zst") else { continue };
        let (plain, json) = (bytes_of(Path::new(&format!("{stem}.plain.esl.zst"))), bytes_of(&path));
        let (plain, json) = (events_of(&plain), events_of(&json));
        assert_eq!(plain.len(), json.len(), "{stem}");
        for (plain, json) in plain.iter().zip(&json) {
            compared += 1;
            assert_same_headers(plain, json);
        }
    }
    assert_eq!(compared, 956);
}

/// A value that holds a literal `%XX` is the one thing that the plain form cannot tell from an encoded byte.
fn assert_same_headers(plain: &Event, json: &Event) {
    let (left, right) = (headers_of(plain), headers_of(json));
    assert_eq!(left.len(), right.len(), "{left:#?}\n{right:#?}");
    for ((left_name, left_value), (right_name, right_value)) in left.iter().zip(&right) {
        assert_eq!(left_name, right_name);
        if left_value != right_value {
            let literal =
                right_value.as_bytes().windows(3).any(|w| w[0] == b'%' && w[1..].iter().all(u8::is_ascii_hexdigit));
            assert!(literal, "{left_name}: {left_value:?} {right_value:?}");
        }
        let defined = |value: &str| (!value.is_empty() && value != "_undef_").then(|| value.to_owned());
        let first = right.iter().find(|(name, _)| name == right_name).and_then(|(_, value)| defined(value));
        assert_eq!(json.header(right_name).map(|value| value.into_owned()), first);
        let first = left.iter().find(|(name, _)| name == left_name).and_then(|(_, value)| defined(value));
        assert_eq!(plain.header(left_name).map(|value| value.into_owned()), first);
    }
}

#[test]
fn a_name_with_a_colon_reads_alike_in_both_notations() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recordings");
    for form in ["plain", "json"] {
        let events = events_of(&bytes_of(&folder.join(format!("25_hostile_variables.{form}.esl.zst"))));
        let odd = events.iter().filter_map(|event| event.header("variable_x-Odd Name: with colon"));
        assert!(odd.map(|value| assert_eq!(value, "odd header name")).count() > 10);
    }
}

#[test]
fn cutting_the_bytes_anywhere_changes_nothing() {
    for path in recordings().iter().filter(|path| !path.to_string_lossy().contains("20h_")) {
        let bytes = bytes_of(path);
        let whole = frames_of(&bytes, bytes.len());
        for piece in [1, 2, 7, 61, 4_093] {
            assert!(frames_of(&bytes, piece) == whole, "{} in pieces of {piece}", path.display());
        }
    }
}

fn frames_of(bytes: &[u8], piece: usize) -> Vec<Decoded> {
    let mut codec = FrameCodec::default();
    let mut buffer = BytesMut::new();
    let mut frames = Vec::new();
    for piece in bytes.chunks(piece) {
        buffer.extend_from_slice(piece);
        while let Some(frame) = codec.next_frame(&mut buffer).expect("is a recording") {
            frames.push(frame);
        }
    }
    codec.finish(&buffer).expect("ends between frames");
    frames
}

#[test]
fn a_cut_recording_gives_all_that_came_before_and_says_where_it_breaks_off() {
    let bytes = bytes_of(&recordings()[0]);
    let whole = events_of(&bytes).len();
    for cut in [bytes.len() - 1, bytes.len() / 2, bytes.len() / 3] {
        let mut items: Vec<_> = recording::events(&bytes[..cut]).collect();
        let Some(Err(RecordingError::Truncated { offset })) = items.pop() else { panic!("cut at {cut} unnoticed") };
        assert!(items.len() <= whole + 3 && items.iter().all(Result::is_ok));
        assert!(bytes[offset as usize..].starts_with(b"Content-"), "{offset}");
        assert!((offset as usize) < cut);
    }
}

#[test]
fn a_damaged_recording_is_an_error_and_the_end() {
    let bytes = bytes_of(&recordings()[1]);
    let half = bytes.len() / 2;
    let damaged: Vec<u8> = bytes[..half].iter().chain(&bytes[half + 10..]).copied().collect();
    let items: Vec<_> = recording::events(&damaged[..]).collect();
    assert!(matches!(items.last(), Some(Err(RecordingError::Frame { .. } | RecordingError::Truncated { .. }))));
    assert!(items[..items.len() - 1].iter().all(Result::is_ok));

    let compressed = fs::read(&recordings()[0]).expect("reads");
    let broken = std::io::Cursor::new(compressed[..compressed.len() / 2].to_vec());
    let items: Vec<_> = recording::events(recording::decompress(broken).expect("begins well")).collect();
    assert!(matches!(items.last(), Some(Err(RecordingError::Io { .. }))));
}

#[test]
fn marks_of_ours_and_frames_of_nobody_lie_between_events_harmlessly() {
    let bytes = b"Content-Type: text/x-hookswitch-mark\nContent-Length: 2\nAt: 7\n\n{}Content-Type: text/who-knows\n\
                  Content-Length: 3\n\nabcContent-Length: 8\nContent-Type: text/event-json\n\n{\"A\":1}\n\
                  Content-Length: 1\nContent-Type: text/event-json\n\n[Content-Type: auth/request\n\n";
    let items: Vec<_> = recording::events(&bytes[..]).collect();
    assert!(matches!(&items[0], Ok(Item::Mark(mark)) if mark.header("at") == Some(b"7") && mark.body == "{}"));
    assert!(matches!(&items[1], Ok(Item::Skipped(skipped)) if skipped.length == 3));
    assert!(matches!(&items[2], Ok(Item::Event(event)) if event.header("A").as_deref() == Some("1")));
    assert!(matches!(&items[3], Err(RecordingError::Event { .. })));
    assert!(matches!(&items[4], Ok(Item::Connected)));
    assert_eq!(items.len(), 5);
}

/// The other client's events are maps without order, whose later headers replace earlier ones, with names split at the
/// first colon; it is compared where these don't meet.
#[tokio::test]
async fn an_independent_client_reads_the_same() {
    for path in recordings().iter().filter(|path| !path.to_string_lossy().contains("20h_")) {
        let bytes = bytes_of(path);
        let ours = events_of(&bytes);
        let theirs = Box::pin(their_events(bytes, ours.len())).await;
        for (ours, theirs) in ours.iter().zip(&theirs) {
            let headers = headers_of(ours);
            for (name, value) in &headers {
                let repeated = headers.iter().filter(|(other, _)| other.eq_ignore_ascii_case(name)).count() > 1;
                if !repeated && !name.contains(':') {
                    assert_eq!(
                        theirs.header_str(name).map(undo_lists),
                        Some(value.clone()),
                        "{name} {}",
                        path.display()
                    );
                }
            }
        }
    }
}

/// A list of a JSON event is JSON text there, and FreeSWITCH's text here.
fn undo_lists(value: &str) -> String {
    match serde_json::from_str::<Vec<String>>(value) {
        Ok(items) if items.len() > 1 => format!("ARRAY::{}", items.join("|:")),
        _ => value.to_owned(),
    }
}

async fn their_events(recorded: Vec<u8>, count: usize) -> Vec<freeswitch_esl_tokio::EslEvent> {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let port = listener.local_addr().expect("is bound").port();
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("accepts");
        stream.write_all(&recorded).await.expect("writes");
        stream
    });
    let options = EslConnectOptions::new().with_event_queue_size(count + 1);
    let connecting = Box::pin(EslClient::connect_with_options("127.0.0.1", port, "ClueCon", options));
    let (client, mut events) = connecting.await.expect("signs in");
    let mut received = Vec::new();
    while received.len() < count {
        received.push(events.recv().await.expect("more events").expect("an event"));
    }
    drop(client);
    drop(server);
    received
}
