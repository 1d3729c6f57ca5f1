//! What clients send: a line, further headers, a blank line.

use bytes::BytesMut;
use memchr::memmem;
use tokio_util::codec::Decoder;

use crate::simulator::event::WireFormat;

/// The longest command that is read. The longest that anybody sends are configurations of conferences of some kilobytes.
const MAX_COMMAND_BYTES: usize = 64 * 1024;

/// One command as it came: its first line, and what belongs to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RawCommand {
    pub(super) line: String,
    /// The header `Job-UUID`, with which `bgapi` names its job.
    pub(super) job: Option<String>,
}

/// A command that is too long to be one.
#[derive(Debug, thiserror::Error)]
pub(super) enum CommandError {
    /// No end in sight.
    #[error("a command of more than {MAX_COMMAND_BYTES} bytes")]
    TooLong,
    /// The connection failed.
    #[error("connection failed")]
    Io(#[from] std::io::Error),
}

/// Cuts the bytes of a connection into commands.
#[derive(Debug, Default)]
pub(super) struct CommandCodec {
    /// Bytes of a body that are still to be skipped: `sendevent` and `sendmsg` have one, and neither is carried out.
    body: usize,
}

impl Decoder for CommandCodec {
    type Item = RawCommand;
    type Error = CommandError;

    fn decode(&mut self, bytes: &mut BytesMut) -> Result<Option<RawCommand>, CommandError> {
        let skipped = self.body.min(bytes.len());
        let _ = bytes.split_to(skipped);
        self.body -= skipped;
        // Blank lines before a command are nobody's.
        let blank = bytes.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        let _ = bytes.split_to(blank);
        let ends = [memmem::find(bytes, b"\n\n").map(|at| (at, 2)), memmem::find(bytes, b"\n\r\n").map(|at| (at, 3))];
        let Some((end, length)) = ends.into_iter().flatten().min() else {
            return if bytes.len() > MAX_COMMAND_BYTES { Err(CommandError::TooLong) } else { Ok(None) };
        };
        let text = String::from_utf8_lossy(&bytes.split_to(end + length)[..end]).into_owned();
        let mut lines = text.lines();
        let line = lines.next().unwrap_or_default().trim_end().to_owned();
        let mut command = RawCommand { line, job: None };
        for (name, value) in lines.filter_map(|line| line.split_once(':')) {
            match name.to_ascii_lowercase().as_str() {
                "content-length" => self.body = value.trim().parse().unwrap_or(0),
                "job-uuid" => command.job = Some(value.trim().to_owned()),
                _ => {}
            }
        }
        Ok(Some(command))
    }
}

/// What a command asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Command<'a> {
    Auth(&'a str),
    Event(Option<WireFormat>, Vec<&'a str>),
    NixEvent(Vec<&'a str>),
    NoEvents,
    Filter(&'a str),
    Log(&'a str),
    NoLog,
    Api(&'a str),
    BgApi(&'a str),
    Exit,
    Unknown,
}

impl<'a> Command<'a> {
    /// Reads the first line of a command.
    pub(super) fn parse(line: &'a str) -> Self {
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        let words = || rest.split_ascii_whitespace();
        match verb.to_ascii_lowercase().as_str() {
            "auth" => Self::Auth(rest),
            "event" => {
                let format = words().next().and_then(|word| match word.to_ascii_lowercase().as_str() {
                    "plain" => Some(WireFormat::Plain),
                    "json" => Some(WireFormat::Json),
                    _ => None,
                });
                Self::Event(format, words().skip(usize::from(format.is_some())).collect())
            }
            "nixevent" => Self::NixEvent(words().collect()),
            "noevents" => Self::NoEvents,
            "filter" => Self::Filter(rest),
            "log" => Self::Log(rest),
            "nolog" => Self::NoLog,
            "api" if !rest.is_empty() => Self::Api(rest),
            "bgapi" if !rest.is_empty() => Self::BgApi(rest),
            "exit" | "..." => Self::Exit,
            _ => Self::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode_all(input: &[u8]) -> Vec<String> {
        let mut codec = CommandCodec::default();
        let mut bytes = BytesMut::from(input);
        std::iter::from_fn(|| codec.decode(&mut bytes).expect("short enough")).map(|command| command.line).collect()
    }

    #[test]
    fn commands_end_with_a_blank_line_of_either_kind() {
        assert_eq!(decode_all(b"auth x\n\nevent plain ALL\r\n\r\n\n\nexit\n\n"), ["auth x", "event plain ALL", "exit"]);
    }

    #[test]
    fn the_body_of_a_command_is_no_command() {
        assert_eq!(decode_all(b"sendevent X\nContent-Length: 6\n\nexit\n\nexit\n\n"), ["sendevent X", "exit"]);
    }

    #[test]
    fn a_command_without_end_is_refused() {
        let mut bytes = BytesMut::from(vec![b'x'; MAX_COMMAND_BYTES + 1].as_slice());
        assert!(matches!(CommandCodec::default().decode(&mut bytes), Err(CommandError::TooLong)));
    }

    #[test]
    fn a_job_can_be_named() {
        let mut bytes = BytesMut::from("bgapi status\nJob-UUID: abc\n\n");
        let command = CommandCodec::default().decode(&mut bytes).expect("short enough").expect("whole");
        assert_eq!(command.job.as_deref(), Some("abc"));
        assert_eq!(Command::parse(&command.line), Command::BgApi("status"));
    }
}
