//! Phone numbers and names of callers exchanged for others, so that a recording can be given away.
//!
//! The same number becomes the same other number throughout one file, and a name's word the same other word, wherever they
//! stand: in headers of their own, SIP addresses, channel names, variables, bodies, and in what a survey found. Lengths and
//! forms stay, and so do agents, queues, UUIDs, causes and times; so the redacted recording tells the same story. The
//! exchange depends on a key that is random for each file and kept nowhere.
//!
//! A number is five digits or more: shorter ones are extensions, ports and counts. What a dialplan's own variables say of a
//! caller in other words than the caller's name is not recognised.
//!
//! - [`pseudonym`]: the exchange.
//! - `lexicon`: finding numbers and names in a text.
//! - `treatment`: what is done to which header.

mod json;
mod lexicon;
pub mod pseudonym;
mod treatment;

use std::io::Write as _;

use bytes::BytesMut;
use percent_encoding::{AsciiSet, CONTROLS, percent_decode, percent_encode};

use self::json::Json;
use self::lexicon::Lexicon;
use self::treatment::Treatment;
use crate::esl::codec::{Decoded, FrameCodec, FrameError};
use crate::esl::frame::{Frame, FrameKind};

pub use self::pseudonym::Key;

/// What FreeSWITCH encodes in a header's value.
const ENCODED: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'&')
    .add(b'+')
    .add(b':')
    .add(b';')
    .add(b'<')
    .add(b'=')
    .add(b'>')
    .add(b'?')
    .add(b'@')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// The redaction of one file.
#[derive(Debug)]
pub struct Redaction {
    codec: FrameCodec,
    /// Bytes of a frame whose end is still to come.
    pending: BytesMut,
    lexicon: Lexicon,
    left_out: u64,
}

/// A line of an event: its name, and its value decoded.
struct Header<'a> {
    name: &'a [u8],
    raw: &'a [u8],
    value: Vec<u8>,
    treatment: Treatment,
}

impl Redaction {
    /// A redaction with that key.
    pub fn new(key: Key) -> Self {
        Self { codec: FrameCodec::default(), pending: BytesMut::new(), lexicon: Lexicon::new(key), left_out: 0 }
    }

    /// How many frames were left out, because they could not be read, or are of a kind that nobody knows.
    pub fn left_out(&self) -> u64 {
        self.left_out
    }

    /// Takes bytes of a recording, and adds the frames that are whole by now to `out`, redacted. After an error, which says
    /// that the bytes are not frames, nothing can follow.
    pub fn redact(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), FrameError> {
        self.pending.extend_from_slice(bytes);
        while let Some(decoded) = self.codec.next_frame(&mut self.pending)? {
            match decoded {
                Decoded::Frame(frame) => self.frame(&frame, out),
                Decoded::Skipped(_) => self.left_out += 1,
            }
        }
        Ok(())
    }

    /// Tells at the end of the bytes whether they end between two frames.
    pub fn finish(&self) -> Result<(), FrameError> {
        self.codec.finish(&self.pending)
    }

    fn frame(&mut self, frame: &Frame, out: &mut Vec<u8>) {
        let body = match frame.kind {
            FrameKind::EventPlain => Some(self.event(&frame.body)),
            FrameKind::EventJson => self.json(&frame.body, |_, name| treatment::of_header(name)),
            FrameKind::Mark => self.json(&frame.body, treatment::in_mark),
            FrameKind::AuthRequest
            | FrameKind::CommandReply
            | FrameKind::ApiResponse
            | FrameKind::LogData
            | FrameKind::DisconnectNotice
            | FrameKind::RudeRejection
            | FrameKind::Other => Some(
                self.json(&frame.body, |_, name| treatment::of_header(name)).unwrap_or_else(|| self.text(&frame.body)),
            ),
        };
        match body {
            Some(body) => self.write(&frame.head, &body, out),
            None => self.left_out += 1,
        }
    }

    /// Writes a frame with another body.
    fn write(&self, head: &[u8], body: &[u8], out: &mut Vec<u8>) {
        for line in head.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let is_length = line.get(..15).is_some_and(|name| name.eq_ignore_ascii_case(b"Content-Length:"));
            if is_length {
                // Writing to memory does not fail.
                let _ = writeln!(out, "Content-Length: {}", body.len());
            } else {
                out.extend(in_text(line, |text| self.lexicon.hide_numbers(text)));
                out.push(b'\n');
            }
        }
        out.push(b'\n');
        out.extend_from_slice(body);
    }

    /// A plain event: its headers, and a body of its own where it has one.
    fn event(&mut self, text: &[u8]) -> Vec<u8> {
        let (mut headers, mut rest) = (Vec::new(), text);
        while let Some(end) = memchr::memchr(b'\n', rest).or((!rest.is_empty()).then_some(rest.len())) {
            if end == 0 {
                break;
            }
            headers.push(Header::read(&rest[..end]));
            rest = rest.get(end + 1..).unwrap_or_default();
        }
        for header in &headers {
            self.learn(header.treatment, &String::from_utf8_lossy(&header.value));
        }
        let mut out = Vec::with_capacity(text.len());
        for header in &headers {
            self.header(header, &mut out);
        }
        out.extend(self.text(rest));
        out
    }

    fn header(&self, header: &Header<'_>, out: &mut Vec<u8>) {
        out.extend(in_text(header.name, |text| self.lexicon.hide_numbers(text)));
        if header.name.len() < header.raw.len() {
            out.extend_from_slice(b": ");
            let hidden = in_text(&header.value, |text| self.hide(header.treatment, text));
            if hidden == header.value {
                // Not every sender encodes alike.
                out.extend_from_slice(&header.raw[header.name.len() + 2..]);
            } else {
                percent_encode(&hidden, ENCODED).for_each(|piece| out.extend_from_slice(piece.as_bytes()));
            }
        }
        out.push(b'\n');
    }

    /// A JSON text; none if it is not JSON.
    fn json(&mut self, text: &[u8], treatment: impl Fn(&str, &str) -> Treatment) -> Option<Vec<u8>> {
        let mut json: Json = serde_json::from_str(&String::from_utf8_lossy(text)).ok()?;
        json.visit("", "", &mut |within, key, leaf| {
            if let Json::Text(text) = leaf {
                self.learn(treatment(within, key), text);
            }
        });
        json.visit("", "", &mut |within, key, leaf| match leaf {
            Json::Text(text) => *text = self.hide(treatment(within, key), text),
            Json::Number(number) => {
                let hidden = self.hide(treatment(within, key), &number.to_string());
                *number = serde_json::from_str(&hidden).unwrap_or(0.into());
            }
            Json::Null | Json::Bool(_) | Json::List(_) | Json::Object(_) => {}
        });
        serde_json::to_vec(&json).ok()
    }

    fn text(&self, text: &[u8]) -> Vec<u8> {
        in_text(text, |text| self.lexicon.hide_in_text(text))
    }

    fn learn(&mut self, treatment: Treatment, value: &str) {
        match treatment {
            Treatment::Known => self.lexicon.learn_known(value),
            Treatment::Name => self.lexicon.learn_name(value),
            Treatment::Text => self.lexicon.learn_display_names(value),
            Treatment::Keep | Treatment::Numbers => {}
        }
    }

    fn hide(&self, treatment: Treatment, value: &str) -> String {
        match treatment {
            Treatment::Keep | Treatment::Known => value.to_owned(),
            Treatment::Name => self.lexicon.hide_name(value),
            Treatment::Text => self.lexicon.hide_in_text(value),
            Treatment::Numbers => self.lexicon.hide_numbers(value),
        }
    }
}

impl<'a> Header<'a> {
    /// Reads a line; its last separator is the one. What has none is a name alone.
    fn read(line: &'a [u8]) -> Self {
        let separator = memchr::memmem::rfind(line, b": ");
        let name = separator.map_or(line, |at| &line[..at]);
        let value = separator.map_or_else(Vec::new, |at| percent_decode(&line[at + 2..]).collect());
        Self { name, raw: line, value, treatment: treatment::of_header(&String::from_utf8_lossy(name)) }
    }
}

/// Changes what is UTF-8; other bytes stay.
fn in_text(bytes: &[u8], change: impl Fn(&str) -> String) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        out.extend(change(chunk.valid()).into_bytes());
        out.extend_from_slice(chunk.invalid());
    }
    out
}
