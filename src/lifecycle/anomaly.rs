//! Facts that fit no story: counted, never dropped in silence.

use std::collections::BTreeMap;
use std::fmt;

/// What was wrong with a fact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Anomaly {
    /// An event that lacks what it must have.
    Malformed,
    /// An event that has come before.
    RepeatedEvent,
    /// A member entered who is in the queue already.
    RepeatedJoin,
    /// Something happened to an attempt that began before the daemon listened.
    BeganBefore,
    /// Something happened to an attempt that is over.
    AfterLeaving,
    /// Something happened to an offer that is over.
    AfterOffer,
    /// Something happened to an attempt that nobody saw begin.
    UnknownAttempt,
    /// An attempt was refused because too many are live.
    TooManyAttempts,
    /// An attempt's variables were not kept because the live attempts have too many bytes.
    TooManyBytes,
    /// A channel was not kept because too many are live.
    TooManyChannels,
    /// An agent was not followed because too many are.
    TooManyAgents,
    /// Something was told of a queue outside FreeSWITCH that can't have happened.
    RefusedSignal,
    /// A change of an agent that a later one has overtaken.
    LateAgentEvent,
    /// mod_callcenter told of a queue that is followed by another source.
    OtherSource,
    /// An event tells that the clock of its FreeSWITCH was set back.
    ClockSet,
    /// An early event was not kept because too many are waiting for their attempt.
    TooManyEarlyEvents,
}

impl Anomaly {
    /// Its name in logs and figures.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed event",
            Self::RepeatedEvent => "repeated event",
            Self::RepeatedJoin => "repeated join",
            Self::BeganBefore => "attempt began before the connection",
            Self::AfterLeaving => "event after leaving",
            Self::AfterOffer => "event after an offer",
            Self::UnknownAttempt => "event of an unknown attempt",
            Self::TooManyAttempts => "too many live attempts",
            Self::TooManyBytes => "too many bytes of live attempts",
            Self::TooManyChannels => "too many live channels",
            Self::TooManyAgents => "too many agents",
            Self::RefusedSignal => "refused signal",
            Self::LateAgentEvent => "late event of an agent",
            Self::OtherSource => "event of a queue with another source",
            Self::ClockSet => "FreeSWITCH's clock was set back",
            Self::TooManyEarlyEvents => "too many early events",
        }
    }
}

impl fmt::Display for Anomaly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How often each anomaly was met.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Anomalies(BTreeMap<Anomaly, u64>);

impl Anomalies {
    /// Counts one. The first of its kind is worth a warning, the rest a figure.
    pub fn count(&mut self, anomaly: Anomaly) {
        let count = self.0.entry(anomaly).or_default();
        *count += 1;
        if *count == 1 {
            tracing::warn!(anomaly = anomaly.as_str(), "an event fits no story; further ones are only counted");
        }
    }

    /// Adds what was met elsewhere.
    pub fn add(&mut self, other: &Self) {
        for (anomaly, count) in other.iter() {
            *self.0.entry(anomaly).or_default() += count;
        }
    }

    /// How often this one was met.
    pub fn of(&self, anomaly: Anomaly) -> u64 {
        self.0.get(&anomaly).copied().unwrap_or(0)
    }

    /// All that were met.
    pub fn iter(&self) -> impl Iterator<Item = (Anomaly, u64)> {
        self.0.iter().map(|(anomaly, count)| (*anomaly, *count))
    }
}
