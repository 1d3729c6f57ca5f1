//! Secrets: written in the file, or better, looked up elsewhere.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use super::fault::Fault;
use super::file::read_bounded;
use super::section::Section;
use super::value::Value;
use crate::delivery::signature::SigningKeys;

/// The longest secret in a file: no key or token is longer.
const MAX_BYTES: u64 = 64 * 1024;

/// A text that is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    text: Option<Arc<str>>,
}

/// Whether `{ env = … }` and `{ file = … }` are looked up.
#[derive(Clone, Debug, Default)]
pub(super) enum Lookup {
    /// Yes; relative paths begin in this directory.
    From(PathBuf),
    /// No: what needs secrets is not going to be done.
    #[default]
    Skip,
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
    /// Reads a secret: a text, `{ env = "NAME" }` or `{ file = "PATH" }`.
    pub(super) fn secret(&self, value: Value<'_>) -> Option<Secret> {
        if !value.is_table() {
            value.note_secret();
            return value.text().map(Secret::new);
        }
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
        let Self::From(directory) = self else { return Some(None) };
        let read = read_bounded(&directory.join(path), MAX_BYTES);
        let refuse = |error: std::io::Error| {
            value.refuse(Fault::NoCertificates { path: path.to_owned(), reason: error.to_string() });
        };
        read.map(Some).map_err(refuse).ok()
    }

    fn variable(&self, name: &str, section: &Section<'_>) -> Option<Secret> {
        if matches!(self, Self::Skip) {
            return Some(Secret { text: None });
        }
        let Ok(text) = std::env::var(name) else {
            section.refuse(Fault::NoVariable(name.to_owned()));
            return None;
        };
        Some(Secret::new(&text))
    }

    fn file(&self, path: &str, section: &Section<'_>) -> Option<Secret> {
        let Self::From(directory) = self else {
            return Some(Secret { text: None });
        };
        let whole = directory.join(path);
        section.note_secret_file(whole.clone());
        match read_bounded(&whole, MAX_BYTES) {
            // Editors end a file with a newline that is no part of the secret.
            Ok(text) => Some(Secret::new(text.trim_end_matches(['\r', '\n']))),
            Err(error) => {
                section.refuse(Fault::NoSecretFile { path: path.to_owned(), reason: error.to_string() });
                None
            }
        }
    }
}
