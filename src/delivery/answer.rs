//! A receiver's answer: its head, and its body as far as it is wanted.

use std::io::{self, Read};
use std::time::Duration;

use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap};
use serde_json::Value as Json;
use tokio::time::{Instant, timeout_at};

use super::json;
use super::network::root_cause;
use super::record::ResponseRecord;
use crate::charset::Charset;

/// How long a body that is merely logged may take after its head: the verdict is known from the head.
const LOGGED_TIMEOUT: Duration = Duration::from_secs(5);

/// How much of a body is read, encoded or decoded: as much as a step can save, and enough of one that is merely logged that
/// its connection can be used again.
pub(crate) const MAX_BODY_BYTES: usize = 64 * 1_024;

/// How much of it the log keeps: enough for an error message.
const LOGGED_BYTES: usize = 4 * 1_024;

/// The most content codings that are undone, one behind the other.
const MAX_CODINGS: usize = 4;

/// The largest window that a zstd frame may ask memory for: what RFC 8878 recommends to support.
const ZSTD_WINDOW_LOG: u32 = 23;

/// A receiver's answer.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, without its content codings, or its beginning.
    pub body: Vec<u8>,
    /// Whether there was more of it.
    pub truncated: bool,
}

/// Why a body is not whole.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// It was not there in time.
    #[error("it took too long: the answer's body was not whole within {0:?}")]
    Late(Duration),
    /// The connection ended, or the framing was broken, before the body was whole.
    #[error("the answer's body broke off: {0}")]
    BrokenOff(String),
    /// It is longer than can be saved.
    #[error("the answer's body is longer than {MAX_BODY_BYTES} bytes")]
    TooLong,
    /// It is not what its content coding says.
    #[error("the answer's body is not in the content coding `{0}` that it says")]
    Coding(String),
    /// Its content coding is not known here.
    #[error("the answer's body is in the content coding `{0}`, which is not understood")]
    UnknownCoding(String),
    /// Its charset is not known here.
    #[error("the answer's body is in the charset `{0}`, which is not understood")]
    UnknownCharset(String),
}

impl BodyError {
    /// Whether the next answer may be whole.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::Late(_) | Self::BrokenOff(_) | Self::Coding(_) => true,
            Self::TooLong | Self::UnknownCoding(_) | Self::UnknownCharset(_) => false,
        }
    }
}

impl Answer {
    /// Reads the answer until the deadline, which is `timeout` after the try began. One that is saved has to be whole; of
    /// one that is merely logged the beginning is enough, and it gets less time.
    pub(super) async fn read(
        mut response: reqwest::Response,
        is_saved: bool,
        timeout: Duration,
        deadline: Instant,
    ) -> (Self, Result<(), BodyError>) {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let kept_bytes = if is_saved { MAX_BODY_BYTES } else { LOGGED_BYTES };
        let deadline = if is_saved { deadline } else { deadline.min(Instant::now() + LOGGED_TIMEOUT) };
        let (mut body, mut read_bytes) = (Vec::new(), 0);
        let mut end = loop {
            match timeout_at(deadline, response.chunk()).await {
                Ok(Ok(Some(chunk))) => {
                    read_bytes += chunk.len();
                    let room = (kept_bytes - body.len()).min(chunk.len());
                    body.extend_from_slice(&chunk[..room]);
                    if read_bytes > MAX_BODY_BYTES {
                        break Err(BodyError::TooLong);
                    }
                }
                Ok(Ok(None)) => break Ok(()),
                Ok(Err(error)) => break Err(BodyError::BrokenOff(root_cause(&error))),
                Err(_) => break Err(BodyError::Late(timeout)),
            }
        };
        let mut truncated = end.is_err() || read_bytes > body.len();
        if !body.is_empty() {
            let (decoded, decoding) = without_codings(body, &headers);
            truncated |= decoding.is_err();
            (body, end) = (decoded, end.and(decoding));
        }
        (Self { status, headers, body, truncated }, end)
    }

    /// The body as a value: JSON where the content type says so or none is given, a text otherwise.
    pub fn value(&self) -> Result<Json, BodyError> {
        let text = self.text()?;
        let is_json = self.content_type().is_none_or(|content_type| is_json(&content_type));
        Ok(if is_json { json::parse(&text).unwrap_or(Json::String(text)) } else { Json::String(text) })
    }

    /// What the log keeps of it.
    pub(super) fn record(&self) -> ResponseRecord {
        let kept = &self.body[..self.body.len().min(LOGGED_BYTES)];
        let charset = self.content_type().and_then(|content_type| charset(&content_type)?.ok()).unwrap_or_default();
        ResponseRecord {
            status: self.status,
            body: charset.decode(kept),
            truncated: self.truncated || kept.len() < self.body.len(),
        }
    }

    /// What the content type says, if anything.
    fn content_type(&self) -> Option<String> {
        let value = self.headers.get(CONTENT_TYPE)?;
        Some(String::from_utf8_lossy(value.as_bytes()).trim().to_owned()).filter(|value| !value.is_empty())
    }

    /// The body as a text.
    pub(super) fn text(&self) -> Result<String, BodyError> {
        match self.content_type().as_deref().and_then(charset) {
            None => Ok(Charset::default().decode(&self.body)),
            Some(Ok(charset)) => Ok(charset.decode(&self.body)),
            // Bytes that are ASCII in all probability mean the same in every charset.
            Some(Err(_)) if self.body.is_ascii() => Ok(Charset::default().decode(&self.body)),
            Some(Err(label)) => Err(BodyError::UnknownCharset(label)),
        }
    }
}

/// The charset that a content type names; an error with its label where it is not known. Its parameters are read leniently,
/// because many are written so.
fn charset(content_type: &str) -> Option<Result<Charset, String>> {
    let parameters = content_type.split([';', ',']).skip(1).filter_map(|parameter| parameter.split_once('='));
    let mut named = parameters.filter(|(name, _)| name.trim().eq_ignore_ascii_case("charset"));
    let label = named.next()?.1.trim_matches(|c: char| c.is_whitespace() || "\"'".contains(c));
    Some(Charset::for_reading(label).ok_or_else(|| label.chars().take(40).collect()))
}

/// Whether the first media type is JSON: several headers may have been joined.
fn is_json(content_type: &str) -> bool {
    let media_type = content_type.split([';', ',']).next().unwrap_or_default().trim().to_ascii_lowercase();
    let subtype = media_type.split_once('/').map_or("", |(_, subtype)| subtype);
    subtype == "json" || subtype.ends_with("+json")
}

/// Undoes the content codings, the last one that was applied first. Gives what could be decoded in any case.
fn without_codings(body: Vec<u8>, headers: &HeaderMap) -> (Vec<u8>, Result<(), BodyError>) {
    let listed = headers.get_all(CONTENT_ENCODING).iter().map(|value| String::from_utf8_lossy(value.as_bytes()));
    let listed: Vec<_> = listed.flat_map(|value| value.split(',').map(normalized).collect::<Vec<_>>()).collect();
    let mut codings = listed.into_iter().filter(|coding| !coding.is_empty() && coding != "identity").rev();
    let mut body = body;
    for coding in codings.by_ref().take(MAX_CODINGS) {
        let end;
        (body, end) = without_coding(body, &coding);
        if end.is_err() {
            return (body, end);
        }
    }
    match codings.next() {
        Some(coding) => (body, Err(BodyError::UnknownCoding(coding))),
        None => (body, Ok(())),
    }
}

fn normalized(coding: &str) -> String {
    coding.trim().chars().take(40).collect::<String>().to_ascii_lowercase()
}

/// Undoes one content coding, and never makes more of a body than can be saved.
fn without_coding(body: Vec<u8>, coding: &str) -> (Vec<u8>, Result<(), BodyError>) {
    let decoder: io::Result<Box<dyn Read>> = match coding {
        "gzip" | "x-gzip" => Ok(Box::new(MultiGzDecoder::new(&*body))),
        "deflate" if has_zlib_header(&body) => Ok(Box::new(ZlibDecoder::new(&*body))),
        // Some servers leave out the zlib header.
        "deflate" => Ok(Box::new(DeflateDecoder::new(&*body))),
        "zstd" => zstd(&body),
        _ => return (Vec::new(), Err(BodyError::UnknownCoding(coding.to_owned()))),
    };
    let mut decoded = Vec::new();
    let read = decoder.and_then(|decoder| decoder.take(MAX_BODY_BYTES as u64 + 1).read_to_end(&mut decoded));
    let is_long = decoded.len() > MAX_BODY_BYTES;
    decoded.truncate(MAX_BODY_BYTES);
    let end = match read {
        _ if is_long => Err(BodyError::TooLong),
        Ok(_) => Ok(()),
        Err(_) => Err(BodyError::Coding(coding.to_owned())),
    };
    (decoded, end)
}

fn zstd(body: &[u8]) -> io::Result<Box<dyn Read + '_>> {
    let mut decoder = zstd::Decoder::new(body)?;
    decoder.window_log_max(ZSTD_WINDOW_LOG)?;
    Ok(Box::new(decoder))
}

fn has_zlib_header(body: &[u8]) -> bool {
    matches!(body, [method, flags, ..] if method & 0x0f == 8 && u16::from_be_bytes([*method, *flags]) % 31 == 0)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
    use serde_json::json;

    use super::*;

    fn answer(content_type: Option<&str>, body: &[u8]) -> Answer {
        let mut headers = HeaderMap::new();
        if let Some(content_type) = content_type {
            headers.insert(CONTENT_TYPE, content_type.parse().expect("a value"));
        }
        Answer { status: 200, headers, body: body.to_vec(), truncated: false }
    }

    fn value(content_type: Option<&str>, body: &[u8]) -> Json {
        answer(content_type, body).value().expect("is understood")
    }

    fn coded(codings: &[&str], body: &[u8]) -> (Vec<u8>, Result<(), BodyError>) {
        let mut headers = HeaderMap::new();
        for coding in codings {
            headers.append(CONTENT_ENCODING, coding.parse().expect("a value"));
        }
        without_codings(body.to_vec(), &headers)
    }

    fn gzip(body: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(body).expect("memory");
        encoder.finish().expect("memory")
    }

    #[test]
    fn the_content_type_says_what_is_json_and_what_is_text() {
        for text in ["text/plain", "text/html; charset=utf-8", "application/xml", "application/octet-stream"] {
            assert_eq!(value(Some(text), b"12E4"), json!("12E4"), "{text}");
        }
        for kind in ["application/json", "Application/JSON; charset=UTF-8", "application/problem+json", "text/json"] {
            assert_eq!(value(Some(kind), br#"{"vip":true}"#), json!({ "vip": true }), "{kind}");
        }
        assert_eq!(value(None, br#"{"vip":true}"#), json!({ "vip": true }));
        assert_eq!(value(None, b"no json"), json!("no json"));
        assert_eq!(value(Some("application/json"), b"no json"), json!("no json"));
        assert_eq!(value(Some("application/json"), b""), json!(""));
    }

    #[test]
    fn a_content_type_is_read_however_carelessly_it_is_written() {
        for kind in ["application/json;", "application/json; charset", "application/json, application/json", "", " "] {
            assert_eq!(value(Some(kind), br#"{"a":1}"#), json!({ "a": 1 }), "{kind:?}");
        }
        for kind in
            ["text/plain;charset = iso-8859-1", "text/plain; x; Charset='latin1';", "text/plain;charset=latin1;x"]
        {
            assert_eq!(value(Some(kind), b"\xeb"), json!("ë"), "{kind}");
        }
        assert_eq!(value(Some("json"), b"1"), json!("1"), "no media type");
    }

    #[test]
    fn the_charset_and_the_byte_order_mark_say_how_bytes_are_read() {
        assert_eq!(value(Some("text/plain; charset=iso-8859-1"), b"Zo\xeb"), json!("Zoë"));
        assert_eq!(value(Some("text/plain; charset=\"UTF-8\""), "Zoë".as_bytes()), json!("Zoë"));
        assert_eq!(value(Some("application/json; charset=utf-16le"), b"\"\0\xeb\0\"\0"), json!("ë"));
        assert_eq!(value(Some("application/json"), b"\xef\xbb\xbf{\"a\":1}"), json!({ "a": 1 }));
        assert_eq!(value(None, b"\xff\xfe\"\0\xeb\0\"\0"), json!("ë"));
        assert_eq!(value(Some("text/plain"), b"Zo\xeb"), json!("Zo\u{fffd}"));
        let unknown = answer(Some("text/plain; charset=x-ours"), b"Zo\xeb").value();
        assert_eq!(unknown, Err(BodyError::UnknownCharset("x-ours".into())));
        assert_eq!(value(Some("text/plain; charset=x-ours"), b"Zoe"), json!("Zoe"));
    }

    #[test]
    fn content_codings_are_undone_in_their_order() {
        let body = br#"{"tier":"gold"}"#.to_vec();
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::default());
        zlib.write_all(&body).expect("memory");
        let mut raw = DeflateEncoder::new(Vec::new(), Compression::default());
        raw.write_all(&body).expect("memory");
        let zstd = zstd::encode_all(&*body, 0).expect("memory");
        for (codings, coded_body) in [
            (&["identity"][..], body.clone()),
            (&["gzip"], gzip(&body)),
            (&["X-GZIP"], gzip(&body)),
            (&["gzip, identity", "GZIP"], gzip(&gzip(&body))),
            (&["deflate"], zlib.finish().expect("memory")),
            (&["deflate"], raw.finish().expect("memory")),
            (&["zstd"], zstd),
            (&["gzip", "zstd"], zstd::encode_all(&*gzip(&body), 0).expect("memory")),
        ] {
            assert_eq!(coded(codings, &coded_body), (body.clone(), Ok(())), "{codings:?}");
        }
    }

    #[test]
    fn a_coding_that_is_unknown_or_wrong_or_makes_too_much_is_told() {
        let unknown = |coding: &str| Err(BodyError::UnknownCoding(coding.to_owned()));
        assert_eq!(coded(&["br"], b"rubbish").1, unknown("br"));
        assert_eq!(
            coded(&["gzip"; MAX_CODINGS + 1], &(0..5).fold(b"x".to_vec(), |body, _| gzip(&body))).1,
            unknown("gzip")
        );
        let wrong = |coding: &str| Err(BodyError::Coding(coding.to_owned()));
        for coding in ["gzip", "deflate", "zstd"] {
            assert_eq!(coded(&[coding], b"no such thing").1, wrong(coding), "{coding}");
        }
        let cut = gzip(&[b'x'; 500]);
        let (decoded, end) = coded(&["gzip"], &cut[..cut.len() - 9]);
        assert_eq!((end, decoded.is_empty()), (wrong("gzip"), false), "the log has what there was");
        let bomb = vec![b' '; 16 * 1_024 * 1_024];
        for (coding, small) in [("gzip", gzip(&bomb)), ("zstd", zstd::encode_all(&*bomb, 0).expect("memory"))] {
            let (decoded, end) = coded(&[coding], &small);
            assert_eq!((decoded.len(), end), (MAX_BODY_BYTES, Err(BodyError::TooLong)), "{coding}");
        }
    }
}
