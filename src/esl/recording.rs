//! What a client got from the Event Socket, byte for byte, read again.
//!
//! A recording holds everything from `auth/request` on: replies, events, notices, and marks of our own between them
//! ([`super::frame::MARK_CONTENT_TYPE`]), which other readers pass over.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use bytes::BytesMut;

use super::codec::{Decoded, FrameCodec, FrameError, READ_BUFFER, Skipped};
use super::event::{Event, MalformedEvent};
use super::frame::{Frame, FrameKind};

/// What zstd's files begin with.
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// What a recording holds.
#[derive(Debug)]
pub enum Item {
    /// A connection began.
    Connected,
    /// An event.
    Event(Event),
    /// FreeSWITCH said that it closes the connection.
    Disconnected(Frame),
    /// A mark of our own.
    Mark(Frame),
    /// Any other frame: replies, log lines, a rejection.
    Other(Frame),
    /// A frame that was passed over.
    Skipped(Skipped),
}

/// A recording that could not be read to its end. Offsets count the bytes that the client got, uncompressed.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    /// The bytes end within a frame; all that came before was read.
    #[error("the recording ends within the frame at byte {offset}")]
    Truncated {
        /// Where the last frame begins.
        offset: u64,
    },
    /// The bytes are not frames.
    #[error("the bytes at {offset} are not a frame of the Event Socket")]
    Frame {
        /// Where the frame begins.
        offset: u64,
        /// What is wrong.
        #[source]
        source: FrameError,
    },
    /// An event cannot be read. What follows it can.
    #[error("the event that ends at byte {end} cannot be read")]
    Event {
        /// Where the frame ends.
        end: u64,
        /// What is wrong.
        #[source]
        source: MalformedEvent,
    },
    /// Reading failed, or the compressed bytes are damaged.
    #[error("the recording cannot be read on at byte {offset}")]
    Io {
        /// Where the frame in hand begins.
        offset: u64,
        /// What went wrong.
        #[source]
        source: io::Error,
    },
}

/// Opens a recording for [`events`]: a file, compressed or not, or `-` for standard input.
pub fn open(path: &Path) -> io::Result<Box<dyn Read + Send>> {
    if path == Path::new("-") { decompress(io::stdin()) } else { decompress(File::open(path)?) }
}

/// The bytes, decompressed if they are zstd's.
pub fn decompress(mut reader: impl Read + Send + 'static) -> io::Result<Box<dyn Read + Send>> {
    let mut beginning = Vec::with_capacity(ZSTD_MAGIC.len());
    reader.by_ref().take(ZSTD_MAGIC.len() as u64).read_to_end(&mut beginning)?;
    let compressed = beginning == ZSTD_MAGIC;
    let whole = io::Cursor::new(beginning).chain(reader);
    Ok(if compressed { Box::new(zstd::Decoder::new(whole)?) } else { Box::new(whole) })
}

/// What a recording holds, in order. After an error that ends the reading nothing follows.
pub fn events<R: Read>(reader: R) -> Events<R> {
    Events { reader, codec: FrameCodec::default(), bytes: BytesMut::new(), ended: false }
}

/// The items of a recording.
#[derive(Debug)]
pub struct Events<R> {
    reader: R,
    codec: FrameCodec,
    bytes: BytesMut,
    ended: bool,
}

impl<R: Read> Events<R> {
    /// How many bytes were read, up to the end of the latest item.
    pub fn offset(&self) -> u64 {
        self.codec.frame_offset()
    }

    fn next_item(&mut self) -> Result<Option<Item>, RecordingError> {
        loop {
            let decoded = self.codec.next_frame(&mut self.bytes).map_err(|source| self.failed(source))?;
            match decoded {
                Some(Decoded::Frame(frame)) => return self.item(frame).map(Some),
                Some(Decoded::Skipped(skipped)) => return Ok(Some(Item::Skipped(skipped))),
                None => {}
            }
            if self.fill().map_err(|error| self.failed(error.into()))? == 0 {
                return self.codec.finish(&self.bytes).map(|()| None).map_err(|error| self.failed(error));
            }
        }
    }

    fn item(&self, frame: Frame) -> Result<Item, RecordingError> {
        Ok(match frame.kind {
            FrameKind::EventPlain => Item::Event(Event::from_plain(frame.body)),
            FrameKind::EventJson => Item::Event(
                Event::from_json(&frame.body)
                    .map_err(|source| RecordingError::Event { end: self.codec.frame_offset(), source })?,
            ),
            FrameKind::AuthRequest => Item::Connected,
            FrameKind::DisconnectNotice => Item::Disconnected(frame),
            FrameKind::Mark => Item::Mark(frame),
            FrameKind::CommandReply
            | FrameKind::ApiResponse
            | FrameKind::LogData
            | FrameKind::RudeRejection
            | FrameKind::Other => Item::Other(frame),
        })
    }

    /// Reads on; 0 at the end.
    fn fill(&mut self) -> io::Result<usize> {
        let held = self.bytes.len();
        self.bytes.resize(held + READ_BUFFER, 0);
        let read = loop {
            match self.reader.read(&mut self.bytes[held..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        self.bytes.truncate(held + read.as_ref().map_or(0, |read| *read));
        read
    }

    /// Ends the reading.
    fn failed(&mut self, source: FrameError) -> RecordingError {
        self.ended = true;
        let offset = self.codec.frame_offset();
        match source {
            FrameError::Truncated => RecordingError::Truncated { offset },
            FrameError::Io(source) => RecordingError::Io { offset, source },
            source => RecordingError::Frame { offset, source },
        }
    }
}

impl<R: Read> Iterator for Events<R> {
    type Item = Result<Item, RecordingError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let item = self.next_item().transpose();
        self.ended |= item.is_none();
        item
    }
}
