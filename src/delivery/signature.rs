//! Signatures after Standard Webhooks.

/// The keys that sign a request: the newest first, older ones while they are being replaced.
#[derive(Clone, Debug, Default)]
pub struct SigningKeys {
    /// The secrets' bytes.
    pub secrets: Vec<Vec<u8>>,
}
