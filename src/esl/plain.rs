//! The headers of `event plain`: lines of `name: value`, found by an index of where each line begins.

use std::borrow::Cow;
use std::sync::OnceLock;

use bytes::Bytes;
use memchr::{memchr, memchr_iter};
use percent_encoding::percent_decode;

/// The longest event that the index can address; what is beyond it is cut off. The codec's cap is far below.
const ADDRESSABLE: usize = u32::MAX as usize - 1;

/// The length of a common header line, to guess how many there are: the average of a channel's event.
const USUAL_LINE: usize = 32;

/// The headers of one event, and its body.
#[derive(Clone, Debug)]
pub(super) struct PlainHeaders {
    text: Bytes,
    /// Where each header line begins, then where the line after the last one does. Made on the first look-up, because
    /// many events are let go by after a single glance or none.
    lines: OnceLock<Vec<u32>>,
}

impl PlainHeaders {
    pub(super) fn new(mut text: Bytes) -> Self {
        text.truncate(ADDRESSABLE);
        Self { text, lines: OnceLock::new() }
    }

    /// The first header of that name.
    pub(super) fn get(&self, name: &str) -> Option<Cow<'_, str>> {
        self.lines().find_map(|line| value_of(line, name.as_bytes())).map(decode)
    }

    /// The headers whose name begins with `prefix`, without it.
    pub(super) fn with_prefix<'a>(
        &'a self,
        prefix: &'a str,
    ) -> impl Iterator<Item = (Cow<'a, str>, Cow<'a, str>)> + 'a {
        self.lines().filter(|line| line.starts_with(prefix.as_bytes())).filter_map(|line| {
            let (name, value) = split(line)?;
            Some((String::from_utf8_lossy(name.strip_prefix(prefix.as_bytes())?), decode(value)))
        })
    }

    /// What follows the blank line, as long as the header `Content-Length` says.
    pub(super) fn body(&self) -> Option<&[u8]> {
        let length: usize = self.get("Content-Length")?.parse().ok()?;
        let blank = *self.index().last()? as usize;
        let rest = self.text.get(blank + 1..)?;
        Some(&rest[..length.min(rest.len())])
    }

    fn lines(&self) -> impl Iterator<Item = &[u8]> {
        self.index().windows(2).map(|pair| &self.text[pair[0] as usize..pair[1] as usize - 1])
    }

    fn index(&self) -> &[u32] {
        self.lines.get_or_init(|| index(&self.text))
    }
}

/// Where each line before the first blank one begins, then where the next would.
fn index(text: &[u8]) -> Vec<u32> {
    let mut starts = Vec::with_capacity(text.len() / USUAL_LINE + 16);
    let mut start = 0;
    starts.push(0);
    for newline in memchr_iter(b'\n', text) {
        if newline == start {
            return starts;
        }
        start = newline + 1;
        starts.push(start as u32);
    }
    if start < text.len() {
        starts.push(text.len() as u32 + 1);
    }
    starts
}

/// The value of the line, if the line's name is `name`.
///
/// Where the separator must stand and what must stand before it is looked at first: that passes over nearly all lines
/// without a call to compare them, `variable_…` after `variable_…` too.
fn value_of<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let (at, last) = (name.len(), *name.last()?);
    if line.len() < at + 2 || line[at] != b':' || line[at - 1] != last || line[at + 1] != b' ' || line[..at] != *name {
        return None;
    }
    let value = &line[at + 2..];
    separator(value).is_none().then_some(value)
}

/// Name and value of a line.
///
/// Names are written as they are and can hold the separator (`X-Odd: name: value`); in values FreeSWITCH encodes every
/// colon and every space. So the last separator is the one, and plain and JSON events agree.
fn split(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = separator(line).filter(|at| *at > 0)?;
    Some((&line[..at], &line[at + 2..]))
}

/// Where the last `: ` begins.
fn separator(line: &[u8]) -> Option<usize> {
    memchr_iter(b' ', line).rev().find(|&space| space > 0 && line[space - 1] == b':').map(|space| space - 1)
}

fn decode(value: &[u8]) -> Cow<'_, str> {
    if memchr(b'%', value).is_none() {
        return String::from_utf8_lossy(value);
    }
    let bytes: Vec<u8> = percent_decode(value).collect();
    Cow::Owned(String::from_utf8(bytes).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned()))
}
