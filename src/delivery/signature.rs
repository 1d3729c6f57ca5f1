//! Signatures after [Standard Webhooks](https://www.standardwebhooks.com): HMAC-SHA256 over id, timestamp and body.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use standardwebhooks::Webhook;

/// What a secret begins with; it may be left out.
const PREFIX: &str = "whsec_";

/// The shortest secret that Standard Webhooks allows.
const MIN_SECRET_BYTES: usize = 24;

/// The keys that sign a request: the newest first, older ones while they are being replaced.
#[derive(Clone, Default)]
pub struct SigningKeys {
    keys: Arc<[Webhook]>,
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
}

impl SigningKeys {
    /// Reads secrets as Standard Webhooks writes them: `whsec_` and base64.
    pub fn from_secrets<'a>(secrets: impl IntoIterator<Item = &'a str>) -> Result<Self, SecretError> {
        Ok(Self { keys: secrets.into_iter().map(parse).collect::<Result<_, _>>()? })
    }

    /// The value of the header `webhook-signature`: one signature for each key, so that a receiver who knows any of them
    /// can check it. `None` if there are no keys, or if the body is not UTF-8, which Standard Webhooks does not sign.
    pub fn sign(&self, webhook_id: &str, timestamp: Timestamp, body: &[u8]) -> Option<String> {
        let signatures: Result<Vec<String>, _> =
            self.keys.iter().map(|key| key.sign(webhook_id, timestamp.as_second(), body)).collect();
        signatures.ok().filter(|signatures| !signatures.is_empty()).map(|signatures| signatures.join(" "))
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

fn parse(secret: &str) -> Result<Webhook, SecretError> {
    let base64 = secret.strip_prefix(PREFIX).unwrap_or(secret);
    let key = Webhook::new(base64).map_err(|_| SecretError::NotBase64)?;
    // Four base64 digits carry three bytes; the padding carries none.
    let bytes = base64.trim_end_matches('=').len() * 3 / 4;
    if bytes < MIN_SECRET_BYTES { Err(SecretError::TooShort { bytes }) } else { Ok(key) }
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn every_key_signs_the_newest_first() {
        let sign = |secrets: &[&str]| {
            SigningKeys::from_secrets(secrets.iter().copied()).expect("secrets").sign("id", at(1), b"{}")
        };
        let both = sign(&[NEW, OLD]).expect("signed");
        assert_eq!(both, format!("{} {}", sign(&[NEW]).expect("signed"), sign(&[OLD]).expect("signed")));
        assert_eq!(sign(&[]), None);
    }

    #[test]
    fn a_bad_secret_is_refused_and_a_good_one_is_never_shown() {
        let error = |secret| SigningKeys::from_secrets([secret]).expect_err("refused");
        assert_eq!(error("whsec_not base64!"), SecretError::NotBase64);
        assert_eq!(error("whsec_c2hvcnQ="), SecretError::TooShort { bytes: 5 });
        assert_eq!(error(""), SecretError::TooShort { bytes: 0 });
        let keys = SigningKeys::from_secrets([NEW]).expect("a secret");
        assert_eq!(format!("{keys:?}"), "SigningKeys(1 hidden)");
    }
}
