//! `[destinations.NAME]`: brokers, databases and mail servers, each named once and used by any step.

use std::collections::BTreeMap;
use std::sync::Arc;

use percent_encoding::percent_decode_str;
use url::{Host, Url};

use super::fault::Fault;
use super::secret::{Lookup, Secret, SecretUrl};
use super::section::Section;
use super::suggestion;
use super::value::Value;
use crate::delivery::destination::smtp::Encryption;
use crate::delivery::destination::{Destination, Nats, Postgres, Rabbitmq, Site, Smtp, Trust};
use crate::delivery::mask::mask_url;

/// How many steps are at one destination at once, and how many connections a database gets: a tenth of what PostgreSQL
/// allows to all.
const CONCURRENCY: usize = 10;

/// What stands for a URL where nothing is looked up.
const UNKNOWN_DESTINATION: &str = "nats://secret.invalid";

/// The most: each may be a connection.
const MOST_AT_ONCE: i64 = 1_000;

/// Every `[destinations.NAME]`.
#[derive(Debug, Default)]
pub(super) struct Destinations {
    /// None where one has a problem of its own; one of each kind where nothing was looked up that says what it is.
    by_name: BTreeMap<String, Vec<Destination>>,
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
                by_name.insert(name.to_owned(), destination.unwrap_or_default());
            }
        }
        Some(Self { by_name })
    }

    /// All of them, by their names.
    pub(super) fn all(&self) -> impl Iterator<Item = (&str, &Destination)> {
        self.by_name.iter().filter_map(|(name, destination)| Some((name.as_str(), destination.first()?)))
    }

    /// The destination that a step names, if it is of the kind that `select` picks, which `wanted` tells in words.
    pub(super) fn find<T>(
        &self,
        value: Value<'_>,
        wanted: &'static str,
        select: impl Fn(&Destination) -> Option<T>,
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
        let selected = found.iter().find_map(select);
        if selected.is_none()
            && let Some(found) = found.first()
        {
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

fn read(section: &mut Section<'_>, name: &str, lookup: &Lookup) -> Option<Vec<Destination>> {
    let url = section.required("url", |value| address(value, lookup));
    let password = section.optional("password", |value| lookup.line(value));
    let credentials = section.optional("credentials", |value| lookup.secret(value));
    let tls = section.optional("tls", Value::boolean);
    let ca = match section.has("ca") {
        true => section.optional("ca", |value| certificates(value, lookup)).map(Some),
        false => Some(None),
    };
    let concurrency = section.optional("concurrency", |value| value.integer_within("`concurrency`", 1, MOST_AT_ONCE));
    let (protocols, url) = url?;
    let doubly = [
        (url.password().is_some() && section.has("password"), "`password`"),
        (!url.username().is_empty() && section.has("credentials"), "`credentials`"),
    ];
    if let Some((_, second)) = doubly.into_iter().find(|(is_given, _)| *is_given) {
        section.refuse(Fault::TwoCredentials { first: "`url`".into(), second });
        return None;
    }
    if section.has("password") && section.has("credentials") {
        section.refuse(Fault::TwoCredentials { first: "`password`".into(), second: "`credentials`" });
        return None;
    }
    let trust = match tls.unwrap_or_else(|| !is_here(&url)) {
        true => Some(ca?.unwrap_or_default()),
        false => None,
    };
    let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let site = |protocol: Protocol| Site {
        name: name.to_owned(),
        host: url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']').to_owned(),
        port: url.port().unwrap_or_else(|| protocol.port(trust.is_some())),
        user: Some(url.username()).filter(|user| !user.is_empty()).map(decoded),
        password: password.clone().or_else(|| url.password().map(|password| Secret::new(&decoded(password)))),
        path: url.path().strip_prefix('/').filter(|path| !path.is_empty()).map(decoded),
        trust: trust.clone(),
        concurrency: concurrency.and_then(|n| n.try_into().ok()).unwrap_or(CONCURRENCY),
    };
    let mut made = protocols.into_iter().map(|protocol| make(protocol, &site(protocol), credentials.as_ref()));
    match (made.len(), made.next()?) {
        (1, made) => made.map(|made| vec![made]).map_err(|error| section.refuse(Fault::Unusable(error))).ok(),
        // Of what it may be, what it can't be is left out.
        (_, first) => Some(std::iter::once(first).chain(made).filter_map(Result::ok).collect()),
    }
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

/// Reads a URL, which says who is to be reached and where. A password stands apart, where it is never shown, or in a URL
/// that is a secret.
fn address(value: Value<'_>, lookup: &Lookup) -> Option<(Vec<Protocol>, Url)> {
    let SecretUrl { text, is_secret } = lookup.url(value, UNKNOWN_DESTINATION)?;
    let parsed =
        Url::parse(&text).ok().filter(|url| url.has_host() && url.query().is_none() && url.fragment().is_none());
    if !is_secret && parsed.as_ref().is_some_and(|url| url.password().is_some()) {
        value.refuse(Fault::PasswordInUrl);
        return None;
    }
    let found = parsed.and_then(|url| {
        let is_of = |(scheme, _): &(&str, Protocol)| *scheme == url.scheme() || text == UNKNOWN_DESTINATION;
        let protocols: Vec<Protocol> = SCHEMES.into_iter().filter(is_of).map(|(_, protocol)| protocol).collect();
        (!protocols.is_empty()).then_some((protocols, url))
    });
    if found.is_none() {
        value.refuse(match is_secret {
            true => Fault::SecretUrl("the address of a broker, a database or a mail server"),
            false => Fault::DestinationUrl(mask_url(&text).into_owned()),
        });
    }
    if let Some(password) = found.as_ref().and_then(|(_, url)| url.password()) {
        lookup.values().note(&percent_decode_str(password).decode_utf8_lossy());
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
