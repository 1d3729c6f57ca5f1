//! A certificate of a server's own.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

/// A certificate for `localhost`, and its key, as files.
pub(crate) struct Card {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

impl Card {
    pub(crate) fn make(directory: &Path) -> Self {
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
        let (certificate, key) = (directory.join("server.pem"), directory.join("server.key"));
        fs::write(&certificate, cert.pem()).expect("is written");
        fs::write(&key, signing_key.serialize_pem()).expect("is written");
        Self { certificate, key }
    }

    /// What a server needs to speak TLS with it.
    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let certificates = CertificateDer::pem_file_iter(&self.certificate).expect("a certificate");
        let certificates = certificates.map(|certificate| certificate.expect("PEM")).collect();
        let key = PrivateKeyDer::from_pem_file(&self.key).expect("a key");
        let config = ServerConfig::builder().with_no_client_auth().with_single_cert(certificates, key);
        TlsAcceptor::from(Arc::new(config.expect("they fit")))
    }
}
