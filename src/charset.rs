//! Charsets: how texts are bytes, in what is sent and what is answered.

use encoding_rs::{Encoding, UTF_8};

/// A charset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Charset {
    encoding: &'static Encoding,
    /// The highest byte that the charset has of its own, where the encoding has more than it.
    narrower: Option<Narrower>,
}

/// What a charset lacks of the encoding that browsers read it as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Narrower {
    /// All beyond ASCII.
    Ascii,
    /// The bytes 0x80 to 0x9F, which are control characters there.
    Iso,
}

/// What is written for a character that the charset does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Missing {
    /// A character reference, as markup has them.
    Reference,
    /// Nothing: the text can't be written.
    Error,
}

/// Charsets that browsers read as a wider one.
const NARROWER: [(&str, Narrower); 8] = [
    ("us-ascii", Narrower::Ascii),
    ("ascii", Narrower::Ascii),
    ("iso-8859-1", Narrower::Iso),
    ("iso8859-1", Narrower::Iso),
    ("iso_8859-1", Narrower::Iso),
    ("latin1", Narrower::Iso),
    ("iso-8859-9", Narrower::Iso),
    ("iso-8859-11", Narrower::Iso),
];

impl Default for Charset {
    fn default() -> Self {
        Self { encoding: UTF_8, narrower: None }
    }
}

impl Charset {
    /// The charset of that label, if texts in it can be read.
    pub(crate) fn for_reading(label: &str) -> Option<Self> {
        let encoding = Encoding::for_label_no_replacement(label.as_bytes())?;
        Some(Self { encoding, narrower: None })
    }

    /// The charset of that label, if texts can be written in exactly that.
    pub(crate) fn for_writing(label: &str) -> Option<Self> {
        let encoding = Encoding::for_label_no_replacement(label.as_bytes())?;
        let is = |name: &str| name.eq_ignore_ascii_case(label.trim());
        let narrower = NARROWER.iter().find(|(name, _)| is(name)).map(|(_, narrower)| *narrower);
        // Every other label stands for a wider encoding, or for one that is only read, as UTF-16 is.
        let is_itself = is(encoding.name()) || encoding == UTF_8;
        let is_written = encoding.output_encoding() == encoding && encoding.name() != "x-user-defined";
        (is_written && (is_itself || narrower.is_some())).then_some(Self { encoding, narrower })
    }

    /// Reads bytes: a byte order mark says more than the label; what is not of the charset is replaced.
    pub(crate) fn decode(self, bytes: &[u8]) -> String {
        self.encoding.decode(bytes).0.into_owned()
    }

    /// Writes a text; gives the first character that the charset does not have, where that is an error.
    pub(crate) fn encode(self, text: &str, missing: Missing) -> Result<Vec<u8>, char> {
        if self.encoding == UTF_8 {
            return Ok(text.as_bytes().to_vec());
        }
        if text.is_ascii() && self.encoding.is_ascii_compatible() {
            return Ok(text.as_bytes().to_vec());
        }
        if self.narrower.is_none() {
            let (bytes, _, has_missing) = self.encoding.encode(text);
            if !has_missing || missing == Missing::Reference {
                return Ok(bytes.into_owned());
            }
        }
        let mut bytes = Vec::with_capacity(text.len());
        for c in text.chars() {
            match (self.encode_char(c), missing) {
                (Some(encoded), _) => bytes.extend(encoded),
                (None, Missing::Reference) => bytes.extend(format!("&#{};", u32::from(c)).into_bytes()),
                (None, Missing::Error) => return Err(c),
            }
        }
        Ok(bytes)
    }

    fn encode_char(self, c: char) -> Option<Vec<u8>> {
        let mut buffer = [0; 4];
        // The control characters of ISO 8859 are no characters of the wider encodings.
        if self.narrower == Some(Narrower::Iso) && ('\u{80}'..='\u{9f}').contains(&c) {
            return u8::try_from(u32::from(c)).ok().map(|byte| vec![byte]);
        }
        let (bytes, _, is_missing) = self.encoding.encode(c.encode_utf8(&mut buffer));
        let is_foreign = match self.narrower {
            Some(Narrower::Ascii) => !bytes.is_ascii(),
            Some(Narrower::Iso) => bytes.iter().any(|byte| (0x80..=0x9f).contains(byte)),
            None => false,
        };
        (!is_missing && !is_foreign).then(|| bytes.into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(label: &str, text: &str) -> Result<Vec<u8>, char> {
        Charset::for_writing(label).expect("can be written").encode(text, Missing::Error)
    }

    #[test]
    fn a_text_is_written_in_the_charset_that_is_named_and_in_no_wider_one() {
        assert_eq!(written("ISO-8859-1", "Zoë"), Ok(b"Zo\xeb".to_vec()));
        assert_eq!(written("windows-1252", "5 €"), Ok(b"5 \x80".to_vec()));
        assert_eq!(written("iso-8859-1", "5 €"), Err('€'));
        assert_eq!(written("iso-8859-15", "5 €"), Ok(b"5 \xa4".to_vec()));
        assert_eq!(written("iso-8859-1", "\u{85}"), Ok(b"\x85".to_vec()));
        assert_eq!(written("us-ascii", "Zoë"), Err('ë'));
        assert_eq!(written("shift_jis", "日本"), Ok(b"\x93\xfa\x96\x7b".to_vec()));
        assert_eq!(written("utf8", "日本"), Ok("日本".as_bytes().to_vec()));
        assert_eq!(written("windows-1251", "Жë日"), Err('ë'));
    }

    #[test]
    fn markup_has_references_for_what_a_charset_lacks() {
        for (label, expected) in [("iso-8859-1", &b"\xeb&#8364;&#128105;"[..]), ("us-ascii", b"&#235;&#8364;&#128105;")]
        {
            let charset = Charset::for_writing(label).expect("can be written");
            assert_eq!(charset.encode("ë€👩", Missing::Reference).as_deref(), Ok(expected));
        }
        let charset = Charset::for_writing("windows-1252").expect("can be written");
        assert_eq!(charset.encode("€Ж", Missing::Reference).as_deref(), Ok(&b"\x80&#1046;"[..]));
    }

    #[test]
    fn what_can_only_be_read_is_not_written() {
        for label in [
            "utf-16",
            "utf-16le",
            "gb2312",
            "ks_c_5601-1987",
            "tis-620",
            "iso-2022-kr",
            "x-user-defined",
            "latin9",
            "ours",
        ] {
            assert_eq!(Charset::for_writing(label), None, "{label}");
        }
    }

    #[test]
    fn whoever_reads_a_charset_reads_what_is_written_in_it() {
        let text = "Zoë Müller, 5 £";
        for label in ["iso-8859-1", "iso-8859-15", "windows-1252", "utf-8", "gb18030", "macintosh"] {
            let bytes = written(label, text).expect("has all of it");
            assert_eq!(Charset::for_reading(label).expect("is known").decode(&bytes), text, "{label}");
        }
    }
}
