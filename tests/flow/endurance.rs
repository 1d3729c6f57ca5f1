//! A thousand runs at a receiver that fails in every way.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use hookswitch::outbox::intervention::{Definitions, Effect, Intervention};
use hookswitch::outbox::{Filter, RunState};
use tempfile::TempDir;

use crate::receiver::{Answer, Received, Receiver};
use crate::stage::Stage;

const ATTEMPTS: u32 = 100;
const MOMENTS: u32 = 10;

/// The receiver's answers in turn: four that are tried again, a good one with a body that is never read to its end, one that
/// fails a run for good, and a good one.
fn answers() -> [Answer; 7] {
    [
        Answer::Status("500 Internal Server Error", String::new()),
        Answer::Status("429 Too Many Requests", "Retry-After: 1\r\n".into()),
        Answer::Reset,
        Answer::Silence,
        Answer::Endless,
        Answer::Status("302 Found", "Location: http://127.0.0.1:1/\r\n".into()),
        Answer::ok(),
    ]
}

/// The webhook ids that came, by attempt and sequence.
#[derive(Default)]
struct Names(BTreeMap<(u64, u64), BTreeSet<String>>);

impl Names {
    fn take(&mut self, received: &Received) -> (u64, u64) {
        let number = |name| received.field(name).as_u64().expect("a number");
        let moment = (number("attempt_id"), number("sequence"));
        self.0.entry(moment).or_default().insert(received.header("webhook-id").to_owned());
        moment
    }

    /// All moments came, each under one name, which is its own.
    fn assert_one_for_each_moment(&self) {
        let moments = (ATTEMPTS * MOMENTS) as usize;
        assert_eq!(self.0.len(), moments);
        assert!(self.0.values().all(|names| names.len() == 1), "a repeat has the same name");
        assert_eq!(self.0.values().flatten().collect::<BTreeSet<_>>().len(), moments);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_runs_are_done_in_order_whatever_the_receiver_does() {
    let (count, is_well) = (AtomicUsize::new(0), Arc::new(AtomicBool::new(false)));
    let mended = Arc::clone(&is_well);
    let mut receiver = Receiver::start(move |_| match mended.load(Ordering::Relaxed) {
        true => Answer::ok(),
        false => answers()[count.fetch_add(1, Ordering::Relaxed) % 7].clone(),
    })
    .await;
    let directory = TempDir::new().expect("a directory");
    let waits = ["20ms"; 40];
    let text = format!(
        "[delivery]\nconcurrency = 200\n[flows.f]\nsteps = [{{ http = {{ url = '{}', timeout = '500ms', retry = {waits:?} }} }}]",
        receiver.url()
    );
    let stage = Stage::start(&directory, &text);
    let mut runs = Vec::new();
    for number in 0..MOMENTS {
        for attempt in 0..ATTEMPTS {
            runs.push(stage.fire("f", attempt, number).await);
        }
    }
    for run in &runs {
        stage.until(*run, |story| story.run.state.is_over()).await;
    }
    let failed = Filter { states: vec![RunState::Failed], ..Filter::default() };
    let failed = stage.deliveries().list(&failed, u32::MAX).expect("lists");
    assert!(!failed.is_empty());
    let redirected = |error: &Option<String>| error.as_deref().is_some_and(|error| error.contains("redirects"));
    assert!(failed.iter().all(|run| redirected(&run.error)), "{failed:?}");

    let mut names = Names::default();
    let mut latest: BTreeMap<u64, u64> = BTreeMap::new();
    while let Ok(received) = receiver.requests.try_recv() {
        let (attempt, sequence) = names.take(&received);
        let before = latest.insert(attempt, sequence).unwrap_or(0);
        assert!(before <= sequence, "attempt {attempt} told {sequence} after {before}");
    }
    names.assert_one_for_each_moment();

    is_well.store(true, Ordering::Relaxed);
    let everything = Filter { flow: Some("f".into()), ..Filter::default() };
    let retry = Intervention::Retry { with: Definitions::Own, expired: false };
    let changes = stage.deliveries().intervene(retry, &everything, jiff::Timestamp::now()).expect("retries");
    let retried = changes.iter().filter(|change| matches!(change.effect, Effect::Became(_)));
    assert_eq!((changes.len(), retried.count()), (runs.len(), failed.len()));
    for run in &runs {
        stage.over_with(*run, RunState::Delivered).await;
    }
    while let Ok(received) = receiver.requests.try_recv() {
        names.take(&received);
    }
    names.assert_one_for_each_moment();
    // Those that the receiver keeps waiting end with it.
    tokio::time::timeout(Duration::from_secs(60), stage.stop()).await.expect("ends");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_sent_once_a_run_has_expired() {
    let count = AtomicUsize::new(0);
    // Those that are tried again.
    let mut receiver = Receiver::start(move |_| answers()[count.fetch_add(1, Ordering::Relaxed) % 4].clone()).await;
    let (directory, expires_after, waits) =
        (TempDir::new().expect("a directory"), Duration::from_secs(2), ["200ms"; 50]);
    let text = format!(
        "[delivery]\nconcurrency = 200\n[flows.f]\nexpires_after = '2s'\n\
         steps = [{{ http = {{ url = '{}', timeout = '500ms', retry = {waits:?} }} }}]",
        receiver.url()
    );
    let stage = Stage::start(&directory, &text);
    let mut runs = Vec::new();
    for attempt in 0..ATTEMPTS {
        // The second one waits for the first, and expires without a try.
        runs.push(stage.fire("f", attempt, 0).await);
        runs.push(stage.fire("f", attempt, 1).await);
    }
    let mut tries = 0;
    for run in runs {
        let story = stage.over(run).await;
        assert_eq!(story.run.state, RunState::Expired, "{story:?}");
        tries += story.tries.len();
        // Without an end the tries would go on for ten seconds and more.
        let latest = story.run.created_at.0 + expires_after + Duration::from_secs(3);
        assert!(story.tries.iter().all(|attempted| attempted.started_at.0 < latest), "{story:?}");
    }
    assert!(tries >= ATTEMPTS as usize);
    while receiver.requests.try_recv().is_ok() {}
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(receiver.requests.try_recv().is_err(), "nothing is due any more");
}
