//! What is hidden in a text, and what is not: the words of callers' names, and those of agents and queues.

use std::collections::HashSet;

use super::pseudonym::Key;

/// How many words of names are remembered; then all are forgotten, and those of the next frames learned anew. What a frame
/// names is learned before its texts are read, so only a text that names a caller of long ago is affected.
const WORDS_LIMIT: usize = 65_536;

/// The fewest digits that are taken for a telephone number rather than an extension, a port or a count.
const NUMBER_DIGITS: usize = 5;

/// The fewest digits where dots or dashes stand between them: `555-0142`, but not `12-4` or `1.11.1`.
const PARTED_DIGITS: usize = 7;

/// What FreeSWITCH and telephones write where there is no name.
const NO_NAMES: [&str; 9] =
    ["anonymous", "call", "extension", "inbound", "outbound", "private", "restricted", "unavailable", "unknown"];

/// What was learned of names.
#[derive(Debug)]
pub(super) struct Lexicon {
    key: Key,
    /// Words of callers' names, in lower case.
    names: HashSet<Box<str>>,
    /// Words and numbers of agents and queues, which stay.
    known: HashSet<Box<str>>,
}

impl Lexicon {
    pub(super) fn new(key: Key) -> Self {
        Self { key, names: HashSet::new(), known: HashSet::new() }
    }

    /// Learns that this names an agent or a queue.
    pub(super) fn learn_known(&mut self, text: &str) {
        let numbers = text.split(|c: char| !c.is_ascii_digit()).filter(|digits| digits.len() >= NUMBER_DIGITS);
        for term in words(text).chain(numbers) {
            let term = term.to_lowercase();
            if self.known.len() < WORDS_LIMIT && !self.known.contains(&*term) {
                self.known.insert(term.into());
            }
        }
    }

    /// Learns that this names a caller.
    pub(super) fn learn_name(&mut self, text: &str) {
        // A letter alone would be found everywhere.
        for word in words(text).filter(|word| word.chars().nth(1).is_some()) {
            let word = word.to_lowercase();
            if self.is_no_name(&word) || self.names.contains(&*word) {
                continue;
            }
            if self.names.len() >= WORDS_LIMIT {
                self.names.clear();
            }
            self.names.insert(word.into());
        }
    }

    /// Learns the names before addresses: `"Ada" <sip:…>`, `"Ada" <40712345001>`.
    pub(super) fn learn_display_names(&mut self, text: &str) {
        for (at, _) in text.match_indices('<') {
            let (before, address) = (text[..at].trim_end(), &text[at + 1..]);
            let is_address = ["sip:", "sips:", "tel:", "+"].iter().any(|scheme| address.starts_with(scheme))
                || address.starts_with(|c: char| c.is_ascii_digit());
            if !is_address {
                continue;
            }
            let display = match before.strip_suffix('"') {
                Some(quoted) => quoted.rsplit('"').next(),
                None => before.rsplit([',', '>', '"', ':', ';']).next(),
            };
            display.into_iter().for_each(|name| self.learn_name(name));
        }
    }

    /// A caller's name or number: every letter of it is hidden, and all of its digits as one number, however it is parted.
    pub(super) fn hide_name(&self, text: &str) -> String {
        let mut hidden = self.hide_words(text, |word| !self.is_no_name(&word.to_lowercase()));
        let digits = text.bytes().filter(u8::is_ascii_digit).count();
        if digits >= NUMBER_DIGITS && !self.known.contains(text) {
            self.hide_digits(&mut hidden);
        }
        hidden
    }

    /// Any other text: numbers are hidden in it, and the words of names.
    pub(super) fn hide_in_text(&self, text: &str) -> String {
        let hidden = self.hide_words(text, |word| !self.names.is_empty() && self.is_name(word));
        self.hide_numbers(&hidden)
    }

    /// A text of ours or of FreeSWITCH's, in which no names are: numbers are hidden.
    pub(super) fn hide_numbers(&self, text: &str) -> String {
        if text.bytes().filter(u8::is_ascii_digit).count() < NUMBER_DIGITS {
            return text.to_owned();
        }
        let mut hidden = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(next) = rest.chars().next() {
            let taken = if let Some(kept) = kept_whole(rest, hidden.chars().next_back()) {
                hidden.push_str(&rest[..kept]);
                kept
            } else if next.is_ascii_digit() {
                let length = number_length(rest);
                self.hide_number(&rest[..length], &mut hidden);
                length
            } else {
                hidden.push(next);
                next.len_utf8()
            };
            rest = &rest[taken..];
        }
        hidden
    }

    /// Digits, perhaps parted by dots and dashes.
    fn hide_number(&self, number: &str, hidden: &mut String) {
        let digits = number.bytes().filter(u8::is_ascii_digit).count();
        let is_parted = digits < number.len();
        if is_parted && (digits < PARTED_DIGITS || is_address(number)) {
            for part in number.split_inclusive(['.', '-']) {
                self.hide_plain_number(part, part.len(), hidden);
            }
        } else {
            self.hide_plain_number(number, digits, hidden);
        }
    }

    fn hide_plain_number(&self, number: &str, digits: usize, hidden: &mut String) {
        let mut other = number.to_owned();
        if digits >= NUMBER_DIGITS && !self.known.contains(number) && !is_address(number) {
            self.hide_digits(&mut other);
        }
        hidden.push_str(&other);
    }

    /// Exchanges all digits of a text, as one number.
    fn hide_digits(&self, text: &mut String) {
        let mut digits: Vec<u8> = text.bytes().filter(u8::is_ascii_digit).map(|digit| digit - b'0').collect();
        self.key.permute(&mut digits);
        let mut digits = digits.into_iter().map(|digit| char::from(digit + b'0'));
        *text = text.chars().map(|c| if c.is_ascii_digit() { digits.next().unwrap_or(c) } else { c }).collect();
    }

    fn hide_words(&self, text: &str, is_hidden: impl Fn(&str) -> bool) -> String {
        let mut hidden = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(next) = rest.chars().next() {
            let length = if next.is_alphabetic() {
                let length = rest.find(|c: char| !c.is_alphabetic()).unwrap_or(rest.len());
                match &rest[..length] {
                    word if is_hidden(word) => hidden.push_str(&self.key.word(word)),
                    word => hidden.push_str(word),
                }
                length
            } else {
                // What is percent-encoded is no word.
                let length = encoded_length(rest).unwrap_or(next.len_utf8());
                hidden.push_str(&rest[..length]);
                length
            };
            rest = &rest[length..];
        }
        hidden
    }

    fn is_name(&self, word: &str) -> bool {
        let word = word.to_lowercase();
        self.names.contains(&*word) && !self.known.contains(&*word)
    }

    fn is_no_name(&self, word: &str) -> bool {
        NO_NAMES.contains(&word) || self.known.contains(word)
    }
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphabetic()).filter(|word| !word.is_empty())
}

/// The length of what is kept although it has digits: a UUID, a date, a time, a percent-encoded byte.
fn kept_whole(text: &str, before: Option<char>) -> Option<usize> {
    if let Some(length) = encoded_length(text) {
        return Some(length);
    }
    if before.is_some_and(|c| c.is_ascii_alphanumeric()) {
        return None;
    }
    ["xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx", "dddd-dd-ddTdd:dd:dd.", "dddd-dd-dd"].into_iter().find_map(|shape| {
        let length = shape.len();
        let fits = text.len() >= length && text.bytes().zip(shape.bytes()).all(|(byte, shape)| fits(byte, shape));
        let fraction = if shape.ends_with('.') { leading_digits(text.get(length..)?) } else { 0 };
        let ends = text.as_bytes().get(length + fraction).is_none_or(|next| !next.is_ascii_digit());
        (fits && ends).then_some(length + fraction)
    })
}

fn fits(byte: u8, shape: u8) -> bool {
    match shape {
        b'x' => byte.is_ascii_hexdigit(),
        b'd' => byte.is_ascii_digit(),
        exact => byte == exact,
    }
}

fn encoded_length(text: &str) -> Option<usize> {
    let [b'%', high, low, ..] = text.as_bytes() else { return None };
    (high.is_ascii_hexdigit() && low.is_ascii_hexdigit()).then_some(3)
}

fn leading_digits(text: &str) -> usize {
    text.bytes().take_while(u8::is_ascii_digit).count()
}

/// The length of the digits that a text begins with, single dots and dashes between them included.
fn number_length(text: &str) -> usize {
    let mut length = leading_digits(text);
    while matches!(text.as_bytes().get(length), Some(b'.' | b'-')) {
        match leading_digits(&text[length + 1..]) {
            0 => break,
            digits => length += 1 + digits,
        }
    }
    length
}

/// Whether it is an IPv4 address.
fn is_address(text: &str) -> bool {
    text.parse::<std::net::Ipv4Addr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lexicon() -> Lexicon {
        let mut lexicon = Lexicon::new(Key::from_bytes([3; 32]));
        lexicon.learn_known("10001@support");
        lexicon.learn_display_names("\"Zoë Müller\" <sip:40712345001@127.0.0.1:5060>;tag=1");
        lexicon
    }

    #[test]
    fn a_number_is_the_same_one_however_it_is_written() {
        let lexicon = lexicon();
        let plain = lexicon.hide_in_text("40712345001");
        assert_eq!(plain.len(), 11);
        assert_ne!(plain, "40712345001");
        assert_eq!(
            lexicon.hide_in_text("sofia/internal/40712345001@127.0.0.1"),
            format!("sofia/internal/{plain}@127.0.0.1")
        );
        assert_eq!(
            lexicon.hide_in_text("sip:407-123.45001"),
            format!("sip:{}-{}.{}", &plain[..3], &plain[3..6], &plain[6..])
        );
        assert_eq!(lexicon.hide_name("+40 (712) 345 001").replace(|c: char| !c.is_ascii_digit(), ""), plain);
    }

    #[test]
    fn what_is_no_number_stays() {
        let lexicon = lexicon();
        for text in [
            "2001",
            "127.0.0.1",
            "192.168.100.200",
            "sip:480",
            "10001",
            "user/10001@support",
            "2026-11-23T08:18:46.202345Z",
            "2026-11-23 08:18:46",
            "94a88732-8628-40b3-81f9-74e289eb3f61",
            "12345678-1234-1234-1234-123456789012",
            "1.11.1",
            "%2B%33%34%35%36%37%38",
            "USER_BUSY",
            "",
        ] {
            assert_eq!(lexicon.hide_in_text(text), text);
        }
        assert_ne!(lexicon.hide_in_text("2026-11-235"), "2026-11-235");
        assert!(!lexicon.hide_in_text("%2040712345001").contains("40712345001"));
    }

    #[test]
    fn a_name_is_hidden_wherever_its_words_stand() {
        let lexicon = lexicon();
        let hidden = lexicon.hide_in_text("ticket of MÜLLER, zoë (support)");
        assert!(!hidden.to_lowercase().contains("müller") && !hidden.to_lowercase().contains("zoë"), "{hidden}");
        assert!(hidden.starts_with("ticket of ") && hidden.ends_with(" (support)"));
        assert_eq!(lexicon.hide_name("Zoë Müller"), lexicon.hide_in_text("Zoë Müller"));
        assert_eq!(lexicon.hide_name("Outbound Call"), "Outbound Call");
        assert_eq!(lexicon.hide_name("support"), "support");
    }
}
