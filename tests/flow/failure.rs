//! A flow that is told of what failed for good: once for each failure, with what failed and why, and never of itself.

use hookswitch::id::RunId;
use hookswitch::outbox::intervention::{Definitions, Intervention};
use hookswitch::outbox::{Filter, RunState};
use jiff::Timestamp;
use serde_json::{Value as Json, json};
use tempfile::TempDir;

use crate::receiver::{Answer, Received, Receiver};
use crate::stage::Stage;

/// A flow whose second step is refused, and one that is told of it.
fn text(receiver: &Receiver, alarm: &str) -> String {
    let url = receiver.url();
    format!(
        "delivery = {{ retry = [], on_failure = 'alarm' }}\n\
         [flows.f]\nsteps = [{{ set = {{ greeting = 'hello' }} }}, {{ http = {{ url = '{url}/refused' }} }}]\n\
         [flows.alarm]\n{alarm}\nsteps = [{{ http = {{ url = '{url}/alarm', json = {{ failure = '{{{{ failure }}}}', \
         queue = '{{{{ queue_name }}}}', words = '{{{{ failure.flow }}}}: {{{{ failure.reason }}}}' }} }} }}]\n"
    )
}

async fn refusing() -> Receiver {
    Receiver::start(|request| match request.path.as_str() {
        "/hook/refused" => Answer::Status("404 Not Found", String::new()),
        _ => Answer::ok(),
    })
    .await
}

fn body(received: &Received) -> Json {
    serde_json::from_slice(&received.body).expect("JSON")
}

/// The runs that tell of failures.
fn told(stage: &Stage) -> Vec<(RunId, RunState)> {
    let runs = stage.deliveries().list(&Filter::default(), 100).expect("reads");
    runs.into_iter().filter(|run| run.hook == "on_failure").map(|run| (run.id, run.state)).collect()
}

#[tokio::test]
async fn it_is_told_what_failed_where_and_why() {
    let mut receiver = refusing().await;
    let directory = TempDir::new().expect("a directory");
    let stage = Stage::start(&directory, &text(&receiver, ""));
    let run = stage.fire("f", 1, 0).await;
    assert_eq!(stage.over(run).await.run.state, RunState::Failed);
    assert_eq!(receiver.next().await.path, "/hook/refused");
    let alarm = receiver.next().await;
    let failure = json!({
        "kind": "run", "run": run, "flow": "f", "step": "1", "reason": "step 1: 404 Not Found", "tries": 1
    });
    let words = "f: step 1: 404 Not Found";
    assert_eq!(body(&alarm), json!({ "failure": failure, "queue": "support@default", "words": words }));
    let [(alarm, _)] = told(&stage)[..] else { panic!("told once: {:?}", told(&stage)) };
    let story = stage.over(alarm).await;
    assert_eq!((story.run.state, story.run.flow.as_str()), (RunState::Delivered, "alarm"));
}

#[tokio::test]
async fn its_own_failure_is_told_to_nobody() {
    let receiver = Receiver::start(|_| Answer::Status("400 Bad Request", String::new())).await;
    let directory = TempDir::new().expect("a directory");
    let stage = Stage::start(&directory, &text(&receiver, ""));
    let run = stage.fire("f", 1, 0).await;
    stage.over(run).await;
    let [(alarm, _)] = told(&stage)[..] else { panic!("told once: {:?}", told(&stage)) };
    assert_eq!(stage.over(alarm).await.run.state, RunState::Failed);
    // What it would begin would have been committed together with its failure.
    assert_eq!(told(&stage), [(alarm, RunState::Failed)]);
}

#[tokio::test]
async fn a_run_that_fails_again_is_told_of_again() {
    let mut receiver = refusing().await;
    let directory = TempDir::new().expect("a directory");
    let stage = Stage::start(&directory, &text(&receiver, ""));
    let run = stage.fire("f", 1, 0).await;
    for tries in 1..=3 {
        assert_eq!(receiver.next().await.path, "/hook/refused");
        let alarm = receiver.next().await;
        assert_eq!((alarm.path.as_str(), &body(&alarm)["failure"]["tries"]), ("/hook/alarm", &json!(tries)));
        assert_eq!(told(&stage).len(), tries);
        let retry = Intervention::Retry { with: Definitions::Own, expired: false };
        let only = Filter { runs: vec![run], ..Filter::default() };
        stage.deliveries().intervene(retry, &only, Timestamp::now()).expect("retries");
    }
}

#[tokio::test]
async fn what_it_is_told_outlives_a_restart() {
    let mut receiver = refusing().await;
    let directory = TempDir::new().expect("a directory");
    let stage = Stage::start(&directory, &text(&receiver, "paused = true"));
    let run = stage.fire("f", 1, 0).await;
    stage.over(run).await;
    let [(alarm, RunState::Pending)] = told(&stage)[..] else { panic!("rests: {:?}", told(&stage)) };
    stage.stop().await;
    assert_eq!(receiver.next().await.path, "/hook/refused");
    let stage = Stage::start(&directory, &text(&receiver, ""));
    assert_eq!(stage.over(alarm).await.run.state, RunState::Delivered);
    assert_eq!(body(&receiver.next().await)["failure"]["run"], json!(run));
}

#[tokio::test]
async fn a_run_that_cannot_be_taken_up_is_told_of_too() {
    let mut receiver = refusing().await;
    let directory = TempDir::new().expect("a directory");
    let resting = |secret| {
        let url = receiver.url();
        text(&receiver, "").replace(
            "[flows.alarm]",
            &format!("[flows.rests]\nsteps = [{{ wait = '1s' }}, {{ http = {{ url = '{url}/late', secrets = [{secret}] }} }}]\n[flows.alarm]"),
        )
    };
    let mut stage = Stage::start(&directory, &resting("'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'"));
    let run = stage.fire("rests", 1, 0).await;
    stage.at_rest(run).await;
    stage.configure(&text(&receiver, ""));
    assert_eq!(stage.over(run).await.run.state, RunState::Failed);
    let alarm = receiver.next().await;
    let told = &body(&alarm)["failure"];
    assert_eq!((alarm.path.as_str(), &told["step"], &told["tries"]), ("/hook/alarm", &json!(""), &json!(0)));
}

#[tokio::test]
async fn nobody_is_told_of_what_expired_or_was_cancelled() {
    let receiver = refusing().await;
    let directory = TempDir::new().expect("a directory");
    let resting =
        "[flows.rests]\nexpires_after = '300ms'\nsteps = [{ wait = '20s' }, { log = { message = 'late' } }]\n";
    let stage = Stage::start(&directory, &(text(&receiver, "") + resting));
    let expired = stage.fire("rests", 1, 0).await;
    assert_eq!(stage.over(expired).await.run.state, RunState::Expired);
    assert_eq!(told(&stage), []);
    let directory = TempDir::new().expect("a directory");
    let paused = Stage::start(&directory, &text(&receiver, "").replace("[flows.f]", "[flows.f]\npaused = true"));
    let run = paused.fire("f", 1, 0).await;
    let only = Filter { runs: vec![run], ..Filter::default() };
    paused.deliveries().intervene(Intervention::Cancel, &only, Timestamp::now()).expect("cancels");
    assert_eq!(paused.over(run).await.run.state, RunState::Cancelled);
    assert_eq!(told(&paused), []);
}

#[tokio::test]
async fn it_is_told_once_when_a_receiver_is_left_alone() {
    let ill = Receiver::start(|_| Answer::Status("503 Service Unavailable", String::new())).await;
    let mut well = Receiver::start(|_| Answer::ok()).await;
    let directory = TempDir::new().expect("a directory");
    let text = format!(
        "[delivery]\non_failure = 'alarm'\n\
         [flows.f]\nsteps = [{{ http = {{ url = '{}', retry = ['1h'] }} }}]\n\
         [flows.alarm]\nsteps = [{{ http = {{ url = '{}', json = {{ failure = '{{{{ failure }}}}' }} }} }}]\n",
        ill.url(),
        well.url()
    );
    let stage = Stage::start(&directory, &text);
    for attempt in 0..30 {
        let run = stage.fire("f", attempt, 0).await;
        stage.at_rest(run).await;
    }
    let failure = &body(&well.next().await)["failure"];
    assert_eq!((&failure["kind"], &failure["flow"]), (&json!("receiver"), &json!("f")));
    assert_eq!(failure["reason"], "503 Service Unavailable");
    assert_eq!(told(&stage).len(), 1, "of twenty failures and ten runs that were put off");
}
