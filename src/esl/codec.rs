//! Bytes to frames, without copying and without trust in lengths.
//!
//! A frame is a slice of the buffer that it was read into. Where the bytes are cut changes nothing, and no byte is
//! looked at twice for having come late.

use std::io;

use bytes::{Buf, Bytes, BytesMut};
use memchr::{memchr, memmem, memrchr};
use tokio_util::codec::Decoder;

use super::frame::{Frame, FrameKind, Head, MalformedHead};

/// How much is read at once. An event is 5 kB: fifty of them for one system call.
pub const READ_BUFFER: usize = 256 * 1024;

/// Less free space than this is too little to read into: the rest of a buffer is then given up for a new one.
const LEAST_READ: usize = READ_BUFFER / 4;

/// The longest headers of a frame. FreeSWITCH's are some hundred bytes; a `Reply-Text` or a log line's can be longer.
pub const MAX_HEAD: usize = 64 * 1024;

/// The longest event that is kept. 22 kB is the longest seen, with hostile variables; but the answer of another
/// program's `bgapi show channels` comes to every listener as one event, and is not ours to keep.
pub const MAX_EVENT: u64 = 1024 * 1024;

/// The longest reply that is kept: `show channels as json` of 100,000 channels at 650 bytes each.
pub const MAX_REPLY: u64 = 64 * 1024 * 1024;

/// The longest body that is believed at all, and passed over if it is above its cap. Beyond it the length is taken for a
/// sign that frames and bytes no longer agree.
pub const MAX_SKIPPED: u64 = 1024 * 1024 * 1024;

/// The most blank lines between two frames. FreeSWITCH sends none; an endless flood of them would cost a core.
pub const MAX_BLANK_LINES: usize = 64;

/// What the bytes held next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decoded {
    /// A frame.
    Frame(Frame),
    /// A frame whose body is passed over.
    Skipped(Skipped),
}

/// A frame that is not kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// What it was: [`FrameKind::Other`] for an unknown `Content-Type`, else it was too long.
    pub kind: FrameKind,
    /// Its headers.
    pub head: Bytes,
    /// The length of its body.
    pub length: u64,
}

/// Bytes that are not frames. The connection cannot be read any further.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// No blank line within [`MAX_HEAD`] bytes.
    #[error("the headers of a frame are longer than {MAX_HEAD} bytes")]
    HeadTooLong,
    /// The headers make no sense.
    #[error(transparent)]
    MalformedHead(#[from] MalformedHead),
    /// A length above [`MAX_SKIPPED`].
    #[error("a frame claims to be {0} bytes long")]
    LengthUnbelievable(u64),
    /// The body of an event goes on after the event's end, with the next frame.
    #[error("a frame of {0} bytes holds the frames after it")]
    WrongLength(u64),
    /// More than [`MAX_BLANK_LINES`] between two frames.
    #[error("there are more than {MAX_BLANK_LINES} blank lines between two frames")]
    TooManyBlankLines,
    /// The bytes end within a frame.
    #[error("the bytes end within a frame")]
    Truncated,
    /// Reading failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// The decoder of frames.
#[derive(Debug)]
pub struct FrameCodec {
    state: State,
    /// The longest reply that is kept.
    max_reply: u64,
    /// How many bytes were taken.
    taken: u64,
    /// How many bytes came before the frame whose body is in hand.
    frame_at: u64,
}

#[derive(Debug)]
enum State {
    /// Within the headers, before which `blank` lines came: the current line begins at `line`, and holds no newline before
    /// `scanned`.
    Head { blank: usize, line: usize, scanned: usize },
    /// The headers were read; `length` bytes of body follow. Of an event, `end` is where it ends, as far as is known.
    Body { kind: FrameKind, head: Bytes, length: usize, end: EventEnd },
    /// Within a body that is passed over.
    Skip { left: u64 },
    /// An event was read whose frame was too long for it: what follows is not where it should be.
    WrongLength { length: u64 },
}

/// Where an event ends within its frame's body.
#[derive(Clone, Copy, Debug)]
enum EventEnd {
    /// Its headers do not end before that place.
    Unknown { scanned: usize },
    /// It ends there: after its headers, or its own body.
    At(usize),
}

impl Default for EventEnd {
    fn default() -> Self {
        Self::Unknown { scanned: 0 }
    }
}

impl EventEnd {
    /// Whether the body goes on after the event with what looks like the next frame, as it does where its length is too
    /// long. Known as soon as enough of that has come: a frame that is never whole hides no events.
    fn is_passed(&mut self, bytes: &[u8], length: usize) -> bool {
        let body = &bytes[..bytes.len().min(length)];
        if let Self::Unknown { scanned } = *self {
            *self = match memmem::find(&body[scanned..], b"\n\n") {
                Some(at) => Self::At(event_end(&body[..scanned + at])),
                // The first of the two may have come.
                None => Self::Unknown { scanned: body.len().saturating_sub(1) },
            };
        }
        match *self {
            Self::At(end) => body.get(end..).is_some_and(|rest| begins_like_a_frame(rest, length - end)),
            Self::Unknown { .. } => false,
        }
    }
}

/// Where an event ends with these headers: two newlines later, or after its own body, whose length is its last header.
fn event_end(headers: &[u8]) -> usize {
    let last = &headers[memrchr(b'\n', headers).map_or(0, |at| at + 1)..];
    let own = last.strip_prefix(b"Content-Length: ").and_then(|length| std::str::from_utf8(length).ok()?.parse().ok());
    (headers.len() + 2).saturating_add(own.unwrap_or(0))
}

/// Whether these bytes, of so many as there will be, begin as every frame of FreeSWITCH's does.
fn begins_like_a_frame(bytes: &[u8], in_all: usize) -> bool {
    const BEGINNING: &[u8] = b"Content-";
    let enough = BEGINNING.len().min(in_all);
    enough > 0 && bytes.len() >= enough && bytes[..enough] == BEGINNING[..enough]
}

impl Default for State {
    fn default() -> Self {
        Self::Head { blank: 0, line: 0, scanned: 0 }
    }
}

impl Default for FrameCodec {
    fn default() -> Self {
        Self { state: State::default(), max_reply: MAX_REPLY, taken: 0, frame_at: 0 }
    }
}

impl FrameCodec {
    /// A decoder for a connection on which nothing is asked that has a long answer.
    pub fn of_short_replies() -> Self {
        Self { max_reply: MAX_EVENT, ..Self::default() }
    }

    /// How many bytes came before the frame in hand: the offset of an error.
    pub fn frame_offset(&self) -> u64 {
        match self.state {
            State::Head { .. } => self.taken,
            State::Body { .. } | State::Skip { .. } | State::WrongLength { .. } => self.frame_at,
        }
    }

    /// The next frame, if all of it is in `bytes`.
    pub fn next_frame(&mut self, bytes: &mut BytesMut) -> Result<Option<Decoded>, FrameError> {
        loop {
            match &mut self.state {
                State::Head { blank, line, scanned } => {
                    if *line == 0 && bytes.first() == Some(&b'\n') {
                        *blank += 1;
                        if *blank > MAX_BLANK_LINES {
                            return Err(FrameError::TooManyBlankLines);
                        }
                        self.take(bytes, 1);
                        continue;
                    }
                    let Some(end) = head_end(bytes, line, scanned)? else { return Ok(None) };
                    let head = Head::parse(&bytes[..end])?;
                    if let Some(skipped) = self.begin_body(head, end, bytes)? {
                        return Ok(Some(Decoded::Skipped(skipped)));
                    }
                }
                State::Body { kind, length, end, .. } => {
                    if *kind == FrameKind::EventPlain && end.is_passed(bytes, *length) {
                        return Ok(self.end_event(bytes).map(Decoded::Frame));
                    }
                    if bytes.len() < *length {
                        return Ok(None);
                    }
                    return Ok(self.end_body(bytes).map(Decoded::Frame));
                }
                State::WrongLength { length } => return Err(FrameError::WrongLength(*length)),
                State::Skip { left: 0 } => self.state = State::default(),
                State::Skip { .. } if bytes.is_empty() => return Ok(None),
                State::Skip { left } => {
                    let here = (*left).min(bytes.len() as u64);
                    *left -= here;
                    self.take(bytes, here as usize);
                }
            }
        }
    }

    /// Tells at the end of the bytes whether they end between two frames.
    pub fn finish(&self, rest: &[u8]) -> Result<(), FrameError> {
        match self.state {
            State::Head { .. } if rest.is_empty() => Ok(()),
            State::Skip { left: 0 } => Ok(()),
            State::WrongLength { length } => Err(FrameError::WrongLength(length)),
            State::Head { .. } | State::Body { .. } | State::Skip { .. } => Err(FrameError::Truncated),
        }
    }

    /// Takes the headers, which end at `end`, and turns to their body; what is to be passed over is returned at once.
    fn begin_body(&mut self, head: Head, end: usize, bytes: &mut BytesMut) -> Result<Option<Skipped>, FrameError> {
        let Head { kind, length } = head;
        if length > MAX_SKIPPED {
            return Err(FrameError::LengthUnbelievable(length));
        }
        self.frame_at = self.taken;
        let head = bytes.split_to(end).freeze();
        self.taken += end as u64;
        self.take(bytes, 1);
        if length <= self.cap(kind) && kind != FrameKind::Other {
            self.state = State::Body { kind, head, length: length as usize, end: EventEnd::default() };
            return Ok(None);
        }
        self.state = State::Skip { left: length };
        Ok(Some(Skipped { kind, head, length }))
    }

    fn end_body(&mut self, bytes: &mut BytesMut) -> Option<Frame> {
        let State::Body { kind, head, length, .. } = std::mem::take(&mut self.state) else { return None };
        self.taken += length as u64;
        let body = bytes.split_to(length).freeze();
        if length > READ_BUFFER {
            // The buffer grew for this frame, and goes with it; else the connection would keep the size for ever.
            *bytes = BytesMut::from(&bytes[..]);
        }
        Some(Frame { kind, head, body })
    }

    /// Takes an event whose frame goes on after it: the event is whole, but nothing after it can be trusted.
    fn end_event(&mut self, bytes: &mut BytesMut) -> Option<Frame> {
        let State::Body { kind, head, length, end: EventEnd::At(end) } = std::mem::take(&mut self.state) else {
            return None;
        };
        self.state = State::WrongLength { length: length as u64 };
        self.taken += end as u64;
        Some(Frame { kind, head, body: bytes.split_to(end).freeze() })
    }

    /// The longest body that is kept.
    fn cap(&self, kind: FrameKind) -> u64 {
        match kind {
            FrameKind::CommandReply | FrameKind::ApiResponse => self.max_reply,
            // A mark can hold a reply.
            FrameKind::Mark => self.max_reply,
            FrameKind::EventPlain | FrameKind::EventJson => MAX_EVENT,
            // Lines of text: an event's cap is generous, and one bound less to explain.
            FrameKind::AuthRequest | FrameKind::LogData | FrameKind::DisconnectNotice => MAX_EVENT,
            FrameKind::RudeRejection | FrameKind::Other => MAX_EVENT,
        }
    }

    fn take(&mut self, bytes: &mut BytesMut, count: usize) {
        bytes.advance(count);
        self.taken += count as u64;
    }
}

/// Makes room for the next read. A body in the making grows its buffer as it comes, never on the word of its length.
pub fn make_room(bytes: &mut BytesMut) {
    if bytes.capacity() - bytes.len() < LEAST_READ {
        bytes.reserve(READ_BUFFER);
    }
}

impl Decoder for FrameCodec {
    type Item = Decoded;
    type Error = FrameError;

    fn decode(&mut self, bytes: &mut BytesMut) -> Result<Option<Decoded>, FrameError> {
        let decoded = self.next_frame(bytes)?;
        if decoded.is_none() {
            make_room(bytes);
        }
        Ok(decoded)
    }

    fn decode_eof(&mut self, bytes: &mut BytesMut) -> Result<Option<Decoded>, FrameError> {
        match self.next_frame(bytes)? {
            Some(decoded) => Ok(Some(decoded)),
            None => self.finish(bytes).map(|()| None),
        }
    }
}

/// Where the blank line after the headers begins, if it is there.
fn head_end(bytes: &[u8], line: &mut usize, scanned: &mut usize) -> Result<Option<usize>, FrameError> {
    while let Some(newline) = memchr(b'\n', &bytes[*scanned..]).map(|at| *scanned + at) {
        if newline > MAX_HEAD {
            return Err(FrameError::HeadTooLong);
        }
        if newline == *line {
            return Ok(Some(newline));
        }
        (*line, *scanned) = (newline + 1, newline + 1);
    }
    *scanned = bytes.len();
    if bytes.len() > MAX_HEAD { Err(FrameError::HeadTooLong) } else { Ok(None) }
}
