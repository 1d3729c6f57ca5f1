//! Two flows that send to the same receiver, which takes less than they would send.

use std::time::Duration;

use tempfile::TempDir;

use crate::receiver::{Answer, Receiver};
use crate::stage::Stage;

/// How many runs of the urgent flow there are, each behind ten of the other.
const URGENT: u32 = 32;

/// Fires runs of two flows while both are paused, lets them go, and tells of each run in the order of arrival whether it is
/// of the urgent flow, until all of those are there.
async fn arrivals(limit: &str, priorities: [&str; 2]) -> Vec<bool> {
    let mut receiver = Receiver::start(|_| {
        std::thread::sleep(Duration::from_millis(5));
        Answer::ok()
    })
    .await;
    let (directory, url) = (TempDir::new().expect("a directory"), receiver.url());
    let origin = url::Url::parse(&url).expect("a URL").origin().ascii_serialization();
    let text = |paused: bool| {
        let flow = |(name, priority): (&str, &str)| {
            format!(
                "[flows.{name}]\npaused = {paused}\n{priority}\n\
                 steps = [{{ http = {{ url = '{url}', json = {{ flow = '{name}' }} }} }}]\n"
            )
        };
        let flows: String = ["log", "pop"].into_iter().zip(priorities).map(flow).collect();
        format!("[delivery.receivers.'{origin}']\n{limit}\n{flows}")
    };
    let mut stage = Stage::start(&directory, &text(true));
    for attempt in 0..URGENT {
        for number in 0..10 {
            stage.fire("log", attempt * 10 + number, 0).await;
        }
    }
    for attempt in 0..URGENT {
        stage.fire("pop", attempt, 1).await;
    }
    stage.configure(&text(false));
    let mut arrivals = Vec::new();
    while arrivals.iter().filter(|is_urgent| **is_urgent).count() < URGENT as usize {
        let request = receiver.next().await;
        let body: serde_json::Value = serde_json::from_slice(&request.body).expect("JSON");
        arrivals.push(body["flow"] == "pop");
    }
    arrivals
}

fn others(arrivals: &[bool]) -> usize {
    arrivals.iter().filter(|is_urgent| !**is_urgent).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 6)]
async fn the_urgent_flow_goes_first_at_a_receiver_that_both_use() {
    let high = ["", "priority = 'high'"];
    let low = ["priority = 'low'", ""];
    for limit in ["concurrency = 1", "concurrency = 4", "rate = 400"] {
        let without = others(&arrivals(limit, ["", ""]).await);
        for priorities in [high, low] {
            let arrivals = arrivals(limit, priorities).await;
            // Every eighth place goes to who has waited the longest, and some had gone before the first urgent run was read.
            let others = others(&arrivals);
            assert!(others < 16, "{limit}, {priorities:?}: {others} of the other flow went before: {arrivals:?}");
            assert!(without > 24, "{limit}: {without} without a priority, {others} with {priorities:?}");
        }
    }
}

#[tokio::test]
async fn a_moment_of_now_waits_for_one_place_and_not_for_the_backlog() {
    let mut receiver = Receiver::start(|_| Answer::ok()).await;
    let (directory, url) = (TempDir::new().expect("a directory"), receiver.url());
    let origin = url::Url::parse(&url).expect("a URL").origin().ascii_serialization();
    let flow = |name: &str, more: &str| {
        format!("[flows.{name}]\n{more}\nsteps = [{{ http = {{ url = '{url}', json = {{ flow = '{name}' }} }} }}]\n")
    };
    let text = format!(
        "[delivery.receivers.'{origin}']\nrate = 20\n{}{}",
        flow("log", "priority = 'low'"),
        flow("pop", "priority = 'high'")
    );
    let stage = Stage::start(&directory, &text);
    for attempt in 0..200 {
        stage.fire("log", attempt, 0).await;
    }
    receiver.next().await;
    stage.fire("pop", 1_000, 0).await;
    let mut before = 0;
    while !String::from_utf8_lossy(&receiver.next().await.body).contains("pop") {
        before += 1;
    }
    assert!(before < 40, "{before} of the backlog went before it");
}
