//! Framing with hostile bytes: no panic, no spin, bounded memory, and never a difference by where the bytes were cut.

use bytes::BytesMut;
use hookswitch::esl::Event;
use hookswitch::esl::codec::{
    Decoded, FrameCodec, FrameError, MAX_BLANK_LINES, MAX_EVENT, MAX_HEAD, MAX_REPLY, MAX_SKIPPED, make_room,
};
use hookswitch::esl::frame::{FrameKind, MalformedHead};
use proptest::prelude::*;
use tokio_util::codec::Decoder;

/// What the bytes came to: their frames, then how they end and where.
fn outcome(bytes: &[u8], cuts: &[usize]) -> (Vec<Decoded>, String, u64) {
    let mut codec = FrameCodec::default();
    let mut buffer = BytesMut::new();
    let mut frames = Vec::new();
    let mut from = 0;
    for to in cuts.iter().copied().chain([bytes.len()]) {
        buffer.extend_from_slice(&bytes[from..to]);
        from = to;
        loop {
            match codec.next_frame(&mut buffer) {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(error) => return (frames, error.to_string(), codec.frame_offset()),
            }
        }
    }
    let end = codec.finish(&buffer).map_or_else(|error| error.to_string(), |()| "whole".to_owned());
    (frames, end, codec.frame_offset())
}

/// Bytes that look like the protocol often enough to reach every corner of the codec.
fn protocol_like() -> impl Strategy<Value = Vec<u8>> {
    let token = prop_oneof![
        Just(&b"Content-Length: "[..]),
        Just(&b"content-length:"[..]),
        Just(&b"Content-Type: text/event-plain\n"[..]),
        Just(&b"Content-Type: text/event-json\n"[..]),
        Just(&b"Content-Type: api/response\n"[..]),
        Just(&b"Content-Type: command/reply\nReply-Text: +OK\n\n"[..]),
        Just(&b"Content-Type: text/unheard-of\n"[..]),
        Just(&b"Content-Length: 12\nContent-Type: text/event-plain\n\nA: 1\nB: 22\n\n"[..]),
        Just(&b"Content-Type: auth/request\n\n"[..]),
        Just(&b"Event-Name: X%20Y\n"[..]),
        Just(&b"\n"[..]),
        Just(&b"\n\n"[..]),
        Just(&b"0"[..]),
        Just(&b"7"[..]),
        Just(&b"-1"[..]),
        Just(&b"1048577"[..]),
        Just(&b"18446744073709551616"[..]),
        Just(&b": "[..]),
        Just(&b"\xff\x00%"[..]),
    ];
    prop::collection::vec(token, 0..24).prop_map(|tokens| tokens.concat())
}

proptest! {
    #[test]
    fn where_bytes_are_cut_changes_nothing(bytes in protocol_like(), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12)) {
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        cuts.sort_unstable();
        prop_assert_eq!(outcome(&bytes, &cuts), outcome(&bytes, &[]));
        let every: Vec<usize> = (0..bytes.len()).collect();
        prop_assert_eq!(outcome(&bytes, &every), outcome(&bytes, &[]));
    }

    #[test]
    fn no_bytes_make_an_event_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), like in protocol_like()) {
        for bytes in [bytes, like] {
            read_all_of(&Event::from_plain(bytes.clone().into()));
            if let Ok(event) = Event::from_json(&bytes) {
                read_all_of(&event);
            }
        }
    }

    #[test]
    fn an_event_reads_the_same_as_line_by_line(lines in prop::collection::vec(("[A-C: ]{1,4}", "[a-b%01+:]{0,6}"), 0..12)) {
        let text: String = lines.iter().map(|(name, value)| format!("{name}: {value}\n")).collect();
        let event = Event::from_plain(text.clone().into());
        let listed: Vec<_> = event.headers().map(|(n, v)| (n.into_owned(), v.into_owned())).collect();
        prop_assert_eq!(listed.len(), lines.len());
        for (name, _) in &listed {
            let first = listed.iter().find(|(other, _)| other == name).map(|(_, value)| value.clone());
            let first = first.filter(|value| !value.is_empty());
            prop_assert_eq!(event.header(name).map(|value| value.into_owned()), first, "{:?} in {:?}", name, text);
        }
    }

    #[test]
    fn recordings_with_bytes_changed_never_panic(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20)) {
        let mut bytes = recorded();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let (frames, _, _) = outcome(&bytes, &[]);
        for frame in frames {
            if let Decoded::Frame(frame) = frame {
                read_all_of(&Event::from_plain(frame.body));
            }
        }
    }
}

fn read_all_of(event: &Event) {
    let headers = event.headers().map(|(name, value)| name.len() + value.len()).sum::<usize>();
    let body = event.body().map_or(0, <[u8]>::len);
    assert!(headers + body < 1_000_000);
    let _ = (event.header("A"), event.header(""), event.header("Content-Length"));
}

fn recorded() -> Vec<u8> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recordings/19a_agent_admin.plain.esl.zst");
    let mut bytes = Vec::new();
    let mut reader = hookswitch::esl::recording::open(&path).expect("opens");
    std::io::Read::read_to_end(&mut reader, &mut bytes).expect("reads");
    bytes
}

fn decode_all(codec: &mut FrameCodec, buffer: &mut BytesMut) -> Result<Vec<Decoded>, FrameError> {
    let mut frames = Vec::new();
    while let Some(frame) = codec.decode(buffer)? {
        frames.push(frame);
    }
    Ok(frames)
}

#[test]
fn a_frame_over_its_cap_is_passed_over_and_the_next_one_is_read() {
    for (kind, cap) in [("text/event-plain", MAX_EVENT), ("api/response", MAX_REPLY)] {
        let mut codec = FrameCodec::default();
        let mut buffer = BytesMut::from(format!("Content-Type: {kind}\nContent-Length: {}\n\n", cap + 1).as_bytes());
        let frames = decode_all(&mut codec, &mut buffer).expect("is believable");
        assert!(matches!(&frames[..], [Decoded::Skipped(skipped)] if skipped.length == cap + 1));
        let mut left = cap + 1;
        while left > 0 {
            let piece = left.min(100_000);
            buffer.extend_from_slice(&vec![b'\n'; piece as usize]);
            left -= piece;
            assert!(decode_all(&mut codec, &mut buffer).expect("is passed over").is_empty());
            assert!(buffer.capacity() < 2_000_000, "grew to {}", buffer.capacity());
        }
        buffer.extend_from_slice(b"Content-Type: auth/request\n\n");
        let frames = decode_all(&mut codec, &mut buffer).expect("reads on");
        assert!(matches!(&frames[..], [Decoded::Frame(frame)] if frame.kind == FrameKind::AuthRequest));
    }
}

#[test]
fn a_frame_at_its_cap_is_kept_and_takes_its_buffer_along() {
    let mut codec = FrameCodec::default();
    let mut buffer =
        BytesMut::from(format!("Content-Type: text/event-plain\nContent-Length: {MAX_EVENT}\n\n").as_bytes());
    buffer.extend_from_slice(&vec![b'x'; MAX_EVENT as usize]);
    buffer.extend_from_slice(b"Content-Ty");
    let frames = decode_all(&mut codec, &mut buffer).expect("is kept");
    assert!(matches!(&frames[..], [Decoded::Frame(frame)] if frame.body.len() as u64 == MAX_EVENT));
    assert_eq!(&buffer[..], b"Content-Ty");
    drop(frames);
    make_room(&mut buffer);
    assert!(buffer.capacity() <= 2 * hookswitch::esl::codec::READ_BUFFER);
}

#[test]
fn a_length_beyond_belief_is_an_error_for_whatever_type() {
    for kind in ["text/event-plain", "api/response", "text/unheard-of"] {
        for length in [MAX_SKIPPED + 1, u64::MAX] {
            let bytes = format!("Content-Length: {length}\nContent-Type: {kind}\n\nabc");
            let mut buffer = BytesMut::from(bytes.as_bytes());
            let result = FrameCodec::default().next_frame(&mut buffer);
            assert!(matches!(result, Err(FrameError::LengthUnbelievable(l)) if l == length));
        }
    }
}

#[test]
fn a_claimed_length_takes_no_memory_before_the_bytes_come() {
    let mut codec = FrameCodec::default();
    let mut buffer = BytesMut::from(format!("Content-Type: api/response\nContent-Length: {MAX_REPLY}\n\n").as_bytes());
    assert!(decode_all(&mut codec, &mut buffer).expect("waits").is_empty());
    assert!(buffer.capacity() < 1_000_000);
}

#[test]
fn headers_without_an_end_are_an_error() {
    for bytes in [vec![b'x'; MAX_HEAD + 1], b"A: b\n".repeat(MAX_HEAD)] {
        let mut buffer = BytesMut::from(&bytes[..]);
        assert!(matches!(FrameCodec::default().next_frame(&mut buffer), Err(FrameError::HeadTooLong)));
    }
    let longest = [&vec![b'\n'; 3][..], &vec![b'x'; MAX_HEAD - 32], b"\nContent-Type: api/response\n\n"].concat();
    let every: Vec<usize> = (0..longest.len()).collect();
    assert_eq!(outcome(&longest, &every), outcome(&longest, &[]));
}

#[test]
fn a_stream_out_of_step_is_noticed() {
    let bytes = b"Content-Length: 5\nContent-Type: text/event-plain\n\nEvent-Name: HEARTBEAT\n\n";
    let (frames, end, _) = outcome(bytes, &[]);
    assert_eq!(frames.len(), 1);
    assert_eq!(end, MalformedHead::NoContentType.to_string());
}

#[test]
fn the_end_within_a_frame_is_told_with_the_place_where_it_begins() {
    let whole = b"Content-Type: auth/request\n\nContent-Length: 9\nContent-Type: text/event-plain\n\nA: 1\n";
    assert_eq!(outcome(whole, &[]).1, FrameError::Truncated.to_string());
    assert_eq!(outcome(whole, &[]).2, 28);
    let mut codec = FrameCodec::default();
    let mut buffer = BytesMut::from(&whole[..]);
    assert!(matches!(codec.decode_eof(&mut buffer), Ok(Some(Decoded::Frame(_)))));
    assert!(matches!(codec.decode_eof(&mut buffer), Err(FrameError::Truncated)));
}

fn heartbeat() -> String {
    framed("Event-Name: HEARTBEAT\nEvent-Info: System%20Ready\n\n", 0)
}

/// An event in a frame whose length is wrong by that much.
fn framed(event: &str, wrong_by: i64) -> String {
    let length = event.len() as i64 + wrong_by;
    format!("Content-Length: {length}\nContent-Type: text/event-plain\n\n{event}")
}

#[test]
fn a_length_that_is_too_long_is_noticed_as_soon_as_the_next_frame_begins_and_costs_no_event() {
    let with_body = "Event-Name: CUSTOM\nContent-Length: 14\n\nsome\n\nown body";
    for event in ["Event-Name: HEARTBEAT\n\n", "Event-Name: CUSTOM\nB: Content-Length%3A\n\n", with_body] {
        for wrong_by in [1, 8, 9, 100, 1_000, 500_000] {
            let bytes = framed(event, wrong_by) + &heartbeat().repeat(3);
            let (frames, end, _) = outcome(bytes.as_bytes(), &[]);
            assert!(
                matches!(&frames[..], [Decoded::Frame(frame)] if frame.body == event.as_bytes()),
                "{wrong_by}: {frames:?}"
            );
            let length = event.len() as u64 + wrong_by as u64;
            assert_eq!(end, FrameError::WrongLength(length).to_string());
            let every: Vec<usize> = (0..bytes.len()).collect();
            assert_eq!(outcome(bytes.as_bytes(), &every), outcome(bytes.as_bytes(), &[]));
        }
    }
}

#[test]
fn a_length_that_is_too_short_is_an_error_before_any_other_event_is_read() {
    let event = "Event-Name: CUSTOM\nCC-Queue: support%40default\nCC-Action: members-count\n\n";
    for wrong_by in 3..event.len() as i64 {
        let bytes = framed(event, -wrong_by) + &heartbeat();
        let (frames, end, _) = outcome(bytes.as_bytes(), &[]);
        assert_eq!(frames.len(), 1, "{wrong_by}");
        assert_eq!(end, MalformedHead::NoContentType.to_string(), "{wrong_by}");
    }
}

#[test]
fn what_an_event_has_of_its_own_is_no_wrong_length() {
    let look_alike = "Content-Length: 5\nContent-Type: text/event-plain\n\n";
    let body = format!("Event-Name: A\nContent-Length: {}\n\n{look_alike}", look_alike.len());
    // A header of that name which somebody set, where there is no body; and a name with newlines in it.
    for event in [&body[..], "Event-Name: A\nContent-Length: 7\n\n", "Event-Name: A\nvariable_x\n\ny: 1\nB: 2\n\n"] {
        let (frames, end, _) = outcome((framed(event, 0) + &heartbeat()).as_bytes(), &[]);
        assert_eq!((frames.len(), end.as_str()), (2, "whole"), "{event}");
    }
}

#[test]
fn blank_lines_between_frames_are_bounded() {
    let few = "\n".repeat(MAX_BLANK_LINES) + &heartbeat();
    assert_eq!(outcome(few.repeat(3).as_bytes(), &[]).0.len(), 3);
    let many = "\n".repeat(MAX_BLANK_LINES + 1);
    let (frames, end, _) = outcome((heartbeat() + &many).as_bytes(), &[]);
    assert_eq!((frames.len(), end), (1, FrameError::TooManyBlankLines.to_string()));
}
