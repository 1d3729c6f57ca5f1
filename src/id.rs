//! Names and identifiers, each a type of its own, so that a queue's name can never stand where a channel's UUID belongs.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Declares a shared, immutable text as a type of its own.
macro_rules! text_id {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Takes the text as it is.
            pub fn new(text: impl Into<Arc<str>>) -> Self {
                Self(text.into())
            }

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

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&*self.0, f)
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.into())
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    )*};
}

text_id! {
    /// A FreeSWITCH process: a new one for each start (`Core-UUID`).
    CoreUuid;
    /// One channel (leg) of a call (`Unique-ID`).
    ChannelUuid;
    /// A member of a mod_callcenter queue (`CC-Member-UUID`); a resumed member keeps it.
    MemberUuid;
    /// A queue, as FreeSWITCH spells it (`support@default`).
    QueueName;
    /// An agent, as mod_callcenter spells it (`1000@default`).
    AgentName;
    /// A configured FreeSWITCH node.
    NodeName;
    /// Nodes that share one callcenter database.
    ClusterName;
    /// A configured hook, unique within its queue pattern.
    HookName;
    /// A configured flow.
    FlowName;
}

/// What makes one attempt itself: one stay of a member in one queue.
///
/// All parts stand on every member event and in FreeSWITCH's own list of members, so whoever sees the attempt, early
/// or late, names it alike. The ordinal tells stays apart that share all UUIDs (a member resumed on the same channel).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AttemptKey {
    /// The FreeSWITCH process that the member waits in.
    pub core: CoreUuid,
    /// The queue.
    pub queue: QueueName,
    /// The member.
    pub member: MemberUuid,
    /// The member's channel.
    pub session: ChannelUuid,
    /// 0 for the first stay with these UUIDs, then counting up.
    pub ordinal: u32,
}

impl AttemptKey {
    /// The key's hash, which names the attempt in the outbox.
    pub fn hash(&self) -> AttemptHash {
        AttemptHash(digest([
            self.core.as_str().as_bytes(),
            self.queue.as_str().as_bytes(),
            self.member.as_str().as_bytes(),
            self.session.as_str().as_bytes(),
            &self.ordinal.to_be_bytes(),
        ]))
    }
}

/// 128 bits of the SHA-256 of the parts, each preceded by its length so that no two lists of parts run together alike.
fn digest<const N: usize>(parts: [&[u8]; N]) -> [u8; 16] {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    let whole: [u8; 32] = hasher.finalize().into();
    let mut half = [0; 16];
    half.copy_from_slice(&whole[..16]);
    half
}

/// Declares 128 bits of a hash as a type of its own, written as 32 hexadecimal digits.
macro_rules! hash_id {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 16]);

        impl $name {
            /// The bytes, as the outbox stores them.
            pub fn as_bytes(&self) -> &[u8; 16] {
                &self.0
            }

            /// From bytes that the outbox stored.
            pub fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:032x}", u128::from_be_bytes(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = ParseHashError;

            fn from_str(text: &str) -> Result<Self, ParseHashError> {
                if text.len() != 32 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
                    return Err(ParseHashError);
                }
                u128::from_str_radix(text, 16).map(|bits| Self(bits.to_be_bytes())).map_err(|_| ParseHashError)
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string", "pattern": "^[0-9a-f]{32}$" })
            }
        }
    )*};
}

/// A text that is not 32 hexadecimal digits.
#[derive(Debug, thiserror::Error)]
#[error("not an identifier of 32 hexadecimal digits")]
pub struct ParseHashError;

hash_id! {
    /// The hash of an [`AttemptKey`].
    AttemptHash;
    /// The name of one moment: the same however, whenever and by whomever it was inferred.
    MomentId;
    /// The name of one run: one hook's flow for one moment.
    RunId;
    /// The hash of what a flow says.
    DefinitionHash;
    /// The hash of something that was told.
    ContentHash;
}

impl DefinitionHash {
    /// The hash of a definition's text.
    pub fn of(text: &str) -> Self {
        Self(digest([text.as_bytes()]))
    }
}

impl ContentHash {
    /// The hash of a text.
    pub fn of(text: &str) -> Self {
        Self(digest([text.as_bytes()]))
    }
}

impl AttemptHash {
    /// What stands in an attempt's place for moments that belong to none, but to an agent or a queue of that name: so one
    /// flow's runs for it follow each other, as an attempt's do.
    pub fn in_place_of(kind: &str, name: &str) -> Self {
        Self(digest([kind.as_bytes(), name.as_bytes()]))
    }

    /// The attempt's number for people and for systems that want an integer: 53 bits, which JavaScript keeps exactly.
    pub fn attempt_id(self) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = self.0;
        u64::from_be_bytes([a, b, c, d, e, f, g, h]) >> 11
    }

    /// The moment of this attempt that bears `event`'s name; for a moment of an offer, the agent and the offer's ordinal
    /// (for one agent within one attempt, from 0) tell it from the others.
    pub fn moment(self, event: &str, offer: Option<(&AgentName, u32)>) -> MomentId {
        match offer {
            None => MomentId(digest([&self.0, event.as_bytes()])),
            Some((agent, ordinal)) => {
                MomentId(digest([&self.0, event.as_bytes(), agent.as_str().as_bytes(), &ordinal.to_be_bytes()]))
            }
        }
    }

    /// The moment that bears `event`'s name and happened then in that process, for an event that can come again; `detail`
    /// tells those apart that share a tick of FreeSWITCH's clock.
    pub fn moment_at(self, event: &str, core: Option<&CoreUuid>, at: Timestamp, detail: &str) -> MomentId {
        let core = core.map_or("", CoreUuid::as_str);
        let at = at.as_microsecond().to_be_bytes();
        MomentId(digest([&self.0, event.as_bytes(), core.as_bytes(), &at, detail.as_bytes()]))
    }
}

impl MomentId {
    /// The run that `hook`, as the configuration names it, starts for this moment with `flow`.
    pub fn run(self, hook: &str, flow: &FlowName) -> RunId {
        RunId(digest([&self.0, hook.as_bytes(), flow.as_str().as_bytes()]))
    }

    /// The same moment under a second event name, with an identifier of its own.
    pub fn twin(self, event: &str) -> Self {
        Self(digest([&self.0, event.as_bytes()]))
    }
}

impl RunId {
    /// The run of `flow` that tells of this one's failure after so many tries.
    pub fn follow_up(self, flow: &str, tries: u32) -> Self {
        Self(digest([&self.0, b"on_failure", flow.as_bytes(), &tries.to_be_bytes()]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(queue: &str, ordinal: u32) -> AttemptKey {
        AttemptKey { core: "c".into(), queue: queue.into(), member: "m".into(), session: "s".into(), ordinal }
    }

    #[test]
    fn parts_do_not_run_together() {
        let mut left = key("ab", 0);
        let mut right = key("a", 0);
        left.member = "c".into();
        right.member = "bc".into();
        assert_ne!(left.hash(), right.hash());
        assert_ne!(key("q", 0).hash(), key("q", 1).hash());
    }

    #[test]
    fn an_attempt_id_survives_javascript() {
        for ordinal in 0..1_000 {
            assert!(key("q", ordinal).hash().attempt_id() < 1 << 53);
        }
    }

    #[test]
    fn a_hash_reads_back_what_it_wrote() {
        let hash = key("q", 0).hash();
        assert_eq!(hash.to_string().parse::<AttemptHash>().expect("reads back"), hash);
        assert!("+0000000000000000000000000000000".parse::<AttemptHash>().is_err());
    }
}
