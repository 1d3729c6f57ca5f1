//! The story that webhooks tell of a caller: as one line for each attempt, and held against what is legal.
//!
//! A line has the member's part first, then that of each agent, because several agents at once come in any order:
//!
//! ```text
//! support: joined, success by member | 1000: offering missed(busy 486) | 1001: offering answered bridged processing
//! ```

use std::collections::BTreeMap;

use serde_json::Value;

/// How an offer may go.
const LEGAL_OFFERS: [&str; 5] = [
    "offering",
    "offering missed",
    "offering answered",
    "offering answered bridged",
    "offering answered bridged processing",
];

/// What was told of one attempt, in its order.
pub(crate) struct Story(Vec<Value>);

impl Story {
    /// The attempts that moments tell of, in the order in which they joined.
    pub(crate) fn of(moments: Vec<Value>) -> Vec<Self> {
        let mut attempts: BTreeMap<(String, u64), Vec<Value>> = BTreeMap::new();
        for moment in moments {
            let key = (text(&moment, "joined_at"), moment["attempt_id"].as_u64().unwrap_or_default());
            attempts.entry(key).or_default().push(moment);
        }
        let mut stories: Vec<_> = attempts.into_values().map(Self).collect();
        for Self(moments) in &mut stories {
            moments.sort_by_key(|moment| moment["sequence"].as_u64());
        }
        stories
    }

    /// The attempt on one line.
    pub(crate) fn line(&self) -> String {
        let mut agents: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut member = Vec::new();
        for moment in &self.0 {
            match text(moment, "event").as_str() {
                "joined" => member.push(format!("joined{}", synthetic(moment))),
                "leaving" => member.push(format!("{}{}", leaving(moment), synthetic(moment))),
                event => agents.entry(agent(moment)).or_default().push(offer(event, moment)),
            }
        }
        // What no moment tells of, `leaving` does.
        for offer in self.leaving().and_then(|leaving| leaving["offers"].as_array()).into_iter().flatten() {
            let outcome = text(offer, "outcome");
            if matches!(outcome.as_str(), "lost_race" | "failed" | "lost") {
                agents.entry(short(&text(offer, "agent"))).or_default().push(format!("({outcome})"));
            }
        }
        let queue = self.0.first().map_or_else(String::new, |moment| short(&text(moment, "queue_name")));
        let agents = agents.into_iter().map(|(agent, words)| format!(" | {agent}: {}", words.join(" ")));
        format!("{queue}: {}{}", member.join(", "), agents.collect::<String>())
    }

    /// What `leaving` or any other moment of the attempt carries.
    pub(crate) fn field(&self, name: &str) -> &Value {
        self.0.last().map_or(&Value::Null, |moment| &moment[name])
    }

    /// How it ended.
    pub(crate) fn leaving(&self) -> Option<&Value> {
        self.0.iter().find(|moment| moment["event"] == "leaving")
    }

    /// Every way in which it is no legal story, whatever happened.
    pub(crate) fn breaches(&self) -> Vec<String> {
        let mut found = Vec::new();
        let sequence: Vec<_> = self.0.iter().filter_map(|moment| moment["sequence"].as_u64()).collect();
        if !sequence.iter().copied().eq(1..=self.0.len() as u64) {
            found.push(format!("the sequence is {sequence:?}"));
        }
        let events = words(self.0.iter());
        let count = |wanted: &str| events.iter().filter(|event| *event == wanted).count();
        let after = events.iter().rev().take_while(|event| *event != "leaving");
        if events.first().is_none_or(|event| event != "joined")
            || (count("joined"), count("leaving")) != (1, 1)
            || count("bridged") > 1
            || after.into_iter().any(|event| event != "processing")
        {
            found.push(format!("the order is {}", events.join(" ")));
        }
        for offer in self.offers() {
            let events = words(offer.into_iter()).join(" ");
            if !LEGAL_OFFERS.contains(&&*events) {
                found.push(format!("an offer is {events}"));
            }
        }
        found
    }

    /// The moments of each offer.
    pub(crate) fn offers(&self) -> impl Iterator<Item = Vec<&Value>> {
        let mut offers: Vec<(String, Vec<&Value>)> = Vec::new();
        for moment in self.0.iter().filter(|moment| moment["agent_name"].is_string() && moment["event"] != "leaving") {
            let agent = agent(moment);
            match offers.iter_mut().rev().find(|(known, _)| *known == agent) {
                Some((_, moments)) if moment["event"] != "offering" => moments.push(moment),
                _ => offers.push((agent, vec![moment])),
            }
        }
        offers.into_iter().map(|(_, moments)| moments)
    }
}

/// An agent's moment in a word.
fn offer(event: &str, moment: &Value) -> String {
    match (event, moment["agent_sip_code"].as_u64()) {
        ("missed", Some(code)) => format!("missed({} {code})", text(moment, "missed_reason")),
        ("missed", None) => format!("missed({})", text(moment, "missed_reason")),
        _ => event.to_owned(),
    }
}

/// `leaving` in a few words.
fn leaving(moment: &Value) -> String {
    let mut line = text(moment, "cc_result");
    let mut add = |before: &str, name: &str| {
        if !moment[name].is_null() {
            line.push_str(before);
            line.push_str(&text(moment, name));
        }
    };
    add("/", "cc_cancel_reason");
    add(" by key ", "exit_key");
    add(" by ", "hangup_side");
    add(" to ", "transferred_to");
    if moment["hold_count"].as_u64().is_some_and(|count| count > 0) {
        line.push_str(&format!(", held {} times", moment["hold_count"]));
    }
    if moment["first_joined_at"].is_string() {
        line.push_str(", resumed");
    }
    line
}

fn synthetic(moment: &Value) -> &'static str {
    if moment["synthetic"] == true { " (synthetic)" } else { "" }
}

fn words<'a>(moments: impl Iterator<Item = &'a Value>) -> Vec<String> {
    moments.map(|moment| text(moment, "event")).collect()
}

/// Whose moment it is: the agent's extension.
pub(crate) fn agent(moment: &Value) -> String {
    short(&text(moment, "agent_name"))
}

fn short(name: &str) -> String {
    name.split('@').next().unwrap_or(name).to_owned()
}

/// A field that is text, else nothing.
pub(crate) fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_default().to_owned()
}
