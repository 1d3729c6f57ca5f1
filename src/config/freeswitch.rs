//! `[[freeswitch]]`: the nodes to follow.

use std::time::Duration;

use super::fault::Fault;
use super::secret::{Lookup, Secret};
use super::section::Section;
use super::value::{Value, is_name};
use crate::id::NodeName;

/// The Event Socket's port, where the address names none.
const DEFAULT_PORT: u16 = 8021;

/// How long connecting and signing in may take, where it is not configured: FreeSWITCH is near, or it is not there.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A FreeSWITCH node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FreeswitchNode {
    /// The name that payloads carry.
    pub name: NodeName,
    /// The Event Socket's host and port.
    pub address: String,
    /// The Event Socket's password.
    pub password: Secret,
    /// How long connecting and signing in may take.
    pub connect_timeout: Duration,
}

impl FreeswitchNode {
    pub(super) fn read(section: &mut Section<'_>, name: Option<NodeName>, lookup: &Lookup) -> Option<Self> {
        let address = section.required("address", address);
        let password = section.required("password", |value| password(value, lookup));
        let connect_timeout = section.optional("connect_timeout", |value| {
            value.duration_within("a connect timeout", Duration::from_millis(100), Duration::from_secs(60))
        });
        Some(Self {
            name: name?,
            address: address?,
            password: password?,
            connect_timeout: connect_timeout.unwrap_or(CONNECT_TIMEOUT),
        })
    }
}

/// Reads a node's name.
pub(super) fn name(value: Value<'_>) -> Option<NodeName> {
    let text = value.text()?;
    if !is_name(text) {
        value.refuse(Fault::Name("FreeSWITCH node"));
        return None;
    }
    Some(NodeName::new(text))
}

fn password(value: Value<'_>, lookup: &Lookup) -> Option<Secret> {
    let password = lookup.secret(value)?;
    if password.expose().chars().any(char::is_control) {
        value.refuse(Fault::Password);
        return None;
    }
    Some(password)
}

/// Reads `host:port`, `[v6]:port`, or a host alone.
fn address(value: Value<'_>) -> Option<String> {
    let text = value.text()?;
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !text.ends_with(']') => (host, port.parse().ok()),
        _ => (text, Some(DEFAULT_PORT)),
    };
    let is_v6 = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).is_some_and(is_ipv6);
    let is_host = !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'));
    match port {
        Some(port) if port > 0 && (is_v6 || is_host) => Some(format!("{host}:{port}")),
        _ => {
            value.refuse(Fault::Address(text.to_owned()));
            None
        }
    }
}

fn is_ipv6(text: &str) -> bool {
    text.parse::<std::net::Ipv6Addr>().is_ok()
}
