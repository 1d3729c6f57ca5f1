//! Who the subscriber of a call is that FreeSWITCH has made, whatever of its events was heard, and whatever the dialer and
//! its dialplan have made of caller and callee meanwhile.

use std::collections::BTreeSet;

use hookswitch::esl::Event;
use hookswitch::moment::{EventName, Payload};
use proptest::prelude::*;
use serde_json::Value;

use crate::{configuration, events_of, is_subscribed, replay_with, truths};

/// What the dialers of the recordings show to whom they call.
const OURS: [(&str, &str); 2] = [("Caller-Caller-ID-Number", "40219990000"), ("Caller-Caller-ID-Name", "Campaign")];

/// The recordings of calls that FreeSWITCH has made.
const DIALLED: &[&str] = &[
    "16a_dialer_human",
    "54_dialer_amd",
    "60a_progressive_human",
    "60c_progressive_agents_tried_in_turn",
    "61_progressive_unreached",
    "62a_predictive_no_agent",
    "62b_predictive_gives_up_while_agent_rings",
    "63b_outbound_ivr_amd",
    "64b_preview_next_agent",
    "65_offline",
];

fn is_of_member(event: &Event, members: &BTreeSet<String>) -> bool {
    event.header("Unique-ID").is_some_and(|uuid| members.contains(&*uuid))
}

/// The event with other values of these headers, in the form of JSON.
fn with(event: &Event, changed: &[(&str, &str)]) -> Event {
    let mut headers = serde_json::to_value(event).expect("an object");
    let object = headers.as_object_mut().expect("an object");
    for (name, value) in changed {
        if let Some(place) = object.get_mut(*name) {
            *place = Value::from(*value);
        }
    }
    Event::from_json(headers.to_string().as_bytes()).expect("reads")
}

/// As a script's dialer leaves the member's call: without the exchange of caller and callee that a dialplan brings.
fn without_exchange(event: &Event, members: &BTreeSet<String>) -> Event {
    if is_of_member(event, members) { with(event, &OURS) } else { event.clone() }
}

/// As mod_callcenter then names the member.
fn as_ours(event: &Event) -> Event {
    let [(_, number), (_, name)] = OURS;
    with(event, &[("CC-Member-CID-Number", number), ("CC-Member-CID-Name", name)])
}

/// The endpoint is another than SIP: it keeps nothing of what was dialled but the channel's name.
fn of_other_endpoint(event: &Event) -> Event {
    let headers = serde_json::to_value(event).expect("an object");
    let kept = headers.as_object().expect("an object").iter().filter(|(name, _)| !name.starts_with("variable_sip_"));
    let renamed = kept.map(|(name, value)| {
        let text = value.as_str().unwrap_or_default();
        let value = match name.as_str() {
            "Channel-Name" => text.replace("sofia/internal/", "verto.rtc/"),
            _ => text.to_owned(),
        };
        (name.clone(), Value::from(value))
    });
    Event::from_json(Value::Object(renamed.collect()).to_string().as_bytes()).expect("reads")
}

/// What the moments say wrongly, given the numbers that were truly dialled.
fn wrong(moments: &[Payload], numbers: &BTreeSet<String>) -> Vec<String> {
    let is_wrong = |moment: &&Payload| {
        let is_dialled = |number: &Option<String>| number.as_ref().is_none_or(|number| numbers.contains(number));
        let is_called = moment.member_channel_id.is_some();
        !is_dialled(&moment.member_number)
            || moment.destination != moment.member_number
            || (is_called && moment.member_number.is_none())
            || moment.member_name.is_some()
    };
    let words = |moment: &Payload| {
        let Payload { event, member_number, member_name, destination, .. } = moment;
        format!("{event}: {member_number:?} {member_name:?} {destination:?}")
    };
    moments.iter().filter(is_wrong).map(words).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn whoever_was_called_is_the_subscriber(
        recording in proptest::sample::select(DIALLED),
        heard in proptest::collection::vec(any::<bool>(), 97),
        exchanged in any::<bool>(),
        is_sip in any::<bool>(),
        is_sent_on in any::<bool>(),
    ) {
        let truth = truths().into_iter().find(|truth| truth.recording == recording).expect("is there");
        let (members, numbers) = (truth.member_channels(), truth.numbers());
        let events = events_of(recording, "plain").expect("is there");
        let mut place = 0;
        let mut is_heard = |event: &&Event| {
            place += 1;
            // A member of mod_callcenter's of whom it told nothing is another story.
            let is_start = event.header("CC-Action").is_some_and(|action| action == "member-queue-start");
            is_start || heard[place % heard.len()]
        };
        let events = events.iter().filter(|event| is_subscribed(event)).filter(&mut is_heard);
        let changed = events.map(|event| {
            let event = if exchanged { event.clone() } else { as_ours(&without_exchange(event, &members)) };
            // By a second extension of the dialplan nothing of the profile is as it was dialled.
            let sent_on = [("Caller-RDNIS", "6001"), ("Caller-Destination-Number", "7001")];
            let is_sent_on = is_sent_on && is_of_member(&event, &members) && event.header("Caller-RDNIS").is_some();
            let event = if is_sent_on { with(&event, &sent_on) } else { event };
            if is_sip { event } else { of_other_endpoint(&event) }
        });
        let changed: Vec<_> = changed.collect();
        let moments = replay_with(configuration(&truth), &changed);
        prop_assert_eq!(wrong(&moments, &numbers), Vec::<String>::new(), "{}", recording);
    }
}

#[test]
fn whoever_calls_in_is_named_from_joining_on() {
    let events = events_of("01_answered", "plain").expect("is there");
    let moments = replay_with(crate::with_processing(), &events);
    assert_eq!(moments.first().map(|moment| moment.event), Some(EventName::Joined));
    for moment in &moments {
        assert_eq!(moment.member_name.as_deref(), Some("Zoë Müller"), "{}", moment.event);
        assert_eq!(moment.member_number.as_deref(), Some("40712345001"), "{}", moment.event);
    }
}
