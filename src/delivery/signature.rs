//! Signatures after [Standard Webhooks](https://www.standardwebhooks.com) over id, timestamp and body: HMAC-SHA256 by a secret
//! that both sides know, or Ed25519 by a key of ours, of which receivers have the public half.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::hmac;
use aws_lc_rs::signature::Ed25519KeyPair;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use jiff::Timestamp;

/// What a secret of both sides begins with; it may be left out.
const PREFIX: &str = "whsec_";

/// What a private key begins with.
const PRIVATE: &str = "whsk_";

/// The length of an Ed25519 key's seed; a private key is that, or that and the public key.
const SEED_BYTES: usize = 32;

/// The shortest secret that Standard Webhooks allows.
const MIN_SECRET_BYTES: usize = 24;

/// The keys that sign a request: the newest first, older ones while they are being replaced.
#[derive(Clone, Default)]
pub struct SigningKeys {
    keys: Arc<[Key]>,
}

enum Key {
    /// Of both sides.
    Shared(Box<hmac::Key>),
    /// Of ours alone.
    Private(Ed25519KeyPair),
}

/// A text that is no signing secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// It is not base64.
    #[error("the secret is not base64")]
    NotBase64,
    /// It is so short that it could be guessed.
    #[error("the secret has {bytes} bytes, and Standard Webhooks asks for {MIN_SECRET_BYTES} or more")]
    TooShort {
        /// Its length.
        bytes: usize,
    },
    /// It begins like a private key, and is none.
    #[error("a private key has 32 bytes, or 64 with its public half")]
    NotPrivate,
}

impl SigningKeys {
    /// Reads secrets as Standard Webhooks writes them: `whsec_` and base64.
    pub fn from_secrets<'a>(secrets: impl IntoIterator<Item = &'a str>) -> Result<Self, SecretError> {
        Ok(Self { keys: secrets.into_iter().map(parse).collect::<Result<_, _>>()? })
    }

    /// The value of the header `webhook-signature`: one signature for each key, so that a receiver who knows any of them
    /// can check it. `None` if there are no keys. What is signed are the bytes that are sent, in whatever charset.
    pub fn sign(&self, webhook_id: &str, timestamp: Timestamp, body: &[u8]) -> Option<String> {
        let signed = [format!("{webhook_id}.{}.", timestamp.as_second()).as_bytes(), body].concat();
        let signatures: Vec<_> = self.keys.iter().map(|key| key.sign(&signed)).collect();
        (!signatures.is_empty()).then(|| signatures.join(" "))
    }

    /// Whether requests go unsigned.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}

impl fmt::Debug for SigningKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKeys({} hidden)", self.keys.len())
    }
}

impl Key {
    fn sign(&self, signed: &[u8]) -> String {
        match self {
            Self::Shared(key) => format!("v1,{}", BASE64_STANDARD.encode(hmac::sign(key, signed))),
            Self::Private(pair) => format!("v1a,{}", BASE64_STANDARD.encode(pair.sign(signed))),
        }
    }
}

fn parse(secret: &str) -> Result<Key, SecretError> {
    match secret.strip_prefix(PRIVATE) {
        Some(base64) => parse_private(base64),
        None => parse_shared(secret),
    }
}

fn parse_private(base64: &str) -> Result<Key, SecretError> {
    let key = BASE64_STANDARD.decode(base64).map_err(|_| SecretError::NotBase64)?;
    let pair = match key.split_at_checked(SEED_BYTES) {
        Some((seed, [])) => Ed25519KeyPair::from_seed_unchecked(seed),
        Some((seed, public)) => Ed25519KeyPair::from_seed_and_public_key(seed, public),
        None => return Err(SecretError::NotPrivate),
    };
    pair.map(Key::Private).map_err(|_| SecretError::NotPrivate)
}

fn parse_shared(secret: &str) -> Result<Key, SecretError> {
    let base64 = secret.strip_prefix(PREFIX).unwrap_or(secret);
    let key = BASE64_STANDARD.decode(base64).map_err(|_| SecretError::NotBase64)?;
    let bytes = key.len();
    if bytes < MIN_SECRET_BYTES {
        return Err(SecretError::TooShort { bytes });
    }
    Ok(Key::Shared(Box::new(hmac::Key::new(hmac::HMAC_SHA256, &key))))
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};

    use super::*;

    const NEW: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const OLD: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("in range")
    }

    /// The example of the Standard Webhooks libraries.
    #[test]
    fn a_signature_is_the_published_one() {
        let keys = SigningKeys::from_secrets([NEW]).expect("a secret");
        let signature = keys.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", at(1_614_265_330), br#"{"test": 2432232314}"#);
        assert_eq!(signature.as_deref(), Some("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="));
    }

    /// A library of Standard Webhooks takes what we sign; a body in another charset than UTF-8 is signed as well.
    #[test]
    fn a_signature_is_checked_by_a_library_and_is_over_the_bytes() {
        let keys = SigningKeys::from_secrets([NEW]).expect("a secret");
        let now = Timestamp::now();
        let header = |name: &'static str, value: String| {
            (reqwest::header::HeaderName::from_static(name), value.parse().expect("a value"))
        };
        let headers = reqwest::header::HeaderMap::from_iter([
            header("webhook-id", "msg_1".into()),
            header("webhook-timestamp", now.as_second().to_string()),
            header("webhook-signature", keys.sign("msg_1", now, "{\"name\":\"Zoë\"}".as_bytes()).expect("signed")),
        ]);
        let webhook = standardwebhooks::Webhook::new(NEW).expect("a secret");
        assert!(webhook.verify("{\"name\":\"Zoë\"}".as_bytes(), &headers).is_ok());
        assert!(webhook.verify(b"{}", &headers).is_err());
        let (latin, utf_8) = (keys.sign("msg_1", now, b"Zo\xeb"), keys.sign("msg_1", now, "Zo\u{eb}".as_bytes()));
        assert!(latin.is_some() && latin != utf_8);
    }

    #[test]
    fn every_key_signs_the_newest_first() {
        let sign = |secrets: &[&str]| {
            SigningKeys::from_secrets(secrets.iter().copied()).expect("secrets").sign("id", at(1), b"{}")
        };
        let both = sign(&[NEW, OLD]).expect("signed");
        assert_eq!(both, format!("{} {}", sign(&[NEW]).expect("signed"), sign(&[OLD]).expect("signed")));
        assert_eq!(sign(&[]), None);
    }

    /// The first key of RFC 8032, and OpenSSL's way to check: by the public half alone.
    #[test]
    fn a_private_key_signs_what_its_public_half_can_check() {
        let hex = |text: &str| -> Vec<u8> {
            (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).expect("digits")).collect()
        };
        let seed = hex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60");
        let public = hex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
        for private in [seed.clone(), [seed, public.clone()].concat()] {
            let secret = format!("whsk_{}", BASE64_STANDARD.encode(private));
            let keys = SigningKeys::from_secrets([NEW, secret.as_str()]).expect("keys");
            let both = keys.sign("msg_1", at(17), b"{}").expect("signed");
            let (_, signature) = both.split_once(" v1a,").expect("both kinds");
            let signature = BASE64_STANDARD.decode(signature).expect("base64");
            let key = UnparsedPublicKey::new(&ED25519, &public);
            assert!(key.verify(b"msg_1.17.{}", &signature).is_ok());
            assert!(key.verify(b"msg_1.18.{}", &signature).is_err());
        }
    }

    #[test]
    fn a_bad_secret_is_refused_and_a_good_one_is_never_shown() {
        let error = |secret| SigningKeys::from_secrets([secret]).expect_err("refused");
        assert_eq!(error("whsec_not base64!"), SecretError::NotBase64);
        assert_eq!(error("whsec_c2hvcnQ="), SecretError::TooShort { bytes: 5 });
        assert_eq!(error(""), SecretError::TooShort { bytes: 0 });
        assert_eq!(error("whsk_c2hvcnQ="), SecretError::NotPrivate);
        assert_eq!(error("whsk_?"), SecretError::NotBase64);
        let keys = SigningKeys::from_secrets([NEW]).expect("a secret");
        assert_eq!(format!("{keys:?}"), "SigningKeys(1 hidden)");
    }
}
