//! A leg on which an agent is called.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::attempt::Loss;
use super::subscriber;
use super::variables;
use crate::freeswitch::channel::{ChannelData, Hangup};
use crate::freeswitch::header as h;
use crate::id::{AgentName, ChannelUuid};

/// A leg on which an agent is called.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leg {
    /// Its channel.
    pub channel: ChannelUuid,
    /// Whether the agent must accept with a key. FreeSWITCH tells so only until it is done.
    #[serde(default)]
    pub confirms: bool,
    /// The number or user that was dialled.
    #[serde(default)]
    pub dialled: Option<String>,
    /// How far calling the agent on it has come.
    #[serde(default)]
    pub progress: Progress,
    /// How it ended, once it has.
    pub end: Option<LegEnd>,
    /// That it was found gone.
    #[serde(default)]
    pub loss: Option<Loss>,
}

impl Leg {
    /// A leg that lives.
    pub fn new(channel: ChannelUuid) -> Self {
        Self { channel, confirms: false, dialled: None, progress: Progress::Called, end: None, loss: None }
    }

    /// A leg that lives, of which its own channel data tell.
    pub fn of(channel: ChannelUuid, data: ChannelData<'_>) -> Self {
        let dialled = subscriber::dialled(data).filter(|_| !data.is_inbound());
        Self { confirms: data.needs_confirmation(), dialled, ..Self::new(channel) }
    }

    /// Its phone rings, or was answered.
    pub fn advance(&mut self, progress: Progress) {
        let rings = matches!(self.progress, Progress::Ringing { .. }) && matches!(progress, Progress::Ringing { .. });
        if !rings {
            self.progress = self.progress.max(progress);
        }
    }

    /// It has ended.
    pub fn end(&mut self, end: &LegEnd) {
        // What tells more of it later does not make it end later.
        let at = self.end.as_ref().map_or(end.at, |known| known.at.min(end.at));
        self.end = Some(LegEnd { at, ..end.clone() });
    }

    /// Whether it was answered, as far as that is known, and that was enough.
    pub fn is_answered(&self) -> bool {
        self.progress >= Progress::Answered || self.end.as_ref().is_some_and(|end| end.answered_at.is_some())
    }
}

/// How far calling an agent on a leg has come. Of several legs, the one that has come farthest stands for the offer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Progress {
    /// It was made.
    #[default]
    Called,
    /// Its phone rings.
    Ringing {
        /// Since when.
        since: Timestamp,
    },
    /// It was answered.
    Answered,
    /// It is the one that is, or is about to be, connected.
    Chosen,
}

/// How a leg ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LegEnd {
    /// When.
    pub at: Timestamp,
    /// When it had been answered, if that was enough to accept the call.
    #[serde(default)]
    pub answered_at: Option<Timestamp>,
    /// FreeSWITCH's cause.
    pub cause: Option<String>,
    /// Who ended it, and its SIP status.
    pub hangup: Hangup,
}

impl LegEnd {
    /// What the channel's data say of its end, which came at that time if they do not say when.
    pub fn read(at: Timestamp, data: ChannelData<'_>) -> Self {
        let (hangup, cause) = (data.hangup(), data.hangup_cause().map(|cause| cause.into_owned()));
        let answered_at = data.answered_at().filter(|_| !data.needs_confirmation());
        Self { at: data.hung_up_at().unwrap_or(at), answered_at, cause, hangup }
    }
}

/// A leg that was seen before the offer that it was made for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct UnclaimedLeg {
    /// The agent who is called on it.
    pub agent: AgentName,
    /// The leg.
    pub leg: Leg,
    /// What it says of the agent.
    pub identity: LegIdentity,
    /// When it was made.
    #[serde(default)]
    pub created_at: Option<Timestamp>,
}

/// Who the agent is, as far as the leg tells.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LegIdentity {
    /// The variable `cc_agent_id`.
    pub agent_id: Option<i64>,
    /// The variable `cc_user_id`.
    pub user_id: Option<i64>,
    /// The user that was dialled.
    pub dialled: Option<String>,
    /// The variables that say who the agent is, as far as these are configured.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub variables: BTreeMap<String, String>,
}

impl LegIdentity {
    /// Takes what the leg's channel data say, the variables that are `wanted` included.
    pub fn absorb(&mut self, data: ChannelData<'_>, wanted: &BTreeSet<String>) {
        for name in wanted {
            let value = data.header(&format!("{}{name}", h::VARIABLE_PREFIX)).map(|text| text.into_owned());
            if let Some(value) = variables::cut(value) {
                self.variables.insert(name.clone(), value);
            }
        }
        let number = |name| data.header(name)?.parse().ok();
        self.agent_id = number(h::CC_AGENT_ID).or(self.agent_id);
        self.user_id = number(h::CC_USER_ID).or(self.user_id);
        if self.dialled.is_none() && !data.is_inbound() {
            self.dialled = subscriber::dialled(data);
        }
    }
}
