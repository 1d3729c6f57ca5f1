//! An agent as mod_callcenter keeps it.

use std::time::Duration;

use jiff::Timestamp;

use crate::simulator::scenario::AgentScenario;

/// Whether an agent takes calls at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Yes.
    Available,
    /// Yes, and only one.
    AvailableOnDemand,
    /// Not now.
    OnBreak,
    /// Not signed in.
    LoggedOut,
}

impl Status {
    const ALL: [Self; 4] = [Self::Available, Self::AvailableOnDemand, Self::OnBreak, Self::LoggedOut];

    /// mod_callcenter's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Available => "Available",
            Self::AvailableOnDemand => "Available (On Demand)",
            Self::OnBreak => "On Break",
            Self::LoggedOut => "Logged Out",
        }
    }

    /// The status of that name, in upper or lower case.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str().eq_ignore_ascii_case(name))
    }

    /// Whether calls are offered.
    pub const fn takes_calls(self) -> bool {
        match self {
            Self::Available | Self::AvailableOnDemand => true,
            Self::OnBreak | Self::LoggedOut => false,
        }
    }
}

/// What an agent is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AgentState {
    /// Nothing.
    Waiting,
    /// Being called.
    Receiving,
    /// Talking.
    InAQueueCall,
}

impl AgentState {
    /// mod_callcenter's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "Waiting",
            Self::Receiving => "Receiving",
            Self::InAQueueCall => "In a queue call",
        }
    }
}

/// An agent.
#[derive(Clone, Debug)]
pub struct Agent {
    /// Name and habits.
    pub habits: AgentScenario,
    /// Whether the agent takes calls.
    pub status: Status,
    /// What the agent is doing.
    pub state: AgentState,
    /// Before then the agent is offered nothing: wrap-up, or the delay after a failed offer.
    pub ready_at: Timestamp,
    /// When the last conversation began.
    pub last_bridge_start: Option<Timestamp>,
    /// When it ended.
    pub last_bridge_end: Option<Timestamp>,
    /// When the last offer came.
    pub last_offered: Option<Timestamp>,
    /// When the status last changed.
    pub last_status_change: Timestamp,
    /// How many offers in a row rang out.
    pub no_answer_count: u32,
    /// How many were answered.
    pub calls_answered: u32,
    /// All conversations together.
    pub talk_time: Duration,
}

impl Agent {
    /// An agent who begins to work at `now`.
    pub(super) fn new(habits: AgentScenario, now: Timestamp) -> Self {
        Self {
            habits,
            status: Status::Available,
            state: AgentState::Waiting,
            ready_at: now,
            last_bridge_start: None,
            last_bridge_end: None,
            last_offered: None,
            last_status_change: now,
            no_answer_count: 0,
            calls_answered: 0,
            talk_time: Duration::ZERO,
        }
    }

    /// Whether a member can be offered.
    pub fn is_free(&self, now: Timestamp) -> bool {
        self.status.takes_calls() && self.state == AgentState::Waiting && self.ready_at <= now
    }

    /// The agent's name.
    pub fn name(&self) -> &str {
        &self.habits.name
    }

    /// The user whom FreeSWITCH calls to reach the agent.
    pub fn user(&self) -> &str {
        self.name().split_once('@').map_or(self.name(), |(user, _)| user)
    }
}
