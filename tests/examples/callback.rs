use hookswitch::outbox::RunState;
use serde_json::json;

use crate::play::{Play, queue};

const RECORDING: &str = "03_abandon_waiting.plain.esl.zst";

#[tokio::test]
async fn who_gave_up_is_called_back_after_the_wait() {
    let freeswitch: fn(&str) -> String = |command| queue(command, &[("Available", "Waiting")]);
    let changes = &[("\"15 min\"", "\"300ms\"")];
    let effect = Play { changes, freeswitch: Some(freeswitch), ..Play::of("callback", RECORDING) }.perform().await;
    effect.assert_delivered(1);
    let body = json!({ "phone": "40712345003", "name": "Zoë Müller", "queue": "support@default",
        "joined_at": "2026-11-23T08:19:24.479Z", "gave_up_at": "2026-11-23T08:19:29.499Z", "waited_sec": 5.02 });
    assert_eq!(effect.posted_to("/dialer/callbacks"), [&body]);
    let steps: Vec<&str> = effect.stories[0].steps.iter().map(|step| step.path.as_str()).collect();
    assert_eq!(steps, ["0", "1", "2", "3"]);
}

#[tokio::test]
async fn where_nobody_is_free_he_is_called_back_later() {
    let freeswitch: fn(&str) -> String = |command| queue(command, &[("Available", "In a queue call")]);
    let changes = &[("\"15 min\"", "\"300ms\"")];
    let effect = Play { changes, freeswitch: Some(freeswitch), ..Play::of("callback", RECORDING) }.perform().await;
    effect.assert_delivered(1);
    let steps: Vec<&str> = effect.stories[0].steps.iter().map(|step| step.path.as_str()).collect();
    assert_eq!(steps, ["0", "1", "2", "2/then/0", "3"]);
    assert_eq!(effect.requests.len(), 1);
}

#[tokio::test]
async fn nobody_is_called_back_after_the_hour() {
    let changes = &[("\"1h\"", "\"500ms\"")];
    let effect = Play { changes, ..Play::of("callback", RECORDING) }.perform().await;
    assert_eq!((effect.stories[0].run.state, effect.requests.len()), (RunState::Expired, 0));
}

#[tokio::test]
async fn who_was_answered_or_misdialled_is_not_called_back() {
    for recording in ["30_answered.plain.esl.zst", "04_abandon_ringing.plain.esl.zst"] {
        let effect = Play::of("callback", recording).perform().await;
        assert!(effect.stories.is_empty() && effect.requests.is_empty(), "{recording}");
    }
}
