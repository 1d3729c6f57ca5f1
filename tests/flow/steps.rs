//! What each kind of step does, and what it leaves to those after it.

use hookswitch::outbox::RunState;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::receiver::{Answer, Received, Receiver};
use crate::stage::{Stage, paths};
use crate::switchboard::Switchboard;

fn body(received: &Received) -> Value {
    serde_json::from_slice(&received.body).expect("JSON")
}

/// A flow `f` of these steps, in which `URL` stands for the receiver.
fn flow(steps: &str, receiver: &Receiver) -> String {
    format!("[flows.f]\nsteps = [{}]\n", steps.replace("URL", &receiver.url()))
}

async fn switchboard() -> Switchboard {
    Switchboard::start(|command| match command {
        "uuid_getvar channel tier" => "gold".into(),
        "uuid_getvar channel nothing" => "_undef_".into(),
        command if command.contains("list members") => {
            let members = json!([{ "queue": "q", "uuid": "m", "session_uuid": "s", "state": "Waiting",
                "joined_epoch": "1795421926" }]);
            json!({ "status": "success", "response": members }).to_string()
        }
        command if command.contains("list agents") => {
            let agents = json!([{ "name": "a", "status": "Available", "state": "Waiting" },
                { "name": "b", "status": "Available", "state": "In a queue call" }]);
            json!({ "status": "success", "response": agents }).to_string()
        }
        "uuid_kill channel" => "-ERR No such channel!\n".into(),
        _ => "+OK\n".into(),
    })
    .await
}

#[tokio::test]
async fn a_result_that_is_saved_keeps_its_types_and_chooses_what_follows() {
    let answer = json!({ "vip": true, "tier": "gold", "calls": 3 }).to_string();
    let mut receiver = Receiver::start(move |_| Answer::Json(answer.clone())).await;
    let directory = TempDir::new().expect("a directory");
    let steps = r#"
        { http = { url = "URL" }, save = "crm" },
        { set = { greeting = "Hello {{ crm.body.tier }}", calls = "{{ crm.body.calls }}" } },
        { if = "crm.body.vip and calls == 3", then = [
            { switch = "crm.body.tier", cases = { silver = [{ stop = "failed" }], gold = [
                { http = { url = "URL", json = { text = "{{ greeting }}", calls = "{{ calls }}", status = "{{ crm.status }}", missing = "{{ crm.body.no.such }}" } } },
            ] } },
        ], else = [{ stop = "failed" }] },
    "#;
    let stage = Stage::start(&directory, &flow(steps, &receiver));
    let run = stage.fire("f", 1, 0).await;
    let story = stage.over(run).await;
    assert_eq!(story.run.state, RunState::Delivered, "{story:?}");
    assert_eq!(paths(&story), ["0", "1", "2", "2/then/0", "2/then/0/cases/gold/0"]);
    assert_eq!(receiver.next().await.header("webhook-id"), format!("whr_{run}_0"));
    let second = receiver.next().await;
    assert_eq!(second.header("webhook-id"), format!("whr_{run}_2-then-0-cases-gold-0"));
    assert_eq!(body(&second), json!({ "text": "Hello gold", "calls": 3, "status": 200, "missing": null }));
    let saved = story.steps[1].saved.as_ref().expect("was saved").get();
    assert_eq!(saved, r#"{"calls":3,"greeting":"Hello gold"}"#);
}

#[tokio::test]
async fn a_failed_step_ends_the_run_or_is_passed_over_or_answered_by_another_flow() {
    let mut receiver = Receiver::start(|received| match received.path.as_str() {
        "/hook/bad" => Answer::Status("400 Bad Request", String::new()),
        _ => Answer::ok(),
    })
    .await;
    let directory = TempDir::new().expect("a directory");
    let steps = r#"
        { http = { url = "URL/bad" }, on_error = "continue" },
        { http = { url = "URL/bad" }, on_error = "alarm" },
        { flow = "alarm" },
        { http = { url = "URL/bad" } },
        { http = { url = "URL/never" } },
    "#;
    let alarm = r#"{ http = { url = "URL/alarm", json = { at = "{{ error.step }}", why = "{{ error.reason }}" } } }"#;
    let text = flow(steps, &receiver) + &flow(alarm, &receiver).replace("[flows.f]", "[flows.alarm]");
    let stage = Stage::start(&directory, &text);
    let story = stage.over(stage.fire("f", 1, 0).await).await;
    assert_eq!((story.run.state, story.run.step), (RunState::Failed, 5));
    assert_eq!(story.run.error.as_deref(), Some("step 3: 400 Bad Request"));
    assert_eq!(paths(&story), ["0", "1", "1/on_error/0", "2", "2/flow/0"]);
    assert_eq!(story.steps[0].error.as_deref(), Some("400 Bad Request"));
    let mut received = Vec::new();
    for _ in 0..5 {
        received.push(receiver.next().await);
    }
    let seen: Vec<&str> = received.iter().map(|received| received.path.as_str()).collect();
    assert_eq!(seen, ["/hook/bad", "/hook/bad", "/hook/alarm", "/hook/alarm", "/hook/bad"]);
    assert_eq!(body(&received[2]), json!({ "at": "1", "why": "400 Bad Request" }));
}

#[tokio::test]
async fn a_flow_can_end_its_run_as_delivered_or_as_failed() {
    let receiver = Receiver::start(|_| Answer::ok()).await;
    for (end, state) in [("delivered", RunState::Delivered), ("failed", RunState::Failed)] {
        let directory = TempDir::new().expect("a directory");
        let steps = format!(
            r#"{{ if = "true", then = [{{ stop = "{end}", reason = "{{{{ queue_name }}}}" }}] }}, {{ http = {{ url = "URL" }} }}"#
        );
        let stage = Stage::start(&directory, &flow(&steps, &receiver));
        let story = stage.over(stage.fire("f", 1, 0).await).await;
        assert_eq!(story.run.state, state);
        let reason = "step 0/then/0: support@default";
        assert_eq!(story.run.error.as_deref(), (state == RunState::Failed).then_some(reason));
    }
}

#[tokio::test]
async fn commands_are_given_to_the_attempts_node_and_their_answers_can_be_saved() {
    let (receiver, switchboard) = (Receiver::start(|_| Answer::ok()).await, switchboard().await);
    let directory = TempDir::new().expect("a directory");
    let steps = r#"
        { freeswitch = { uuid_getvar = ["channel", "tier"] }, save = "tier" },
        { freeswitch = { uuid_getvar = ["channel", "nothing"] }, save = "nothing" },
        { freeswitch = { uuid_setvar = ["channel", "said", "{{ tier }} {{ nothing is none }}"] } },
        { freeswitch = { uuid_transfer = ["channel", "{{ destination }}"] } },
        { freeswitch = { uuid_broadcast = ["channel", "/sounds/{{ agent_extension }}.wav", "both"] } },
        { freeswitch = { agent_status = ["{{ agent_name }}", "On Break"] } },
        { freeswitch = { agent_state = ["{{ agent_name }}", "Waiting"] } },
        { queue_info = {}, save = "queue" },
        { freeswitch = { uuid_kill = ["channel"] }, on_error = "continue" },
        { if = "queue.waiting == 1 and queue.agents_free == 1 and queue.agents_busy == 1", else = [{ stop = "failed" }], then = [] },
    "#;
    let stage = Stage::start(&directory, &flow(steps, &receiver));
    stage.follow(&switchboard);
    let story = stage.over(stage.fire("f", 1, 0).await).await;
    assert_eq!(story.run.state, RunState::Delivered, "{story:?}");
    let lines = switchboard.lines();
    assert_eq!(
        lines[2..7],
        [
            "uuid_setvar channel said gold true",
            "uuid_transfer channel 2001 XML default",
            "uuid_broadcast channel /sounds/1000.wav both",
            "callcenter_config agent set status agent1 'On Break'",
            "callcenter_config agent set state agent1 'Waiting'",
        ]
    );
    let refused = story.steps.iter().find(|step| step.path == "8").expect("is over");
    assert!(refused.error.as_deref().is_some_and(|error| error.contains("No such channel")), "{refused:?}");
    let command = story.tries[0].command.as_ref().expect("was given");
    assert_eq!((command.line.as_str(), command.answer.as_deref()), ("api uuid_getvar channel tier", Some("gold")));
}

#[tokio::test]
async fn a_node_may_come_later() {
    let (receiver, switchboard) = (Receiver::start(|_| Answer::ok()).await, switchboard().await);
    let directory = TempDir::new().expect("a directory");
    let waits = vec!["50ms"; 50];
    let steps = format!(r#"{{ freeswitch = {{ uuid_setvar = ["channel", "a", "b"], retry = {waits:?} }} }}"#);
    let stage = Stage::start(&directory, &flow(&steps, &receiver));
    let run = stage.fire("f", 1, 0).await;
    stage.until(run, |story| !story.tries.is_empty()).await;
    stage.follow(&switchboard);
    let story = stage.over(run).await;
    assert_eq!(story.run.state, RunState::Delivered, "{story:?}");
    assert!(story.tries[0].error.as_deref().is_some_and(|error| error.contains("is not followed")));
    assert_eq!(switchboard.lines(), ["uuid_setvar channel a b"]);
}

#[tokio::test]
async fn a_call_that_would_add_a_command_gives_none() {
    let (receiver, switchboard) = (Receiver::start(|_| Answer::ok()).await, switchboard().await);
    let directory = TempDir::new().expect("a directory");
    let steps = r#"
        { freeswitch = { uuid_setvar = ["channel", "name", "{{ member_name }}"] }, on_error = "continue" },
        { freeswitch = { uuid_transfer = ["channel", "{{ member_name }}"] }, on_error = "continue" },
        { freeswitch = { uuid_broadcast = ["channel", "{{ member_name }}"] }, on_error = "continue" },
        { freeswitch = { agent_status = ["{{ member_name }}", "On Break"] }, on_error = "continue" },
        { log = { message = "{{ member_name }}" } },
    "#;
    let stage = Stage::start(&directory, &flow(steps, &receiver));
    stage.follow(&switchboard);
    for (attempt, name) in ["x\n\napi shutdown", "x\r\n", "\u{0}", "a\u{b}b"].into_iter().enumerate() {
        let attempt = attempt.try_into().expect("small");
        let run = stage.fire_changed("f", attempt, 0, |payload| payload.member_name = Some(name.into())).await;
        let story = stage.over(run).await;
        assert_eq!(story.run.state, RunState::Delivered);
        assert!(story.steps[..4].iter().all(|step| step.error.is_some()), "{story:?}");
    }
    assert_eq!(switchboard.lines(), [""; 0]);
}

#[tokio::test]
async fn a_flow_that_saves_too_much_fails_visibly() {
    let receiver = Receiver::start(|_| Answer::ok()).await;
    let directory = TempDir::new().expect("a directory");
    let text = "x".repeat(40_000);
    let stage = Stage::start(
        &directory,
        &flow(
            r#"{ set = { a = "{{ member_name }}", b = "{{ member_name }}" } }, { http = { url = "URL" } }"#,
            &receiver,
        ),
    );
    let run = stage.fire_changed("f", 1, 0, |payload| payload.member_name = Some(text)).await;
    let story = stage.over(run).await;
    assert_eq!(story.run.error.as_deref(), Some("step 0: the result is longer than 65536 bytes"));
}
