//! Marks: what the follower met beside FreeSWITCH's own frames.

use std::borrow::Cow;
use std::io::Write as _;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::esl::Event;
use crate::esl::codec::MAX_REPLY;
use crate::esl::frame::{Frame, MARK_CONTENT_TYPE};
use crate::freeswitch::Snapshot;
use crate::id::{ChannelUuid, NodeName};
use crate::lifecycle::kept::Kept;

/// The version of the marks that are written, and the newest that is read.
pub const VERSION: u32 = 1;

/// The header that bears it: each mark has its own, so that pieces of recordings can be read, and put together.
const VERSION_HEADER: &str = "Mark-Version";

/// A mark. Within version 1 fields may be added, which older readers pass over.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mark<'a> {
    /// A recording begins.
    Begin {
        /// What writes it.
        by: Writer,
        /// The version of the program.
        hookswitch: String,
        /// The node that it begins with.
        node: NodeName,
        /// When, after this machine's clock.
        at: Timestamp,
    },
    /// What follows is of that node, until another mark like it: nodes of a cluster have one recording.
    Node {
        /// The node.
        name: NodeName,
    },
    /// An attempt that was left open when the node was followed before.
    Restored(Cow<'a, Kept>),
    /// The node is not followed any more, and its attempts are handed over.
    Left,
    /// The events connection is up and subscribed.
    Connected {
        /// When, after this machine's clock.
        at: Timestamp,
    },
    /// The events connection has ended.
    Lost {
        /// When, after this machine's clock.
        at: Timestamp,
        /// Why.
        reason: String,
        /// What the node's clock showed when everything was still heard.
        heard_until: Timestamp,
    },
    /// Events were dropped because the follower was slow.
    Dirty {
        /// How many.
        dropped: u64,
    },
    /// The events that follow were taken in together.
    Arrived {
        /// When, after this machine's clock.
        at: Timestamp,
    },
    /// The lifecycle was moved on to a reading of the node's clock.
    Clock {
        /// The reading.
        now: Timestamp,
    },
    /// A survey began: what it finds is compared with the attempts that are open now.
    Survey,
    /// One of the channels that the survey asked for with all its variables; its snapshot follows.
    Dump {
        /// The channel.
        channel: ChannelUuid,
        /// Its headers.
        headers: Cow<'a, Event>,
    },
    /// What the survey found.
    Snapshot(Cow<'a, Snapshot>),
    /// The configuration was read again. It is not part of the recording, because it can hold secrets.
    Configured,
    /// Frames are missing here, because the file could not be written as quickly as they came.
    Missing {
        /// How many bytes of them.
        bytes: u64,
    },
}

/// What writes a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Writer {
    /// The daemon: what it knew at the beginning are the attempts that are marked as restored, and no others.
    Daemon,
    /// `hookswitch record`, which knew nothing: a recording before this one, if there is any, is what went before.
    Recorder,
}

/// A mark that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum MarkError {
    /// It was written by a newer program.
    #[error(
        "the recording has marks of version {0}, and this hookswitch reads version {VERSION}: replay it with a newer one"
    )]
    Newer(u32),
    /// It has no version.
    #[error("a mark has no version")]
    NoVersion,
    /// Its JSON is not a mark.
    #[error("a mark cannot be read")]
    Unreadable(#[source] serde_json::Error),
    /// It is longer than any that is written.
    #[error("a mark of {0} bytes is longer than {MAX_REPLY}")]
    TooLong(u64),
}

impl MarkError {
    /// Whether what follows can't be told rightly any more.
    pub const fn is_final(&self) -> bool {
        matches!(self, Self::Newer(_))
    }
}

impl Mark<'_> {
    /// Adds the mark's frame to `out`.
    pub fn write_frame(&self, out: &mut Vec<u8>) {
        let mut body = serde_json::to_vec(self).expect("a mark is plain data");
        body.push(b'\n');
        // Writing to memory does not fail.
        let _ = write!(
            out,
            "Content-Type: {MARK_CONTENT_TYPE}\n{VERSION_HEADER}: {VERSION}\nContent-Length: {}\n\n",
            body.len()
        );
        out.extend_from_slice(&body);
    }

    /// Reads a mark's frame.
    pub fn read(frame: &Frame) -> Result<Mark<'static>, MarkError> {
        let version = frame.header(VERSION_HEADER).and_then(|text| std::str::from_utf8(text).ok()?.trim().parse().ok());
        match version.ok_or(MarkError::NoVersion)? {
            newer if newer > VERSION => Err(MarkError::Newer(newer)),
            _ => serde_json::from_slice(&frame.body).map_err(MarkError::Unreadable),
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;

    use super::*;
    use crate::esl::codec::{Decoded, FrameCodec};

    fn frame(bytes: &[u8]) -> Frame {
        match FrameCodec::default().next_frame(&mut BytesMut::from(bytes)) {
            Ok(Some(Decoded::Frame(frame))) => frame,
            other => panic!("{other:?}"),
        }
    }

    fn with(version: &str, body: &str) -> Result<Mark<'static>, MarkError> {
        let length = body.len();
        let head = format!("Content-Type: {MARK_CONTENT_TYPE}\n{version}Content-Length: {length}\n\n");
        Mark::read(&frame((head + body).as_bytes()))
    }

    #[test]
    fn a_mark_reads_back_what_it_wrote_to_the_nanosecond() {
        let mut bytes = Vec::new();
        let noon = Timestamp::new(1_800_000_000, 123_456_789).expect("in range");
        Mark::Clock { now: noon }.write_frame(&mut bytes);
        assert!(matches!(Mark::read(&frame(&bytes)), Ok(Mark::Clock { now }) if now == noon));
    }

    #[test]
    fn a_header_that_came_twice_is_kept_twice() {
        let mut bytes = Vec::new();
        let headers = Event::from_json(br#"{"Hangup-Cause":"ONE","Hangup-Cause":"TWO"}"#).expect("reads");
        Mark::Dump { channel: "c".into(), headers: Cow::Owned(headers) }.write_frame(&mut bytes);
        let Ok(Mark::Dump { headers, .. }) = Mark::read(&frame(&bytes)) else { panic!("it reads back") };
        assert_eq!(headers.headers().count(), 2);
    }

    #[test]
    fn what_is_no_mark_is_told_and_what_is_newer_too() {
        assert!(matches!(with("Mark-Version: 2\n", "[]"), Err(MarkError::Newer(2))));
        assert!(matches!(with("", "\"survey\""), Err(MarkError::NoVersion)));
        assert!(matches!(with("Mark-Version: x\n", "\"survey\""), Err(MarkError::NoVersion)));
        for garbage in ["", "\"party\"", "{\"clock\":{\"now\":7}}", "{", "\u{0}"] {
            assert!(matches!(with("Mark-Version: 1\n", garbage), Err(MarkError::Unreadable(_))), "{garbage}");
        }
        let with_more = r#"{"dirty":{"dropped":3,"since":"yesterday"}}"#;
        assert!(matches!(with("Mark-Version: 1\n", with_more), Ok(Mark::Dirty { dropped: 3 })));
    }
}
