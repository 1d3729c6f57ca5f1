//! What the configuration says of a queue, once all patterns that match its name are merged.

use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

use super::fault::Fault;
use super::pattern;
use super::section::Section;
use super::value::Value;
use crate::hook::Hook;
use crate::moment::event::EventSet;
use crate::moment::value::QueueType;

/// Where the facts about a queue's attempts come from. Each queue has one source, so none is followed twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum QueueSource {
    /// mod_callcenter's events.
    #[default]
    Callcenter,
    /// The channels of a dialer that names queue, side and attempt in their variables.
    Channel,
    /// mod_fifo's events.
    Fifo,
    /// Whoever tells of it, over HTTP or by events.
    Api,
}

/// The settings of one queue that its attempts' story depends on.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct QueueSettings {
    /// What kind of queue it is.
    pub queue_type: QueueType,
    /// Where the facts about its attempts come from.
    pub source: QueueSource,
    /// Whether post-processing is on; unset: read from the agents' wrap-up times.
    pub processing: Option<bool>,
    /// Variables that every payload of the queue carries; the member's own win.
    pub variables: Map<String, Json>,
    /// Which of the member's variables payloads carry.
    pub variable_filter: VariableFilter,
    /// The longest wait that is promised to its members.
    pub sla: Option<Duration>,
    /// How long an attempt that others tell of may go without being heard of.
    pub ttl: Option<Duration>,
    /// Who counts as `abandoned` beside those who hang up.
    pub count_as_abandoned: Vec<Unserved>,
}

/// A member who left without an agent, and not by hanging up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unserved {
    /// By the queue's longest waiting time.
    Timeout,
    /// Because no agent was there for longer than the queue waits.
    NoAgentTimeout,
    /// In whatever way, of a queue whose members are called: one who had answered.
    Reached,
    /// Likewise, one who had not.
    Unreached,
}

/// Which channel variables payloads carry, beside the built-in list of FreeSWITCH's own, which are left out.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct VariableFilter {
    /// Patterns of names that are carried although they are on the built-in list.
    pub include: Vec<String>,
    /// Patterns of names that are left out; they win over `include`.
    pub exclude: Vec<String>,
}

/// All that the configuration says of one queue.
#[derive(Debug, Default)]
pub struct ResolvedQueue {
    /// What its attempts' story depends on.
    pub settings: Arc<QueueSettings>,
    /// Whether its hooks only log what they would start.
    pub dry_run: bool,
    /// Its hooks: of the most general pattern first, in the order of the file.
    pub hooks: Vec<Arc<Hook>>,
    /// The events that they hear.
    pub heard: EventSet,
}

/// What one `[queues."PATTERN"]` sets.
#[derive(Debug, Default)]
pub(super) struct PartialSettings {
    queue_type: Option<QueueType>,
    /// Set by a queue's own name only.
    source: Option<QueueSource>,
    processing: Option<bool>,
    sla: Option<Duration>,
    ttl: Option<Duration>,
    dry_run: Option<bool>,
    variables: Map<String, Json>,
    include: Option<Vec<String>>,
    exclude: Option<Vec<String>>,
    count_as_abandoned: Option<Vec<Unserved>>,
}

/// The types as they are written.
const TYPES: [(&str, QueueType); 8] = [
    ("inbound", QueueType::Inbound),
    ("offline", QueueType::Offline),
    ("outbound_ivr", QueueType::OutboundIvr),
    ("preview", QueueType::Preview),
    ("progressive", QueueType::Progressive),
    ("predictive", QueueType::Predictive),
    ("chat", QueueType::Chat),
    ("task", QueueType::Task),
];

/// The sources as they are written.
const SOURCES: [(&str, QueueSource); 4] = [
    (QueueSource::Callcenter.as_str(), QueueSource::Callcenter),
    (QueueSource::Channel.as_str(), QueueSource::Channel),
    (QueueSource::Fifo.as_str(), QueueSource::Fifo),
    (QueueSource::Api.as_str(), QueueSource::Api),
];

/// The unserved as they are written.
const UNSERVED: [(&str, Unserved); 4] = [
    ("timeout", Unserved::Timeout),
    ("no_agent_timeout", Unserved::NoAgentTimeout),
    ("reached", Unserved::Reached),
    ("unreached", Unserved::Unreached),
];

/// The longest wait that can be promised.
const MAX_SLA: Duration = Duration::from_secs(24 * 60 * 60);

/// The shortest and the longest time for which an attempt need not be heard of.
const MIN_TTL: Duration = Duration::from_secs(1);
const MAX_TTL: Duration = Duration::from_secs(30 * 24 * 60 * 60);

impl QueueSource {
    /// As it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Callcenter => "callcenter",
            Self::Channel => "channel",
            Self::Fifo => "fifo",
            Self::Api => "api",
        }
    }

    /// The types that it is for, where this is none of them.
    pub(super) const fn lacks(self, queue_type: QueueType) -> Option<&'static str> {
        match (self, queue_type) {
            (Self::Channel, QueueType::Inbound | QueueType::Chat | QueueType::Task) => {
                Some("`offline`, `preview`, `progressive`, `predictive` or `outbound_ivr`")
            }
            (Self::Fifo, QueueType::Chat | QueueType::Task | QueueType::OutboundIvr) => {
                Some("a type of queue with calls and agents")
            }
            (Self::Callcenter | Self::Channel | Self::Fifo | Self::Api, _) => None,
        }
    }
}

impl PartialSettings {
    /// Reads what a queue's own name, or a pattern, sets.
    pub(super) fn read(section: &mut Section<'_>, is_exact: bool) -> Self {
        Self {
            queue_type: section.optional("type", |value| value.word("queue type", &TYPES)),
            source: section.optional("source", |value| {
                if !is_exact {
                    value.refuse(Fault::SourceOfPattern);
                    return None;
                }
                value.word("source", &SOURCES)
            }),
            processing: section.optional("processing", Value::boolean),
            sla: section.optional("sla", |value| value.duration_within("`sla`", Duration::from_millis(1), MAX_SLA)),
            ttl: section.optional("ttl", |value| value.duration_within("`ttl`", MIN_TTL, MAX_TTL)),
            dry_run: section.optional("dry_run", Value::boolean),
            variables: section.optional("variables", Value::json_object).unwrap_or_default(),
            include: section.optional("include", patterns),
            exclude: section.optional("exclude", patterns),
            count_as_abandoned: section.optional("count_as_abandoned", |value| {
                value.list(|_, element| element.word("way to leave without an agent", &UNSERVED))
            }),
        }
    }

    /// The source that it sets.
    pub(super) fn source(&self) -> QueueSource {
        self.source.unwrap_or_default()
    }

    /// Sets what is set here, over what more general patterns have set.
    pub(super) fn apply(&self, queue: &mut ResolvedQueue, settings: &mut QueueSettings) {
        settings.queue_type = self.queue_type.unwrap_or(settings.queue_type);
        settings.source = self.source.unwrap_or(settings.source);
        settings.processing = self.processing.or(settings.processing);
        settings.sla = self.sla.or(settings.sla);
        settings.ttl = self.ttl.or(settings.ttl);
        if let Some(unserved) = &self.count_as_abandoned {
            settings.count_as_abandoned.clone_from(unserved);
        }
        settings.variables.extend(self.variables.clone());
        let VariableFilter { include, exclude } = &mut settings.variable_filter;
        *include = self.include.clone().unwrap_or(std::mem::take(include));
        *exclude = self.exclude.clone().unwrap_or(std::mem::take(exclude));
        queue.dry_run = self.dry_run.unwrap_or(queue.dry_run);
    }
}

fn patterns(value: Value<'_>) -> Option<Vec<String>> {
    value.list(|_, element| {
        let text = element.text()?;
        if text.is_empty() || text.chars().count() > pattern::MAX_CHARS {
            element.refuse(too_long("a pattern"));
            return None;
        }
        Some(text.to_owned())
    })
}

/// The fault of a pattern that is empty, or longer than any name.
pub(super) fn too_long(what: &'static str) -> Fault {
    Fault::OutOfRange { what, least: "1".into(), most: format!("{} characters", pattern::MAX_CHARS) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_written_as_payloads_write_them() {
        assert_eq!(TYPES.map(|(_, queue_type)| queue_type), QueueType::ALL);
        for (word, queue_type) in TYPES {
            assert_eq!(serde_json::to_value(queue_type).expect("serializes"), word);
        }
    }
}
