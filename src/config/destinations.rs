//! `[destinations.NAME]`: brokers, databases and mail servers, each named once and used by any step.

use std::collections::BTreeMap;
use std::sync::Arc;

use percent_encoding::percent_decode_str;
use url::{Host, Url};

use super::fault::Fault;
use super::secret::{Lookup, Secret};
use super::section::Section;
use super::suggestion;
use super::value::Value;
use crate::delivery::destination::smtp::Encryption;
use crate::delivery::destination::{Destination, Nats, Postgres, Rabbitmq, Site, Smtp, Trust};

/// How many steps are at one destination at once, and how many connections a database gets: a tenth of what PostgreSQL
/// allows to all.
const CONCURRENCY: usize = 10;

/// The most: each may be a connection.
const MOST_AT_ONCE: i64 = 1_000;

/// Every `[destinations.NAME]`.
#[derive(Debug, Default)]
pub(super) struct Destinations {
    /// None where one has a problem of its own.
    by_name: BTreeMap<String, Option<Destination>>,
}

/// What a destination speaks.
#[derive(Clone, Copy)]
enum Protocol {
    Postgres,
    Nats,
    Amqp,
    Smtp(Encryption),
}

/// The schemes of URLs.
const SCHEMES: [(&str, Protocol); 6] = [
    ("postgres", Protocol::Postgres),
    ("postgresql", Protocol::Postgres),
    ("nats", Protocol::Nats),
    ("amqp", Protocol::Amqp),
    ("smtp", Protocol::Smtp(Encryption::StartTls)),
    ("smtps", Protocol::Smtp(Encryption::Implicit)),
];

impl Destinations {
    pub(super) fn read(value: Value<'_>, lookup: &Lookup) -> Option<Self> {
        let mut by_name = BTreeMap::new();
        for (name, value) in value.entries()? {
            let destination = value.section(|section| read(section, name.text, lookup));
            if let Some(name) = name.checked("destination") {
                by_name.insert(name.to_owned(), destination);
            }
        }
        Some(Self { by_name })
    }

    /// All of them, by their names.
    pub(super) fn all(&self) -> impl Iterator<Item = (&str, &Destination)> {
        self.by_name.iter().filter_map(|(name, destination)| Some((name.as_str(), destination.as_ref()?)))
    }

    /// The destination that a step names, if it is of the kind that `select` picks, which `wanted` tells in words.
    pub(super) fn find<T>(
        &self,
        value: Value<'_>,
        wanted: &'static str,
        select: impl FnOnce(&Destination) -> Option<T>,
    ) -> Option<T> {
        let name = value.text()?;
        let Some(found) = self.by_name.get(name) else {
            let remedy = match self.by_name.is_empty() {
                true => format!("add it: [destinations.{name}] with `url` and `password`"),
                false => suggestion::among(name, self.by_name.keys().map(String::as_str)),
            };
            value.refuse(Fault::UnknownWord { what: "destination", word: name.to_owned(), remedy });
            return None;
        };
        let found = found.as_ref()?;
        let selected = select(found);
        if selected.is_none() {
            value.refuse(Fault::OtherDestination { name: name.to_owned(), kind: found.kind(), wanted });
        }
        selected
    }
}

impl Protocol {
    fn port(self, is_encrypted: bool) -> u16 {
        match (self, is_encrypted) {
            (Self::Postgres, _) => 5_432,
            (Self::Nats, _) => 4_222,
            (Self::Amqp, false) => 5_672,
            (Self::Amqp, true) => 5_671,
            (Self::Smtp(Encryption::Implicit), _) => 465,
            (Self::Smtp(Encryption::StartTls), true) => 587,
            (Self::Smtp(Encryption::StartTls), false) => 25,
        }
    }
}

fn read(section: &mut Section<'_>, name: &str, lookup: &Lookup) -> Option<Destination> {
    let url = section.required("url", address);
    let password = section.optional("password", |value| lookup.line(value));
    let credentials = section.optional("credentials", |value| lookup.secret(value));
    let tls = section.optional("tls", Value::boolean);
    let ca = match section.has("ca") {
        true => section.optional("ca", |value| certificates(value, lookup)).map(Some),
        false => Some(None),
    };
    let concurrency = section.optional("concurrency", |value| value.integer_within("`concurrency`", 1, MOST_AT_ONCE));
    let (protocol, url) = url?;
    let trust = match tls.unwrap_or_else(|| !is_here(&url)) {
        true => Some(ca?.unwrap_or_default()),
        false => None,
    };
    let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let site = Site {
        name: name.to_owned(),
        host: url.host_str()?.trim_start_matches('[').trim_end_matches(']').to_owned(),
        port: url.port().unwrap_or_else(|| protocol.port(trust.is_some())),
        user: Some(url.username()).filter(|user| !user.is_empty()).map(decoded),
        password,
        path: url.path().strip_prefix('/').filter(|path| !path.is_empty()).map(decoded),
        trust,
        concurrency: concurrency.and_then(|n| n.try_into().ok()).unwrap_or(CONCURRENCY),
    };
    make(protocol, &site, credentials.as_ref()).map_err(|error| section.refuse(Fault::Unusable(error))).ok()
}

fn make(protocol: Protocol, site: &Site, credentials: Option<&Secret>) -> Result<Destination, String> {
    if credentials.is_some() && !matches!(protocol, Protocol::Nats) {
        return Err("`credentials` are for NATS alone".into());
    }
    match protocol {
        Protocol::Postgres => {
            Postgres::new(site).map(|made| Destination::Postgres(Arc::new(made))).map_err(|error| error.to_string())
        }
        Protocol::Nats => {
            let credentials = credentials.filter(|secret| secret.is_known()).map(Secret::expose);
            Nats::new(site, credentials)
                .map(|made| Destination::Nats(Arc::new(made)))
                .map_err(|error| error.to_string())
        }
        Protocol::Amqp => Ok(Destination::Rabbitmq(Arc::new(Rabbitmq::new(site)))),
        Protocol::Smtp(encryption) => {
            Smtp::new(site, encryption).map(|made| Destination::Smtp(Arc::new(made))).map_err(|error| error.to_string())
        }
    }
}

/// Reads a URL, which says who is to be reached and where. The password stands apart, where it is never shown.
fn address(value: Value<'_>) -> Option<(Protocol, Url)> {
    let text = value.text()?;
    let parsed =
        Url::parse(text).ok().filter(|url| url.has_host() && url.query().is_none() && url.fragment().is_none());
    if parsed.as_ref().is_some_and(|url| url.password().is_some()) {
        value.note_secret();
        value.refuse(Fault::PasswordInUrl);
        return None;
    }
    let found = parsed.and_then(|url| {
        let (_, protocol) = SCHEMES.into_iter().find(|(scheme, _)| *scheme == url.scheme())?;
        Some((protocol, url))
    });
    if found.is_none() {
        value.refuse(Fault::DestinationUrl(text.to_owned()));
    }
    found
}

fn certificates(value: Value<'_>, lookup: &Lookup) -> Option<Trust> {
    let Some(pem) = lookup.text_of(value)? else { return Some(Trust::default()) };
    let trust = Trust::with_ca(&pem);
    trust.map_err(|error| value.refuse(Fault::Unusable(error.to_string()))).ok()
}

/// Whether what is sent there stays on this machine.
fn is_here(url: &Url) -> bool {
    // Of these schemes the URL library makes no addresses by itself.
    match url.host_str().map(Host::parse) {
        Some(Ok(Host::Domain(domain))) => domain == "localhost",
        Some(Ok(Host::Ipv4(address))) => address.is_loopback(),
        Some(Ok(Host::Ipv6(address))) => address.is_loopback(),
        Some(Err(_)) | None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stays_on_this_machine_needs_no_encryption() {
        let is_here = |url: &str| is_here(&url.parse().expect("a URL"));
        for here in ["nats://localhost", "postgres://me@127.0.0.1:1/x", "amqp://[::1]:5672", "smtp://127.9.9.9"] {
            assert!(is_here(here), "{here}");
        }
        for elsewhere in ["nats://127.0.0.1.example", "postgres://10.0.0.1/x", "smtp://localhost.example"] {
            assert!(!is_here(elsewhere), "{elsewhere}");
        }
    }
}
