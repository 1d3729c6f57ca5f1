//! What truly happened in a recording, and how a replay is compared with it.

pub(crate) mod beyond;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use hookswitch::moment::{EventName, Payload};
use serde::Deserialize;
use serde_json::Value;

/// How far durations may be apart: a truth is written with two decimals.
const TOLERANCE_SEC: f64 = 0.0101;

/// What happened in one recording.
#[derive(Debug, Deserialize)]
pub(crate) struct Truth {
    /// Its name.
    pub(crate) recording: String,
    /// The configuration beside it with which it is to be replayed, where its queues have a source of their own.
    pub(crate) config: Option<String>,
    /// The attempts, in the order in which they joined.
    pub(crate) attempts: Vec<Attempt>,
}

/// What happened to one attempt.
#[derive(Debug, Deserialize)]
pub(crate) struct Attempt {
    pub(crate) queue: String,
    /// The member's number; none where the member was never called.
    number: Option<String>,
    member_channel_id: Option<String>,
    hooks: Vec<String>,
    offers: Vec<(String, String)>,
    #[serde(default)]
    open: bool,
    /// What `leaving` must say: result, cause, code, side, times.
    #[serde(flatten)]
    leaving: BTreeMap<String, Value>,
}

impl Truth {
    /// Reads a truth.
    pub(crate) fn read(path: &Path) -> Self {
        let text = std::fs::read_to_string(path).expect("a readable truth");
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// The numbers of the members.
    pub(crate) fn numbers(&self) -> BTreeSet<String> {
        self.attempts.iter().filter_map(|attempt| attempt.number.clone()).collect()
    }

    /// The channels of the members.
    pub(crate) fn member_channels(&self) -> BTreeSet<String> {
        self.attempts.iter().filter_map(|attempt| attempt.member_channel_id.clone()).collect()
    }

    /// Every difference, in words; none if the replay is right.
    pub(crate) fn compare(&self, moments: &[Payload]) -> Vec<String> {
        let mut left: Vec<(String, Vec<&Payload>)> = Vec::new();
        for moment in moments {
            let queue = moment.queue_name.as_ref().map_or("", |name| name.as_str());
            let key = format!("{queue} {}", moment.attempt_id.unwrap_or(0));
            match left.iter_mut().find(|(known, _)| *known == key) {
                Some((_, moments)) => moments.push(moment),
                None => left.push((key, vec![moment])),
            }
        }
        let mut differences = Vec::new();
        for attempt in &self.attempts {
            match left.iter().position(|(_, moments)| attempt.is_told_by(moments)) {
                Some(place) => differences.extend(attempt.compare(&left.remove(place).1)),
                None => differences.push(format!("{}: nothing was told of it", attempt.name())),
            }
        }
        differences.extend(left.into_iter().map(|(key, _)| format!("{key}: there was no such attempt")));
        differences
    }
}

impl Attempt {
    /// Whether these are its moments. Before the member is called they name no channel.
    fn is_told_by(&self, moments: &[&Payload]) -> bool {
        let of_queue = |moment: &&Payload| moment.queue_name.as_ref().is_some_and(|name| name.as_str() == self.queue);
        let channel = moments.iter().find_map(|moment| moment.member_channel_id.as_ref());
        moments.iter().all(of_queue) && channel.map(|channel| channel.as_str()) == self.member_channel_id.as_deref()
    }

    fn name(&self) -> &str {
        self.number.as_deref().unwrap_or("a member who was not called")
    }

    fn compare(&self, moments: &[&Payload]) -> Vec<String> {
        let mut differences = Vec::new();
        let mut differs = |what: &str, told: String, truth: String| {
            if told != truth {
                differences.push(format!("{}: {what} is {told}, in truth {truth}", self.name()));
            }
        };
        let told: Vec<_> = moments.iter().map(|moment| hook(moment)).collect();
        differs("the story", format!("{:?}", by_agent(&told)), format!("{:?}", by_agent(&self.hooks)));
        let sequence: Vec<_> = moments.iter().map(|moment| moment.sequence.unwrap_or(0) as usize).collect();
        differs("the sequence", format!("{sequence:?}"), format!("{:?}", (1..=moments.len()).collect::<Vec<_>>()));
        for moment in moments.iter().filter(|moment| moment.member_channel_id.is_some()) {
            differs("member_number", format!("{:?}", moment.member_number), format!("{:?}", self.number));
        }
        let leaving = moments.iter().find(|moment| moment.event == EventName::Leaving);
        differs("open", leaving.is_none().to_string(), self.open.to_string());
        if let Some(leaving) = leaving {
            let offers = leaving.offers.iter().flatten();
            let mut told: Vec<_> = offers.map(|offer| (offer.agent.to_string(), text(&offer.outcome))).collect();
            let mut truth = self.offers.clone();
            told.sort();
            truth.sort();
            differs("the offers", format!("{told:?}"), format!("{truth:?}"));
            let fields = serde_json::to_value(leaving).expect("serializes");
            for (name, truth) in &self.leaving {
                let Some(told) = fields.get(name) else { continue };
                if !alike(told, truth) {
                    differs(name, told.to_string(), truth.to_string());
                }
            }
        }
        differences
    }
}

/// A moment, as truths write it: `missed agent1 busy`.
fn hook(moment: &Payload) -> String {
    let mut words = vec![moment.event.as_str().to_owned()];
    if moment.event.is_of_offer() {
        words.extend(moment.agent_name.as_ref().map(ToString::to_string));
        words.extend(moment.missed_reason.as_ref().map(text));
    }
    words.join(" ")
}

/// The hooks of each agent, and those of the attempt itself under an empty name: several agents at once come in any order.
fn by_agent(hooks: &[String]) -> BTreeMap<&str, Vec<&str>> {
    let mut agents: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for hook in hooks {
        agents.entry(hook.split(' ').nth(1).unwrap_or("")).or_default().push(hook);
    }
    agents
}

fn text(value: &impl serde::Serialize) -> String {
    serde_json::to_value(value).expect("serializes").as_str().expect("a word").to_owned()
}

fn alike(told: &Value, truth: &Value) -> bool {
    match (told.as_f64(), truth.as_f64()) {
        (Some(told), Some(truth)) => (told - truth).abs() <= TOLERANCE_SEC,
        _ => told == truth,
    }
}
