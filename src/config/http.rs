//! `[http]`: the HTTP interface.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::fault::Fault;
use super::secret::{Lookup, Secret};
use super::section::Section;
use super::value::{Value, is_name};
use crate::admin::{Role, Tls, password};

/// Where it listens unless configured: on this machine alone.
const LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8060);

/// How large a request's body may be: an attempt's variables are cut at 64 KiB, and little comes with them.
const MAX_BODY: u64 = 128 * 1_024;

/// The most that can be set: bodies are held in memory.
const LARGEST_BODY: u64 = 16 * 1_024 * 1_024;

/// How long an answer may take: the outbox answers within milliseconds, or can't write.
const TIMEOUT: Duration = Duration::from_secs(10);

/// How many requests a second one token, or one address without one, may make: more than a FreeSWITCH has events.
const RATE: u32 = 5_000;

/// The least characters of a token: fewer can be guessed.
const SHORTEST_TOKEN: usize = 16;

/// The HTTP interface's settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpSettings {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Who may do what. None: whoever reaches it on this machine may do everything.
    pub tokens: Vec<HttpToken>,
    /// Who may sign in to the page, and for what.
    pub users: Vec<HttpUser>,
    /// What connections are encrypted with, if they are.
    pub tls: Option<Tls>,
    /// How large a request's body may be, in bytes.
    pub max_body: usize,
    /// How long an answer may take.
    pub timeout: Duration,
    /// How many requests a second one token may make.
    pub rate: u32,
}

/// A token and what it permits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpToken {
    /// What logs and limits call it.
    pub name: String,
    /// What it permits.
    pub role: Role,
    /// The token itself.
    pub token: Secret,
}

/// Somebody who signs in to the page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpUser {
    /// What the person is called.
    pub name: String,
    /// What the person may do.
    pub role: Role,
    /// The hash of the password.
    pub password: Secret,
}

/// The roles as they are written.
const ROLES: [(&str, Role); 4] =
    [("read", Role::Read), ("operate", Role::Operate), ("ingest", Role::Ingest), ("admin", Role::Admin)];

impl HttpSettings {
    #[expect(clippy::unnecessary_wraps, reason = "the shape of every section's reader")]
    pub(super) fn read(section: &mut Section<'_>, lookup: &Lookup) -> Option<Self> {
        let listen = section.optional("listen", address).unwrap_or(LISTEN);
        let tokens = section.optional("tokens", |value| tokens(value, lookup));
        let users = section.optional("users", |value| users(value, lookup));
        let size = |value: Value<'_>| value.size_within("a body's size", 1_024, LARGEST_BODY);
        let max_body = section.optional("max_body", size).unwrap_or(MAX_BODY);
        let timeout = section.optional("timeout", |value| {
            value.duration_within("how long an answer may take", Duration::from_millis(100), Duration::from_secs(60))
        });
        let rate = section.optional("rate", |value| value.integer_within("`rate`", 1, 1_000_000));
        let tls = tls(section, lookup);
        if !listen.ip().is_loopback() && !section.has("tokens") && !section.has("users") {
            section.refuse(Fault::OpenToAll(listen.to_string()));
        }
        Some(Self {
            listen,
            tokens: tokens.unwrap_or_default(),
            users: users.unwrap_or_default(),
            tls,
            max_body: usize::try_from(max_body).unwrap_or(usize::MAX),
            timeout: timeout.unwrap_or(TIMEOUT),
            rate: rate.and_then(|rate| rate.try_into().ok()).unwrap_or(RATE),
        })
    }
}

/// The roles that somebody can have who signs in: who only tells has nothing to see.
const PEOPLE: [(&str, Role); 3] = [("read", Role::Read), ("operate", Role::Operate), ("admin", Role::Admin)];

impl HttpSettings {
    /// Whether whoever reaches it may do everything.
    pub fn is_open(&self) -> bool {
        self.tokens.is_empty() && self.users.is_empty()
    }
}

/// Reads certificate and key; none where nothing is looked up.
fn tls(section: &mut Section<'_>, lookup: &Lookup) -> Option<Tls> {
    if section.has("certificate") != section.has("key") {
        section.refuse(Fault::CertificateWithoutKey);
    }
    let certificate = section.optional("certificate", |value| lookup.text_of(value)).flatten();
    let key = section.optional("key", |value| lookup.secret(value)).filter(Secret::is_known);
    let made = Tls::new(&certificate?, key?.expose());
    made.map_err(|error| section.refuse(Fault::Unusable(error.to_string()))).ok()
}

/// Reads an address with a port: a name would have to be looked up, and could become another address.
fn address(value: Value<'_>) -> Option<SocketAddr> {
    let text = value.text()?;
    let address = text.parse().ok();
    if address.is_none() {
        value.refuse(Fault::ListenAddress(text.to_owned()));
    }
    address
}

fn tokens(value: Value<'_>, lookup: &Lookup) -> Option<Vec<HttpToken>> {
    let mut names = std::collections::BTreeMap::new();
    let tokens = value.list(|_, element| {
        element.section(|section| {
            let name = section.required("name", |value| name(value, "token"));
            if let Some(name) = name
                && let Some(other) = names.insert(name, section.place().to_string())
            {
                section.refuse(Fault::SameName { what: "token", name: name.to_owned(), other });
            }
            let role = section.required("role", |value| value.word("role", &ROLES));
            let token = section.required("token", |value| token(value, lookup));
            Some(HttpToken { name: name?.to_owned(), role: role?, token: token? })
        })
    })?;
    if tokens.is_empty() {
        value.refuse(Fault::NoTokens);
    }
    Some(tokens)
}

fn users(value: Value<'_>, lookup: &Lookup) -> Option<Vec<HttpUser>> {
    let mut names = std::collections::BTreeMap::new();
    let users = value.list(|_, element| {
        element.section(|section| {
            let name = section.required("name", |value| name(value, "user"));
            if let Some(name) = name
                && let Some(other) = names.insert(name, section.place().to_string())
            {
                section.refuse(Fault::SameName { what: "user", name: name.to_owned(), other });
            }
            let role = section.required("role", |value| value.word("role", &PEOPLE));
            let password = section.required("password", |value| password(value, lookup));
            Some(HttpUser { name: name?.to_owned(), role: role?, password: password? })
        })
    })?;
    if users.is_empty() {
        value.refuse(Fault::NoUsers);
    }
    Some(users)
}

fn password(value: Value<'_>, lookup: &Lookup) -> Option<Secret> {
    let hash = lookup.secret(value)?;
    if hash.is_known() && !password::is_hash(hash.expose()) {
        value.refuse(Fault::PasswordHash);
        return None;
    }
    Some(hash)
}

fn name<'a>(value: Value<'a>, what: &'static str) -> Option<&'a str> {
    let text = value.text()?;
    if !is_name(text) {
        value.refuse(Fault::Name(what));
        return None;
    }
    Some(text)
}

fn token(value: Value<'_>, lookup: &Lookup) -> Option<Secret> {
    let token = lookup.secret(value)?;
    let text = token.expose();
    let is_known = token.is_known();
    if is_known && (text.len() < SHORTEST_TOKEN || !text.bytes().all(|b| b.is_ascii_graphic())) {
        value.refuse(Fault::Token(SHORTEST_TOKEN));
        return None;
    }
    Some(token)
}
