//! What must hold of all that is told: each fault in words, so that many can be seen at once.

use std::collections::{BTreeMap, BTreeSet};

use hookswitch::id::MomentId;
use hookswitch::lifecycle::Lifecycle;
use hookswitch::moment::value::{CancelReason, CcResult, Seconds};
use hookswitch::moment::{EventName, Payload};

use super::stage::Stage;
use super::truth::{Saying, said};

/// What is wrong with what was told, whatever of the story was heard.
pub(crate) fn unsound(payloads: &[Payload], lifecycle: &Lifecycle) -> Vec<String> {
    let mut faults = Vec::new();
    let mut must = |holds: bool, fault: String| faults.extend((!holds).then_some(fault));
    must(lifecycle.live() == 0, format!("{} attempts live on", lifecycle.live()));
    must(lifecycle.next_deadline().is_none(), "something is still waited for".to_owned());
    must(lifecycle.kept_channels() == 0, format!("{} channels are still kept", lifecycle.kept_channels()));
    let ids: BTreeSet<_> = payloads.iter().map(|payload| payload.id).collect();
    must(ids.len() == payloads.len(), "a moment was told twice".to_owned());
    for moments in by_attempt(payloads).values() {
        let words: Vec<_> = moments.iter().map(|m| (m.event.as_str(), m.agent_name.as_ref())).collect();
        let count = |event| moments.iter().filter(|moment| moment.event == event).count();
        must((count(EventName::Joined), count(EventName::Leaving)) == (1, 1), format!("not one of each: {words:?}"));
        // An agent may be on the phone for longer than the member.
        let last = moments.iter().map(|moment| moment.event).rfind(|event| *event != EventName::Processing);
        let ends = (moments[0].event, last.unwrap_or(EventName::Joined));
        must(ends == (EventName::Joined, EventName::Leaving), format!("out of order: {words:?}"));
        let numbered = moments.iter().zip(1..).all(|(moment, number)| moment.sequence == Some(number));
        must(numbered, format!("the sequence has holes: {words:?}"));
        must(are_offers_in_order(moments), format!("offers out of order: {words:?}"));
        for moment in moments {
            must(are_durations_sane(moment), format!("durations: {:?}", said(moment)));
        }
    }
    faults
}

fn by_attempt(payloads: &[Payload]) -> BTreeMap<u64, Vec<&Payload>> {
    let mut attempts: BTreeMap<u64, Vec<&Payload>> = BTreeMap::new();
    for payload in payloads {
        attempts.entry(number_of(payload)).or_default().push(payload);
    }
    attempts
}

/// The number of the attempt that a moment is of.
fn number_of(payload: &Payload) -> u64 {
    payload.attempt_id.unwrap_or_default()
}

fn are_offers_in_order(moments: &[&Payload]) -> bool {
    let mut stages: BTreeMap<&str, EventName> = BTreeMap::new();
    moments.iter().filter(|moment| moment.event.is_of_offer()).all(|moment| {
        let agent = moment.agent_name.as_ref().map_or("", |name| name.as_str());
        let before = stages.insert(agent, moment.event);
        match moment.event {
            EventName::Offering => true,
            EventName::Answered | EventName::Missed => before == Some(EventName::Offering),
            EventName::Bridged => before == Some(EventName::Answered),
            EventName::Processing => before == Some(EventName::Bridged),
            _ => false,
        }
    })
}

/// Durations are neither negative nor longer than the call, and times are in their order.
fn are_durations_sane(moment: &Payload) -> bool {
    let call = moment.call_duration.map_or(f64::INFINITY, |seconds| seconds.0);
    let within = [moment.call_bill_sec, moment.call_voice_sec, moment.hold_sec, moment.ring_sec, moment.wait_sec];
    let is_within = |Seconds(seconds): Seconds| (0.0..=call + 0.001).contains(&seconds);
    let times = [moment.joined_at, moment.bridged_at, moment.left_at];
    within.into_iter().flatten().all(is_within) && times.iter().flatten().is_sorted()
}

/// What is told although it was not so, whatever was lost: stays that never were, and those that ended better than in truth.
pub(crate) fn made_up(stage: &Stage, payloads: &[Payload]) -> Vec<String> {
    let truth = truth(stage);
    let mut faults = Vec::new();
    for payload in payloads.iter().filter(|payload| !payload.event.is_of_offer()) {
        let Some(saying) = truth.get(&payload.id) else {
            faults.push(made_up_moment(payload));
            continue;
        };
        if payload.cc_result == Some(CcResult::Success) && saying["cc_result"] != "success" {
            faults.push(format!("{} is no success", number_of(payload)));
        }
    }
    faults
}

/// What is told more often than it was, where all was heard of in its order, but for some time. Which of several offers to
/// one agent it was, nobody can tell who has not heard of them all; and one may seem missed of which the end was not heard.
pub(crate) fn too_much(stage: &Stage, payloads: &[Payload]) -> Vec<String> {
    let mut left: BTreeMap<String, usize> = BTreeMap::new();
    for saying in truth(stage).values() {
        let kinds = match saying["event"].as_str() {
            Some("missed") => vec![],
            Some("offering") => vec![kind(saying), kind(saying).replace("offering", "missed")],
            _ => vec![kind(saying)],
        };
        for kind in kinds {
            *left.entry(kind).or_default() += 1;
        }
    }
    let mut faults = Vec::new();
    for payload in payloads {
        match left.get_mut(&kind(&said(payload))) {
            Some(many @ 1..) => *many -= 1,
            _ => faults.push(made_up_moment(payload)),
        }
    }
    faults
}

/// What is counted alike: the hooks of one event, one stay and one agent.
fn kind(saying: &Saying) -> String {
    format!("{} {} {:?}", saying["event"], saying["attempt_id"], saying.get("agent_name"))
}

/// The stays of which a survey is said to have found that they are gone.
pub(crate) fn lost(payloads: &[Payload]) -> Vec<String> {
    let lost = payloads.iter().filter(|payload| payload.cc_cancel_reason == Some(CancelReason::Lost));
    lost.map(|payload| format!("{} is lost", number_of(payload))).collect()
}

/// What is told otherwise than it was, where nothing was lost: all that is told must be true, and all that is true be told.
pub(crate) fn untrue(stage: &Stage, payloads: &[Payload]) -> Vec<String> {
    let mut truth = truth(stage);
    let inexact = inexact(payloads);
    let mut faults = Vec::new();
    for payload in payloads {
        let Some(saying) = truth.remove(&payload.id) else {
            faults.push(made_up_moment(payload));
            continue;
        };
        let said = said(payload);
        let differing = saying.iter().filter(|(name, truth)| said[*name] != **truth && !inexact.contains(*name));
        faults.extend(differing.map(|(name, truth)| {
            format!("{} of {}: {name} is {}, in truth {truth}", payload.event, number_of(payload), said[name])
        }));
    }
    let left_out = |saying: &Saying| format!("{} of {} is not told: {saying:?}", saying["event"], saying["attempt_id"]);
    faults.extend(truth.values().map(left_out));
    faults
}

/// The stays that ended in the sight of a daemon that began to listen so long after the first event, and are not told.
pub(crate) fn untold(stage: &Stage, payloads: &[Payload], after_ms: i64) -> Vec<String> {
    let listens_from = stage.story.sent[0].happens_at + after_ms * 1_000;
    let told: BTreeSet<_> = payloads.iter().map(number_of).collect();
    let seen = stage.stays.iter().filter(|stay| listens_from < stay.struck_off_at && stay.struck_off_at < i64::MAX);
    let numbers = seen.map(|stay| (stay.key("core-1").hash().attempt_id(), &stay.stay.member));
    let untold = numbers.filter(|(number, _)| !told.contains(number));
    untold.map(|(number, member)| format!("{number} of {member} is not told")).collect()
}

/// What differs between two tellings of one story.
pub(crate) fn differing(left: &[Payload], right: &[Payload]) -> Vec<String> {
    let mut faults: Vec<_> =
        (left.len() != right.len()).then(|| format!("{} and {} hooks", left.len(), right.len())).into_iter().collect();
    for (left, right) in left.iter().zip(right).filter(|(left, right)| left != right) {
        let (one, other) = (serde_json::json!(left), serde_json::json!(right));
        let fields = Payload::FIELDS.iter().map(|field| field.name).filter(|name| one[name] != other[name]);
        faults.extend(fields.map(|name| format!("{}: {name} is {} and {}", left.event, one[name], other[name])));
    }
    faults
}

/// What is wrong with what is told beyond the eight, once a day has passed: each has an end, and none is told twice.
pub(crate) fn unended(payloads: &[Payload], lifecycle: &Lifecycle) -> Vec<String> {
    let mut faults = Vec::new();
    let mut ids = BTreeSet::new();
    let repeated = payloads.iter().filter(|payload| !ids.insert(payload.id));
    faults.extend(repeated.map(|payload| format!("{} of {} is told twice", payload.event, number_of(payload))));
    let count = |event| payloads.iter().filter(|payload| payload.event == event).count();
    let offers =
        payloads.iter().filter_map(|payload| payload.offers.as_ref().filter(|_| payload.event == EventName::Leaving));
    let offers: usize = offers.map(Vec::len).sum();
    for (what, begun, ended) in [
        ("offers", offers, count(EventName::OfferEnded)),
        ("post-processings", count(EventName::Processing), count(EventName::Processed)),
    ] {
        faults.extend((begun != ended).then(|| format!("of {begun} {what} {ended} end")));
    }
    let waiting = payloads.iter().rev().find_map(|payload| payload.waiting).unwrap_or(0);
    faults.extend((waiting > 0).then(|| format!("{waiting} wait for ever")));
    faults.extend(lifecycle.next_deadline().map(|at| format!("something is waited for until {at}")));
    faults
}

/// What all hooks of a story must say.
fn truth(stage: &Stage) -> BTreeMap<MomentId, Saying> {
    stage.stays.iter().flat_map(|stay| stay.sayings(|leg| stage.story.uuid(leg))).collect()
}

fn made_up_moment(payload: &Payload) -> String {
    format!("{} of {:?} in {} is made up", payload.event, payload.agent_name, number_of(payload))
}

/// The fields that cannot be exact. Of a stay whose beginning was first heard of in a survey, it is known to the second;
/// where a connection, or its preparation, is heard of before the answer, the answer was then at the latest.
fn inexact(payloads: &[Payload]) -> BTreeSet<&'static str> {
    let made_up = |event| payloads.iter().any(|payload| payload.event == event && payload.synthetic);
    let mut inexact = BTreeSet::new();
    if made_up(EventName::Joined) {
        inexact.extend(["timestamp", "joined_at", "first_joined_at", "wait_sec"]);
    }
    if made_up(EventName::Answered) || made_up(EventName::Offering) {
        inexact.extend(["timestamp", "offered_at", "ring_sec", "offers"]);
    }
    inexact
}
