//! What the lifecycle knows beside the calls: the configuration, and what FreeSWITCH told of its agents.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::directory::Directory;
use super::leg::LegIdentity;
use crate::config::agents::is_uuid;
use crate::config::{AgentOrigin, AgentOrigins, Config};
use crate::freeswitch::Snapshot;
use crate::id::{AgentName, AttemptHash, QueueName};
use crate::moment::value::Source;
use crate::moment::{EventName, Moment, Payload};

/// What all attempts of a cluster share.
#[derive(Debug)]
pub struct World {
    /// The configuration in force.
    pub config: Arc<Config>,
    /// Whether events beyond the eight are told although no hook hears them.
    pub tells_all: bool,
    /// The agents, as last read.
    roster: BTreeMap<AgentName, RosterEntry>,
    /// The agents of each queue, as last read.
    queue_agents: BTreeMap<QueueName, Vec<AgentName>>,
    /// What FreeSWITCH's directory says of agents.
    pub directory: Directory,
}

/// What FreeSWITCH told of an agent.
#[derive(Debug)]
struct RosterEntry {
    wrap_up_seconds: u64,
    contact: String,
}

impl World {
    /// A world in which nothing is known yet but the configuration.
    pub fn new(config: Arc<Config>) -> Self {
        let (roster, queue_agents, directory) = Default::default();
        Self { config, tells_all: false, roster, queue_agents, directory }
    }

    /// Takes what a snapshot says of agents and tiers.
    pub fn read_roster(&mut self, snapshot: &Snapshot, now: Timestamp) {
        self.directory.read(&self.config, snapshot, now);
        let entry = |row: &crate::freeswitch::snapshot::AgentRow| {
            let entry = RosterEntry { wrap_up_seconds: row.wrap_up_seconds(), contact: row.contact.clone() };
            (AgentName::from(row.name.as_str()), entry)
        };
        self.roster = snapshot.agents.iter().map(entry).collect();
        self.queue_agents = snapshot.queue_agents();
    }

    /// An agent is called somewhere else from now on.
    pub fn set_contact(&mut self, agent: &str, contact: &str) {
        if let Some(entry) = self.roster.get_mut(agent) {
            contact.clone_into(&mut entry.contact);
        }
    }

    /// The queues that have agents.
    pub fn served_queues(&self) -> impl Iterator<Item = &QueueName> {
        self.queue_agents.keys()
    }

    /// The agent's wrap-up time, where it is known and not zero.
    pub fn wrap_up_time(&self, agent: &AgentName) -> Option<SignedDuration> {
        let seconds = self.roster.get(agent)?.wrap_up_seconds;
        let seconds = i64::try_from(seconds).ok().filter(|seconds| *seconds > 0)?;
        Some(SignedDuration::from_secs(seconds))
    }

    /// Whether post-processing is on for a queue: as configured, else read off the wrap-up time of the agent, or, where
    /// none is meant yet, of any of the queue's agents.
    pub fn use_processing(&self, configured: Option<bool>, queue: &QueueName, agent: Option<&AgentName>) -> bool {
        let has_wrap_up = |agent: &AgentName| self.wrap_up_time(agent).is_some();
        configured.unwrap_or_else(|| match agent {
            Some(agent) => has_wrap_up(agent),
            None => self.queue_agents.get(queue).is_some_and(|agents| agents.iter().any(has_wrap_up)),
        })
    }

    /// Whether the event is told of some queue or agent: a quick answer, before anything is done for it.
    pub fn may_tell(&self, event: EventName) -> bool {
        event.is_of_the_eight() || self.tells_all || self.config.hears(event)
    }

    /// Whether the event is told of this queue.
    pub fn tells(&self, event: EventName, queue: &QueueName) -> bool {
        let is_heard = || self.config.hears(event) && self.config.queue(queue).heard.contains(event);
        event.is_of_the_eight() || self.tells_all || is_heard()
    }

    /// Whether the event is told of this agent.
    pub fn tells_of_agent(&self, event: EventName, agent: &AgentName) -> bool {
        let mut hooks = self.config.agent_hooks(agent);
        self.tells_all || hooks.any(|hook| hook.enabled && hook.event == event)
    }

    /// Writes into a payload who the agent is.
    pub fn name_agent(&self, payload: &mut Payload, agent: &AgentName, leg: &LegIdentity) {
        let AgentOrigins { id, user_id, extension } = self.config.agent(agent);
        let number = numeric_name(agent);
        let contact = || contact_user(&self.roster.get(agent)?.contact);
        payload.agent_name = Some(agent.clone());
        payload.agent_id =
            self.find(id, agent, leg).or(leg.agent_id).or_else(|| number.and_then(|digits| digits.parse().ok()));
        payload.user_id = self.find(user_id, agent, leg).or(leg.user_id);
        payload.agent_extension = self
            .find(extension, agent, leg)
            .or_else(|| leg.dialled.clone())
            .or_else(|| number.or_else(contact).map(str::to_owned));
    }

    /// What is said of an agent, where it can be found.
    fn find<T: FromStr>(&self, origin: Option<AgentOrigin<'_, T>>, agent: &AgentName, leg: &LegIdentity) -> Option<T> {
        let text = match origin? {
            AgentOrigin::Known(value) => return Some(value),
            AgentOrigin::Variable(name) => leg.variables.get(name)?,
            AgentOrigin::Directory(name) => self.directory.value(agent, name)?,
        };
        text.trim().parse().ok()
    }
}

/// The digits of a numeric agent name: `1000` of `1000@default`. Those of a UUID are none.
pub fn numeric_name(agent: &AgentName) -> Option<&str> {
    let user = agent.as_str().split('@').next()?;
    let is_number = !user.is_empty() && user.bytes().all(|b| b.is_ascii_digit());
    (is_number && !is_uuid(user)).then_some(user)
}

/// The user whom a contact dials, where it dials one: `1000` of `[leg_timeout=10]user/1000@default`.
fn contact_user(contact: &str) -> Option<&str> {
    // Variables in brackets come first.
    let dial_string = contact.rsplit([']', '}', '>']).next()?;
    let several = dial_string.contains([',', '|']) || dial_string.contains(":_:");
    let mut parts = dial_string.split('/');
    let (endpoint, last) = (parts.next()?, parts.next_back()?);
    let target = if endpoint == "loopback" { dial_string.split('/').nth(1)? } else { last };
    let user = target.split('@').next()?;
    (!several && !user.is_empty()).then_some(user)
}

/// The occasion on which an attempt's state machine runs: one fact, or the passing of a deadline.
#[derive(Debug)]
pub struct Occasion<'a> {
    /// What all attempts share.
    pub world: &'a World,
    /// The attempt's name.
    pub hash: AttemptHash,
    /// When the fact happened, by the clock of the node that tells it; for a deadline, the node's clock.
    pub at: Timestamp,
    /// The clock of the attempt's node: the latest time seen there. Deadlines are measured by it.
    pub now: Timestamp,
    /// The latest time until which no event of that node can have been missed.
    pub known_until: Timestamp,
    /// The event that told the fact.
    pub source: &'a Source,
    /// Where moments go.
    pub moments: &'a mut Vec<Moment>,
}

impl Occasion<'_> {
    /// Whether events may have been missed since then that no comparison with FreeSWITCH has made up for.
    pub fn may_have_missed(&self, since: Timestamp) -> bool {
        (since..self.now).contains(&self.known_until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_numeric_agent_name_gives_its_digits() {
        assert_eq!(numeric_name(&"1000@default".into()), Some("1000"));
        assert_eq!(numeric_name(&"agent1".into()), None);
        assert_eq!(numeric_name(&"@default".into()), None);
        assert_eq!(numeric_name(&"10203040506047088090100200300400".into()), None);
    }

    #[test]
    fn a_contact_gives_the_user_it_dials() {
        for (contact, user) in [
            ("user/1000@default", Some("1000")),
            ("[leg_timeout=7]sofia/internal/agent1@127.0.0.1:7001", Some("agent1")),
            ("{a=b}sofia/gateway/carrier/40712345001", Some("40712345001")),
            ("loopback/1000/default", Some("1000")),
            ("user/1000,user/1001", None),
            ("1000", None),
            ("", None),
        ] {
            assert_eq!(contact_user(contact), user, "{contact}");
        }
    }
}
