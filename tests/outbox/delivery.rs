//! Runs on their way to receivers of every kind.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hookswitch::delivery::{Client, Limits};
use hookswitch::esl::Nodes;
use hookswitch::flow::{Action, Flow, Flows, Runner};
use hookswitch::id::{FlowName, RunId};
use hookswitch::outbox::deliveries::Story;
use hookswitch::outbox::intervention::{Definitions, Effect, Intervention};
use hookswitch::outbox::{Deliveries, Filter, Opened, Outbox, RunState, Settings};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::receiver::{Answer, Received, Receiver, closed_port};
use crate::sample::{SECRET, entry, flow, http, log, moment_id, webhook};

const SOON: [Duration; 3] = [Duration::from_millis(20); 3];

/// An outbox with a runner, as the daemon has it.
pub(crate) struct Daemon {
    pub(crate) outbox: Outbox,
    pub(crate) path: PathBuf,
    flows: watch::Sender<Arc<Flows>>,
    configured: Mutex<BTreeMap<FlowName, Arc<Flow>>>,
    end: CancellationToken,
    runner: tokio::task::JoinHandle<()>,
    _directory: TempDir,
}

impl Daemon {
    pub(crate) fn start(limits: Limits) -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let directory = TempDir::new().expect("a directory");
        let path = directory.path().join("outbox.db");
        let Opened { outbox, runs, .. } = Opened::open(&Settings::at(&path)).expect("opens");
        let (flows, configured) = watch::channel(Arc::default());
        let client = Arc::new(Client::new(limits).expect("a client"));
        let runner = Runner { outbox: outbox.clone(), client, nodes: Nodes::default(), flows: configured };
        let end = CancellationToken::new();
        let runner = tokio::spawn(runner.run(runs, end.clone(), Duration::from_secs(3)));
        Self { outbox, path, flows, configured: Mutex::default(), end, runner, _directory: directory }
    }

    fn configure(&self, flow: &Arc<Flow>) {
        let mut configured = self.configured.lock().expect("is not poisoned");
        configured.insert(flow.name.clone(), flow.clone());
        self.flows.send_replace(Arc::new(configured.values().cloned().collect()));
    }

    /// Commits an attempt's moment that starts the flow.
    pub(crate) async fn fire(&self, attempt: u32, number: u32, flow: &Arc<Flow>) -> RunId {
        self.configure(flow);
        self.outbox.commit(entry(attempt, number, std::slice::from_ref(flow))).await.expect("commits").runs[0]
    }

    /// Waits until the run is over.
    pub(crate) async fn over(&self, run: RunId) -> Story {
        self.until(run, RunState::is_over).await
    }

    async fn until(&self, run: RunId, reached: impl Fn(RunState) -> bool) -> Story {
        let deliveries = Deliveries::open(&self.path).expect("opens");
        for _ in 0..6_000 {
            let story = deliveries.show(run).expect("reads").expect("is there");
            if reached(story.run.state) {
                return story;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("run {run} did not get there within a minute");
    }
}

/// What becomes of a run at a receiver that answers so.
async fn story_of(answer: impl Fn(&Received) -> Answer + Send + Sync + 'static) -> Story {
    let receiver = Receiver::start(answer).await;
    let daemon = Daemon::start(Limits::default());
    let run = daemon.fire(1, 0, &webhook("crm", &receiver.url(), &SOON)).await;
    daemon.over(run).await
}

/// The first answer is `first`, all further ones are good.
fn once(first: Answer) -> impl Fn(&Received) -> Answer {
    let count = AtomicU32::new(0);
    move |_| if count.fetch_add(1, Ordering::Relaxed) == 0 { first.clone() } else { Answer::ok() }
}

#[track_caller]
fn assert_story(story: &Story, state: RunState, tries: usize, error: &str) {
    assert_eq!((story.run.state, story.tries.len()), (state, tries), "{story:?}");
    let errors: Vec<_> = story.tries.iter().filter_map(|attempted| attempted.error.as_deref()).collect();
    assert!(error.is_empty() == errors.is_empty() && errors.iter().all(|found| found.contains(error)), "{errors:?}");
}

#[tokio::test]
async fn a_webhook_is_signed_and_named() {
    let mut receiver = Receiver::start(|_| Answer::Json(r#"{"taken":true}"#.into())).await;
    let daemon = Daemon::start(Limits::default());
    let run = daemon.fire(1, 0, &webhook("crm", &receiver.url(), &[])).await;
    let received = receiver.next().await;
    assert_eq!((received.method.as_str(), received.header("webhook-id")), ("POST", &*format!("whr_{run}_0")));
    assert!(received.header("user-agent").starts_with("hookswitch/"));
    assert_eq!(received.path, "/hook");
    assert_eq!(received.field("id"), moment_id(1, 0).to_string());
    assert_eq!(received.field("variables")["customer_id"], "CUST-00042");
    let webhook = standardwebhooks::Webhook::new(SECRET).expect("a secret");
    let text = format!("{:?}", received.headers);
    let signed = webhook.sign(
        received.header("webhook-id"),
        received.header("webhook-timestamp").parse().expect("seconds"),
        &received.body,
    );
    assert_eq!(received.header("webhook-signature"), signed.expect("signs"), "{text}");
    let story = daemon.over(run).await;
    assert_story(&story, RunState::Delivered, 1, "");
    let response = story.tries[0].response.as_ref().expect("an answer");
    assert_eq!((response.status, response.body.as_str(), response.truncated), (200, r#"{"taken":true}"#, false));
}

#[tokio::test]
async fn a_server_error_is_tried_again_under_the_same_webhook_id() {
    let mut receiver = Receiver::start(once(Answer::Status("500 Internal Server Error", String::new()))).await;
    let daemon = Daemon::start(Limits::default());
    let run = daemon.fire(1, 0, &webhook("crm", &receiver.url(), &SOON)).await;
    let (first, second) = (receiver.next().await, receiver.next().await);
    assert_eq!(first.header("webhook-id"), second.header("webhook-id"));
    assert_eq!(first.body, second.body);
    assert_story(&daemon.over(run).await, RunState::Delivered, 2, "500");
}

#[tokio::test]
async fn tries_that_are_used_up_leave_a_failed_run() {
    let story = story_of(|_| Answer::Status("503 Service Unavailable", String::new())).await;
    assert_story(&story, RunState::Failed, 4, "503");
    assert_eq!(story.run.error.as_deref(), Some("503 Service Unavailable (try 4, the last)"));
}

#[tokio::test]
async fn a_receiver_that_asks_for_time_is_given_it() {
    for value in [|| "1".to_owned(), || http_date_in(2)] {
        let count = AtomicU32::new(0);
        let story = story_of(move |_| match count.fetch_add(1, Ordering::Relaxed) {
            0 => Answer::Status("429 Too Many Requests", format!("Retry-After: {}\r\n", value())),
            _ => Answer::ok(),
        })
        .await;
        assert_story(&story, RunState::Delivered, 2, "429");
        let waited = story.tries[1].started_at.0.duration_since(story.tries[0].started_at.0);
        // A date has whole seconds, so nearly one may be gone already.
        assert!(waited.as_millis() >= 900, "{waited:?}");
    }
}

fn http_date_in(seconds: i64) -> String {
    let date = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(seconds);
    date.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

#[tokio::test]
async fn a_refusal_is_final() {
    for (status, words) in [
        ("400 Bad Request", "400"),
        ("404 Not Found", "404"),
        ("410 Gone", "wants no more"),
        ("302 Found", "redirects are not followed"),
    ] {
        let story = story_of(move |_| Answer::Status(status, "Location: http://127.0.0.1:1/\r\n".into())).await;
        assert_story(&story, RunState::Failed, 1, words);
    }
}

#[tokio::test]
async fn an_answer_without_end_is_cut() {
    let story = story_of(|_| Answer::Endless).await;
    assert_story(&story, RunState::Delivered, 1, "");
    let response = story.tries[0].response.as_ref().expect("an answer");
    assert!(response.truncated && response.body.len() == 4_096);
}

#[tokio::test]
async fn an_answer_that_stalls_is_cut_and_counts_by_its_status() {
    let story = story_of(|_| Answer::Stalled).await;
    assert_story(&story, RunState::Delivered, 1, "");
    let response = story.tries[0].response.as_ref().expect("an answer");
    assert!(response.truncated && response.body == "beginning");
}

#[tokio::test]
async fn a_connection_that_breaks_off_is_tried_again() {
    assert_story(&story_of(once(Answer::Reset)).await, RunState::Delivered, 2, "the connection was");
}

#[tokio::test]
async fn a_receiver_that_says_nothing_is_tried_again() {
    let receiver = Receiver::start(once(Answer::Silence)).await;
    let daemon = Daemon::start(Limits::default());
    let Action::Http(mut step) = http(&receiver.url(), &SOON) else { panic!("is HTTP") };
    step.timeout = Duration::from_millis(500);
    let run = daemon.fire(1, 0, &flow("crm", vec![Action::Http(step)])).await;
    assert_story(&daemon.over(run).await, RunState::Delivered, 2, "it took too long");
}

#[tokio::test]
async fn what_keeps_a_request_from_its_receiver_is_said_in_words() {
    let closed = closed_port().await;
    let plain = plain_speaker().await;
    for (url, words) in [
        (format!("http://{closed}/"), "the connection was refused"),
        ("http://nowhere.invalid/".to_owned(), "the host's name can't be resolved"),
        (format!("https://{plain}/"), "no secure connection"),
    ] {
        let daemon = Daemon::start(Limits::default());
        let run = daemon.fire(1, 0, &webhook("crm", &url, &SOON[..1])).await;
        assert_story(&daemon.over(run).await, RunState::Failed, 2, words);
    }
}

/// Speaks before it is spoken to, and no TLS.
async fn plain_speaker() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
            let _ = stream.read(&mut [0; 1_024]).await;
        }
    });
    address
}

#[tokio::test]
async fn an_attempts_runs_keep_their_order_while_one_is_tried_again() {
    let count = AtomicU32::new(0);
    let mut receiver = Receiver::start(move |_| match count.fetch_add(1, Ordering::Relaxed) {
        0..3 => Answer::Status("500 Internal Server Error", String::new()),
        _ => Answer::ok(),
    })
    .await;
    let daemon = Daemon::start(Limits::default());
    let crm = webhook("crm", &receiver.url(), &SOON);
    for number in 0..4 {
        daemon.fire(1, number, &crm).await;
    }
    let mut sequences = Vec::new();
    for _ in 0..7 {
        sequences.push(receiver.next().await.field("sequence").as_u64().expect("a number"));
    }
    assert_eq!(sequences, [1, 1, 1, 1, 2, 3, 4]);
}

#[tokio::test]
async fn a_run_that_failed_for_good_makes_room_for_the_next() {
    let mut receiver = Receiver::start(once(Answer::Status("400 Bad Request", String::new()))).await;
    let daemon = Daemon::start(Limits::default());
    let crm = webhook("crm", &receiver.url(), &SOON);
    for number in 0..2 {
        daemon.fire(1, number, &crm).await;
    }
    assert_eq!(receiver.next().await.field("sequence"), 1);
    assert_eq!(receiver.next().await.field("sequence"), 2);
}

/// More runs than there are seats and permits wait for a receiver that never answers.
#[tokio::test]
async fn a_dead_receiver_delays_nobody_else() {
    let silent = Receiver::start(|_| Answer::Silence).await;
    let mut alive = Receiver::start(|_| Answer::ok()).await;
    let daemon = Daemon::start(Limits::new(8, 4));
    let stuck = webhook("stuck", &silent.url(), &[]);
    let lively = webhook("lively", &alive.url(), &[]);
    let entries: Vec<_> = (0..1_500).map(|attempt| entry(attempt, 0, std::slice::from_ref(&stuck))).collect();
    for entry in entries {
        let _receipt = daemon.outbox.submit(entry).await.expect("is taken");
    }
    for attempt in 0..200 {
        daemon.fire(attempt, 1, &lively).await;
    }
    let mut delivered = BTreeMap::new();
    for _ in 0..200 {
        let received = alive.next().await;
        *delivered.entry(received.header("webhook-id").to_owned()).or_insert(0) += 1;
    }
    assert_eq!(delivered.len(), 200);
}

#[tokio::test]
async fn a_step_that_is_done_is_not_done_again() {
    let mut first = Receiver::start(|_| Answer::ok()).await;
    let mut second = Receiver::start(once(Answer::Status("500 Internal Server Error", String::new()))).await;
    let daemon = Daemon::start(Limits::default());
    let steps = vec![http(&first.url(), &SOON), log("{{ event }}"), http(&second.url(), &SOON)];
    let run = daemon.fire(1, 0, &flow("crm", steps)).await;
    let story = daemon.over(run).await;
    assert_story(&story, RunState::Delivered, 3, "500");
    assert_eq!(story.tries.iter().map(|attempted| attempted.step.as_str()).collect::<Vec<_>>(), ["0", "2", "2"]);
    assert_eq!(first.next().await.header("webhook-id"), format!("whr_{run}_0"));
    assert_eq!(second.next().await.header("webhook-id"), format!("whr_{run}_2"));
    assert!(first.requests.try_recv().is_err());
}

#[tokio::test]
async fn a_run_whose_flow_is_gone_fails_visibly_and_can_be_retried() {
    let mut receiver = Receiver::start(|_| Answer::Status("400 Bad Request", String::new())).await;
    let daemon = Daemon::start(Limits::default());
    let crm = webhook("crm", &receiver.url(), &SOON);
    let run = daemon.fire(1, 0, &crm).await;
    daemon.over(run).await;
    receiver.next().await;
    daemon.flows.send_replace(Arc::default());
    retry(&daemon, run);
    let story = daemon.until_error(run, "no longer configured").await;
    assert_eq!(story.run.state, RunState::Failed);
    daemon.configure(&crm);
    retry(&daemon, run);
    assert_eq!(receiver.next().await.header("webhook-id"), format!("whr_{run}_0"));
}

#[tokio::test]
async fn a_daemon_that_ends_finishes_what_is_soon_done_and_leaves_the_rest_for_the_next() {
    let mut slow = Receiver::start(|_| Answer::Stalled).await;
    let mut silent = Receiver::start(|_| Answer::Silence).await;
    let daemon = Daemon::start(Limits::default());
    let Action::Http(mut step) = http(&slow.url(), &[]) else { panic!("is HTTP") };
    step.timeout = Duration::from_millis(100);
    let soon = daemon.fire(1, 0, &flow("soon", vec![Action::Http(step)])).await;
    let never = daemon.fire(2, 0, &webhook("never", &silent.url(), &[])).await;
    slow.next().await;
    silent.next().await;
    daemon.end.cancel();
    daemon.runner.await.expect("ends");
    let deliveries = Deliveries::open(&daemon.path).expect("opens");
    let state = |run| deliveries.show(run).expect("reads").expect("is there").run.state;
    assert_eq!((state(soon), state(never)), (RunState::Delivered, RunState::Running));
}

fn retry(daemon: &Daemon, run: RunId) {
    let mut deliveries = Deliveries::open(&daemon.path).expect("opens");
    let retry = Intervention::Retry { with: Definitions::Own, expired: false };
    let changes = deliveries.intervene(retry, &Filter::run(run), jiff::Timestamp::now()).expect("retries");
    assert_eq!((changes[0].was, changes[0].effect), (RunState::Failed, Effect::Became(RunState::Pending)));
}

impl Daemon {
    async fn until_error(&self, run: RunId, words: &str) -> Story {
        for _ in 0..6_000 {
            let story = self.over(run).await;
            if story.run.error.as_deref().is_some_and(|error| error.contains(words)) {
                return story;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("run {run} did not get there within a minute");
    }
}
