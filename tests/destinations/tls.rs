//! A certificate of a server's own.

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{CertifiedKey, generate_simple_self_signed};

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
}
