//! A run ends with the definition that it began with, whatever becomes of the configuration meanwhile.

use hookswitch::id::RunId;
use hookswitch::outbox::intervention::{Definitions, Effect, Intervention};
use hookswitch::outbox::{Filter, RunState};
use tempfile::TempDir;

use crate::receiver::{Answer, Receiver};
use crate::stage::{Stage, paths};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// A flow that sends to `first`, rests, and calls a flow that sends to `second`.
fn text(receiver: &Receiver, wait: &str, second: &str) -> String {
    let url = receiver.url();
    format!(
        "[flows.f]\nsteps = [{{ http = {{ url = '{url}/first', secrets = ['{SECRET}'] }} }}, {{ wait = '{wait}' }}, \
         {{ flow = 'called' }}]\n[flows.called]\nsteps = [{{ http = {{ url = '{url}/{second}', secrets = ['{SECRET}'] }} }}]\n"
    )
}

/// The secret is still configured, but nothing else of the flows.
fn other(receiver: &Receiver) -> String {
    format!("[flows.other]\nsteps = [{{ http = {{ url = '{}', secrets = ['{SECRET}'] }} }}]\n", receiver.url())
}

#[tokio::test]
async fn an_edit_while_runs_rest_holds_for_later_ones_only() {
    let mut receiver = Receiver::start(|_| Answer::ok()).await;
    let directory = TempDir::new().expect("a directory");
    let mut stage = Stage::start(&directory, &text(&receiver, "1500ms", "old"));
    let mut runs = Vec::new();
    for attempt in 0..5 {
        let run = stage.fire("f", attempt, 0).await;
        assert_eq!(receiver.next().await.path, "/hook/first");
        stage.at_rest(run).await;
        runs.push(run);
    }
    stage.configure(&text(&receiver, "1ms", "new"));
    let later = stage.fire("f", 9, 0).await;
    assert_eq!(stage.over(later).await.run.state, RunState::Delivered);
    for path in ["/hook/first", "/hook/new"] {
        assert_eq!(receiver.next().await.path, path);
    }
    for run in runs {
        let story = stage.over(run).await;
        assert_eq!((story.run.state, paths(&story)), (RunState::Delivered, vec!["0", "1", "2", "2/flow/0"]));
        let received = receiver.next().await;
        assert_eq!((received.path.as_str(), received.header("webhook-signature").is_empty()), ("/hook/old", false));
    }
}

#[tokio::test]
async fn a_flow_that_is_gone_after_a_restart_is_still_known_to_its_runs() {
    let mut receiver = Receiver::start(|_| Answer::ok()).await;
    let directory = TempDir::new().expect("a directory");
    let stage = Stage::start(&directory, &text(&receiver, "1s", "old"));
    let run = stage.fire("f", 1, 0).await;
    stage.at_rest(run).await;
    stage.stop().await;
    let stage = Stage::start(&directory, &other(&receiver));
    assert_eq!(stage.over(run).await.run.state, RunState::Delivered);
    assert_eq!(receiver.next().await.path, "/hook/first");
    assert_eq!(receiver.next().await.path, "/hook/old");
    let stored = std::fs::read(&stage.path).expect("reads");
    let wal = std::fs::read(stage.path.with_extension("db-wal")).unwrap_or_default();
    for file in [stored, wal] {
        assert!(!String::from_utf8_lossy(&file).contains(SECRET), "secrets stay out of the outbox");
    }
}

#[tokio::test]
async fn a_definition_whose_secret_is_gone_fails_visibly() {
    let receiver = Receiver::start(|_| Answer::ok()).await;
    let directory = TempDir::new().expect("a directory");
    let mut stage = Stage::start(&directory, &text(&receiver, "1s", "old"));
    let run = stage.fire("f", 1, 0).await;
    stage.at_rest(run).await;
    stage.configure("");
    let story = stage.over(run).await;
    let error = story.run.error.expect("is told");
    assert!(error.contains("a secret that is written in it is not configured any more"), "{error}");
}

#[tokio::test]
async fn a_failed_run_resumes_at_the_failed_step_with_its_own_or_the_latest_definition() {
    let mut receiver = Receiver::start(|received| match received.path.as_str() {
        "/hook/bad" => Answer::Status("400 Bad Request", String::new()),
        _ => Answer::ok(),
    })
    .await;
    let directory = TempDir::new().expect("a directory");
    let mut stage = Stage::start(&directory, &text(&receiver, "1ms", "bad"));
    let run = stage.fire("f", 1, 0).await;
    let failed = async |stage: &Stage, tries: usize| {
        stage.until(run, |story| story.run.state == RunState::Failed && story.tries.len() == tries).await
    };
    failed(&stage, 2).await;
    let fixed = text(&receiver, "1ms", "good");
    stage.configure(&fixed.replace("{ flow = 'called' }]", "{ flow = 'called' }, { log = { message = 'x' } }]"));
    retry(&stage, run, Definitions::Own);
    failed(&stage, 3).await;
    retry(&stage, run, Definitions::Latest);
    let story = stage.over_with(run, RunState::Delivered).await;
    assert_eq!(paths(&story), ["0", "1", "2", "2/flow/0", "3"]);
    let mut seen = Vec::new();
    for _ in 0..4 {
        let received = receiver.next().await;
        seen.push((received.path.clone(), received.header("webhook-id").to_owned()));
    }
    let called = format!("whr_{run}_2-flow-0");
    let expected =
        [("first", format!("whr_{run}_0")), ("bad", called.clone()), ("bad", called.clone()), ("good", called)];
    assert_eq!(seen, expected.map(|(path, id)| (format!("/hook/{path}"), id)));
}

#[tokio::test]
async fn a_run_never_resumes_at_a_step_of_another_kind() {
    let receiver = Receiver::start(|_| Answer::Status("400 Bad Request", String::new())).await;
    let directory = TempDir::new().expect("a directory");
    let step = |step: &str| format!("[flows.f]\nsteps = [{{ log = {{ message = 'x' }} }}, {step}]");
    let mut stage = Stage::start(&directory, &step(&format!("{{ http = {{ url = '{}' }} }}", receiver.url())));
    let run = stage.fire("f", 1, 0).await;
    stage.over(run).await;
    stage.configure(&step("{ wait = '1h' }"));
    retry(&stage, run, Definitions::Latest);
    let changed = |story: &hookswitch::outbox::deliveries::Story| {
        story.run.error.as_deref() == Some("the flow `f` was changed: it has no http step 1 any more")
    };
    assert_eq!(stage.until(run, changed).await.run.state, RunState::Failed);
}

fn retry(stage: &Stage, run: RunId, with: Definitions) {
    let retry = Intervention::Retry { with, expired: false };
    let changes = stage.deliveries().intervene(retry, &Filter::run(run), jiff::Timestamp::now()).expect("retries");
    assert_eq!(changes[0].effect, Effect::Became(RunState::Pending));
}
