//! What the phones saw, held against what was told.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use crate::phone::{Call, Phone, Sender};
use crate::story::{Story, agent, text};

/// What two phones do within so short a time crosses on its way, and only FreeSWITCH knows what came first.
const CROSSING_SEC: f64 = 1.0;

/// The calls of all phones.
pub(crate) struct Witness {
    /// By their Call-ID, which for an agent's call is that of its channel.
    calls: BTreeMap<String, Call>,
    tolerance_sec: f64,
}

impl Witness {
    /// Hears all phones. What is told may be so far from what they saw.
    pub(crate) fn of(phones: &[Phone], tolerance: Duration) -> Self {
        let calls = phones.iter().flat_map(Phone::calls).map(|call| (call.id.clone(), call)).collect();
        Self { calls, tolerance_sec: tolerance.as_secs_f64() }
    }

    /// All calls.
    pub(crate) fn calls(&self) -> impl Iterator<Item = &Call> {
        self.calls.values()
    }

    /// The agent's call that a moment names, if a phone had it.
    pub(crate) fn agents_call(&self, moment: &Value) -> Option<&Call> {
        self.calls.get(moment["agent_channel_id"].as_str()?)
    }

    /// Every way in which a story is not what the phones saw.
    pub(crate) fn contradictions(&self, story: &Story, caller: Option<&Call>) -> Vec<String> {
        let mut found = Vec::new();
        for moments in story.offers() {
            let Some(call) = moments.iter().find_map(|moment| self.agents_call(moment)) else { continue };
            found.extend(moments.iter().flat_map(|moment| self.against_agent(moment, call, caller)));
            if let (Some(leaving), Some(last)) = (story.leaving(), moments.last()) {
                found.extend(agent_hung_up(leaving, last, call, caller));
            }
        }
        if let (Some(leaving), Some(caller)) = (story.leaving(), caller) {
            found.extend(self.against_caller(leaving, caller));
        }
        found
    }

    /// An agent's moment, and what his phone saw of that offer.
    fn against_agent(&self, moment: &Value, call: &Call, caller: Option<&Call>) -> Vec<String> {
        let event = text(moment, "event");
        let name = format!("{event} of {}", agent(moment));
        let mut found = Vec::new();
        match (event.as_str(), call.answered_at()) {
            // When a call was offered that is taken over is not known.
            ("offering" | "answered", Some(_)) if moment["synthetic"] == true => {}
            ("offering", _) => found.extend(self.apart(&name, at(moment, "offered_at"), Some(call.invited_at))),
            ("answered", Some(answered_at)) => {
                found.extend(self.apart(&name, at(moment, "answered_at"), Some(answered_at)));
            }
            ("missed", None) => {
                let end = call.cancelled_at.or(call.status.map(|(_, at)| at));
                found.extend(self.apart(&name, moment["ring_sec"].as_f64(), end.map(|end| end - call.invited_at)));
                let code = call.status.map(|(status, _)| status).filter(|status| *status >= 300).unwrap_or(487);
                if moment["agent_sip_code"] != code {
                    found
                        .push(format!("{name}: agent_sip_code is {}, the phone sent {code}", moment["agent_sip_code"]));
                }
            }
            ("bridged" | "processing", Some(_)) => {}
            ("missed", answered_at) if crossed(answered_at, caller.and_then(Call::hung_up_at)) => {}
            _ => found.push(format!("{name}, but the phone had {:?}", call.status)),
        }
        found
    }

    /// `leaving`, and what the caller's phone saw.
    fn against_caller(&self, leaving: &Value, caller: &Call) -> Vec<String> {
        let mut found = Vec::new();
        let status = caller.status.map(|(status, _)| status);
        if leaving["call_sip_code"].as_u64().is_some_and(|told| Some(told) != status.map(u64::from)) {
            found.push(format!("call_sip_code is {}, the phone's {status:?}", leaving["call_sip_code"]));
        }
        let told = text(leaving, "hangup_side");
        // Who refuses a call ends it.
        let refused = status.filter(|status| *status >= 300).map(|_| Sender::Phone);
        let seen = caller.bye.map(|(sender, _)| sender).or(refused);
        let expected = if told == "member" { Sender::Phone } else { Sender::Switch };
        let both_hung_up = crossed(caller.hung_up_at(), self.agents_call(leaving).and_then(Call::hung_up_at));
        if !told.is_empty() && seen != Some(expected) && !both_hung_up {
            found.push(format!("hangup_side is {told}, but the caller's BYE: {seen:?}"));
        }
        if let (true, Some((Sender::Phone, bye_at))) = (told == "member", caller.bye) {
            found.extend(self.apart("left_at", at(leaving, "left_at"), Some(bye_at)));
            if let Some(bridged_at) = at(leaving, "bridged_at") {
                let seen = Some(bye_at - bridged_at);
                found.extend(self.apart("call_voice_sec", leaving["call_voice_sec"].as_f64(), seen));
            }
        }
        found
    }

    fn apart(&self, name: &str, told: Option<f64>, seen: Option<f64>) -> Option<String> {
        match (told, seen) {
            (Some(told), Some(seen)) if (told - seen).abs() <= self.tolerance_sec => None,
            _ => Some(format!("{name}: told {told:?}, seen {seen:?}")),
        }
    }
}

/// Whether `leaving` and the agent's phone agree that this agent hung up.
fn agent_hung_up(leaving: &Value, last: &Value, call: &Call, caller: Option<&Call>) -> Option<String> {
    // What was lost, nobody tells.
    let lost = leaving["cc_cancel_reason"] == "lost";
    // Who transfers a call ends the conversation too, and FreeSWITCH his call.
    let ended = matches!(text(last, "event").as_str(), "bridged" | "processing")
        && leaving["transferred_to"].is_null()
        && !lost;
    let (told, seen) = (leaving["talk_ended_by"] == "agent", call.hung_up_at());
    (ended && told != seen.is_some() && !crossed(seen, caller.and_then(Call::hung_up_at)))
        .then(|| format!("talk_ended_by is {}, but the agent's BYE: {:?}", leaving["talk_ended_by"], call.bye))
}

/// Whether two things happened at almost the same time.
pub(crate) fn crossed(one: Option<f64>, other: Option<f64>) -> bool {
    one.zip(other).is_some_and(|(one, other)| (one - other).abs() <= CROSSING_SEC)
}

fn at(moment: &Value, name: &str) -> Option<f64> {
    let at: Timestamp = moment[name].as_str()?.parse().ok()?;
    Some(at.as_microsecond() as f64 / 1e6)
}
