//! Asking FreeSWITCH what it has: the snapshot with which a node's open attempts are compared.

use std::collections::BTreeSet;

use bytes::Bytes;
use serde::Deserialize;

use crate::esl::command::Command;
use crate::esl::commands::{CommandError, Commands};
use crate::freeswitch::Snapshot;
use crate::freeswitch::snapshot::{UnreadableAnswer, callcenter_rows, channels};
use crate::id::{CoreUuid, QueueName};

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

/// Takes a snapshot. Queues are asked for one by one: FreeSWITCH lists the members of one queue at a time. `also` names
/// queues of open attempts, which may have been unloaded meanwhile.
pub async fn take(commands: &Commands, also: BTreeSet<QueueName>) -> Result<Snapshot, SurveyError> {
    let core = text(commands.api(Command::core_uuid()).await?);
    let channels = channels(&text(commands.api(Command::show_channels()).await?))?;
    let queues = text(commands.api(Command::queue_list()).await?);
    let queues: Vec<QueueRow> = callcenter_rows("callcenter_config queue list", &queues)?;
    let mut names: BTreeSet<_> = queues.into_iter().map(|row| QueueName::new(row.name)).collect();
    names.extend(also);
    let mut members = Vec::new();
    for queue in &names {
        let answer = text(commands.api(Command::queue_members(queue)).await?);
        members.extend(callcenter_rows("callcenter_config queue list members", &answer)?);
    }
    let agents = text(commands.api(Command::agent_list()).await?);
    let tiers = text(commands.api(Command::tier_list()).await?);
    Ok(Snapshot {
        core: Some(CoreUuid::new(core.trim())),
        channels,
        members,
        agents: callcenter_rows("callcenter_config agent list", &agents)?,
        tiers: callcenter_rows("callcenter_config tier list", &tiers)?,
    })
}

fn text(answer: Bytes) -> String {
    String::from_utf8_lossy(&answer).into_owned()
}
