//! The hosts that a URL may go to where call data chooses among them.

use url::{Host, Url};

/// A host, and the port where it is not the scheme's own: `crm.example`, `10.0.0.7:8080`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowedHost {
    host: Host<String>,
    port: Option<u16>,
}

impl AllowedHost {
    /// Reads `host` or `host:port`.
    pub fn parse(text: &str) -> Option<Self> {
        if text.contains(|c: char| "/\\?#@*".contains(c) || c.is_whitespace() || c.is_control()) {
            return None;
        }
        let read = |scheme| Url::parse(&format!("{scheme}://{text}/")).ok();
        let (plain, secure) = (read("http")?, read("https")?);
        // Either drops the port that is its scheme's own.
        Some(Self { host: secure.host()?.to_owned(), port: plain.port().or(secure.port()) })
    }

    /// Whether the URL goes to this host and port, and nothing signs in there.
    pub(super) fn is_of(&self, url: &Url) -> bool {
        let own_port = || Url::parse(&format!("{}://x/", url.scheme())).ok()?.port_or_known_default();
        url.host().is_some_and(|host| host.to_owned() == self.host)
            && url.port_or_known_default() == self.port.or_else(own_port)
            && url.username().is_empty()
            && url.password().is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_of(allowed: &str, url: &str) -> bool {
        AllowedHost::parse(allowed).expect("a host").is_of(&url.parse().expect("a URL"))
    }

    #[test]
    fn a_host_is_the_whole_host_and_its_port() {
        assert!(is_of("crm.example", "https://crm.example/x"));
        assert!(is_of("CRM.example", "http://crm.example/x"));
        assert!(is_of("crm.example:443", "https://crm.example/"));
        assert!(is_of("crm.example:80", "http://crm.example/"));
        assert!(is_of("[::1]:8080", "http://[::1]:8080/"));
        assert!(!is_of("crm.example", "https://crm.example:8443/"));
        assert!(!is_of("crm.example:80", "https://crm.example/"));
        assert!(!is_of("crm.example", "https://x.crm.example/"));
        assert!(!is_of("crm.example", "https://crm.example.evil.example/"));
        assert!(!is_of("crm.example", "https://me@crm.example/"));
    }

    #[test]
    fn what_is_no_host_is_refused() {
        let not_hosts =
            ["", "https://crm.example", "crm.example/x", "me@crm.example", "crm example", "*.example", "a:b", ":1"];
        for text in not_hosts {
            assert!(AllowedHost::parse(text).is_none(), "{text}");
        }
    }
}
