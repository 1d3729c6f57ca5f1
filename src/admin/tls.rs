//! TLS of the HTTP interface.

use std::fmt;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use crate::crypto;

/// What connections are encrypted with.
#[derive(Clone)]
pub struct Tls(Arc<ServerConfig>);

/// Why there can be no encrypted connection.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// What should be certificates is none.
    #[error("the certificate is not PEM")]
    NoCertificate,
    /// What should be a key is none.
    #[error("the key is not PEM")]
    NoKey,
    /// They do not belong together, or can't be used.
    #[error("certificate and key can't be used: {0}")]
    Unusable(#[from] rustls::Error),
}

impl Tls {
    /// A certificate, those between it and its authority behind it, and its key, as PEM.
    pub fn new(certificate: &str, key: &str) -> Result<Self, TlsError> {
        let chain = CertificateDer::pem_slice_iter(certificate.as_bytes()).collect::<Result<Vec<_>, _>>();
        let chain = chain.ok().filter(|chain| !chain.is_empty()).ok_or(TlsError::NoCertificate)?;
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(|_| TlsError::NoKey)?;
        let builder = ServerConfig::builder_with_provider(crypto::provider()).with_safe_default_protocol_versions()?;
        Ok(Self(Arc::new(builder.with_no_client_auth().with_single_cert(chain, key)?)))
    }

    /// What takes connections.
    pub(super) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.0.clone())
    }
}

impl PartialEq for Tls {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Tls {}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls")
    }
}
