//! The events of an attempt's life: the names that hooks subscribe to.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An event's name: one step of an attempt through a queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EventName {
    /// The member entered the queue.
    #[default]
    Joined,
    /// The attempt was distributed to an agent, whose phone rings.
    Offering,
    /// The agent answered.
    Answered,
    /// The agent answered: the same moment under the name that other engines use.
    Active,
    /// Agent and member are connected.
    Bridged,
    /// An offer ended and the agent had not answered.
    Missed,
    /// The agent entered post-processing.
    Processing,
    /// The member left the queue.
    Leaving,
}

impl EventName {
    /// Every event, in the order in which a call meets them.
    pub const ALL: [Self; 8] = [
        Self::Joined,
        Self::Offering,
        Self::Answered,
        Self::Active,
        Self::Bridged,
        Self::Missed,
        Self::Processing,
        Self::Leaving,
    ];

    /// The name as it is written in configuration and payload.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Joined => "joined",
            Self::Offering => "offering",
            Self::Answered => "answered",
            Self::Active => "active",
            Self::Bridged => "bridged",
            Self::Missed => "missed",
            Self::Processing => "processing",
            Self::Leaving => "leaving",
        }
    }

    /// What happened, in one sentence for a person who chooses an event.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Joined => "The member entered the queue.",
            Self::Offering => "The attempt was distributed to an agent, whose phone rings.",
            Self::Answered => "The agent answered.",
            Self::Active => "The agent answered (the same moment as `answered`, under a second name).",
            Self::Bridged => "Agent and member are connected.",
            Self::Missed => "An offer ended and the agent had not answered.",
            Self::Processing => "The agent entered post-processing.",
            Self::Leaving => "The member left the queue.",
        }
    }

    /// Whether the event belongs to one offer to one agent, rather than to the attempt as a whole.
    pub const fn is_of_offer(self) -> bool {
        match self {
            Self::Joined | Self::Leaving => false,
            Self::Offering | Self::Answered | Self::Active | Self::Bridged | Self::Missed | Self::Processing => true,
        }
    }

    /// The event that `name` spells.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|event| event.as_str() == name)
    }
}

impl fmt::Display for EventName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A set of events, to say which of them carry a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventSet(u16);

impl EventSet {
    /// All events.
    pub const ALL: Self = Self(u16::MAX);

    /// The given events.
    pub const fn of(events: &[EventName]) -> Self {
        let mut bits = 0;
        let mut i = 0;
        while i < events.len() {
            bits |= 1 << events[i] as u16;
            i += 1;
        }
        Self(bits)
    }

    /// All events but the given ones.
    pub const fn but(events: &[EventName]) -> Self {
        Self(!Self::of(events).0)
    }

    /// Whether `event` is in the set.
    pub const fn contains(self, event: EventName) -> bool {
        self.0 & (1 << event as u16) != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_reads_back() {
        for event in EventName::ALL {
            assert_eq!(EventName::parse(event.as_str()), Some(event));
            assert_eq!(serde_json::to_value(event).expect("serializes"), event.as_str());
        }
        assert_eq!(EventName::parse("Joined"), None);
    }
}
