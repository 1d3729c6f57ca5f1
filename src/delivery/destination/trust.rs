//! Whose certificates count.

use std::sync::Arc;

use rustls::ClientConfig;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls_platform_verifier::Verifier;

use crate::crypto;

/// The certificates that count: those that the system trusts, and further ones.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    /// Further certificates, as PEM.
    ca: Option<Arc<str>>,
}

/// Why there can be no secure connection to anybody.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// What should be certificates is none.
    #[error("these are no certificates as PEM writes them")]
    NotPem,
    /// The TLS library can't use them.
    #[error("the certificates can't be used: {0}")]
    Tls(#[from] rustls::Error),
}

impl Trust {
    /// Trusts these certificates as well.
    pub fn with_ca(pem: &str) -> Result<Self, TrustError> {
        let trust = Self { ca: Some(pem.into()) };
        trust.certificates()?;
        Ok(trust)
    }

    /// The further certificates, as PEM.
    pub(super) fn ca(&self) -> Option<&str> {
        self.ca.as_deref()
    }

    /// What the TLS library needs to know.
    pub(super) fn client_config(&self) -> Result<ClientConfig, TrustError> {
        let provider = crypto::provider();
        let verifier = Verifier::new_with_extra_roots(self.certificates()?, provider.clone())?;
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        Ok(builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth())
    }

    fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, TrustError> {
        let Some(pem) = &self.ca else { return Ok(Vec::new()) };
        let certificates = CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<Vec<_>, _>>();
        certificates.ok().filter(|certificates| !certificates.is_empty()).ok_or(TrustError::NotPem)
    }
}
