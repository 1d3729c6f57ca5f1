//! Writing a recording, beside the follower and never in its way.
//!
//! The follower puts frames on a tape, which is memory with a bound; a thread of its own takes them off, redacts them where
//! that is wanted, and writes. A disk that is slow costs frames, which are counted and owned up to with
//! [`Mark::Missing`]; one that is full ends the recording, and nothing else.

use std::borrow::Cow;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::oneshot;
use tracing::{error, info, warn};

use super::mark::{Mark, Writer};
use super::redaction::Redaction;
use super::sink::Sink;
use crate::esl::Event;
use crate::esl::frame::Frame;
use crate::freeswitch::Snapshot;
use crate::id::NodeName;

/// How much waits to be written: a survey that finds 10,000 members, each with 8 kB of variables, and half a minute of 1,000
/// events a second besides.
const TAPE_LIMIT: usize = 256 * 1024 * 1024;

/// As much as this is written at once, without waiting for more.
const WRITE_AT: usize = 1024 * 1024;

/// What was taken in is in the file after this time at the latest, so that a process that is killed leaves a recording of
/// nearly all. Compression gains from every frame that it sees together, so less would cost.
const WRITE_WITHIN: Duration = Duration::from_secs(1);

/// What is to be recorded, and where.
#[derive(Debug)]
pub struct Settings {
    /// The file, which must not be there yet; compressed if its name ends in `.zst`.
    pub file: PathBuf,
    /// The node.
    pub node: NodeName,
    /// Who records.
    pub by: Writer,
    /// How numbers and names are hidden; none: they are not.
    pub redaction: Option<Redaction>,
}

/// The follower's end of a recording, which ends when it is dropped.
#[derive(Debug)]
pub struct Recorder {
    tape: Arc<Tape>,
}

/// The thread that writes.
#[derive(Debug)]
pub struct Recording {
    failed: oneshot::Receiver<()>,
    thread: JoinHandle<Summary>,
}

/// What became of a recording.
#[derive(Debug, Default)]
pub struct Summary {
    /// How many bytes of frames are in the file, before compression.
    pub written: u64,
    /// How many are not.
    pub unwritten: u64,
    /// Why the recording ended before the recorder did.
    pub failure: Option<io::Error>,
}

/// Begins a recording.
pub fn begin(settings: Settings) -> io::Result<(Recorder, Recording)> {
    let sink = Sink::create(&settings.file, settings.redaction)?;
    start(sink, settings.file, settings.node, settings.by)
}

fn start(sink: Sink, file: PathBuf, node: NodeName, by: Writer) -> io::Result<(Recorder, Recording)> {
    let recorder = Recorder { tape: Arc::default() };
    recorder.mark(&Mark::Begin { by, hookswitch: env!("CARGO_PKG_VERSION").into(), node, at: Timestamp::now() });
    let (tell, failed) = oneshot::channel();
    let tape = Arc::clone(&recorder.tape);
    let thread = std::thread::Builder::new().name("recording".into());
    let thread = thread.spawn(move || write_until_ended(&tape, sink, &file, tell))?;
    Ok((recorder, Recording { failed, thread }))
}

impl Recorder {
    /// Records an event, or tells that there is no room for it.
    pub fn event(&self, event: &Event) -> bool {
        self.tape.put(|out| event.write_frame(out))
    }

    /// Records a frame that is no event, or tells that there is no room for it.
    pub fn frame(&self, frame: &Frame) -> bool {
        self.tape.put(|out| frame.write(out))
    }

    /// Records what a survey found, or tells that there is no room for it.
    pub fn snapshot(&self, snapshot: &Snapshot) -> bool {
        let dumps = snapshot.dumps.iter();
        dumps.fold(true, |all, (channel, headers)| {
            all & self.mark(&Mark::Dump { channel: channel.clone(), headers: Cow::Borrowed(headers) })
        }) & self.mark(&Mark::Snapshot(Cow::Borrowed(snapshot)))
    }

    /// Records a mark, or tells that there is no room for it.
    pub fn mark(&self, mark: &Mark<'_>) -> bool {
        self.tape.put(|out| mark.write_frame(out))
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.tape.held().ended = true;
        self.tape.more.notify_one();
    }
}

impl Recording {
    /// Waits until the recording has failed; for ever, where it has ended well. Nothing is lost if the future is dropped.
    pub async fn failed(&mut self) {
        if (&mut self.failed).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Waits until all is written, once the recorder is dropped.
    pub async fn ended(self) -> Summary {
        let joined = tokio::task::spawn_blocking(move || self.thread.join()).await;
        joined.ok().and_then(Result::ok).unwrap_or_else(|| Summary {
            failure: Some(io::Error::other("the recording's thread has panicked")),
            ..Summary::default()
        })
    }
}

/// Frames on their way to the file.
#[derive(Debug, Default)]
struct Tape {
    held: Mutex<Held>,
    /// There is enough to write, or there will be no more.
    more: Condvar,
}

#[derive(Debug, Default)]
struct Held {
    bytes: Vec<u8>,
    /// How many bytes found no room since the last mark that says so.
    missing: u64,
    /// How many bytes found no room in all, or no file any more.
    unwritten: u64,
    /// Whether the file cannot be written any more.
    failed: bool,
    /// Whether no more will come.
    ended: bool,
}

impl Tape {
    /// Puts on what `write` adds, or tells that there is no room. Never waits for the file.
    fn put(&self, write: impl FnOnce(&mut Vec<u8>)) -> bool {
        let mut held = self.held();
        if held.missing > 0 && held.bytes.len() < TAPE_LIMIT / 2 {
            // With less room the next frames would be missing at once.
            held.own_up();
        }
        let before = held.bytes.len();
        write(&mut held.bytes);
        let has_room = !held.failed && held.missing == 0 && held.bytes.len() <= TAPE_LIMIT;
        if !has_room {
            let added = (held.bytes.len() - before) as u64;
            held.bytes.truncate(before);
            held.missing += added;
            held.unwritten += added;
        }
        if held.bytes.len() >= WRITE_AT {
            self.more.notify_one();
        }
        has_room
    }

    /// Takes off all there is, and tells whether that was all. Waits for more, but not for long.
    fn take(&self, into: &mut Vec<u8>) -> bool {
        into.clear();
        let awaits = |held: &mut Held| !held.ended && held.bytes.len() < WRITE_AT;
        let waited = self.more.wait_timeout_while(self.held(), WRITE_WITHIN, awaits);
        let (mut held, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if held.ended && held.missing > 0 {
            held.own_up();
        }
        std::mem::swap(&mut held.bytes, into);
        held.ended
    }

    /// The file cannot be written any more, `lost` bytes of it that were taken off included. Gives how many are unwritten.
    fn fail(&self, lost: u64) -> u64 {
        let mut held = self.held();
        held.failed = true;
        held.unwritten += lost + held.bytes.len() as u64;
        held.bytes = Vec::new();
        held.unwritten
    }

    fn wait_for_end(&self) -> u64 {
        let ended = self.more.wait_while(self.held(), |held| !held.ended);
        ended.unwrap_or_else(PoisonError::into_inner).unwritten
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    /// Says how much is missing.
    fn own_up(&mut self) {
        Mark::Missing { bytes: std::mem::take(&mut self.missing) }.write_frame(&mut self.bytes);
    }
}

fn write_until_ended(tape: &Tape, mut sink: Sink, file: &Path, failed: oneshot::Sender<()>) -> Summary {
    let (mut taken, mut written) = (Vec::new(), 0);
    loop {
        let ended = tape.take(&mut taken);
        let result = sink.write(&taken).and_then(|()| if ended { sink.finish() } else { sink.flush() });
        if let Err(failure) = result {
            let unwritten = tape.fail(taken.len() as u64);
            error!(file = %file.display(), %failure, unwritten_bytes = unwritten, "the recording has ended early");
            // Nobody needs to wait for it.
            let _ = failed.send(());
            return Summary { written, unwritten: tape.wait_for_end(), failure: Some(failure) };
        }
        written += taken.len() as u64;
        if ended {
            break;
        }
        taken.shrink_to(WRITE_AT);
    }
    let unwritten = tape.held().unwritten;
    if unwritten > 0 {
        warn!(file = %file.display(), unwritten_bytes = unwritten, "the recording lacks what could not be written in time");
    }
    info!(file = %file.display(), bytes = written, "the recording is complete");
    Summary { written, unwritten, failure: None }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    /// A disk with room for so many bytes.
    struct Disk(usize);

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let written = bytes.len().min(self.0);
            self.0 -= written;
            if written == 0 { Err(io::ErrorKind::StorageFull.into()) } else { Ok(written) }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn record_to(disk: Disk) -> (Recorder, Recording) {
        let sink = Sink::to(Box::new(disk), false, None).expect("a sink");
        start(sink, "disk".into(), "fs1".into(), Writer::Recorder).expect("a thread")
    }

    #[tokio::test]
    async fn a_full_disk_ends_the_recording_and_says_how_much_is_not_written() {
        let (recorder, mut recording) = record_to(Disk(1_000));
        recorder.mark(&Mark::Survey);
        let event = Event::from_plain(vec![b'x'; 2_000].into());
        recorder.event(&event);
        recording.failed().await;
        recorder.event(&event);
        drop(recorder);
        let summary = recording.ended().await;
        assert_eq!(summary.failure.expect("it failed").kind(), io::ErrorKind::StorageFull);
        assert!(summary.unwritten > 4_000, "{}", summary.unwritten);
    }

    #[test]
    fn what_finds_no_room_is_counted_and_owned_up_to() {
        let tape = Tape::default();
        tape.put(|out| out.resize(TAPE_LIMIT, b'x'));
        tape.put(|out| out.extend_from_slice(b"one"));
        let mut taken = Vec::new();
        assert!(!tape.take(&mut taken));
        tape.put(|out| out.extend_from_slice(b"two"));
        tape.take(&mut taken);
        let text = String::from_utf8(taken).expect("text");
        assert!(text.ends_with("{\"missing\":{\"bytes\":3}}\ntwo"), "{text}");
        assert_eq!(tape.held().unwritten, 3);
    }
}
