use std::time::Duration;

use hookswitch::outbox::RunState;
use serde_json::{Value, json};

use crate::play::{Effect, Play, SECRET};
use crate::receiver::{Answer, Received};

const RECORDING: &str = "30_answered.plain.esl.zst";

/// The member's call in the recording.
const CHANNEL: &str = "882c0edd-de01-4e39-8209-b11f480d632c";

async fn look_up(answer: fn(&Received) -> Answer, changes: &'static [(&'static str, &'static str)]) -> Effect {
    let freeswitch: fn(&str) -> String = |_| "+OK\n".into();
    Play { answer, changes, freeswitch: Some(freeswitch), ..Play::of("crm-lookup", RECORDING) }.perform().await
}

/// The recording's caller is in another queue than the lobby.
const LOBBY: (&str, &str) = ("lobby@default", "support@default");

#[tokio::test]
async fn the_crm_is_asked_and_what_it_says_is_on_the_call_before_it_goes_on() {
    let answer = |_: &Received| {
        Answer::Json(json!({ "name": "Zoë Müller (ACME)", "tier": "gold", "contact": "CUST-00042" }).to_string())
    };
    let effect = look_up(answer, &[LOBBY]).await;
    effect.assert_delivered(1);
    let asked = ("GET".to_owned(), "/crm/contacts?phone=40712346001".to_owned(), Value::Null);
    assert_eq!(effect.requests, [asked]);
    assert_eq!(effect.received[0].header("authorization"), SECRET);
    assert_eq!(
        effect.commands,
        [
            "uuid_setvar MEMBER crm_vip true",
            "uuid_setvar MEMBER effective_caller_id_name Zoë Müller (ACME)",
            "uuid_setvar MEMBER sip_h_X-CRM-Contact CUST-00042",
            "uuid_transfer MEMBER after_lobby XML default",
        ]
        .map(|command| command.replace("MEMBER", CHANNEL))
    );
}

#[tokio::test]
async fn a_caller_goes_on_whatever_becomes_of_the_crm() {
    for answer in [
        (|_| Answer::Status("404 Not Found", String::new())) as fn(&Received) -> Answer,
        |_| Answer::Status("500 Internal Server Error", String::new()),
        |_| Answer::Json("null".into()),
        |_| Answer::Json(r#"{"tier":{"gold":true},"name":""}"#.into()),
        |_| Answer::Reset,
        |_| Answer::Silence,
        |_| Answer::Endless,
    ] {
        let effect = look_up(answer, &[LOBBY, ("\"2s\"", "\"300ms\"")]).await;
        effect.assert_delivered(1);
        assert_eq!(effect.commands, [format!("uuid_transfer {CHANNEL} after_lobby XML default")]);
    }
}

#[tokio::test]
async fn a_name_that_would_be_a_command_is_left_out_and_the_caller_goes_on() {
    let answer =
        |_: &Received| Answer::Json(json!({ "name": "x\n\napi shutdown", "contact": "C\r\nX-Admin: 1" }).to_string());
    let effect = look_up(answer, &[LOBBY]).await;
    effect.assert_delivered(1);
    assert_eq!(effect.commands, [format!("uuid_transfer {CHANNEL} after_lobby XML default")]);
}

#[tokio::test]
async fn a_caller_is_not_transferred_when_it_is_too_late() {
    let answer = |_: &Received| {
        std::thread::sleep(Duration::from_millis(600));
        Answer::Json("{}".into())
    };
    let effect = look_up(answer, &[LOBBY, ("\"3s\"", "\"300ms\"")]).await;
    assert_eq!((effect.stories[0].run.state, effect.commands.len()), (RunState::Expired, 0));
}
