//! Secrets: written in the file, or better, looked up elsewhere.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use percent_encoding::utf8_percent_encode;

use super::fault::Fault;
use super::file::read_bounded;
use super::section::Section;
use super::suggestion;
use super::value::Value;
use crate::delivery::mask::{self, SecretValues};
use crate::delivery::signature::SigningKeys;
use crate::flow::SavedNames;

/// The longest secret in a file: no key or token is longer.
const MAX_BYTES: u64 = 64 * 1024;

/// The shortest path of a secret URL that is masked wherever it appears.
const SHORTEST_PATH: usize = 12;

/// A text that is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    text: Option<Arc<str>>,
}

/// Whether `{ env = … }` and `{ file = … }` are looked up, and where.
#[derive(Clone, Debug, Default)]
pub(super) struct Lookup {
    /// Relative paths begin in this directory; unset: nothing is looked up, because what needs secrets is not going to be
    /// done.
    directory: Option<PathBuf>,
    /// The secrets that texts can name.
    named: Arc<BTreeMap<String, Secret>>,
    /// Every secret that was read, to be masked.
    values: SecretValues,
}

/// Where a text stands that names secrets: it says how they are written there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// In a URL.
    Url,
    /// In a header.
    Header,
}

/// What stands for a secret where nothing is looked up.
const UNKNOWN: &str = "unknown";

/// The URL that stands for one where nothing is looked up.
pub(super) const UNKNOWN_URL: &str = "https://secret.invalid/";

impl Secret {
    /// A secret that is known.
    pub fn new(text: &str) -> Self {
        Self { text: Some(text.into()) }
    }

    /// The text, to be used and not to be shown; empty if it was not looked up.
    pub fn expose(&self) -> &str {
        self.text.as_deref().unwrap_or_default()
    }

    /// Whether it was looked up.
    pub(super) fn is_known(&self) -> bool {
        self.text.is_some()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(hidden)")
    }
}

impl Lookup {
    /// Looks secrets up; relative paths begin in this directory.
    pub(super) fn from(directory: PathBuf) -> Self {
        Self { directory: Some(directory), ..Self::default() }
    }

    /// Looks nothing up.
    pub(super) fn skip() -> Self {
        Self::default()
    }

    /// Every secret that was read.
    pub(super) fn values(&self) -> &SecretValues {
        &self.values
    }

    /// Reads a secret: a text, `{ env = "NAME" }` or `{ file = "PATH" }`. Newlines around it are no part of it.
    pub(super) fn secret(&self, value: Value<'_>) -> Option<Secret> {
        if value.is_table() {
            return self.looked_up(value);
        }
        value.note_secret();
        let text = without_newlines(value.text()?);
        self.values.note(text);
        Some(Secret::new(text))
    }

    /// Reads a secret that goes into one line of what is sent: a header, or a sign-in.
    pub(super) fn line(&self, value: Value<'_>) -> Option<Secret> {
        one_line(value, self.secret(value)?)
    }

    /// Reads what may be looked up as a secret and is none as a text: who signs in.
    pub(super) fn name(&self, value: Value<'_>) -> Option<Secret> {
        let name = match value.is_table() {
            true => self.looked_up(value)?,
            false => Secret::new(value.text()?),
        };
        one_line(value, name)
    }

    /// Looks a secret up.
    pub(super) fn looked_up(&self, value: Value<'_>) -> Option<Secret> {
        value.section(|section| {
            let variable = section.optional("env", Value::text);
            let file = section.optional("file", Value::text);
            match (variable, file) {
                (Some(name), None) => self.variable(name, section),
                (None, Some(path)) => self.file(path, section),
                _ => {
                    let found = usize::from(section.has("env")) + usize::from(section.has("file"));
                    if found != 1 {
                        section.refuse(Fault::NotOne { what: "a secret", choices: "`env` and `file`", found });
                    }
                    None
                }
            }
        })
    }

    /// The same, with the secrets of `[secrets]`, by which texts can name them.
    pub(super) fn naming(mut self, value: Value<'_>) -> Option<Self> {
        let mut named = BTreeMap::new();
        for (name, value) in value.entries()? {
            let secret = self.line(value);
            if name.text.is_empty() || !name.text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
                name.refuse(Fault::SecretName(name.text.to_owned()));
            }
            // One with a problem of its own is known, so that nothing else is said of it.
            named.insert(name.text.to_owned(), secret.unwrap_or(Secret { text: None }));
        }
        self.named = Arc::new(named);
        Some(self)
    }

    /// A text with the secrets that it names by `{{ secret.NAME }}` in their places; other tags stay. `names` are what steps
    /// save, one of which may be called `secret`.
    pub(super) fn filled<'t>(
        &self,
        value: Value<'_>,
        text: &'t str,
        standing: Standing,
        names: &SavedNames,
    ) -> Option<Cow<'t, str>> {
        let (mut filled, mut at) = (String::new(), 0);
        while let Some((tag, name)) = next_tag(text, at) {
            match self.named.get(name) {
                Some(secret) => {
                    filled.push_str(&text[at..tag.start]);
                    filled.push_str(&written(value, name, secret, standing, &filled)?);
                }
                None if names.knows("secret") => filled.push_str(&text[at..tag.end]),
                None => {
                    let remedy = match self.named.is_empty() {
                        true => format!("add it: `[secrets]` with `{name} = {{ env = \"NAME\" }}`"),
                        false => suggestion::among(name, self.named.keys().map(String::as_str)),
                    };
                    value.refuse(Fault::UnknownWord { what: "secret", word: name.to_owned(), remedy });
                    return None;
                }
            }
            at = tag.end;
        }
        let rest = &text[at..];
        if !names.knows("secret") && rest.split("{{").skip(1).any(|tag| tag.trim_start().starts_with("secret.")) {
            value.refuse(Fault::SecretTag);
            return None;
        }
        if at == 0 {
            return Some(Cow::Borrowed(text));
        }
        filled.push_str(rest);
        Some(Cow::Owned(filled))
    }

    /// Reads an address that may be a secret: a text, which may name secrets, or one that is looked up as a whole.
    pub(super) fn url(&self, value: Value<'_>, unknown: &str) -> Option<SecretUrl> {
        if value.is_table() {
            let secret = one_line(value, self.looked_up(value)?)?;
            let text = secret.text.as_deref().unwrap_or(unknown);
            self.note_url(text);
            return Some(SecretUrl { text: text.to_owned(), is_secret: true });
        }
        let text = value.text()?;
        if mask::has_secret(text) {
            value.note_secret();
            self.values.note_url(text);
        }
        let filled = self.filled(value, text, Standing::Url, &SavedNames::none())?;
        Some(SecretUrl { is_secret: matches!(filled, Cow::Owned(_)), text: filled.into_owned() })
    }

    /// Takes note of a URL that is a secret as a whole.
    pub(super) fn note_url(&self, url: &str) {
        self.values.note_url(url);
        let behind = url.split_once("://").and_then(|(_, rest)| rest.split_once('/')).map(|(_, behind)| behind);
        // A short path is a word that stands elsewhere, too.
        if let Some(behind) = behind.filter(|behind| behind.len() >= SHORTEST_PATH) {
            self.values.note(behind);
        }
    }

    /// Reads signing secrets, the newest first.
    pub(super) fn signing_keys(&self, value: Value<'_>) -> Option<SigningKeys> {
        let secrets = value.list(|_, element| {
            let secret = self.secret(element)?;
            if let Some(Err(error)) = secret.text.as_deref().map(|text| SigningKeys::from_secrets([text])) {
                element.refuse(Fault::SigningSecret(error));
                return None;
            }
            Some(secret)
        })?;
        SigningKeys::from_secrets(secrets.iter().filter_map(|secret| secret.text.as_deref())).ok()
    }

    /// Reads a text in the file that is named, which is no secret; none if nothing is looked up.
    pub(super) fn text_of(&self, value: Value<'_>) -> Option<Option<String>> {
        let path = value.text()?;
        let Some(directory) = &self.directory else { return Some(None) };
        let whole = directory.join(path);
        value.note_file(&whole);
        let read = read_bounded(&whole, MAX_BYTES);
        // Some keep a certificate and its key in one file.
        if read.as_ref().is_ok_and(|text| text.contains("PRIVATE KEY")) {
            value.note_secret_file(whole);
        }
        let refuse = |error: std::io::Error| {
            value.refuse(Fault::NoCertificates { path: path.to_owned(), reason: error.to_string() });
        };
        read.map(Some).map_err(refuse).ok()
    }

    fn variable(&self, name: &str, section: &Section<'_>) -> Option<Secret> {
        if self.directory.is_none() {
            return Some(Secret { text: None });
        }
        let Ok(text) = std::env::var(name) else {
            section.refuse(Fault::NoVariable(name.to_owned()));
            return None;
        };
        self.found(&text, section)
    }

    fn file(&self, path: &str, section: &Section<'_>) -> Option<Secret> {
        let Some(directory) = &self.directory else {
            return Some(Secret { text: None });
        };
        let whole = directory.join(path);
        section.note_secret_file(whole.clone());
        match read_bounded(&whole, MAX_BYTES) {
            Ok(text) => self.found(&text, section),
            Err(error) => {
                section.refuse(Fault::NoSecretFile { path: path.to_owned(), reason: error.to_string() });
                None
            }
        }
    }

    /// Takes a secret that was found elsewhere, where nobody has written an empty one on purpose.
    fn found(&self, text: &str, section: &Section<'_>) -> Option<Secret> {
        let text = without_newlines(text);
        if text.trim().is_empty() {
            section.refuse(Fault::EmptySecret);
            return None;
        }
        self.values.note(text);
        Some(Secret::new(text))
    }
}

/// An address, with the secrets in it.
pub(super) struct SecretUrl {
    /// The address.
    pub(super) text: String,
    /// Whether it was looked up, in whole or in part, so that it is not shown.
    pub(super) is_secret: bool,
}

/// The next tag that names a secret from `at` on, and the name.
fn next_tag(text: &str, mut at: usize) -> Option<(Range<usize>, &str)> {
    while let Some(start) = text[at..].find("{{").map(|start| at + start) {
        let end = start + text[start..].find("}}")? + 2;
        let inner = text[start + 2..end - 2].trim_matches('-').trim();
        let name = inner.strip_prefix("secret.").map(str::trim);
        if let Some(name) = name.filter(|name| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')) {
            return Some((start..end, name));
        }
        at = end;
    }
    None
}

/// A secret as it is written behind `before`.
fn written(value: Value<'_>, name: &str, secret: &Secret, standing: Standing, before: &str) -> Option<String> {
    let text = secret.text.as_deref().unwrap_or(UNKNOWN);
    match standing {
        Standing::Url => {
            let is_behind = before.split_once("://").is_some_and(|(_, rest)| rest.contains(['/', '?', '#']));
            let set = if is_behind { mask::BEHIND_AUTHORITY } else { mask::COMPONENT };
            Some(utf8_percent_encode(text, set).to_string())
        }
        Standing::Header if ["{{", "{%", "{#"].iter().any(|tag| text.contains(tag)) => {
            value.refuse(Fault::SecretWithTags(name.to_owned()));
            None
        }
        Standing::Header => Some(text.to_owned()),
    }
}

/// A text without the newlines around it, which editors and `echo` write, and without the mark that some editors begin with.
fn without_newlines(text: &str) -> &str {
    text.trim_start_matches('\u{feff}').trim_matches(['\r', '\n'])
}

/// Refuses what would end the line that it goes into.
fn one_line(value: Value<'_>, secret: Secret) -> Option<Secret> {
    if secret.expose().chars().any(char::is_control) {
        value.refuse(Fault::ControlInSecret);
        return None;
    }
    Some(secret)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn newlines_around_a_secret_are_no_part_of_it_and_blanks_are() {
        for text in ["geheim", "geheim\n", "geheim\r\n", "\r\ngeheim\n\n", "\u{feff}geheim\r"] {
            assert_eq!(without_newlines(text), "geheim", "{text:?}");
        }
        assert_eq!(without_newlines(" a\nb "), " a\nb ");
    }

    #[test]
    fn a_secret_elsewhere_that_is_empty_is_refused() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("hookswitch.toml");
        std::fs::write(&path, "[delivery.receivers.'https://crm.example']\nbearer = { file = 'token' }\n")
            .expect("writes");
        for (text, is_good) in [("geheim\r\n", true), ("\n", false), ("", false), ("ge\nheim\n", false)] {
            std::fs::write(directory.path().join("token"), text).expect("writes");
            assert_eq!(Config::load(&path).is_ok(), is_good, "{text:?}");
        }
    }
}
