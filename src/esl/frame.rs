//! One frame: headers, a blank line, and as many bytes as `Content-Length` says.

use bytes::Bytes;

/// The `Content-Type` of our own frames within recordings: marks of what a client saw beside FreeSWITCH's bytes.
pub const MARK_CONTENT_TYPE: &str = "text/x-hookswitch-mark";

/// What a frame is, after its `Content-Type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameKind {
    /// `auth/request`: FreeSWITCH asks for the password.
    AuthRequest,
    /// `command/reply`: the answer to a command, in the header `Reply-Text`.
    CommandReply,
    /// `api/response`: the answer to an `api` command, as the body.
    ApiResponse,
    /// `text/event-plain`.
    EventPlain,
    /// `text/event-json`.
    EventJson,
    /// `log/data`: a line of FreeSWITCH's log.
    LogData,
    /// `text/disconnect-notice`: FreeSWITCH is about to close the connection.
    DisconnectNotice,
    /// `text/rude-rejection`: FreeSWITCH's access list does not let us in.
    RudeRejection,
    /// [`MARK_CONTENT_TYPE`]: ours, in recordings.
    Mark,
    /// Any other.
    Other,
}

impl FrameKind {
    fn of(content_type: &[u8]) -> Self {
        match content_type {
            b"text/event-plain" => Self::EventPlain,
            b"text/event-json" => Self::EventJson,
            b"api/response" => Self::ApiResponse,
            b"command/reply" => Self::CommandReply,
            b"auth/request" => Self::AuthRequest,
            b"log/data" => Self::LogData,
            b"text/disconnect-notice" => Self::DisconnectNotice,
            b"text/rude-rejection" => Self::RudeRejection,
            other if other == MARK_CONTENT_TYPE.as_bytes() => Self::Mark,
            _ => Self::Other,
        }
    }

    /// Whether the frame is an event.
    pub const fn is_event(self) -> bool {
        matches!(self, Self::EventPlain | Self::EventJson)
    }

    /// Whether the frame answers a command.
    pub const fn is_reply(self) -> bool {
        matches!(self, Self::CommandReply | Self::ApiResponse)
    }
}

/// A frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// What it is.
    pub kind: FrameKind,
    /// Its headers: lines, without the blank one.
    pub head: Bytes,
    /// Its body.
    pub body: Bytes,
}

impl Frame {
    /// The first header of that name (in any case), as the bytes that came: a frame's headers are not encoded.
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        head_lines(&self.head).find(|(n, _)| n.eq_ignore_ascii_case(name.as_bytes())).map(|(_, value)| value)
    }

    /// Adds the frame to `out`, as it came.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.head);
        out.push(b'\n');
        out.extend_from_slice(&self.body);
    }
}

/// What the codec needs of a frame's headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) kind: FrameKind,
    pub(super) length: u64,
}

/// Headers that cannot belong to a frame.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MalformedHead {
    /// FreeSWITCH gives every frame a `Content-Type`, so these are bytes from the middle of something.
    #[error("the headers of a frame lack a Content-Type")]
    NoContentType,
    /// `Content-Length` is not a number, negative, or beyond 64 bits.
    #[error("the Content-Length of a frame is {0:?}")]
    BadLength(String),
    /// Two values of `Content-Length` that differ.
    #[error("a frame has two lengths, {0} and {1}")]
    TwoLengths(u64, u64),
}

impl Head {
    pub(super) fn parse(head: &[u8]) -> Result<Self, MalformedHead> {
        let mut kind = None;
        let mut length = None;
        for (name, value) in head_lines(head) {
            if name.eq_ignore_ascii_case(b"Content-Type") {
                kind = kind.or(Some(FrameKind::of(value.trim_ascii())));
            } else if name.eq_ignore_ascii_case(b"Content-Length") {
                let this = parse_length(value.trim_ascii())?;
                if let Some(other) = length.replace(this).filter(|other| *other != this) {
                    return Err(MalformedHead::TwoLengths(other, this));
                }
            }
        }
        let kind = kind.ok_or(MalformedHead::NoContentType)?;
        Ok(Self { kind, length: length.unwrap_or(0) })
    }
}

/// Digits only: no sign, no space. The text is cut in the error, because it is anybody's.
fn parse_length(text: &[u8]) -> Result<u64, MalformedHead> {
    let digits = text.iter().all(u8::is_ascii_digit).then_some(text).and_then(|text| std::str::from_utf8(text).ok());
    digits
        .and_then(|digits| digits.parse().ok())
        .ok_or_else(|| MalformedHead::BadLength(String::from_utf8_lossy(&text[..text.len().min(40)]).into_owned()))
}

fn head_lines(head: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    head.split(|byte| *byte == b'\n').filter_map(|line| {
        let colon = memchr::memchr(b':', line)?;
        Some((&line[..colon], line[colon + 1..].strip_prefix(b" ").unwrap_or(&line[colon + 1..])))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_is_digits_of_64_bits_and_nothing_else() {
        let head =
            |length: &str| Head::parse(format!("Content-Type: api/response\nContent-Length: {length}").as_bytes());
        assert_eq!(head("18446744073709551615").map(|h| h.length), Ok(u64::MAX));
        for bad in ["18446744073709551616", "-1", "+1", "", "1 2", "0x10", "１"] {
            assert!(matches!(head(bad), Err(MalformedHead::BadLength(_))), "{bad}");
        }
    }

    #[test]
    fn a_repeated_length_must_agree() {
        let head = |a: u8, b: u8| {
            Head::parse(format!("Content-Length: {a}\ncontent-type: log/data\ncontent-length: {b}").as_bytes())
        };
        assert_eq!(head(3, 3), Ok(Head { kind: FrameKind::LogData, length: 3 }));
        assert_eq!(head(3, 4), Err(MalformedHead::TwoLengths(3, 4)));
    }

    #[test]
    fn headers_without_a_content_type_are_no_frame() {
        assert_eq!(Head::parse(b"Event-Name: HEARTBEAT"), Err(MalformedHead::NoContentType));
    }
}
