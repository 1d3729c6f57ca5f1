//! A receiver that is ill is left alone until a probe finds it well again, and no run loses its tries by that.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use hookswitch::outbox::intervention::{Definitions, Intervention};
use hookswitch::outbox::{Filter, RunState};
use tempfile::TempDir;

use crate::receiver::{Answer, Receiver};
use crate::stage::Stage;

const RUNS: u32 = 300;

/// Failures in a row that open the breaker, and requests that may be under way meanwhile.
const BEFORE_IT_OPENS: usize = 20 + 64;

#[tokio::test]
async fn an_ill_receiver_gets_a_probe_now_and_then_and_everything_once_it_is_well() {
    let (is_well, refused) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let receiver = Receiver::start({
        let (is_well, refused) = (is_well.clone(), refused.clone());
        move |_| {
            if is_well.load(Ordering::SeqCst) {
                return Answer::ok();
            }
            refused.fetch_add(1, Ordering::SeqCst);
            Answer::Status("503 Service Unavailable", String::new())
        }
    })
    .await;
    let directory = TempDir::new().expect("a directory");
    // Three tries within two seconds: without a breaker they are over before the receiver is back.
    let url = receiver.url();
    let text = format!("[flows.f]\nsteps = [{{ http = {{ url = '{url}', retry = ['1s', '1s'] }} }}]\n");
    let stage = Stage::start(&directory, &text);
    let mut runs = Vec::new();
    for attempt in 0..RUNS {
        runs.push(stage.fire("f", attempt, 0).await);
    }
    tokio::time::sleep(Duration::from_secs(4)).await;
    let while_ill = refused.load(Ordering::SeqCst);
    assert!((20..=BEFORE_IT_OPENS).contains(&while_ill), "{while_ill} requests to a receiver that answers none");
    is_well.store(true, Ordering::SeqCst);
    for run in runs {
        let story = stage.over(run).await;
        assert_eq!(story.run.state, RunState::Delivered, "{:?}", story.run.error);
        assert!(story.tries.len() <= 3, "to be put off is no try: {}", story.tries.len());
    }
}

#[tokio::test]
async fn a_receiver_that_refuses_is_well() {
    let receiver = Receiver::start(|_| Answer::Status("410 Gone", String::new())).await;
    let directory = TempDir::new().expect("a directory");
    let text = format!("[flows.f]\nsteps = [{{ http = {{ url = '{}' }} }}]\n", receiver.url());
    let stage = Stage::start(&directory, &text);
    for attempt in 0..100 {
        let run = stage.fire("f", attempt, 0).await;
        let story = stage.over(run).await;
        assert_eq!((story.run.state, story.tries.len()), (RunState::Failed, 1));
    }
}

#[tokio::test]
async fn a_run_that_is_retried_by_hand_tries_an_ill_receiver_at_once() {
    let is_well = Arc::new(AtomicBool::new(false));
    let receiver = Receiver::start({
        let is_well = is_well.clone();
        move |_| match is_well.load(Ordering::SeqCst) {
            true => Answer::ok(),
            false => Answer::Status("503 Service Unavailable", String::new()),
        }
    })
    .await;
    let directory = TempDir::new().expect("a directory");
    let text = format!("[flows.f]\nsteps = [{{ http = {{ url = '{}', retry = ['1h'] }} }}]\n", receiver.url());
    let stage = Stage::start(&directory, &text);
    for attempt in 0..30 {
        let run = stage.fire("f", attempt, 0).await;
        stage.until(run, |story| story.run.state == RunState::Pending).await;
    }
    // An old moment, which nobody asks for, would be put off for minutes.
    is_well.store(true, Ordering::SeqCst);
    let retry = Intervention::Retry { with: Definitions::Own, expired: false };
    let everything = Filter { states: vec![RunState::Pending], ..Filter::default() };
    let changes = stage.deliveries().intervene(retry, &everything, jiff::Timestamp::now()).expect("retries");
    assert_eq!(changes.len(), 30);
    for change in changes {
        assert_eq!(stage.over(change.run).await.run.state, RunState::Delivered);
    }
}
