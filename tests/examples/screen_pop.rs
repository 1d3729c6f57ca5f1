use serde_json::{Value, json};

use crate::play::Play;
use crate::receiver::Answer;

const CARD: u64 = 4_601_968_217_814_887;

fn open(agent: &str, waited_sec: f64) -> (&'static str, Value) {
    let body = json!({ "card": CARD, "agent": agent, "phone": "40712345005", "name": "Zoë Müller",
        "waited_sec": waited_sec, "customer": "CUST-00042" });
    ("/desk/cards", body)
}

fn close(agent: &str, outcome: &str) -> (&'static str, Value) {
    ("/desk/cards/close", json!({ "card": CARD, "agent": agent, "outcome": outcome, "keep": outcome == "bridged" }))
}

#[tokio::test]
async fn each_agents_card_opens_and_closes_in_this_order() {
    // The desk is slow to open cards: what closes them waits for that.
    let answer = |received: &crate::receiver::Received| {
        if received.path == "/desk/cards" {
            std::thread::sleep(std::time::Duration::from_millis(200));
        }
        Answer::ok()
    };
    let effect = Play { answer, ..Play::of("screen-pop", "05a_noanswer_then_answer.plain.esl.zst") }.perform().await;
    effect.assert_delivered(4);
    let came: Vec<(&str, Value)> =
        effect.requests.iter().map(|(_, path, body)| (path.as_str(), body.clone())).collect();
    let expected =
        [open("agent1", 0.04), close("agent1", "no_answer"), open("agent2", 6.26), close("agent2", "bridged")];
    assert_eq!(came, expected);
}

#[tokio::test]
async fn a_card_closes_although_the_caller_gave_up() {
    let effect = Play::of("screen-pop", "04_abandon_ringing.plain.esl.zst").perform().await;
    effect.assert_delivered(2);
    let (_, path, body) = &effect.requests[1];
    assert_eq!(
        (path.as_str(), &body["outcome"], &body["keep"]),
        ("/desk/cards/close", &json!("abandoned"), &json!(false))
    );
}
