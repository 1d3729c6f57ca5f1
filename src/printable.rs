//! Texts from outside, where they could steer a terminal or begin a line: names and numbers come from callers.

use std::fmt::{self, Write};
use std::io;

/// Whether a character could move the cursor, hide text, turn its direction or begin a line.
pub(crate) fn steers(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(c, '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// A writer that spells out what could steer a terminal.
pub(crate) struct Spelling<W>(pub(crate) W);

impl<W: Write> Write for Spelling<W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut plain = 0;
        for (at, c) in text.char_indices().filter(|(_, c)| steers(*c)) {
            self.0.write_str(&text[plain..at])?;
            write!(self.0, "{}", c.escape_default())?;
            plain = at + c.len_utf8();
        }
        self.0.write_str(&text[plain..])
    }
}

/// The text, with whatever could steer a terminal spelled out.
pub(crate) fn printable(text: &str) -> String {
    text.chars().map(spelled).collect()
}

/// A character that could steer a terminal spelled out, any other as it is.
pub(crate) fn spelled(c: char) -> String {
    if steers(c) { c.escape_default().to_string() } else { c.to_string() }
}

/// The text with as many bytes, in which each character that could steer a terminal has become a mark; lines stay lines.
pub(crate) fn marked(text: &str) -> String {
    let mark = |c: char| match c.len_utf8() {
        _ if !steers(c) || matches!(c, '\n' | '\t') => c,
        1 => '?',
        2 => '¿',
        3 => '\u{fffd}',
        _ => '\u{1f7d8}',
    };
    text.chars().map(mark).collect()
}

/// A writer of JSON in which what could steer a terminal is escaped. JSON escapes only the first of the control characters
/// by itself. Each write has to be whole characters.
pub(crate) struct EscapingJson<W>(pub(crate) W);

impl<W: io::Write> io::Write for EscapingJson<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = std::str::from_utf8(bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        let mut plain = 0;
        // What is between texts is blank.
        for (at, c) in text.char_indices().filter(|(_, c)| steers(*c) && !matches!(c, '\n' | '\r' | '\t')) {
            self.0.write_all(&bytes[plain..at])?;
            for unit in c.encode_utf16(&mut [0; 2]) {
                write!(self.0, "\\u{unit:04x}")?;
            }
            plain = at + c.len_utf8();
        }
        self.0.write_all(&bytes[plain..])?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_has_nothing_raw_and_says_the_same() {
        let texts: Vec<String> =
            (0..=0x10_ffff).filter_map(char::from_u32).filter(|c| steers(*c)).map(String::from).collect();
        let mut written = Vec::new();
        serde_json::to_writer(EscapingJson(&mut written), &texts).expect("writes");
        let written = String::from_utf8(written).expect("UTF-8");
        assert!(!written.contains(steers), "{written:?}");
        assert_eq!(serde_json::from_str::<Vec<String>>(&written).expect("JSON"), texts);
    }

    #[test]
    fn what_is_marked_keeps_its_places() {
        let text = "a\u{1b}b\u{9b}c\u{202e}d\u{e0001}e\n\tf";
        assert_eq!(marked(text), "a?b¿c\u{fffd}d\u{1f7d8}e\n\tf");
        assert_eq!(marked(text).len(), text.len());
    }
}
