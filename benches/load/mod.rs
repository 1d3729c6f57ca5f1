//! A load made of a recording: its events again and again, as other calls at later times.
//!
//! A recording that is merely repeated shows less than it seems to, because the lifecycle knows a repeated event when it
//! sees one. So every copy has channels, members, agents, event numbers and times of its own. The FreeSWITCH process is
//! the same for all: they are calls of one busy node.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::{self, Read as _};
use std::ops::Range;
use std::path::Path;

use hookswitch::esl::Event;
use hookswitch::esl::codec::{Decoded, FrameCodec};
use hookswitch::esl::frame::FrameKind;
use hookswitch::esl::recording;

/// Copies of a recording, of which one begins every so often.
pub(crate) struct Load {
    templates: Vec<Template>,
    /// The time from one copy's beginning to the next one's.
    spacing_micros: u64,
    /// How many event numbers a copy takes.
    numbers: u64,
    copies: u64,
    /// When each template's next event is due, and in which copy.
    due: BinaryHeap<Reverse<(u64, usize, u64)>>,
}

/// One event of the recording.
struct Template {
    body: Vec<u8>,
    /// When it came, since the recording's first.
    at_micros: u64,
    /// What each copy writes in its own way, from left to right.
    changes: Vec<(Range<usize>, Change)>,
}

#[derive(Clone, Copy)]
enum Change {
    /// The beginning of a UUID.
    Uuid(u32),
    /// A time in microseconds.
    Micros(u64),
    /// A time in seconds.
    Seconds(u64),
    /// The event's number.
    Sequence(u64),
    /// What follows an agent's name.
    Agent,
}

impl Load {
    /// So many copies of a recording, of which about so many are under way at once.
    pub(crate) fn new(path: &Path, copies: u64, at_once: u64) -> io::Result<Self> {
        let bodies = bodies(path)?;
        let events: Vec<_> = bodies.iter().map(|body| Event::from_plain(body.clone().into())).collect();
        let number = |event: &Event, name| event.header(name).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
        let times: Vec<_> = events.iter().map(|event| number(event, "Event-Date-Timestamp")).collect();
        let sequences: Vec<_> = events.iter().map(|event| number(event, "Event-Sequence")).collect();
        let (first, last) = (times[0], times.iter().copied().max().unwrap_or(0));
        let core = events[0].header("Core-UUID").unwrap_or_default().into_owned();
        let mut at_micros = 0;
        let templates: Vec<_> = bodies
            .into_iter()
            .zip(&times)
            .map(|(body, time)| {
                // The order of arrival is kept: neighbours can bear exchanged times.
                at_micros = at_micros.max(time.saturating_sub(first));
                let changes = changes(&body, first / 1_000_000, core.as_bytes());
                Template { body, at_micros, changes }
            })
            .collect();
        let numbers = sequences.iter().max().zip(sequences.iter().min()).map_or(0, |(max, min)| max - min + 1);
        let due =
            templates.iter().enumerate().map(|(place, template)| Reverse((template.at_micros, place, 0))).collect();
        Ok(Self { templates, spacing_micros: (last - first) / at_once + 1, numbers, copies, due })
    }

    /// Writes the next event, as the body of its frame; false at the end.
    pub(crate) fn next(&mut self, body: &mut Vec<u8>) -> bool {
        let Some(Reverse((at, place, copy))) = self.due.pop() else { return false };
        if copy + 1 < self.copies {
            self.due.push(Reverse((at + self.spacing_micros, place, copy + 1)));
        }
        let template = &self.templates[place];
        let micros_on = copy * self.spacing_micros;
        let mut written = 0;
        for (place, change) in &template.changes {
            body.extend_from_slice(&template.body[written..place.start]);
            let text = match change {
                Change::Uuid(beginning) => format!("{:08x}", beginning ^ copy as u32),
                Change::Micros(micros) => (micros + micros_on).to_string(),
                Change::Seconds(seconds) => (seconds + micros_on / 1_000_000).to_string(),
                Change::Sequence(number) => (number + copy * self.numbers).to_string(),
                Change::Agent => format!("x{copy}"),
            };
            body.extend_from_slice(text.as_bytes());
            written = place.end;
        }
        body.extend_from_slice(&template.body[written..]);
        true
    }
}

/// The bodies of a recording's plain events.
fn bodies(path: &Path) -> io::Result<Vec<Vec<u8>>> {
    let mut bytes = Vec::new();
    recording::open(path)?.read_to_end(&mut bytes)?;
    let mut bytes = bytes::BytesMut::from(&bytes[..]);
    let (mut codec, mut bodies) = (FrameCodec::default(), Vec::new());
    while let Some(decoded) = codec.next_frame(&mut bytes).map_err(io::Error::other)? {
        if let Decoded::Frame(frame) = decoded
            && frame.kind == FrameKind::EventPlain
        {
            bodies.push(frame.body.to_vec());
        }
    }
    Ok(bodies)
}

/// Finds what a copy writes in its own way, by the shapes of words.
fn changes(body: &[u8], second: u64, core: &[u8]) -> Vec<(Range<usize>, Change)> {
    // Times of a recording share their beginning, which tells them from other numbers as long.
    let beginning = second.to_string().into_bytes();
    let mut changes = Vec::new();
    let mut at = 0;
    while at < body.len() {
        let rest = &body[at..];
        let word = &rest[..rest.iter().take_while(|byte| byte.is_ascii_alphanumeric()).count()];
        if let Some(uuid) = rest.get(..UUID_BYTES).filter(|text| is_uuid(text)) {
            if uuid != core {
                changes.extend(hexadecimal(&uuid[..8]).map(|beginning| (at..at + 8, Change::Uuid(beginning))));
            }
            at += UUID_BYTES;
            continue;
        }
        let end = at + word.len();
        if body[..at].ends_with(b"\nEvent-Sequence: ") {
            changes.extend(decimal(word).map(|number| (at..end, Change::Sequence(number))));
        } else if word.starts_with(&beginning[..4]) && word.len() == 16 {
            changes.extend(decimal(word).map(|micros| (at..end, Change::Micros(micros))));
        } else if word.starts_with(&beginning[..4]) && word.len() == 10 {
            changes.extend(decimal(word).map(|seconds| (at..end, Change::Seconds(seconds))));
        } else if word.strip_prefix(b"agent").and_then(decimal).is_some() {
            changes.push((end..end, Change::Agent));
        }
        at = match rest[0] {
            b'%' => at + 3,
            _ => at + word.len().max(1),
        };
    }
    changes
}

fn decimal(text: &[u8]) -> Option<u64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

fn hexadecimal(text: &[u8]) -> Option<u32> {
    u32::from_str_radix(std::str::from_utf8(text).ok()?, 16).ok()
}

/// The length of a UUID's text.
const UUID_BYTES: usize = 36;

fn is_uuid(text: &[u8]) -> bool {
    text.iter().enumerate().all(|(place, byte)| match place {
        8 | 13 | 18 | 23 => *byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    })
}
