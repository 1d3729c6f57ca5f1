//! The story that webhooks tell of a caller: as one line for each attempt, and compared with what the phones saw.
//!
//! A line has the member's part first, then that of each agent, because several agents at once come in any order:
//!
//! ```text
//! support: joined, success by member | 1000: offering missed(busy 486) | 1001: offering answered bridged processing
//! ```

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

use crate::phone::{Call, Phone, Sender};

/// How far a time that hookswitch tells may be from that of a phone's message. FreeSWITCH's event clock ticks in 20 ms steps;
/// the rest is for a busy machine.
const TOLERANCE_SEC: f64 = 1.0;

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

    fn leaving(&self) -> Option<&Value> {
        self.0.iter().find(|moment| moment["event"] == "leaving")
    }

    /// Every way in which it is not what it must be, or not what the phones saw.
    pub(crate) fn differences(&self, caller: Option<&Call>, phones: &[Phone]) -> Vec<String> {
        let mut found = Vec::new();
        let sequence: Vec<_> = self.0.iter().filter_map(|moment| moment["sequence"].as_u64()).collect();
        if !sequence.iter().copied().eq(1..=self.0.len() as u64) {
            found.push(format!("the sequence is {sequence:?}"));
        }
        let mut calls = BTreeMap::new();
        for (agent, moments) in self.offers() {
            let seen = calls.entry(agent.clone()).or_insert_with(|| calls_of(phones, &agent).into_iter());
            if let Some(call) = seen.next() {
                found.extend(moments.iter().flat_map(|moment| against_phone(moment, &call)));
                found.extend(self.leaving().and_then(|leaving| agent_hung_up(leaving, moments.last()?, &call)));
            }
        }
        if let (Some(leaving), Some(caller)) = (self.leaving(), caller) {
            found.extend(against_caller(leaving, caller));
        }
        found
    }

    /// The moments of each offer.
    fn offers(&self) -> Vec<(String, Vec<&Value>)> {
        let mut offers: Vec<(String, Vec<&Value>)> = Vec::new();
        for moment in self.0.iter().filter(|moment| moment["agent_name"].is_string() && moment["event"] != "leaving") {
            let agent = agent(moment);
            match offers.iter_mut().rev().find(|(known, _)| *known == agent) {
                Some((_, moments)) if moment["event"] != "offering" => moments.push(moment),
                _ => offers.push((agent, vec![moment])),
            }
        }
        offers
    }
}

/// An agent's moment, and what his phone saw of that offer.
fn against_phone(moment: &Value, call: &Call) -> Vec<String> {
    let name = format!("{} of {}", text(moment, "event"), agent(moment));
    let mut found = Vec::new();
    match (text(moment, "event").as_str(), call.status) {
        ("offering", _) => found.extend(apart(&name, at(moment, "offered_at"), Some(call.invited_at))),
        ("answered", Some((200, answered_at))) => {
            found.extend(apart(&name, at(moment, "answered_at"), Some(answered_at)));
        }
        ("missed", status) if status.is_none_or(|(status, _)| status >= 300) => {
            let end = call.cancelled_at.or(status.map(|(_, at)| at));
            found.extend(apart(&name, moment["ring_sec"].as_f64(), end.map(|end| end - call.invited_at)));
            let code = status.map_or(487, |(status, _)| status);
            if moment["agent_sip_code"] != code {
                found.push(format!("{name}: agent_sip_code is {}, the phone sent {code}", moment["agent_sip_code"]));
            }
        }
        ("bridged" | "processing", Some((200, _))) => {}
        (event, status) => found.push(format!("{event} of {}, but the phone had {status:?}", agent(moment))),
    }
    found
}

/// Whether `leaving` and the agent's phone agree that this agent hung up.
fn agent_hung_up(leaving: &Value, last: &Value, call: &Call) -> Option<String> {
    let told = leaving["talk_ended_by"] == "agent";
    // Who transfers a call ends the conversation too, and FreeSWITCH his call.
    let ended = matches!(text(last, "event").as_str(), "bridged" | "processing") && leaving["transferred_to"].is_null();
    let seen = matches!(call.bye, Some((Sender::Phone, _)));
    (ended && told != seen)
        .then(|| format!("talk_ended_by is {}, but the agent's BYE: {:?}", leaving["talk_ended_by"], call.bye))
}

/// `leaving`, and what the caller's phone saw.
fn against_caller(leaving: &Value, caller: &Call) -> Vec<String> {
    let mut found = Vec::new();
    let status = caller.status.map(|(status, _)| status);
    if leaving["call_sip_code"].as_u64().is_some_and(|told| Some(told) != status.map(u64::from)) {
        found.push(format!("call_sip_code is {}, the phone's {status:?}", leaving["call_sip_code"]));
    }
    let told = text(leaving, "hangup_side");
    let seen = caller.bye.map(|(sender, _)| sender);
    let expected = if told == "member" { Sender::Phone } else { Sender::Switch };
    if !told.is_empty() && seen != Some(expected) {
        found.push(format!("hangup_side is {told}, but the caller's BYE: {seen:?}"));
    }
    if let (true, Some((Sender::Phone, bye_at))) = (told == "member", caller.bye) {
        found.extend(apart("left_at", at(leaving, "left_at"), Some(bye_at)));
        if let Some(bridged_at) = at(leaving, "bridged_at") {
            found.extend(apart("call_voice_sec", leaving["call_voice_sec"].as_f64(), Some(bye_at - bridged_at)));
        }
    }
    found
}

fn apart(name: &str, told: Option<f64>, seen: Option<f64>) -> Option<String> {
    match (told, seen) {
        (Some(told), Some(seen)) if (told - seen).abs() <= TOLERANCE_SEC => None,
        _ => Some(format!("{name}: told {told:?}, seen {seen:?}")),
    }
}

fn calls_of(phones: &[Phone], who: &str) -> Vec<Call> {
    phones.iter().filter(|phone| phone.who == who).flat_map(Phone::calls).collect()
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

fn agent(moment: &Value) -> String {
    short(&text(moment, "agent_name"))
}

fn short(name: &str) -> String {
    name.split('@').next().unwrap_or(name).to_owned()
}

fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_default().to_owned()
}

fn at(moment: &Value, name: &str) -> Option<f64> {
    let at: Timestamp = moment[name].as_str()?.parse().ok()?;
    Some(at.as_microsecond() as f64 / 1e6)
}
