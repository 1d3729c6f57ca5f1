//! A scenario: the queues, the agents and their habits, and who calls. A small TOML file; a plausible day is built in.

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;
use serde::Deserialize;

use super::chance::Spread;

/// More calls than this one process does not simulate.
const MAX_CALLS_PER_HOUR: f64 = 3_600_000.0;

const PLAUSIBLE_DAY: &str = include_str!("scenario/plausible_day.toml");

/// What is simulated.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// The share of events that change places with their neighbour, as in a real FreeSWITCH whose threads overtake each
    /// other. Events of one channel keep their order.
    #[serde(default)]
    pub disorder: f64,
    /// The queues.
    pub queues: Vec<QueueScenario>,
    /// The agents.
    pub agents: Vec<AgentScenario>,
    /// Who calls; each caller is one of these. None: anonymous callers.
    #[serde(default)]
    pub callers: Vec<CallerScenario>,
}

/// One queue.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QueueScenario {
    /// Its name, as mod_callcenter has it (`support@default`).
    pub name: String,
    /// The number that callers dial.
    pub extension: String,
    /// Who is offered a member.
    #[serde(default)]
    pub strategy: Strategy,
    /// How many calls come in an hour on average. With `dialer`, how many are made.
    pub calls_per_hour: f64,
    /// How long a member waits before giving up.
    pub patience: Spread,
    /// How long a conversation lasts.
    pub talk: Spread,
    /// After how long FreeSWITCH takes a member out of the queue; none: never.
    pub max_wait: Option<SignedDuration>,
    /// The agents, best first.
    pub agents: Vec<String>,
    /// The share of conversations that the member ends.
    #[serde(default = "default_member_ends")]
    pub member_ends: f64,
    /// The share of conversations with a hold.
    #[serde(default)]
    pub hold_share: f64,
    /// The queue that agents transfer members to.
    pub transfer_to: Option<String>,
    /// The share of conversations that end with such a transfer.
    #[serde(default)]
    pub transfer_share: f64,
    /// The queue that members go to when the longest waiting time has passed; none: they hear a tone and are hung up.
    pub overflow_to: Option<String>,
    /// The key that takes a member out of the queue.
    pub exit_key: Option<String>,
    /// The share of members who press it when they have waited for a while.
    #[serde(default)]
    pub exit_share: f64,
    /// How long an agent hears an announcement between answering and the bridge.
    #[serde(default)]
    pub whisper: SignedDuration,
    /// Whether the members are called by a dialer.
    #[serde(default)]
    pub dialer: bool,
}

/// Who is offered a member.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Strategy {
    /// The agent whose last conversation ended longest ago.
    #[default]
    LongestIdleAgent,
    /// All agents at once; the first to answer gets the member.
    RingAll,
    /// One after the other.
    RoundRobin,
    /// The first free agent of the list.
    TopDown,
    /// The agent who answered fewest.
    AgentWithFewestCalls,
    /// Any free agent.
    Random,
}

impl Strategy {
    /// The name that mod_callcenter has for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::LongestIdleAgent => "longest-idle-agent",
            Self::RingAll => "ring-all",
            Self::RoundRobin => "round-robin",
            Self::TopDown => "top-down",
            Self::AgentWithFewestCalls => "agent-with-fewest-calls",
            Self::Random => "random",
        }
    }
}

/// One agent and their habits. The shares of `misses`, `busy`, `rejects` and `unreachable` together are at most 1.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgentScenario {
    /// The agent's name, as mod_callcenter has it.
    pub name: String,
    /// How long the phone rings before the agent answers.
    #[serde(default = "default_answers_after")]
    pub answers_after: Spread,
    /// The share of offers that ring out.
    #[serde(default)]
    pub misses: f64,
    /// The share of offers answered with 486.
    #[serde(default)]
    pub busy: f64,
    /// The share of offers answered with 603.
    #[serde(default)]
    pub rejects: f64,
    /// The share of offers that do not reach the phone (480).
    #[serde(default)]
    pub unreachable: f64,
    /// How long the phone rings before FreeSWITCH gives up.
    #[serde(default = "default_ring_timeout")]
    pub ring_timeout: SignedDuration,
    /// After how many missed offers in a row FreeSWITCH sets the agent on break; 0: never.
    #[serde(default)]
    pub max_no_answer: u32,
    /// Post-processing.
    #[serde(default)]
    pub wrap_up: SignedDuration,
    /// How long FreeSWITCH leaves the agent alone after an offer that failed.
    #[serde(default = "default_delay_after_failure")]
    pub delay_after_failure: SignedDuration,
    /// The share of conversations after which the agent takes a break.
    #[serde(default)]
    pub breaks: f64,
    /// How long a break lasts.
    #[serde(default = "default_break_length")]
    pub break_length: Spread,
}

/// One kind of caller.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallerScenario {
    /// The name that the call shows.
    pub name: String,
    /// The number; none: a random one for each call.
    pub number: Option<String>,
    /// Channel variables that the dialplan sets: texts, or lists of texts.
    #[serde(default)]
    pub variables: BTreeMap<String, VariableValue>,
}

/// A channel variable's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VariableValue(String);

impl VariableValue {
    /// The value as FreeSWITCH keeps it: a list is `ARRAY::a|:b`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for VariableValue {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match toml::Value::deserialize(deserializer)? {
            toml::Value::String(text) => Ok(Self(text)),
            toml::Value::Array(items) => match items.iter().map(toml::Value::as_str).collect::<Option<Vec<_>>>() {
                Some(texts) => Ok(Self(format!("ARRAY::{}", texts.join("|:")))),
                None => Err(serde::de::Error::custom("a list of something else than texts")),
            },
            _ => Err(serde::de::Error::custom("neither a text nor a list of texts")),
        }
    }
}

const fn default_member_ends() -> f64 {
    0.6
}

const fn default_answers_after() -> Spread {
    Spread::seconds(1, 8)
}

const fn default_ring_timeout() -> SignedDuration {
    SignedDuration::from_secs(15)
}

const fn default_delay_after_failure() -> SignedDuration {
    SignedDuration::from_secs(10)
}

const fn default_break_length() -> Spread {
    Spread::seconds(30, 300)
}

/// A scenario that cannot be simulated.
#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    /// It is not TOML of the right shape.
    #[error("not a scenario")]
    Shape(#[from] toml::de::Error),
    /// There is no queue, or there are no agents.
    #[error("a scenario needs at least one queue and one agent")]
    Empty,
    /// Two have the same name.
    #[error("there are two {0}")]
    Twice(String),
    /// A queue names something that is not there.
    #[error("queue {queue} names {name}, which the scenario does not have")]
    Unknown {
        /// The queue.
        queue: String,
        /// What it names.
        name: String,
    },
    /// A number is out of its range.
    #[error("{of}: {what}")]
    Range {
        /// The queue or agent.
        of: String,
        /// What is wrong.
        what: &'static str,
    },
}

impl Scenario {
    /// The built-in plausible day.
    pub fn plausible_day() -> Self {
        Self::parse(PLAUSIBLE_DAY).expect("the built-in scenario is sound")
    }

    /// Reads a scenario and checks it.
    pub fn parse(text: &str) -> Result<Self, ScenarioError> {
        let scenario: Self = toml::from_str(text)?;
        scenario.check()?;
        Ok(scenario)
    }

    /// The same with so many calls a second in all, shared out as before.
    pub fn with_calls_per_second(mut self, calls: f64) -> Self {
        let before: f64 = self.queues.iter().map(|queue| queue.calls_per_hour).sum();
        for queue in &mut self.queues {
            queue.calls_per_hour *= calls * 3_600.0 / before.max(f64::MIN_POSITIVE);
        }
        self
    }

    /// The same with so many agents in all: some of the scenario's, or further ones with the same habits, who serve the
    /// same queues.
    pub fn with_agents(mut self, count: usize) -> Self {
        let models = std::mem::take(&mut self.agents);
        for index in 0..count {
            let mut agent = models[index % models.len()].clone();
            let model = agent.name.clone();
            if index >= models.len() {
                agent.name = format!("{}.{}", index / models.len() + 1, model);
                for queue in self.queues.iter_mut().filter(|queue| queue.agents.contains(&model)) {
                    queue.agents.push(agent.name.clone());
                }
            }
            self.agents.push(agent);
        }
        for queue in &mut self.queues {
            queue.agents.retain(|name| self.agents.iter().any(|agent| agent.name == *name));
        }
        self
    }

    fn check(&self) -> Result<(), ScenarioError> {
        if self.queues.is_empty() || self.agents.is_empty() {
            return Err(ScenarioError::Empty);
        }
        let queues = unique(self.queues.iter().map(|queue| queue.name.as_str()))?;
        let agents = unique(self.agents.iter().map(|agent| agent.name.as_str()))?;
        for queue in &self.queues {
            let named = [&queue.transfer_to, &queue.overflow_to].into_iter().flatten();
            let unknown_queue = named.map(String::as_str).find(|name| !queues.contains(name));
            let unknown_agent = queue.agents.iter().map(String::as_str).find(|name| !agents.contains(name));
            if let Some(name) = unknown_queue.or(unknown_agent) {
                return Err(ScenarioError::Unknown { queue: queue.name.clone(), name: name.into() });
            }
            queue.check()?;
        }
        self.agents.iter().try_for_each(AgentScenario::check)
    }
}

impl QueueScenario {
    fn check(&self) -> Result<(), ScenarioError> {
        let range = |what| Err(ScenarioError::Range { of: self.name.clone(), what });
        let shares = [self.member_ends, self.hold_share, self.transfer_share, self.exit_share];
        if !shares.iter().all(|share| (0.0..=1.0).contains(share)) {
            return range("a share is not between 0 and 1");
        }
        if !(self.calls_per_hour > 0.0 && self.calls_per_hour <= MAX_CALLS_PER_HOUR) {
            return range("calls_per_hour is not above 0, or above 3,600,000");
        }
        if !self.patience.is_sound() || !self.talk.is_sound() || !is_sound(self.whisper) {
            return range(UNSOUND_SPAN);
        }
        // Two queues that hand a member to each other must let time pass.
        if self.max_wait.is_some_and(|longest| longest < SignedDuration::from_secs(1) || !is_sound(longest)) {
            return range("max_wait is below a second, or above a week");
        }
        Ok(())
    }
}

impl AgentScenario {
    fn check(&self) -> Result<(), ScenarioError> {
        let range = |what| Err(ScenarioError::Range { of: self.name.clone(), what });
        let shares = [self.misses, self.busy, self.rejects, self.unreachable, self.breaks];
        if !shares.iter().all(|share| (0.0..=1.0).contains(share)) || shares[..4].iter().sum::<f64>() > 1.0 {
            return range("a share is not between 0 and 1, or those of the failures are above 1 together");
        }
        let spans = [self.ring_timeout, self.wrap_up, self.delay_after_failure];
        if !self.answers_after.is_sound() || !self.break_length.is_sound() || !spans.into_iter().all(is_sound) {
            return range(UNSOUND_SPAN);
        }
        Ok(())
    }
}

const UNSOUND_SPAN: &str = "a span is negative or above a week, or its bounds are in the wrong order";

fn is_sound(span: SignedDuration) -> bool {
    (Spread { from: SignedDuration::ZERO, to: span }).is_sound()
}

fn unique<'a>(names: impl Iterator<Item = &'a str>) -> Result<BTreeSet<&'a str>, ScenarioError> {
    let mut seen = BTreeSet::new();
    for name in names {
        if !seen.insert(name) {
            return Err(ScenarioError::Twice(name.into()));
        }
    }
    Ok(seen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plausible_day_is_sound() {
        let day = Scenario::plausible_day();
        assert!(day.queues.iter().any(|queue| queue.strategy == Strategy::RingAll));
        assert!(day.queues.iter().any(|queue| queue.dialer));
    }

    #[test]
    fn agents_can_be_more_or_fewer_than_the_scenario_has() {
        for count in [1, 4, 25] {
            let day = Scenario::plausible_day().with_agents(count);
            assert_eq!(day.agents.len(), count);
            day.check().expect("still sound");
        }
    }

    #[test]
    fn a_rate_is_shared_out() {
        let day = Scenario::plausible_day().with_calls_per_second(2.0);
        let total: f64 = day.queues.iter().map(|queue| queue.calls_per_hour).sum();
        assert!((total - 7_200.0).abs() < 1e-6);
    }

    #[test]
    fn numbers_out_of_their_range_are_refused() {
        for (sound, broken) in [
            ("exit_share = 0.04", "exit_share = 1.5"),
            ("calls_per_hour = 300", "calls_per_hour = 1e300"),
            ("max_wait = \"2m\"", "max_wait = \"0s\""),
            ("wrap_up = \"10s\"", "wrap_up = \"-10s\""),
            ("to = \"5m\"", "to = \"100000h\""),
        ] {
            let text = PLAUSIBLE_DAY.replacen(sound, broken, 1);
            assert!(matches!(Scenario::parse(&text), Err(ScenarioError::Range { .. })), "{broken}");
        }
    }

    #[test]
    fn a_queue_with_an_unknown_agent_is_refused() {
        let broken = PLAUSIBLE_DAY.replacen("\"1001@default\",", "\"nobody@default\",", 1);
        let error = Scenario::parse(&broken).expect_err("refused");
        assert_eq!(error.to_string(), "queue support@default names nobody@default, which the scenario does not have");
    }
}
