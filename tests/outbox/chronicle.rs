//! What happened, as the page reads it.

use hookswitch::outbox::{Deliveries, Filter, Opened, Progress, RunState, Settings};
use jiff::{SignedDuration, Timestamp};
use tempfile::TempDir;

use crate::sample::{entry, flow, key, log};

#[tokio::test]
async fn moments_and_runs_are_read_in_their_order_and_only_what_is_new() {
    let directory = TempDir::new().expect("a directory");
    let path = directory.path().join("outbox.db");
    let mut opened = Opened::open(&Settings::at(&path)).expect("opens");
    let before = Timestamp::now() - SignedDuration::from_secs(1);
    let crm = flow("crm", vec![log("x")]);
    for attempt in 1..=5 {
        opened.outbox.commit(entry(attempt, 0, std::slice::from_ref(&crm))).await.expect("commits");
        let mut run = opened.runs.recv().await.expect("a run");
        let end = if attempt == 5 { Progress::Failed { reason: "x".into() } } else { Progress::Delivered };
        opened.outbox.record(run.report(None, end)).await.expect("records");
    }
    let log = Deliveries::open(&path).expect("opens");
    let (start, end) = (log.place_at(before).expect("reads"), log.place_at(Timestamp::MAX).expect("reads"));
    assert_eq!((start.moment, start.run), (0, 0));
    assert!(log.moments_after(end.moment, 10).expect("reads").is_empty());
    assert!(log.runs_after(end.run, 10).expect("reads").is_empty());

    let moments = log.moments_after(0, 3).expect("reads");
    let attempts: Vec<_> = moments.iter().map(|told| told.attempt).collect();
    assert_eq!(attempts, [1, 2, 3].map(|attempt| key(attempt).hash()));
    let rest = log.moments_after(moments[2].row, 10).expect("reads");
    assert_eq!(rest.len(), 2);
    let latest = log.latest_moments(Some("support@default"), 2).expect("reads");
    assert_eq!((latest.len(), latest[0].attempt), (2, key(5).hash()));
    assert!(log.latest_moments(Some("nobodys"), 2).expect("reads").is_empty());
    assert_eq!(log.moments_of(key(4).hash()).expect("reads").len(), 1);

    let runs = log.runs_after(0, 10).expect("reads");
    assert!(runs.iter().all(|run| run.hook == "support@default/hook") && runs.len() == 5);
    let states = log.states_of(&[runs[4].id]).expect("reads");
    assert_eq!(states[&runs[4].id], RunState::Failed);
    assert_eq!(log.failures_by_hook().expect("reads")["support@default/hook"], 1);
    assert_eq!(log.failures_by_step().expect("reads")[&("crm".into(), 0)], 1);
    assert!(log.open_by_flow().expect("reads").is_empty() && runs.iter().all(|run| run.flow == "crm".into()));
    let number = |number: &str| Filter { number: Some(number.into()), after: runs[2].row, ..Filter::default() };
    assert_eq!(log.list(&number("40712345001"), 10).expect("reads").len(), 2);
    assert!(log.list(&number("1"), 10).expect("reads").is_empty());
}
