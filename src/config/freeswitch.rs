//! `[[freeswitch]]`: the nodes to follow.

use std::time::Duration;

use super::fault::Fault;
use super::secret::{Lookup, Secret};
use super::section::Section;
use super::value::{Value, is_name};
use crate::esl::NodeAddress;
use crate::esl::command::{InvalidCommand, Password, Subscription};
use crate::id::{ClusterName, NodeName};
use crate::lifecycle::told::API_NODE;

/// The Event Socket's port, where the address names none.
const DEFAULT_PORT: u16 = 8021;

/// How long connecting and signing in may take, where it is not configured: FreeSWITCH is near, or it is not there.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long nothing may be heard, where it is not configured: three heartbeats, which FreeSWITCH sends every 20 s unless
/// its `event-heartbeat-interval` says otherwise.
const SILENCE_TIMEOUT: Duration = Duration::from_secs(60);

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
    /// How long nothing at all may be heard of it before the connection counts as lost.
    pub silence_timeout: Duration,
    /// What it is asked for beside what every node is: what the sources of the configured queues need.
    pub subscription: Subscription,
    /// The nodes that it shares its callcenter database with.
    pub cluster: Cluster,
}

/// Nodes that share one callcenter database.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cluster {
    /// A node that shares it with no other: a cluster of one.
    Alone(NodeName),
    /// All nodes that name this cluster.
    Shared(ClusterName),
}

impl FreeswitchNode {
    pub(super) fn read(section: &mut Section<'_>, name: Option<NodeName>, lookup: &Lookup) -> Option<Self> {
        let address = section.required("address", address);
        let password = section.required("password", |value| lookup.line(value));
        let connect_timeout = section.optional("connect_timeout", |value| {
            value.duration_within("a connect timeout", Duration::from_millis(100), Duration::from_secs(60))
        });
        let silence_timeout = section.optional("silence_timeout", |value| {
            value.duration_within("a silence timeout", Duration::from_secs(1), Duration::from_secs(3_600))
        });
        let cluster = section.optional("cluster", |value| name_of("cluster", value));
        let name = name?;
        Some(Self {
            address: address?,
            password: password?,
            connect_timeout: connect_timeout.unwrap_or(CONNECT_TIMEOUT),
            silence_timeout: silence_timeout.unwrap_or(SILENCE_TIMEOUT),
            subscription: Subscription::default(),
            cluster: cluster.map_or_else(|| Cluster::Alone(name.clone()), |text| Cluster::Shared(text.into())),
            name,
        })
    }

    /// Where the node is, and how to get in.
    pub fn link_address(&self) -> Result<NodeAddress, InvalidCommand> {
        Ok(NodeAddress {
            name: self.name.clone(),
            address: self.address.clone(),
            password: Password::new(self.password.expose())?,
            connect_timeout: self.connect_timeout,
            silence_timeout: self.silence_timeout,
            subscription: self.subscription,
        })
    }
}

/// Reads a node's name.
pub(super) fn name(value: Value<'_>) -> Option<NodeName> {
    let name = name_of("FreeSWITCH node", value)?;
    if name == API_NODE {
        value.refuse(Fault::ReservedNode(API_NODE));
        return None;
    }
    Some(NodeName::from(name))
}

fn name_of<'a>(what: &'static str, value: Value<'a>) -> Option<&'a str> {
    let text = value.text()?;
    if !is_name(text) {
        value.refuse(Fault::Name(what));
        return None;
    }
    Some(text)
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
