//! Any bytes on the Event Socket: cut in two or not, they give the same frames and the same end, and every event in them
//! can be read. `cargo +nightly fuzz run esl`
#![no_main]

use bytes::BytesMut;
use hookswitch::esl::Event;
use hookswitch::esl::codec::{Decoded, FrameCodec};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u16, &[u8])| {
    let (cut, bytes) = input;
    let whole = outcome(&[bytes]);
    let (left, right) = bytes.split_at(usize::from(cut).min(bytes.len()));
    assert_eq!(whole, outcome(&[left, right]));
    for decoded in whole.0 {
        if let Decoded::Frame(frame) = decoded {
            if let Ok(event) = Event::from_json(&frame.body) {
                read(&event);
            }
            read(&Event::from_plain(frame.body));
        }
    }
});

fn outcome(pieces: &[&[u8]]) -> (Vec<Decoded>, Option<String>, u64) {
    let (mut codec, mut buffer, mut frames) = (FrameCodec::default(), BytesMut::new(), Vec::new());
    for piece in pieces {
        buffer.extend_from_slice(piece);
        loop {
            match codec.next_frame(&mut buffer) {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(error) => return (frames, Some(error.to_string()), codec.frame_offset()),
            }
        }
    }
    let end = codec.finish(&buffer).err().map(|error| error.to_string());
    (frames, end, codec.frame_offset())
}

fn read(event: &Event) {
    let names: Vec<String> = event.headers().map(|(name, _)| name.into_owned()).collect();
    for name in &names {
        let _ = event.header(name);
    }
    let _ = event.body();
}
