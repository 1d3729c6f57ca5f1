use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::play::Play;
use crate::receiver::Answer;

fn rows(effect: &crate::play::Effect) -> BTreeMap<&str, &Value> {
    let rows = effect.requests.iter().map(|(method, path, body)| {
        assert!(method == "PUT" && path.starts_with("/log/calls/"), "{method} {path}");
        (body["phone"].as_str().expect("a text"), body)
    });
    rows.collect()
}

#[tokio::test]
async fn each_stay_in_a_queue_is_one_row() {
    let effect = Play::of("call-log", "14b_three_calls_one_agent.plain.esl.zst").perform().await;
    effect.assert_delivered(3);
    let rows = rows(&effect);
    assert_eq!((effect.requests.len(), rows.len()), (3, 3));
    assert_eq!(
        rows["40712345143"],
        &json!({ "queue": "support@default", "phone": "40712345143", "name": "Zoë Müller",
            "joined_at": "2026-11-23T08:10:39.054Z", "left_at": "2026-11-23T08:10:44.094Z", "waited_sec": 1.14,
            "talked_sec": 3.9, "result": "success", "reason": null, "agent": "agent2", "hung_up": "member", "offers": 1,
            "attempt": 4_421_258_275_252_443_u64, "previous_attempt": null })
    );
    assert_eq!(
        rows["40712345145"],
        &json!({ "queue": "support@default", "phone": "40712345145", "name": "Zoë Müller",
            "joined_at": "2026-11-23T08:10:41.034Z", "left_at": "2026-11-23T08:10:47.054Z", "waited_sec": 6.02,
            "talked_sec": null, "result": "abandoned", "reason": "hangup", "agent": null, "hung_up": "member", "offers": 0,
            "attempt": 5_417_181_009_784_961_u64, "previous_attempt": null })
    );
    assert!(effect.received.iter().all(|row| !row.header("webhook-signature").is_empty()));
}

#[tokio::test]
async fn a_call_through_two_queues_is_two_rows_that_belong_together() {
    let effect = Play::of("call-log", "08e_timeout_then_second_queue.plain.esl.zst").perform().await;
    let rows: Vec<&Value> = effect.requests.iter().map(|(_, _, body)| body).collect();
    let (first, second) = match rows[..] {
        [one, other] if one["previous_attempt"].is_null() => (one, other),
        [one, other] => (other, one),
        _ => panic!("{rows:?}"),
    };
    assert_eq!((&first["reason"], &second["result"]), (&json!("timeout"), &json!("success")));
    assert_eq!(second["previous_attempt"], first["attempt"]);
}

#[tokio::test]
async fn a_row_that_is_sent_again_has_the_same_name() {
    static TRIES: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let answer = |_: &crate::receiver::Received| match TRIES.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
        0 => Answer::Reset,
        _ => Answer::ok(),
    };
    let changes = &[("secrets = ", "retry = [\"20ms\", \"20ms\"]\nsecrets = ")];
    let play = Play { answer, changes, ..Play::of("call-log", "30_answered.plain.esl.zst") };
    let effect = play.perform().await;
    effect.assert_delivered(1);
    let [first, second] = &effect.received[..] else { panic!("{:?}", effect.requests) };
    assert_eq!((&first.path, first.header("webhook-id")), (&second.path, second.header("webhook-id")));
}
