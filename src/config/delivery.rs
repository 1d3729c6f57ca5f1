//! `[delivery]`: how requests are sent, where their steps do not say otherwise.

use std::time::Duration;

use super::document::Kind;
use super::fault::Fault;
use super::receivers;
use super::secret::Lookup;
use super::section::Section;
use super::value::Value;
use crate::delivery::retry::RetrySchedule;
use crate::delivery::signature::SigningKeys;
use crate::delivery::statuses::{StatusRules, Statuses};
use crate::delivery::way::Ways;

/// How long one try may take: receivers that answer at all answer within it.
const TIMEOUT: Duration = Duration::from_secs(15);

/// How many requests to one receiver are under way at once.
const CONCURRENCY: usize = 64;

/// The waits of the default schedule in seconds: 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 10 h, so that a receiver may be down
/// for a day.
const WAITS: [u64; 7] = [5, 300, 1_800, 7_200, 18_000, 36_000, 36_000];

/// The longest schedule: with more tries than that, something else is wrong.
const MAX_WAITS: usize = 50;

/// How deliveries are made.
#[derive(Clone, Debug)]
pub struct DeliverySettings {
    /// The keys that sign requests.
    pub keys: SigningKeys,
    /// How long one try may take.
    pub timeout: Duration,
    /// When failed tries are repeated.
    pub retry: RetrySchedule,
    /// How many requests to one receiver are under way at once.
    pub concurrency: usize,
    /// The ways to receivers that are not gone to like all others.
    pub receivers: Ways,
}

impl DeliverySettings {
    #[expect(clippy::unnecessary_wraps, reason = "the shape of every section's reader")]
    pub(super) fn read(section: &mut Section<'_>, lookup: &Lookup) -> Option<Self> {
        let default = Self::default();
        let concurrency = section.optional("concurrency", |value| value.integer_within("`concurrency`", 1, 10_000));
        Some(Self {
            keys: section.optional("secrets", |value| lookup.signing_keys(value)).unwrap_or(default.keys),
            timeout: section.optional("timeout", timeout).unwrap_or(default.timeout),
            retry: section.optional("retry", retry).unwrap_or(default.retry),
            concurrency: concurrency.and_then(|n| n.try_into().ok()).unwrap_or(default.concurrency),
            receivers: section.optional("receivers", |value| receivers::read_all(value, lookup)).unwrap_or_default(),
        })
    }
}

impl Default for DeliverySettings {
    fn default() -> Self {
        Self {
            keys: SigningKeys::default(),
            timeout: TIMEOUT,
            retry: RetrySchedule { waits: WAITS.into_iter().map(Duration::from_secs).collect() },
            concurrency: CONCURRENCY,
            receivers: Ways::default(),
        }
    }
}

/// Reads how long one try may take.
pub(super) fn timeout(value: Value<'_>) -> Option<Duration> {
    value.duration_within("a timeout", Duration::from_millis(1), Duration::from_secs(600))
}

/// Reads the waits between tries.
pub(super) fn retry(value: Value<'_>) -> Option<RetrySchedule> {
    let longest = Duration::from_secs(30 * 24 * 60 * 60);
    let waits = value.list(|_, wait| wait.duration_within("a wait", Duration::from_millis(1), longest))?;
    if waits.len() > MAX_WAITS {
        let most = MAX_WAITS.to_string();
        value.refuse(Fault::OutOfRange { what: "the number of waits", least: "0".into(), most });
        return None;
    }
    Some(RetrySchedule { waits })
}

/// Reads what statuses mean.
pub(super) fn status_rules(section: &mut Section<'_>) -> Option<StatusRules> {
    let success = section.optional("success", statuses);
    let retry = section.optional("retry_on", statuses);
    let rules = StatusRules { success, retry };
    if let Some(status) = rules.contradiction() {
        section.refuse(Fault::StatusTwice(status));
        return None;
    }
    Some(rules)
}

/// Reads a list of statuses.
pub(super) fn statuses(value: Value<'_>) -> Option<Statuses> {
    let ranges = value.list(|_, value| {
        let text = match &value.node().kind {
            Kind::Integer(status) => status.to_string(),
            Kind::Text(text) => text.clone(),
            _ => return value.wrong_type("a status"),
        };
        let range = Statuses::parse(&text);
        if range.is_none() {
            value.refuse(Fault::Status(text));
        }
        range
    });
    ranges.map(Statuses::new)
}
