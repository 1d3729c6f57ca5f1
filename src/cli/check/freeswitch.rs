//! `check --connect`: signs in to each FreeSWITCH and looks for the configured queues.

use std::collections::BTreeSet;
use std::io::{self, Write};

use super::counted;
use crate::cli::printable::printable;
use crate::config::freeswitch::FreeswitchNode;
use crate::config::queue::QueueSource;
use crate::config::{AgentOrigin, Config};
use crate::esl::command::Command;
use crate::esl::commands::Commands;
use crate::esl::link::{self, ConnectionState, Link};
use crate::freeswitch::snapshot::{AgentRow, DirectoryRow};
use crate::id::{AgentName, QueueName};
use crate::lifecycle::world::numeric_name;
use crate::node::survey;

/// How many queues or agents are named.
const MAX_NAMED: usize = 20;

/// What a node said of itself.
struct Seen {
    version: String,
    queues: BTreeSet<QueueName>,
    /// The agents of whom nothing gives an `agent_id`.
    nameless: BTreeSet<AgentName>,
}

/// Tells of each node its version and queues, or why there is no connection; then which configured queues no node has.
/// Gives whether all is well.
pub(super) async fn connect(config: &Config, out: &mut impl Write) -> io::Result<bool> {
    let (mut is_well, mut queues) = (true, BTreeSet::new());
    for node in &config.freeswitch {
        write!(out, "{} ({}): ", printable(node.name.as_str()), printable(&node.address))?;
        out.flush()?;
        match see(config, node).await {
            Ok(seen) => {
                writeln!(out, "{}", printable(&seen.version))?;
                writeln!(
                    out,
                    "  mod_callcenter has {}{}.",
                    counted(seen.queues.len(), "queue"),
                    printable(&named(seen.queues.iter().map(QueueName::as_str)))
                )?;
                if !seen.nameless.is_empty() {
                    writeln!(
                        out,
                        "  No `agent_id` is known of {}{}.",
                        counted(seen.nameless.len(), "agent"),
                        printable(&named(seen.nameless.iter().map(AgentName::as_str)))
                    )?;
                }
                queues.extend(seen.queues);
            }
            Err(reason) => {
                writeln!(out, "{}.", printable(&reason))?;
                is_well = false;
            }
        }
    }
    if !is_well {
        // Which queues are missing is known only where every node has answered.
        return Ok(false);
    }
    // mod_callcenter lists its own queues only.
    let callcenters = config.queue_names().filter(|name| config.source(name) == QueueSource::Callcenter);
    for name in callcenters.filter(|name| !queues.contains(*name)) {
        writeln!(out, "No FreeSWITCH has the queue `{}` that is configured.", printable(name))?;
        is_well = false;
    }
    Ok(is_well)
}

/// Signs in, subscribes to events and asks, once; or says why not, and what can be done.
async fn see(config: &Config, node: &FreeswitchNode) -> Result<Seen, String> {
    let mut link = link::connect(node.link_address().map_err(|error| super::super::with_causes(&error))?);
    let seen = match first_connection(&mut link).await {
        Ok(()) => ask(config, &link.commands).await,
        Err(reason) => Err(reason),
    };
    link.tasks.shut_down().await;
    seen
}

/// Waits for what becomes of the first try, which the connect timeout bounds.
async fn first_connection(link: &mut Link) -> Result<(), String> {
    let tried = link.state.wait_for(|state| !matches!(state.events, ConnectionState::Connecting { .. })).await;
    match tried.map(|state| state.events.clone()) {
        Ok(ConnectionState::Waiting { reason, .. }) => Err(format!("{reason}; {}", reason.advice())),
        Ok(_) | Err(_) => Ok(()),
    }
}

async fn ask(config: &Config, commands: &Commands) -> Result<Seen, String> {
    let version = commands.api(Command::version()).await.map_err(|error| super::super::with_causes(&error))?;
    let version = String::from_utf8_lossy(&version).trim().to_owned();
    match survey::queues(commands).await {
        Ok(queues) => Ok(Seen { version, queues, nameless: nameless(config, commands).await }),
        Err(error) => {
            let reason = super::super::with_causes(&error);
            Err(format!("{version}, but mod_callcenter does not answer ({reason}); check that it is loaded"))
        }
    }
}

/// The agents of whom neither the configuration nor FreeSWITCH's directory nor the name gives an `agent_id`. Those whose legs
/// are to tell it are not among them.
async fn nameless(config: &Config, commands: &Commands) -> BTreeSet<AgentName> {
    let agents = survey::agents(commands).await.unwrap_or_default();
    let (mut nameless, mut asked): (BTreeSet<AgentName>, Vec<AgentRow>) = Default::default();
    for row in agents {
        let name = AgentName::from(row.name.as_str());
        match config.agent(&name).id {
            Some(AgentOrigin::Known(_) | AgentOrigin::Variable(_)) => {}
            _ if numeric_name(&name).is_some_and(|digits| digits.parse::<i64>().is_ok()) => {}
            Some(AgentOrigin::Directory(_)) => asked.push(row),
            None => drop(nameless.insert(name)),
        }
    }
    while !asked.is_empty() {
        let listed: Vec<_> = asked.iter().map(|row| (row.name.as_str(), row.contact.as_str())).collect();
        let rows = survey::directory(commands, config, &listed).await;
        if rows.is_empty() {
            break;
        }
        asked.retain(|agent| !rows.iter().any(|row| row.agent == agent.name));
        nameless.extend(rows.iter().filter(|row| !has_id(config, row)).map(|row| AgentName::from(row.agent.as_str())));
    }
    nameless
}

/// Whether FreeSWITCH's directory gives the agent's `agent_id`.
fn has_id(config: &Config, row: &DirectoryRow) -> bool {
    let id = match config.agent(&row.agent.as_str().into()).id {
        Some(AgentOrigin::Directory(name)) => row.values.get(name),
        _ => None,
    };
    id.is_some_and(|id| id.parse::<i64>().is_ok())
}

fn named<'n>(all: impl IntoIterator<Item = &'n str>) -> String {
    let mut all = all.into_iter();
    let names: Vec<_> = all.by_ref().take(MAX_NAMED).collect();
    match (names.is_empty(), all.next().is_some()) {
        (true, _) => String::new(),
        (false, false) => format!(": {}", names.join(", ")),
        (false, true) => format!(": {}, …", names.join(", ")),
    }
}
