//! `[delivery.receivers."https://HOST"]`: receivers that are not gone to like all others.

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::header::HeaderValue;
use url::{Origin, Url};

use super::delivery::{status_rules, statuses};
use super::fault::Fault;
use super::secret::{Lookup, Secret, SecretUrl, UNKNOWN_URL};
use super::section::Section;
use super::value::{Name, Value};
use crate::delivery::connections::ConnectionSettings;
use crate::delivery::credentials::{Credentials, NotAHeader};
use crate::delivery::mask::mask_url;
use crate::delivery::statuses::Statuses;
use crate::delivery::tls::{Fingerprint, TlsSettings};
use crate::delivery::way::{self, Way, WaySettings, Ways};

/// The most redirects that can be allowed: as many as browsers follow.
const MOST_REDIRECTS: i64 = 20;

/// The longest time for a connection to come about: a whole try's.
const LONGEST_CONNECT: Duration = Duration::from_secs(600);

/// Who we say we are, before anything of it is made.
enum Known {
    Nobody,
    Basic(Secret, Secret),
    Bearer(Secret),
    OAuth2(Url, Secret, Secret, Option<String>),
}

pub(super) fn read_all(value: Value<'_>, lookup: &Lookup) -> Option<Ways> {
    let mut ways = Vec::new();
    let mut named: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in value.entries()? {
        let origin = origin(name);
        let way = value.section(|section| read(section, origin.as_ref(), lookup));
        let Some(origin) = origin else { continue };
        let receiver = way::receiver(&origin);
        if let Some(other) = named.insert(receiver.clone(), name.location()) {
            name.refuse(Fault::ReceiverTwice { receiver, other });
        }
        ways.extend(way.map(|way| (origin, way)));
    }
    Some(Ways::new(ways))
}

/// Reads scheme, host and port: nothing else of a URL says who the receiver is.
fn origin(name: Name<'_>) -> Option<Origin> {
    let url = Url::parse(name.text).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    let is_bare = |url: &Url| {
        let signs_in = !url.username().is_empty() || url.password().is_some();
        url.path() == "/" && url.query().is_none() && url.fragment().is_none() && !signs_in
    };
    let bare = url.filter(is_bare);
    if bare.is_none() {
        name.refuse(Fault::Receiver(mask_url(name.text).into_owned()));
    }
    bare.map(|url| url.origin())
}

/// Reads the way to a receiver, which is unknown where its name is wrong.
fn read(section: &mut Section<'_>, receiver: Option<&Origin>, lookup: &Lookup) -> Option<Way> {
    let ca = section.optional("ca", |value| lookup.text_of(value)).flatten();
    let certificate = section.optional("certificate", |value| lookup.text_of(value)).flatten();
    let key = section.optional("key", |value| lookup.secret(value));
    if section.has("certificate") != section.has("key") {
        section.refuse(Fault::CertificateWithoutKey);
    }
    let identity = certificate.zip(key).map(|(certificate, key)| format!("{certificate}\n{}", key.expose()));
    let pinned = section.optional("certificate_sha256", fingerprints).unwrap_or_default();
    let proxy = section.optional("proxy", |value| url(value, &["http", "https", "socks5", "socks5h"], lookup));
    let redirects = section.optional("redirects", |value| value.integer_within("`redirects`", 0, MOST_REDIRECTS));
    let connect = |value: Value<'_>| value.duration_within("a timeout", Duration::from_millis(1), LONGEST_CONNECT);
    let connect_timeout = section.optional("connect_timeout", connect);
    let concurrency = section.optional("concurrency", |value| value.integer_within("`concurrency`", 1, 10_000));
    let rate = section.optional("rate", |value| value.integer_within("`rate`", 1, 100_000));
    let rules = status_rules(section);
    let hold_on = section.optional("hold_on", statuses).unwrap_or_else(Statuses::unavailable);
    let known = known(section, lookup)?;
    let settings = WaySettings {
        connections: ConnectionSettings { tls: TlsSettings { ca, identity, pinned }, proxy, connect_timeout },
        redirects: redirects.and_then(|n| n.try_into().ok()).unwrap_or_default(),
        concurrency: concurrency.and_then(|n| n.try_into().ok()),
        rate: rate.and_then(|n| n.try_into().ok()),
        rules: rules?,
        hold_on,
    };
    let fixed = |made: Result<Credentials, NotAHeader>| made.map(way::Known::Fixed);
    let known = match known {
        Known::Nobody => Ok(way::Known::Fixed(Credentials::None)),
        Known::Basic(user, password) => fixed(Credentials::basic(user.expose(), &password)),
        Known::Bearer(token) => fixed(Credentials::bearer(&token)),
        Known::OAuth2(url, client_id, client_secret, scope) => {
            let client_id = client_id.expose().to_owned();
            Ok(way::Known::OAuth2 { url, client_id, client_secret, scope })
        }
    };
    let known = known.map_err(|error| section.refuse(Fault::Unusable(error.to_string()))).ok()?;
    let way = Way::new(receiver?, settings, known);
    way.map_err(|error| section.refuse(Fault::Way(error.to_string()))).ok()
}

/// Reads the SHA-256 of one certificate, or of several while one takes the other's place.
fn fingerprints(value: Value<'_>) -> Option<Vec<Fingerprint>> {
    let fingerprint = |value: Value<'_>| {
        let text = value.text()?;
        let fingerprint = Fingerprint::parse(text);
        if fingerprint.is_none() {
            value.refuse(Fault::Fingerprint(text.to_owned()));
        }
        fingerprint
    };
    match value.is_list() {
        true => value.list(|_, value| fingerprint(value)),
        false => fingerprint(value).map(|fingerprint| vec![fingerprint]),
    }
}

/// Reads who we say we are.
fn known(section: &mut Section<'_>, lookup: &Lookup) -> Option<Known> {
    let basic = section.optional("basic", |value| {
        value.section(|section| {
            let user = section.required("user", |value| user(value, lookup));
            let password = section.required("password", |value| lookup.line(value));
            Some(Known::Basic(user?, password?))
        })
    });
    let bearer = section.optional("bearer", |value| token(value, lookup)).map(Known::Bearer);
    let oauth2 = section.optional("oauth2", |value| {
        value.section(|section| {
            let url = section.required("token_url", |value| url(value, &["http", "https"], lookup));
            let id = section.required("client_id", |value| user(value, lookup));
            let secret = section.required("client_secret", |value| lookup.line(value));
            let scope = section.optional("scope", Value::text).map(str::to_owned);
            Some(Known::OAuth2(url?, id?, secret?, scope))
        })
    });
    let found = ["basic", "bearer", "oauth2"].into_iter().filter(|key| section.has(key)).count();
    let known = basic.or(bearer).or(oauth2);
    match (found, known) {
        (0, _) => Some(Known::Nobody),
        (1, known) => known,
        _ => {
            section.refuse(Fault::NotOne { what: "a receiver", choices: "`basic`, `bearer` and `oauth2`", found });
            None
        }
    }
}

/// Reads who signs in: a text, or what is looked up as a secret.
fn user(value: Value<'_>, lookup: &Lookup) -> Option<Secret> {
    let user = lookup.name(value)?;
    if user.expose().contains(':') {
        value.refuse(Fault::ColonInUser);
        return None;
    }
    Some(user)
}

/// Reads what `Bearer` stands before.
fn token(value: Value<'_>, lookup: &Lookup) -> Option<Secret> {
    let token = lookup.line(value)?;
    if !token.expose().bytes().all(|byte| byte.is_ascii_graphic()) {
        value.refuse(Fault::TokenCharacters);
        return None;
    }
    Some(token)
}

/// Reads an address, which may be a secret or name some.
fn url(value: Value<'_>, schemes: &[&str], lookup: &Lookup) -> Option<Url> {
    let SecretUrl { text, is_secret } = lookup.url(value, UNKNOWN_URL)?;
    let url = Url::parse(&text).ok().filter(|url| schemes.contains(&url.scheme()));
    if url.is_none() || HeaderValue::try_from(&text).is_err() {
        value.refuse(match is_secret {
            true => Fault::SecretUrl("an address of `http` or `https`"),
            false => Fault::Receiver(mask_url(&text).into_owned()),
        });
        return None;
    }
    url
}
