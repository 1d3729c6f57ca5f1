//! TLS to a receiver: whose certificates count, who we are, and what is wrong with a certificate, in words.

use std::fmt::{self, Write as _};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, OtherError, SignatureScheme};
use rustls_platform_verifier::Verifier;
use sha2::{Digest, Sha256};

use crate::crypto;

/// The SHA-256 of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint([u8; 32]);

/// What is configured of TLS to one receiver.
#[derive(Clone, Debug, Default)]
pub struct TlsSettings {
    /// Certificates that count beside the system's, as PEM.
    pub ca: Option<String>,
    /// Our own certificate and its key, as PEM.
    pub identity: Option<String>,
    /// The receiver's own certificates: one of them and no others, whoever has signed it.
    pub pinned: Vec<Fingerprint>,
}

/// Why there can be no secure connection to anybody.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// What should be certificates is none.
    #[error("there are no certificates as PEM writes them")]
    NoCertificates,
    /// What should be a key is none.
    #[error("there is no private key as PEM writes it")]
    NoKey,
    /// The TLS library can't use them.
    #[error(transparent)]
    Tls(#[from] rustls::Error),
}

/// What is wrong with a receiver's certificate.
#[derive(Debug, thiserror::Error)]
pub(super) enum CertificateProblem {
    #[error(
        "its certificate is self-signed, and nothing says that it counts; if it is the right one, say so at the receiver \
         with `certificate_sha256 = \"{0}\"`"
    )]
    SelfSigned(Fingerprint),
    #[error(
        "its certificate is marked as an authority's (CA:TRUE), as `openssl req -x509` makes self-signed ones, so `ca` does \
         not make it a receiver's; if it is the right one, say so at the receiver with `certificate_sha256 = \"{0}\"`"
    )]
    Authority(Fingerprint),
    #[error(
        "its certificate is by an authority (issuer) that is not known here; if it is one of yours, name the authority's \
         certificate as the receiver's `ca`, with those between behind the server's own"
    )]
    UnknownAuthority,
    #[error(
        "its certificate is by an authority (issuer) that has the name of one that is known here, and another key: the \
         receiver's `ca` may be an old one"
    )]
    OtherKey,
    #[error("its certificate is not among those of `certificate_sha256`: its SHA-256 is {0}")]
    NotPinned(Fingerprint),
    #[error("its certificate is of an old version, and only version 3 is read")]
    Version,
}

/// Checks certificates as the system does, or against those that are pinned, and says what is wrong in words.
#[derive(Debug)]
struct PeerVerifier {
    system: Verifier,
    pinned: Vec<Fingerprint>,
}

/// What is wrong with a certificate of that host's.
#[derive(Debug, thiserror::Error)]
#[error("{problem}")]
pub(super) struct PeerError {
    pub(super) host: String,
    #[source]
    problem: CertificateProblem,
}

impl Fingerprint {
    /// Reads 64 hexadecimal digits, with or without colons between the bytes.
    pub fn parse(text: &str) -> Option<Self> {
        let digits: String = text.trim().chars().filter(|c| *c != ':').collect();
        if digits.len() != 64 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        let mut bytes = [0; 32];
        for (byte, at) in bytes.iter_mut().zip((0..64).step_by(2)) {
            *byte = u8::from_str_radix(&digits[at..at + 2], 16).ok()?;
        }
        Some(Self(bytes))
    }

    fn of(certificate: &CertificateDer<'_>) -> Self {
        Self(Sha256::digest(certificate).into())
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl TlsSettings {
    /// What the TLS library needs to know.
    pub(super) fn client_config(&self) -> Result<ClientConfig, TlsError> {
        let provider = crypto::provider();
        let extra = self.ca.as_deref().map(certificates).transpose()?.unwrap_or_default();
        let system = Verifier::new_with_extra_roots(extra, provider.clone())?;
        let verifier = Arc::new(PeerVerifier { system, pinned: self.pinned.clone() });
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        let builder = builder.dangerous().with_custom_certificate_verifier(verifier);
        let mut config = match &self.identity {
            None => builder.with_no_client_auth(),
            Some(identity) => {
                let key = PrivateKeyDer::from_pem_slice(identity.as_bytes()).map_err(|_| TlsError::NoKey)?;
                builder.with_client_auth_cert(certificates(identity)?, key)?
            }
        };
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(config)
    }
}

fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let certificates = CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<Vec<_>, _>>();
    certificates.ok().filter(|certificates| !certificates.is_empty()).ok_or(TlsError::NoCertificates)
}

impl PeerVerifier {
    fn verify_pinned(&self, certificate: &CertificateDer<'_>) -> Result<(), CertificateProblem> {
        let found = Fingerprint::of(certificate);
        if !self.pinned.contains(&found) {
            return Err(CertificateProblem::NotPinned(found));
        }
        // Its key is read from it by the same library later on.
        webpki::EndEntityCert::try_from(certificate).map(drop).map_err(|_| CertificateProblem::Version)
    }
}

impl ServerCertVerifier for PeerVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let worded = |problem| worded(problem, server_name);
        if !self.pinned.is_empty() {
            return self.verify_pinned(end_entity).map(|()| ServerCertVerified::assertion()).map_err(worded);
        }
        let verified = self.system.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        verified.map_err(|error| match problem(&error, end_entity) {
            Some(problem) => worded(problem),
            None => error,
        })
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.system.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.system.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.system.supported_verify_schemes()
    }
}

/// Puts words into the error that the TLS library hands on.
fn worded(problem: CertificateProblem, server_name: &ServerName<'_>) -> rustls::Error {
    let error = PeerError { host: server_name.to_str().into_owned(), problem };
    CertificateError::Other(OtherError(Arc::new(error))).into()
}

/// What is wrong with the certificate, where the library's own words do not help.
fn problem(error: &rustls::Error, certificate: &CertificateDer<'_>) -> Option<CertificateProblem> {
    let rustls::Error::InvalidCertificate(error) = error else { return None };
    let fingerprint = Fingerprint::of(certificate);
    match error {
        CertificateError::UnknownIssuer => {
            let parsed = webpki::EndEntityCert::try_from(certificate).ok()?;
            let is_self_signed = parsed.issuer() == parsed.subject();
            Some(if is_self_signed {
                CertificateProblem::SelfSigned(fingerprint)
            } else {
                CertificateProblem::UnknownAuthority
            })
        }
        CertificateError::BadSignature => Some(CertificateProblem::OtherKey),
        CertificateError::Other(OtherError(inner)) => match inner.downcast_ref::<webpki::Error>()? {
            webpki::Error::CaUsedAsEndEntity => Some(CertificateProblem::Authority(fingerprint)),
            webpki::Error::UnsupportedCertVersion => Some(CertificateProblem::Version),
            _ => None,
        },
        _ => None,
    }
}

/// What a TLS error says, and what to do.
pub(super) fn words(error: &rustls::Error) -> String {
    match error {
        rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(inner))) => inner.to_string(),
        rustls::Error::InvalidCertificate(error) => error.to_string(),
        rustls::Error::AlertReceived(alert) => {
            let mut words = error.to_string();
            if matches!(
                alert,
                rustls::AlertDescription::CertificateRequired
                    | rustls::AlertDescription::BadCertificate
                    | rustls::AlertDescription::UnknownCA
                    | rustls::AlertDescription::CertificateExpired
                    | rustls::AlertDescription::CertificateUnknown
                    | rustls::AlertDescription::AccessDenied
            ) {
                let _ = write!(words, " (it does not take our certificate: see the receiver's `certificate`)");
            }
            words
        }
        _ => error.to_string(),
    }
}

/// The host whose certificate is refused, where the error is about one and tells it.
pub(super) fn refused_host(error: &rustls::Error) -> Option<String> {
    match error {
        rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(inner))) => {
            inner.downcast_ref::<PeerError>().map(|error| error.host.clone())
        }
        rustls::Error::InvalidCertificate(CertificateError::NotValidForNameContext { expected, .. }) => {
            Some(expected.to_str().into_owned())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_read_as_openssl_and_as_we_write_it() {
        let digits = "0123456789abcdef".repeat(4);
        let fingerprint = Fingerprint::parse(&digits).expect("digits");
        assert_eq!(fingerprint.to_string(), digits);
        let colons: Vec<_> = (0..64).step_by(2).map(|at| digits[at..at + 2].to_uppercase()).collect();
        assert_eq!(Fingerprint::parse(&colons.join(":")), Some(fingerprint));
        for other in ["", "01:23", &digits[1..], &format!("{digits}00"), &"ë".repeat(32), &"x".repeat(64)] {
            assert_eq!(Fingerprint::parse(other), None, "{other}");
        }
    }

    #[test]
    fn what_is_no_certificate_or_no_key_is_told_so() {
        let error = |settings: TlsSettings| settings.client_config().expect_err("can't be used").to_string();
        let ca = TlsSettings { ca: Some("no PEM".into()), ..TlsSettings::default() };
        assert_eq!(error(ca), "there are no certificates as PEM writes them");
        let identity = TlsSettings { identity: Some("no PEM".into()), ..TlsSettings::default() };
        assert_eq!(error(identity), "there is no private key as PEM writes it");
    }
}
