//! Secrets: written in the file, or better, looked up elsewhere.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use super::fault::Fault;
use super::file::read_bounded;
use super::section::Section;
use super::value::Value;
use crate::delivery::mask::SecretValues;
use crate::delivery::signature::SigningKeys;

/// The longest secret in a file: no key or token is longer.
const MAX_BYTES: u64 = 64 * 1024;

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
    /// Every secret that was read, to be masked.
    values: SecretValues,
}

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
