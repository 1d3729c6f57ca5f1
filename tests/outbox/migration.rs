//! Files of older versions: one of each is kept, and what it holds is still there after the program has changed.

use hookswitch::outbox::{BeganWith, Deliveries, Filter, Opened, Progress, RunState, Settings};
use tempfile::TempDir;

use crate::sample::key;

/// An outbox of version 1: a delivered run; one that failed after two tries; one at its second step, which was in memory,
/// with another behind it; one that waits for its next try.
const VERSION_1: &[u8] = include_bytes!("fixture/version_1.db.zst");

#[tokio::test]
async fn a_file_of_version_1_is_brought_up_to_date_and_loses_nothing() {
    let directory = TempDir::new().expect("a directory");
    let path = directory.path().join("outbox.db");
    std::fs::write(&path, zstd::decode_all(VERSION_1).expect("unpacks")).expect("writes");
    let error = Deliveries::open(&path).expect_err("a reader does not change the file");
    assert!(error.to_string().contains("it has schema 1"), "{error}");

    let mut opened = Opened::open(&Settings::at(&path)).expect("opens");
    let attempts: Vec<_> = opened.recovered.attempts.iter().map(|(key, _)| key.clone()).collect();
    assert_eq!(attempts, [0, 1, 2, 3].map(key));
    assert_eq!(opened.recovered.open_runs, 3);
    let deliveries = Deliveries::open(&path).expect("opens");
    let runs = deliveries.list(&Filter::default(), 10).expect("lists");
    let tries: Vec<_> = runs.iter().rev().map(|run| (run.attempt, run.tries)).collect();
    assert_eq!(tries, [(0, 1), (1, 2), (2, 0), (2, 0), (3, 1)].map(|(attempt, tries)| (key(attempt).hash(), tries)));
    let failed = deliveries.show(runs[3].id).expect("reads").expect("is there");
    assert_eq!((failed.run.state, failed.tries.len()), (RunState::Failed, 2));
    assert!(failed.tries[0].request.as_ref().is_some_and(|request| request.method == "POST"));

    let mut run = opened.runs.recv().await.expect("the run that was in memory");
    assert_eq!((run.step, run.expires_at), (1, None));
    assert!(matches!(run.began_with, BeganWith::Unknown), "it takes the flow that has its name");
    opened.outbox.record(run.report(None, Progress::Delivered)).await.expect("records");
    let next = opened.runs.recv().await.expect("the run behind it");
    assert_eq!(next.step, 0);
}

#[tokio::test]
async fn a_damaged_file_of_version_1_is_salvaged() {
    let directory = TempDir::new().expect("a directory");
    let path = directory.path().join("outbox.db");
    let mut bytes = zstd::decode_all(VERSION_1).expect("unpacks");
    std::fs::write(&path, &bytes).expect("writes");
    let page: u32 = rusqlite::Connection::open(&path)
        .expect("opens")
        .query_row("SELECT rootpage FROM sqlite_schema WHERE name = 'run_open'", [], |row| row.get(0))
        .expect("reads");
    let end = page as usize * 4_096;
    bytes[end - 4_096..end].fill(0x5a);
    std::fs::write(&path, &bytes).expect("writes");
    let opened = Opened::open(&Settings::at(&path)).expect("opens");
    assert!(opened.recovered.set_aside.is_some());
    assert_eq!((opened.recovered.attempts.len(), opened.recovered.open_runs), (4, 3));
    assert_eq!(Deliveries::open(&path).expect("opens").list(&Filter::default(), 10).expect("lists").len(), 5);
}

/// An outbox of version 2, whose flows rest after their first step: a delivered run; one that failed; one at its second
/// step, which was in memory, with another behind it; one that rests; and one of another flow that waits for its next try.
const VERSION_2: &[u8] = include_bytes!("fixture/version_2.db.zst");

#[tokio::test]
async fn a_file_of_version_2_is_brought_up_to_date_and_loses_nothing() {
    let directory = TempDir::new().expect("a directory");
    let path = directory.path().join("outbox.db");
    std::fs::write(&path, zstd::decode_all(VERSION_2).expect("unpacks")).expect("writes");
    let definitions = || {
        let connection = rusqlite::Connection::open(&path).expect("opens");
        connection.query_row("SELECT count(*) FROM definition", [], |row| row.get::<_, i64>(0)).expect("counts")
    };
    assert_eq!(definitions(), 2);
    let mut opened = Opened::open(&Settings::at(&path)).expect("opens");
    assert_eq!(definitions(), 2, "every definition has a run");
    assert_eq!(opened.recovered.open_runs, 4);
    let deliveries = Deliveries::open(&path).expect("opens");
    let runs = deliveries.list(&Filter::default(), 10).expect("lists");
    assert_eq!(runs.len(), 6);
    let failed = deliveries.show(runs[4].id).expect("reads").expect("is there");
    assert_eq!((failed.run.state, failed.steps.len()), (RunState::Failed, 1));
    // Those that rest may be due by now.
    let mut run = loop {
        let run = opened.runs.recv().await.expect("the run that was in memory");
        if run.step == 1 {
            break run;
        }
    };
    assert!(matches!(run.began_with, BeganWith::Stored { latest: false, .. }));
    assert_eq!(run.saved, [r#"{"crm":{"status":200}}"#]);
    opened.outbox.record(run.report(None, Progress::Cancelled)).await.expect("records");
    let states = deliveries.list(&Filter::run(run.id), 1).expect("lists");
    assert_eq!(states[0].state, RunState::Cancelled);
}
