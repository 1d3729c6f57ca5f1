use serde_json::json;

use crate::play::{Play, queue};

/// Two of the recording's three callers wait longer than this, the third is answered.
const CHANGES: &[(&str, &str)] = &[("sla = \"20s\"", "sla = \"3s\"")];

const RECORDING: &str = "14b_three_calls_one_agent.plain.esl.zst";

#[tokio::test]
async fn whoever_waits_too_long_is_told_of_once_with_how_the_queue_is() {
    let freeswitch: fn(&str) -> String = |command| {
        queue(command, &[("Available", "In a queue call"), ("On Break", "Waiting"), ("Logged Out", "Waiting")])
    };
    let play = Play { changes: CHANGES, freeswitch: Some(freeswitch), ..Play::of("sla-alarm", RECORDING) };
    let effect = play.perform().await;
    effect.assert_delivered(2);
    let said = |number: &str| json!({ "text": format!("support@default: {number} waits longer than 3 s. 1 in the queue, 1 agents busy, 2 away.") });
    let mut alarms = effect.posted_to("/chat/hooks/leads");
    alarms.sort_by_key(|alarm| alarm.to_string());
    assert_eq!(alarms, [&said("40712345144"), &said("40712345145")]);
}

#[tokio::test]
async fn nobody_is_bothered_where_an_agent_is_free() {
    let freeswitch: fn(&str) -> String = |command| queue(command, &[("Available", "Waiting")]);
    let play = Play { changes: CHANGES, freeswitch: Some(freeswitch), ..Play::of("sla-alarm", RECORDING) };
    let effect = play.perform().await;
    effect.assert_delivered(2);
    assert!(effect.requests.is_empty());
}

#[tokio::test]
async fn the_alarm_comes_although_freeswitch_cannot_be_asked() {
    let effect = Play { changes: CHANGES, ..Play::of("sla-alarm", RECORDING) }.perform().await;
    effect.assert_delivered(2);
    let alarms = effect.posted_to("/chat/hooks/leads");
    assert!(alarms.contains(&&json!({ "text": "support@default: 40712345144 waits longer than 3 s." })), "{alarms:?}");
}
