//! Asking FreeSWITCH what it has: the snapshot with which a node's open attempts are compared.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use bytes::Bytes;
use jiff::Timestamp;
use serde::Deserialize;

use crate::config::Config;
use crate::esl::Event;
use crate::esl::command::Command;
use crate::esl::commands::{CommandError, Commands};
use crate::freeswitch::Snapshot;
use crate::freeswitch::directory::DirectoryUser;
use crate::freeswitch::snapshot::{AgentRow, DirectoryRow, MemberRow, UnreadableAnswer, callcenter_rows, channels};
use crate::id::{AgentName, ChannelUuid, CoreUuid, QueueName};
use crate::lifecycle::directory::DirectoryQuestions;
use crate::lifecycle::memory::Stay;
use crate::lifecycle::survey::Known;

/// How long a survey reads in FreeSWITCH's directory.
const DIRECTORY_TIME: Duration = Duration::from_secs(1);

/// The longest value that is taken from there.
const MAX_VALUE: usize = 256;

/// Why a survey failed.
#[derive(Debug, thiserror::Error)]
pub enum SurveyError {
    /// A command has no answer.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// An answer could not be read.
    #[error(transparent)]
    Answer(#[from] UnreadableAnswer),
}

#[derive(Deserialize)]
struct QueueRow {
    name: String,
}

/// Takes a snapshot. Queues are asked for one by one: FreeSWITCH lists the members of one queue at a time; those of
/// `open` attempts too, which may have been unloaded meanwhile. The channels of members that are not among them, or are
/// connected with an agent of whom nothing is known, are asked for with all their variables.
///
/// Where dialers or fifos are followed, so are the channels that may be their legs or callers: FreeSWITCH does not list
/// variables, so each channel of which not everything was heard is asked whether it is one.
pub async fn take(commands: &Commands, known: Known) -> Result<Snapshot, SurveyError> {
    let Known { stays: open, legs, marks, directory: questions } = known;
    let core = text(commands.api(Command::core_uuid()).await?);
    let channels = channels(&text(commands.api(Command::show_channels()).await?))?;
    let mut names = queues(commands).await?;
    names.extend(open.keys().map(|stay| stay.queue.clone()));
    let mut members: Vec<MemberRow> = Vec::new();
    for queue in &names {
        let answer = text(commands.api(Command::queue_members(queue)).await?);
        members.extend(callcenter_rows("callcenter_config queue list members", &answer)?);
    }
    let mut dumps = BTreeMap::new();
    for row in members.iter().filter(|row| channels.contains(row.session_uuid.as_str())) {
        let known = open.get(&stay(row));
        if known.is_some_and(|known| known.is_bridged || !row.is_answered()) {
            continue;
        }
        let channel = ChannelUuid::from(row.session_uuid.as_str());
        if let Some(dump) = dump(commands, &channel).await? {
            dumps.insert(channel, dump);
        }
    }
    for channel in legs.iter().flat_map(|heard| channels.difference(heard)) {
        if !dumps.contains_key(channel)
            && is_marked(commands, channel, &marks).await?
            && let Some(dump) = dump(commands, channel).await?
        {
            dumps.insert(channel.clone(), dump);
        }
    }
    let agents = agents(commands).await?;
    let tiers = text(commands.api(Command::tier_list()).await?);
    let tiers = callcenter_rows("callcenter_config tier list", &tiers)?;
    let taken_at = clock(commands).await?;
    let directory = match questions {
        Some(questions) => answer(commands, &agents, &questions).await,
        None => Vec::new(),
    };
    let core = Some(CoreUuid::new(core.trim()));
    Ok(Snapshot { core, channels, members, dumps, agents, tiers, directory, taken_at })
}

/// The agents that mod_callcenter has.
pub async fn agents(commands: &Commands) -> Result<Vec<AgentRow>, SurveyError> {
    let answer = text(commands.api(Command::agent_list()).await?);
    Ok(callcenter_rows("callcenter_config agent list", &answer)?)
}

/// Reads in FreeSWITCH's directory what is configured to be read of agents, by name and contact, for a short time: a
/// directory behind a web server can be slow, and the rest is read later. An agent without user and domain is told with
/// nothing.
pub async fn directory(commands: &Commands, config: &Config, agents: &[(&str, &str)]) -> Vec<DirectoryRow> {
    let ends_at = Instant::now() + DIRECTORY_TIME;
    let mut rows = Vec::new();
    for (agent, contact) in agents {
        let name = AgentName::from(*agent);
        let origins = config.agent(&name);
        let names = origins.directory_names();
        if names.is_empty() {
            continue;
        }
        let mut values = BTreeMap::new();
        if let Some(user) = DirectoryUser::of_agent(contact, agent) {
            for name in names {
                match user_data(commands, &user, name).await {
                    Ok(value) => values.extend(value.map(|value| (name.to_owned(), value))),
                    Err(_) => return rows,
                }
            }
        }
        rows.push(DirectoryRow { agent: (*agent).to_owned(), values });
        if Instant::now() >= ends_at {
            break;
        }
    }
    rows
}

/// Reads there what is not known of the agents who are listed or were seen, these first.
async fn answer(commands: &Commands, listed: &[AgentRow], questions: &DirectoryQuestions) -> Vec<DirectoryRow> {
    let is_listed = |agent: &AgentName| listed.iter().any(|row| row.name == agent.as_str());
    let (first, rest): (Vec<_>, Vec<_>) = listed.iter().partition(|row| questions.sighted.contains(row.name.as_str()));
    let seen = questions.sighted.iter().filter(|agent| !is_listed(agent)).map(|agent| (agent.as_str(), ""));
    let listed = first.into_iter().chain(rest).map(|row| (row.name.as_str(), row.contact.as_str()));
    let agents: Vec<_> = seen.chain(listed).filter(|(agent, _)| !questions.known.contains(*agent)).collect();
    directory(commands, &questions.config, &agents).await
}

/// A variable of a user, or else the parameter of that name.
async fn user_data(commands: &Commands, user: &DirectoryUser, name: &str) -> Result<Option<String>, CommandError> {
    for kind in ["var", "param"] {
        let Ok(command) = Command::user_data(user, kind, name) else { return Ok(None) };
        match commands.api(command).await.map(text) {
            Ok(answer) => {
                let value = answer.trim();
                let is_value = !matches!(value, "" | "_undef_") && value.len() <= MAX_VALUE;
                if is_value && !value.chars().any(char::is_control) {
                    return Ok(Some(value.to_owned()));
                }
            }
            Err(CommandError::Refused(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

/// The queues that mod_callcenter has loaded.
pub async fn queues(commands: &Commands) -> Result<BTreeSet<QueueName>, SurveyError> {
    let answer = text(commands.api(Command::queue_list()).await?);
    let rows: Vec<QueueRow> = callcenter_rows("callcenter_config queue list", &answer)?;
    Ok(rows.into_iter().map(|row| QueueName::new(row.name)).collect())
}

/// What FreeSWITCH's clock shows; none if it does not say.
async fn clock(commands: &Commands) -> Result<Option<Timestamp>, SurveyError> {
    match commands.api(Command::clock()).await {
        Ok(answer) => Ok(text(answer).trim().parse().ok().and_then(|micros| Timestamp::from_microsecond(micros).ok())),
        Err(CommandError::Refused(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Whether the channel has one of these variables; not, if it has gone meanwhile.
async fn is_marked(commands: &Commands, channel: &ChannelUuid, marks: &[&str]) -> Result<bool, SurveyError> {
    for mark in marks {
        let Ok(command) = Command::uuid_getvar(channel, mark) else { return Ok(false) };
        match commands.api(command).await.map(text) {
            Ok(answer) if matches!(answer.trim(), "" | "_undef_") => {}
            Ok(_) => return Ok(true),
            Err(CommandError::Refused(_)) => return Ok(false),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(false)
}

/// A channel with its variables; none if it has gone meanwhile.
async fn dump(commands: &Commands, channel: &ChannelUuid) -> Result<Option<Event>, SurveyError> {
    let Ok(command) = Command::uuid_dump(channel) else { return Ok(None) };
    match commands.api(command).await {
        Ok(answer) => Ok(Event::from_json(&answer).ok()),
        Err(CommandError::Refused(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn stay(row: &MemberRow) -> Stay {
    let (queue, member, session) = row.identity();
    Stay { queue: queue.into(), member: member.into(), session: session.into() }
}

fn text(answer: Bytes) -> String {
    String::from_utf8_lossy(&answer).into_owned()
}
