//! Hides secrets in the text that problems are drawn on: a problem one line further shows the lines around it.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::delivery::mask;

/// What the name of a key with a secret contains, misspelled ones too: those are just what is drawn.
const SECRET_WORDS: [&str; 9] =
    ["pass", "pasw", "secret", "token", "bearer", "authorization", "cookie", "api-key", "api_key"];

/// Whether a key or header of this name holds a secret.
pub(super) fn is_secret(name: &str) -> bool {
    let name = name.to_lowercase();
    SECRET_WORDS.iter().any(|word| name.contains(word)) || mask::is_secret_name(&name)
}

/// The text with an asterisk for each byte of a secret, so that places stay where they are.
pub(super) fn redact(text: &str, root: &DeTable<'_>) -> String {
    let mut secrets = Vec::new();
    collect(text, root, &mut secrets);
    let mut redacted = text.to_owned();
    for range in secrets {
        if let Some(secret) = text.get(range.clone()) {
            let hidden: String = secret.bytes().map(|byte| if byte == b'\n' { '\n' } else { '*' }).collect();
            redacted.replace_range(range, &hidden);
        }
    }
    redacted
}

fn collect(text: &str, table: &DeTable<'_>, secrets: &mut Vec<Range<usize>>) {
    for (key, value) in table {
        if is_secret(key.get_ref()) {
            hide(value, secrets);
        }
        // Receivers are named by their URLs.
        hide_in_url(text, key.get_ref(), key.span(), secrets);
        descend(text, value, secrets);
    }
}

fn descend(text: &str, value: &Spanned<DeValue<'_>>, secrets: &mut Vec<Range<usize>>) {
    match value.get_ref() {
        DeValue::Table(table) => collect(text, table, secrets),
        DeValue::Array(elements) => elements.iter().for_each(|element| descend(text, element, secrets)),
        DeValue::String(url) => hide_in_url(text, url, value.span(), secrets),
        _ => {}
    }
}

/// Hides the secrets of a URL that is written at `span`; all of it where escapes hide where they are.
fn hide_in_url(text: &str, url: &str, span: Range<usize>, secrets: &mut Vec<Range<usize>>) {
    let ranges = mask::secret_ranges(url);
    let start = text.get(span.clone()).and_then(|written| written.find(url));
    match (ranges.is_empty(), start) {
        (true, _) => {}
        (false, None) => secrets.push(span),
        (false, Some(start)) => {
            let start = span.start + start;
            secrets.extend(ranges.into_iter().map(|range| start + range.start..start + range.end));
        }
    }
}

/// Hides a text, and the texts of a list or table; `{ env = … }` and `{ file = … }` are no secrets.
fn hide(value: &Spanned<DeValue<'_>>, secrets: &mut Vec<Range<usize>>) {
    match value.get_ref() {
        DeValue::String(_) => secrets.push(value.span()),
        DeValue::Array(elements) => elements.iter().for_each(|element| hide(element, secrets)),
        DeValue::Table(table) => {
            let texts = table.iter().filter(|(key, _)| !matches!(&**key.get_ref(), "env" | "file"));
            texts.for_each(|(_, member)| hide(member, secrets));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_hidden_and_places_stay() {
        let text = "a = 1\npassword = \"gëheim\"\nsecrets = [\"x\", { env = \"Y\" }]\n[h]\nX-Api-Key = '''k\nl'''\n";
        let table = DeTable::parse(text).expect("parses");
        assert_eq!(
            redact(text, table.get_ref()),
            "a = 1\npassword = *********\nsecrets = [***, { env = \"Y\" }]\n[h]\nX-Api-Key = ****\n****\n"
        );
    }

    #[test]
    fn secrets_in_urls_are_hidden_too() {
        let text = "[r.'https://me:x@a']\nproxy = 'http://u:gëh@p:1'\nurl = \"https://a/?sig=ab&c=d\"\nx = \"http://a?\\u0073ig=ab\"\n";
        let table = DeTable::parse(text).expect("parses");
        assert_eq!(
            redact(text, table.get_ref()),
            "[r.'https://****@a']\nproxy = 'http://******@p:1'\nurl = \"https://a/?sig=**&c=d\"\nx = **********************\n"
        );
    }
}
