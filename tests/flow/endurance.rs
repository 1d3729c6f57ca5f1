//! A thousand runs at a receiver that fails in every way.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use hookswitch::outbox::intervention::{Definitions, Effect, Intervention};
use hookswitch::outbox::{Filter, RunState};
use tempfile::TempDir;

use crate::receiver::{Answer, Receiver};
use crate::stage::Stage;

const ATTEMPTS: u32 = 100;
const MOMENTS: u32 = 10;

/// The receiver's answers in turn; every seventh is good.
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

    let mut seen: BTreeSet<(u64, u64)> = BTreeSet::new();
    let mut latest: BTreeMap<u64, u64> = BTreeMap::new();
    while let Ok(received) = receiver.requests.try_recv() {
        let number = |name| received.field(name).as_u64().expect("a number");
        let (attempt, sequence) = (number("attempt_id"), number("sequence"));
        let before = latest.insert(attempt, sequence).unwrap_or(0);
        assert!(before <= sequence, "attempt {attempt} told {sequence} after {before}");
        seen.insert((attempt, sequence));
    }
    assert_eq!(seen.len(), (ATTEMPTS * MOMENTS) as usize);

    is_well.store(true, Ordering::Relaxed);
    let everything = Filter { flow: Some("f".into()), ..Filter::default() };
    let retry = Intervention::Retry { with: Definitions::Own, expired: false };
    let changes = stage.deliveries().intervene(retry, &everything, jiff::Timestamp::now()).expect("retries");
    let retried = changes.iter().filter(|change| matches!(change.effect, Effect::Became(_)));
    assert_eq!((changes.len(), retried.count()), (runs.len(), failed.len()));
    for run in &runs {
        stage.over_with(*run, RunState::Delivered).await;
    }
    // Those that the receiver keeps waiting end with it.
    tokio::time::timeout(Duration::from_secs(60), stage.stop()).await.expect("ends");
}
