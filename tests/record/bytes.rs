//! The bytes of a recording are those that the socket gave.

use std::io::Read;
use std::path::{Path, PathBuf};

use hookswitch::esl::Event;
use hookswitch::esl::codec::{Decoded, FrameCodec};
use hookswitch::esl::frame::FrameKind;
use hookswitch::esl::recording::{self, Item};

use crate::place::{FreeSwitch, Place, program};

/// The recordings of a real FreeSWITCH.
pub(crate) fn recordings() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recordings");
    let mut paths: Vec<_> = directory.read_dir().expect("is there").map(|entry| entry.expect("reads").path()).collect();
    paths.retain(|path| path.to_string_lossy().ends_with(".esl.zst"));
    paths.sort();
    paths
}

/// The bytes of a recording, decompressed.
pub(crate) fn read(path: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    recording::open(path).expect("opens").read_to_end(&mut bytes).expect("reads");
    bytes
}

#[test]
fn the_frames_of_a_real_freeswitch_are_written_as_they_came() {
    for path in recordings().iter().filter(|path| !path.to_string_lossy().contains(".json.")) {
        let bytes = read(path);
        let (mut codec, mut rest, mut written) = (FrameCodec::default(), bytes::BytesMut::from(&bytes[..]), Vec::new());
        while let Some(decoded) = codec.next_frame(&mut rest).expect("frames") {
            match decoded {
                Decoded::Frame(frame) if frame.kind == FrameKind::EventPlain => {
                    Event::from_plain(frame.body).write_frame(&mut written);
                }
                Decoded::Frame(frame) => frame.write(&mut written),
                Decoded::Skipped(skipped) => panic!("{skipped:?}"),
            }
        }
        assert!(written == bytes, "{}", path.display());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_begins_with_the_sign_in_and_has_no_password() {
    let (place, freeswitch) = (Place::new(), FreeSwitch::at_work().await);
    let config = place.configure(freeswitch.address);
    let out = place.path("short.esl");
    let mut command = program(&["record", "--node", "pbx", "--for", "2s", "--out"]);
    let output = command.arg(&out).arg("--config").arg(&config).output().expect("runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let items: Vec<_> =
        recording::events(recording::open(&out).expect("opens")).map(|item| item.expect("whole")).collect();
    let frames: Vec<_> = items.iter().filter(|item| !matches!(item, Item::Mark(_))).collect();
    assert!(matches!(frames[..3], [Item::Connected, Item::Other(_), Item::Other(_)]), "{:?}", &frames[..3]);
    assert!(frames[3..].iter().all(|item| matches!(item, Item::Event(_))));
    assert!(!String::from_utf8_lossy(&read(&out)).contains("ClueCon"));

    let again =
        program(&["record", "--for", "1s", "--out"]).arg(&out).arg("--config").arg(&config).output().expect("runs");
    assert_eq!(again.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&again.stderr).contains("cannot be made"), "a recording is never overwritten");
    let nobody = program(&["record", "--node", "x", "--out", "y", "--config"]).arg(&config).output().expect("runs");
    assert!(String::from_utf8_lossy(&nobody.stderr).contains("--node takes one of: pbx"));
}
