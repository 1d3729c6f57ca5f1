//! The names that a teller gives: to an attempt, and to each signal.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize};

/// The most characters of a name: more than any UUID, number or hash has.
const LONGEST: usize = 128;

/// What a name looks like, as a regular expression. It stands in paths, so nothing that a client or a proxy would change.
const PATTERN: &str = "^[A-Za-z0-9][A-Za-z0-9._~:@+-]{0,127}$";

/// A text that is no name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a name has 1 to {LONGEST} letters, digits and `._~:@+-`, and begins with a letter or a digit")]
pub struct NotAName;

/// Declares a teller's name as a type of its own.
macro_rules! tellers_name {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(transparent)]
        pub struct $name(Box<str>);

        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = NotAName;

            fn from_str(text: &str) -> Result<Self, NotAName> {
                if is_name(text) { Ok(Self(text.into())) } else { Err(NotAName) }
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Cow::<'de, str>::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "pattern": PATTERN })
            }
        }
    )*};
}

tellers_name! {
    /// The teller's own name for an attempt, unique within its queue for ever.
    TellersKey;
    /// The teller's own name for a signal, unique within its attempt: by it, a repeat is told from another signal.
    SignalId;
}

fn is_name(text: &str) -> bool {
    let may_follow = |byte: u8| byte.is_ascii_alphanumeric() || b"._~:@+-".contains(&byte);
    text.len() <= LONGEST
        && text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric())
        && text.bytes().all(may_follow)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_that_no_path_changes() {
        for name in ["1", "a.b", "0b1f5e6c-27c1-4a4e-9f7e-000000000001", "chat:17@web+x~y"] {
            assert_eq!(name.parse::<TellersKey>().expect("a name").as_str(), name);
        }
        for text in ["", ".", "..", "a/b", "a b", "é", "-a", "a\n", &"a".repeat(LONGEST + 1)] {
            assert_eq!(text.parse::<TellersKey>(), Err(NotAName), "{text:?}");
        }
    }
}
