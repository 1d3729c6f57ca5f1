//! The events: the names that hooks subscribe to.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Declares the events: each with its variant, its name and its meaning, which is also what the reference page says.
macro_rules! events {
    ($($(#[doc = $doc:literal])+ $(#[$attribute:meta])* $variant:ident = $name:literal;)*) => {
        /// An event's name.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        #[serde(rename_all = "snake_case")]
        pub enum EventName {
            $($(#[doc = $doc])+ $(#[$attribute])* $variant,)*
        }

        impl EventName {
            /// Every event: the eight first, in the order in which a call meets them.
            pub const ALL: [Self; 20] = [$(Self::$variant,)*];

            /// The name as it is written in configuration and payload.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// What happened, in one sentence for a person who chooses an event.
            pub fn meaning(self) -> &'static str {
                match self {
                    $(Self::$variant => concat!($($doc),+).trim(),)*
                }
            }
        }
    };
}

events! {
    /// The member entered the queue.
    #[default]
    Joined = "joined";
    /// The attempt was distributed to an agent, whose phone rings.
    Offering = "offering";
    /// The agent answered.
    Answered = "answered";
    /// The agent answered (the same moment as `answered`, under a second name).
    Active = "active";
    /// Agent and member are connected.
    Bridged = "bridged";
    /// An offer ended and the agent had not answered.
    Missed = "missed";
    /// The agent entered post-processing.
    Processing = "processing";
    /// The member left the queue.
    Leaving = "leaving";
    /// The member came back after hanging up and has its former place again; told right after `joined`.
    Resumed = "resumed";
    /// The member waits longer than `sla` promises.
    SlaMissed = "sla_missed";
    /// An offer to an agent is over, with whatever outcome: what closes a screen pop.
    OfferEnded = "offer_ended";
    /// The conversation was put on hold, by the member or by the agent.
    Hold = "hold";
    /// The conversation goes on after a hold. A hold that ends with the conversation has no `unhold`.
    Unhold = "unhold";
    /// The member left the queue by a transfer; told right after `leaving`, with the same fields.
    Transferred = "transferred";
    /// The member left the queue with the result `abandoned`; told right after `leaving`, with the same fields.
    Abandoned = "abandoned";
    /// The agent's post-processing is over: the wrap-up time has passed, or the agent's next status, state or offer came.
    Processed = "processed";
    /// The number of members who wait in the queue has changed.
    QueueCount = "queue_count";
    /// The queue was compared with what FreeSWITCH has: with each survey, whether it showed anything or not.
    Reconciled = "reconciled";
    /// An agent's status has changed.
    AgentStatus = "agent_status";
    /// An agent's state has changed.
    AgentState = "agent_state";
}

impl EventName {
    /// The eight events of an attempt's life, which are always told. Those beyond are told where a hook hears them.
    pub const EIGHT: [Self; 8] = [
        Self::Joined,
        Self::Offering,
        Self::Answered,
        Self::Active,
        Self::Bridged,
        Self::Missed,
        Self::Processing,
        Self::Leaving,
    ];

    /// The events beyond the eight.
    pub fn beyond() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(|event| !event.is_of_the_eight())
    }

    /// Whether the event is one of the eight.
    pub const fn is_of_the_eight(self) -> bool {
        (self as usize) < Self::EIGHT.len()
    }

    /// Whether the event belongs to one offer to one agent, rather than to the attempt as a whole.
    pub const fn is_of_offer(self) -> bool {
        matches!(
            self,
            Self::Offering
                | Self::Answered
                | Self::Active
                | Self::Bridged
                | Self::Missed
                | Self::Processing
                | Self::OfferEnded
                | Self::Processed
        )
    }

    /// Whether the event is `leaving`, be it under another name.
    pub const fn is_of_leaving(self) -> bool {
        matches!(self, Self::Leaving | Self::Transferred | Self::Abandoned)
    }

    /// Whether the event can happen to one attempt again and again, so that only its time tells one from the next.
    pub const fn is_repeatable(self) -> bool {
        matches!(self, Self::Hold | Self::Unhold)
    }

    /// Whether the event happens to an agent, in no queue: hooks of `[agents]` hear it, all others those of `[queues]`.
    pub const fn is_of_agent(self) -> bool {
        matches!(self, Self::AgentStatus | Self::AgentState)
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

/// A set of events: those that carry a field, or that some hook hears.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EventSet(u32);

impl EventSet {
    /// All events.
    pub const ALL: Self = Self(u32::MAX);

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

    /// The events of both sets.
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether `event` is in the set.
    pub const fn contains(self, event: EventName) -> bool {
        self.0 & (1 << event as u16) != 0
    }
}

impl FromIterator<EventName> for EventSet {
    fn from_iter<T: IntoIterator<Item = EventName>>(events: T) -> Self {
        events.into_iter().fold(Self::default(), |set, event| set.and(Self::of(&[event])))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_eight_come_first() {
        assert_eq!(EventName::ALL[..8], EventName::EIGHT);
        assert_eq!(EventName::beyond().count(), EventName::ALL.len() - 8);
    }

    #[test]
    fn every_name_reads_back() {
        for event in EventName::ALL {
            assert_eq!(EventName::parse(event.as_str()), Some(event));
            assert_eq!(serde_json::to_value(event).expect("serializes"), event.as_str());
        }
        assert_eq!(EventName::parse("Joined"), None);
    }
}
