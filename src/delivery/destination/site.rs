//! Where a destination is, and how to get in.

use super::trust::Trust;
use crate::config::secret::Secret;

/// Where a destination is, and how to get in.
#[derive(Clone, Debug)]
pub struct Site {
    /// The name that steps and the delivery log call it.
    pub name: String,
    /// The host's name or address.
    pub host: String,
    /// The port.
    pub port: u16,
    /// Who signs in, if anybody does.
    pub user: Option<String>,
    /// The password, if there is one.
    pub password: Option<Secret>,
    /// What the URL says behind the host: a database's or virtual host's name.
    pub path: Option<String>,
    /// Whose certificates count; unset: the connection is not encrypted.
    pub trust: Option<Trust>,
    /// How many steps may be at it at once.
    pub concurrency: usize,
}

impl Site {
    /// The password, to be used and not to be shown.
    pub(super) fn password(&self) -> Option<&str> {
        self.password.as_ref().map(Secret::expose)
    }
}
