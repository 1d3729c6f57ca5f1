//! The headers of `event plain`: lines of `name: value`, found by an index of names and values.

use std::borrow::Cow;
use std::sync::OnceLock;

use bytes::Bytes;
use memchr::{memchr, memchr_iter};
use percent_encoding::percent_decode;

/// The longest event that the index can address; what is beyond it is cut off. The codec's cap is far below.
const ADDRESSABLE: usize = u32::MAX as usize;

/// The length of a common header line, to guess how many there are: the average of a channel's event.
const USUAL_LINE: usize = 32;

/// The headers of one event, and its body.
#[derive(Clone, Debug)]
pub(super) struct PlainHeaders {
    text: Bytes,
    /// Made on the first look-up, because some events are let go by without any.
    index: OnceLock<Index>,
}

/// Where the headers are.
///
/// A look-up compares tags before names: most headers that are asked for are absent from most events, and a few dozen bytes
/// say so where a few hundred names would have to be read.
#[derive(Clone, Debug)]
struct Index {
    /// Of each header, a byte made of its name.
    tags: Vec<u8>,
    headers: Vec<Header>,
    /// Where the first line that is no header begins.
    end: usize,
}

/// Where a header's name begins, where the separator behind it does, and where the value ends.
#[derive(Clone, Copy, Debug)]
struct Header {
    start: u32,
    separator: u32,
    end: u32,
}

impl PlainHeaders {
    pub(super) fn new(mut text: Bytes) -> Self {
        text.truncate(ADDRESSABLE);
        Self { text, index: OnceLock::new() }
    }

    /// All of it, as it came.
    pub(super) fn text(&self) -> &[u8] {
        &self.text
    }

    /// The first header of that name.
    pub(super) fn get(&self, name: &str) -> Option<Cow<'_, str>> {
        let index = self.index();
        let alike = memchr_iter(tag(name.as_bytes()), &index.tags).map(|place| index.headers[place]);
        alike.map(|header| self.parts(header)).find(|(n, _)| *n == name.as_bytes()).map(|(_, value)| decode(value))
    }

    /// The headers whose name begins with `prefix`, and of whose name without it `wanted` approves.
    pub(super) fn with_prefix<'a>(
        &'a self,
        prefix: &'a str,
        wanted: impl Fn(&str) -> bool + 'a,
    ) -> impl Iterator<Item = (Cow<'a, str>, Cow<'a, str>)> + 'a {
        self.index().headers.iter().filter_map(move |header| {
            let (name, value) = self.parts(*header);
            let name = lossy(name.strip_prefix(prefix.as_bytes())?);
            wanted(&name).then(|| (name, decode(value)))
        })
    }

    /// What follows the blank line, as long as the header `Content-Length` says.
    pub(super) fn body(&self) -> Option<&[u8]> {
        let length: usize = self.get("Content-Length")?.parse().ok()?;
        let rest = self.text.get(self.index().end + 1..)?;
        Some(&rest[..length.min(rest.len())])
    }

    fn index(&self) -> &Index {
        self.index.get_or_init(|| Index::new(&self.text))
    }

    /// Name and value.
    fn parts(&self, header: Header) -> (&[u8], &[u8]) {
        let Header { start, separator, end } = header;
        (&self.text[start as usize..separator as usize], &self.text[separator as usize + SEPARATOR.len()..end as usize])
    }
}

/// What stands between name and value.
const SEPARATOR: &[u8] = b": ";

impl Index {
    /// Of the lines before the first blank one.
    ///
    /// Names are written as they are and can hold the separator (`X-Odd: name: value`); in values FreeSWITCH encodes every
    /// colon and every space. So a line's last separator is the one, and plain and JSON events agree.
    fn new(text: &[u8]) -> Self {
        let guess = text.len() / USUAL_LINE + 16;
        let mut index = Self { tags: Vec::with_capacity(guess), headers: Vec::with_capacity(guess), end: text.len() };
        let (mut start, mut separator) = (0, 0);
        for at in spaces_and_newlines(text).chain([text.len()]) {
            if text.get(at) == Some(&b' ') {
                if at > 0 && text[at - 1] == b':' {
                    separator = at - 1;
                }
            } else if at == start {
                index.end = start;
                break;
            } else {
                if separator > start {
                    index.tags.push(tag(&text[start..separator]));
                    index.headers.push(Header { start: start as u32, separator: separator as u32, end: at as u32 });
                }
                start = at + 1;
            }
        }
        index
    }
}

/// Where the spaces and newlines are. Two of them stand in every line, which is so near to each other that a search for
/// each would cost more than one look at all bytes.
fn spaces_and_newlines(text: &[u8]) -> impl Iterator<Item = usize> {
    let (blocks, rest) = text.as_chunks();
    let mut last = [0; BLOCK];
    last[..rest.len()].copy_from_slice(rest);
    let bits = blocks.iter().copied().chain([last]).map(|block| marks(&block));
    bits.enumerate().flat_map(|(place, bits)| {
        std::iter::successors(Some(bits), |bits| Some(bits & bits.wrapping_sub(1)))
            .take_while(|bits| *bits != 0)
            .map(move |bits| place * BLOCK + bits.trailing_zeros() as usize)
    })
}

/// How many bytes are looked at together: as many as there are bits to say what was found.
const BLOCK: usize = 64;

/// A bit for each byte that is a space or a newline.
fn marks(block: &[u8; BLOCK]) -> u64 {
    /// Gathers the lowest bits of eight bytes in the highest byte.
    const GATHER: u64 = 0x0102_0408_1020_4080;
    let found = block.map(|byte| u8::from(byte == b' ' || byte == b'\n'));
    let (eights, _) = found.as_chunks();
    eights.iter().rev().fold(0, |bits, eight| bits << 8 | u64::from_le_bytes(*eight).wrapping_mul(GATHER) >> 56)
}

/// A byte made of a name's end and length, in which few names of one event agree.
fn tag(name: &[u8]) -> u8 {
    let [.., a, b] = name else { return name.len() as u8 };
    (name.len() as u8).wrapping_mul(37) ^ a.wrapping_mul(5) ^ b
}

/// The text, with what is not UTF-8 replaced. Nearly all of it is ASCII, for which the check is much the quicker way.
fn lossy(bytes: &[u8]) -> Cow<'_, str> {
    std::str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes), Cow::Borrowed)
}

fn decode(value: &[u8]) -> Cow<'_, str> {
    if memchr(b'%', value).is_none() {
        return lossy(value);
    }
    let bytes: Vec<u8> = percent_decode(value).collect();
    Cow::Owned(String::from_utf8(bytes).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Name and value of each header, found a line and a byte at a time.
    fn by_hand(text: &str) -> Vec<(&str, &str)> {
        text.split('\n').take_while(|line| !line.is_empty()).filter_map(|line| line.rsplit_once(": ")).collect()
    }

    proptest! {
        #[test]
        fn the_index_finds_what_a_plain_reading_finds(text in "[ab: \n]{0,300}") {
            let headers = PlainHeaders::new(Bytes::copy_from_slice(text.as_bytes()));
            let expected: Vec<_> = by_hand(&text).into_iter().filter(|(name, _)| !name.is_empty()).collect();
            let all: Vec<_> = headers.with_prefix("", |_| true).collect();
            prop_assert_eq!(&all, &expected.iter().map(|(n, v)| (Cow::from(*n), Cow::from(*v))).collect::<Vec<_>>());
            for (name, _) in &expected {
                let first = expected.iter().find(|(n, _)| n == name).map(|(_, value)| Cow::from(*value));
                prop_assert_eq!(headers.get(name), first);
            }
            prop_assert_eq!(headers.get("absent"), None);
        }
    }
}
