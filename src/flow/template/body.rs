//! Bodies that are texts.

use std::sync::LazyLock;

use minijinja::{Environment, Value};
use reqwest::header::HeaderValue;

use super::check::TemplateError;
use super::compiled::Compiled;
use super::engine;
use super::error::RenderError;
use super::text::on_one_line;
use crate::charset::{Charset, Missing};
use crate::flow::names::SavedNames;

/// The environments of all plain texts, and of all texts with markup.
static PLAIN: LazyLock<Environment<'static>> = LazyLock::new(|| engine::encoding(on_one_line));
static MARKUP: LazyLock<Environment<'static>> = LazyLock::new(|| engine::encoding(character_data));

/// The longest text: receivers commonly refuse more.
const MAX_BYTES: usize = 1024 * 1024;

/// A body's media type, of which it is known how values are inserted.
#[derive(Clone, Debug)]
pub struct MediaType {
    value: HeaderValue,
    syntax: Syntax,
    charset: Charset,
}

/// Why a text can't be of a media type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MediaTypeError {
    /// It is none, or it is not known how values are inserted into such a text.
    Unknown,
    /// It names a charset that texts can't be written in.
    Charset(String),
}

/// How a text is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Syntax {
    /// Line by line.
    Plain,
    /// As XML or HTML.
    Markup,
}

/// A body that is a text, with its media type.
#[derive(Debug)]
pub struct BodyTemplate {
    text: Compiled,
    media_type: MediaType,
}

impl MediaType {
    /// Reads a media type, with parameters if it has any.
    pub fn parse(text: &str) -> Result<Self, MediaTypeError> {
        let essence = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let syntax = match essence.as_str() {
            "text/plain" => Syntax::Plain,
            "text/html" | "text/xml" | "application/xml" => Syntax::Markup,
            other if other.starts_with("application/") && other.ends_with("+xml") => Syntax::Markup,
            _ => return Err(MediaTypeError::Unknown),
        };
        let value = HeaderValue::from_str(text).map_err(|_| MediaTypeError::Unknown)?;
        let parameters: mime::Mime = text.trim().parse().map_err(|_| MediaTypeError::Unknown)?;
        let charset = match parameters.get_param(mime::CHARSET) {
            None => Charset::default(),
            Some(label) => {
                let known = Charset::for_writing(label.as_str());
                known.ok_or_else(|| MediaTypeError::Charset(label.as_str().to_owned()))?
            }
        };
        Ok(Self { value, syntax, charset })
    }
}

impl BodyTemplate {
    /// Compiles the text; all that is wrong with it comes back at once.
    pub fn compile(media_type: MediaType, source: &str, names: &SavedNames) -> Result<Self, Vec<TemplateError>> {
        let environment = match media_type.syntax {
            Syntax::Plain => &PLAIN,
            Syntax::Markup => &MARKUP,
        };
        Ok(Self { text: Compiled::new(environment, source, names)?, media_type })
    }

    /// Fills in the text.
    pub fn render(&self, fields: &Value) -> Result<String, RenderError> {
        self.text.render(fields, MAX_BYTES)
    }

    /// The filled-in text in the charset that its media type says. Of a character that the charset does not have, markup has
    /// a reference.
    pub fn encode(&self, text: &str) -> Result<Vec<u8>, RenderError> {
        let missing = match self.media_type.syntax {
            Syntax::Plain => Missing::Error,
            Syntax::Markup => Missing::Reference,
        };
        self.media_type.charset.encode(text, missing).map_err(|_| RenderError::Charset)
    }

    /// The text's media type.
    pub fn content_type(&self) -> &HeaderValue {
        &self.media_type.value
    }
}

/// The charset that a media type says, where it is another one than UTF-8 and no part of it.
pub fn other_charset(media_type: &str) -> Option<String> {
    let media_type: mime::Mime = media_type.trim().parse().ok()?;
    let label = media_type.get_param(mime::CHARSET)?.as_str();
    let is_utf_8 = Charset::for_writing(label).is_some_and(|charset| charset == Charset::default());
    (!is_utf_8).then(|| label.to_owned())
}

/// Escapes what would be markup, and what an attribute's value would lose; characters that XML cannot have are replaced.
fn character_data(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '"' => escaped.push_str("&#34;"),
            '\'' => escaped.push_str("&#39;"),
            '\t' | '\n' | '\r' => escaped.push_str(&format!("&#{};", u32::from(c))),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => escaped.push(char::REPLACEMENT_CHARACTER),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn render(media_type: &str, source: &str, member_name: &str) -> String {
        let media_type = MediaType::parse(media_type).expect("a known media type");
        let body = BodyTemplate::compile(media_type, source, &SavedNames::none()).expect("compiles");
        body.render(&minijinja::context! { member_name }).expect("renders")
    }

    /// What a reader of markup makes of its references.
    fn unescaped(text: &str) -> String {
        let references =
            [("&lt;", "<"), ("&gt;", ">"), ("&#34;", "\""), ("&#39;", "'"), ("&#9;", "\t"), ("&#10;", "\n")];
        let plain = references.iter().fold(text.to_owned(), |text, (reference, c)| text.replace(reference, c));
        plain.replace("&#13;", "\r").replace("&amp;", "&")
    }

    #[test]
    fn the_media_type_says_how_values_are_encoded() {
        let name = "<b a='\"'>\n&amp;\0";
        assert_eq!(render("text/plain; charset=utf-8", "{{ member_name }}\n", name), "<b a='\"'>\\n&amp;\\u{0}\n");
        for markup in ["text/html", "Application/XML", "application/soap+xml; charset=utf-8"] {
            assert_eq!(
                render(markup, "<n>{{ member_name }}</n>", name),
                "<n>&lt;b a=&#39;&#34;&#39;&gt;&#10;&amp;amp;\u{fffd}</n>"
            );
        }
    }

    #[test]
    fn a_media_type_of_unknown_syntax_is_refused() {
        for unknown in
            ["application/json", "application/x-www-form-urlencoded", "text/csv", "text", "", "text/plain;\n"]
        {
            assert_eq!(MediaType::parse(unknown).err(), Some(MediaTypeError::Unknown), "{unknown}");
        }
    }

    #[test]
    fn a_text_is_in_the_charset_that_its_media_type_says() {
        let bytes = |media_type: &str, source: &str| {
            let media_type = MediaType::parse(media_type).expect("a known media type");
            let body = BodyTemplate::compile(media_type, source, &SavedNames::none()).expect("compiles");
            body.encode(&body.render(&minijinja::context! { member_name => "Zoë €" }).expect("renders"))
        };
        let source = "<n>{{ member_name }}</n>";
        assert_eq!(bytes("text/xml", source).expect("renders"), "<n>Zoë €</n>".as_bytes());
        assert_eq!(bytes("text/xml; charset=ISO-8859-1", source).expect("renders"), b"<n>Zo\xeb &#8364;</n>");
        assert_eq!(bytes("text/plain; charset=\"windows-1252\"", source).expect("renders"), b"<n>Zo\xeb \x80</n>");
        assert!(matches!(bytes("text/plain; charset=iso-8859-1", source), Err(RenderError::Charset)));
        for charset in ["utf-16", "ours", "gb2312"] {
            let refused = MediaType::parse(&format!("text/plain; charset=\"{charset}\"")).err();
            assert_eq!(refused, Some(MediaTypeError::Charset(charset.to_owned())), "{charset}");
        }
    }

    proptest! {
        #[test]
        fn whatever_a_caller_is_called_is_on_one_line_of_a_text(name in any::<String>()) {
            let text = render("text/plain", "{{ member_name|safe }}", &name);
            let ends_line = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
            prop_assert!(!text.contains(ends_line));
        }

        #[test]
        fn whatever_a_caller_is_called_is_no_markup_and_reads_back(name in any::<String>()) {
            let text = render("text/xml", "{{ member_name|safe }}", &name);
            prop_assert!(!text.contains(['<', '>', '"', '\'']) && !text.chars().any(char::is_control));
            let printable = |c: char| if c.is_control() && !"\t\n\r".contains(c) { '\u{fffd}' } else { c };
            let expected: String =
                name.chars().map(|c| if matches!(c, '\u{fffe}' | '\u{ffff}') { '\u{fffd}' } else { printable(c) }).collect();
            prop_assert_eq!(unescaped(&text), expected);
        }
    }
}
