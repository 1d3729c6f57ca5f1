use serde_json::json;

use crate::play::Play;

#[tokio::test]
async fn an_agent_who_lets_it_ring_is_told_of() {
    let effect = Play::of("missed-call", "05a_noanswer_then_answer.plain.esl.zst").perform().await;
    effect.assert_delivered(1);
    let text = "support@default: agent1 did not answer for 6 s. Zoë Müller has waited for 6 s.";
    assert_eq!(effect.posted_to("/chat/hooks/team"), [&json!({ "text": text })]);
}

#[tokio::test]
async fn who_refuses_or_cannot_be_reached_is_told_of_in_other_words() {
    for (recording, said) in
        [("06a_reject_486.plain.esl.zst", "refused"), ("31a_agent_480.plain.esl.zst", "could not be reached")]
    {
        let effect = Play::of("missed-call", recording).perform().await;
        let alerts = effect.posted_to("/chat/hooks/team");
        let text = alerts[0]["text"].as_str().expect("a text");
        assert!(text.starts_with(&format!("support@default: agent1 {said}. Zoë Müller has waited")), "{text}");
    }
}

#[tokio::test]
async fn a_caller_who_gives_up_is_no_agents_fault() {
    let effect = Play::of("missed-call", "04_abandon_ringing.plain.esl.zst").perform().await;
    effect.assert_delivered(0);
    assert!(effect.requests.is_empty());
}
