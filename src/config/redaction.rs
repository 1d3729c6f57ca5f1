//! Hides secrets in the text that problems are drawn on: a problem one line further shows the lines around it.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// What the name of a key with a secret contains, misspelled ones too: those are just what is drawn.
const SECRET_WORDS: [&str; 9] =
    ["pass", "pasw", "secret", "token", "bearer", "authorization", "cookie", "api-key", "api_key"];

/// Whether a key or header of this name holds a secret.
pub(super) fn is_secret(name: &str) -> bool {
    let name = name.to_lowercase();
    name == "key" || SECRET_WORDS.iter().any(|word| name.contains(word))
}

/// The text with an asterisk for each byte of a secret, so that places stay where they are.
pub(super) fn redact(text: &str, root: &DeTable<'_>) -> String {
    let mut secrets = Vec::new();
    collect(root, &mut secrets);
    let mut redacted = text.to_owned();
    for range in secrets {
        if let Some(secret) = text.get(range.clone()) {
            let hidden: String = secret.bytes().map(|byte| if byte == b'\n' { '\n' } else { '*' }).collect();
            redacted.replace_range(range, &hidden);
        }
    }
    redacted
}

fn collect(table: &DeTable<'_>, secrets: &mut Vec<Range<usize>>) {
    for (key, value) in table {
        if is_secret(key.get_ref()) {
            hide(value, secrets);
        }
        descend(value, secrets);
    }
}

fn descend(value: &Spanned<DeValue<'_>>, secrets: &mut Vec<Range<usize>>) {
    match value.get_ref() {
        DeValue::Table(table) => collect(table, secrets),
        DeValue::Array(elements) => elements.iter().for_each(|element| descend(element, secrets)),
        _ => {}
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
}
