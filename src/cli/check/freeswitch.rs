//! `check --connect`: signs in to each FreeSWITCH and looks for the configured queues.

use std::collections::BTreeSet;
use std::io::{self, Write};

use super::counted;
use crate::cli::printable::printable;
use crate::config::Config;
use crate::config::freeswitch::FreeswitchNode;
use crate::config::queue::QueueSource;
use crate::esl::command::Command;
use crate::esl::commands::Commands;
use crate::esl::link::{self, ConnectionState, Link};
use crate::id::QueueName;
use crate::node::survey;

/// How many queues are named.
const MAX_NAMED: usize = 20;

/// What a node said of itself.
struct Seen {
    version: String,
    queues: BTreeSet<QueueName>,
}

/// Tells of each node its version and queues, or why there is no connection; then which configured queues no node has.
/// Gives whether all is well.
pub(super) async fn connect(config: &Config, out: &mut impl Write) -> io::Result<bool> {
    let (mut is_well, mut queues) = (true, BTreeSet::new());
    for node in &config.freeswitch {
        write!(out, "{} ({}): ", printable(node.name.as_str()), printable(&node.address))?;
        out.flush()?;
        match see(node).await {
            Ok(seen) => {
                writeln!(out, "{}", printable(&seen.version))?;
                writeln!(
                    out,
                    "  mod_callcenter has {}{}.",
                    counted(seen.queues.len(), "queue"),
                    printable(&named(&seen.queues))
                )?;
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
async fn see(node: &FreeswitchNode) -> Result<Seen, String> {
    let mut link = link::connect(node.link_address().map_err(|error| super::super::with_causes(&error))?);
    let seen = match first_connection(&mut link).await {
        Ok(()) => ask(&link.commands).await,
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

async fn ask(commands: &Commands) -> Result<Seen, String> {
    let version = commands.api(Command::version()).await.map_err(|error| super::super::with_causes(&error))?;
    let version = String::from_utf8_lossy(&version).trim().to_owned();
    match survey::queues(commands).await {
        Ok(queues) => Ok(Seen { version, queues }),
        Err(error) => {
            let reason = super::super::with_causes(&error);
            Err(format!("{version}, but mod_callcenter does not answer ({reason}); check that it is loaded"))
        }
    }
}

fn named(queues: &BTreeSet<QueueName>) -> String {
    let names: Vec<_> = queues.iter().take(MAX_NAMED).map(QueueName::as_str).collect();
    match (names.is_empty(), queues.len() > MAX_NAMED) {
        (true, _) => String::new(),
        (false, false) => format!(": {}", names.join(", ")),
        (false, true) => format!(": {}, …", names.join(", ")),
    }
}
