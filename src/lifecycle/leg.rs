//! A leg on which an agent is called.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::attempt::Loss;
use super::variables;
use crate::freeswitch::channel::{ChannelData, Disposition, Hangup};
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
    /// How it ended, once it has.
    pub end: Option<LegEnd>,
    /// That it was found gone.
    #[serde(default)]
    pub loss: Option<Loss>,
}

impl Leg {
    /// A leg that lives.
    pub fn new(channel: ChannelUuid) -> Self {
        Self { channel, confirms: false, end: None, loss: None }
    }

    /// A leg that lives, of which its own channel data tell.
    pub fn of(channel: ChannelUuid, data: ChannelData<'_>) -> Self {
        Self { confirms: data.needs_confirmation(), ..Self::new(channel) }
    }
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
        let mut hangup = data.hangup();
        let cause = data.hangup_cause().map(|cause| cause.into_owned());
        if cause.as_deref() == Some("MEDIA_TIMEOUT") {
            // The network lost the far end: that counts as its leaving.
            hangup.disposition = Disposition::ByFarEnd;
        }
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
            self.dialled = data.header(h::CALLER_DESTINATION_NUMBER).map(|text| text.into_owned());
        }
    }
}
