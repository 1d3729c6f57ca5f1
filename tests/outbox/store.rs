//! The file: who may open it, what is found in it, and what happens when it can't be written.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use hookswitch::flow::Flow;
use hookswitch::outbox::intervention::{Change, Definitions, Effect, Intervention};
use hookswitch::outbox::{
    AttemptChange, Deliveries, Entry, Filter, Health, OpenError, OpenErrorCause, Opened, Outbox, Progress, RunState,
    SchemaError, Settings,
};
use tempfile::TempDir;

use crate::sample::{entry, flow, key, large_entry, log, moment_id};

pub(crate) struct Place {
    directory: TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self { directory: TempDir::new().expect("a directory") }
    }

    pub(crate) fn settings(&self) -> Settings {
        Settings::at(self.directory.path().join("outbox.db"))
    }

    pub(crate) fn open(&self) -> Opened {
        open(&self.settings())
    }

    /// How many bytes of the file are in use.
    fn taken(&self) -> u64 {
        let connection = rusqlite::Connection::open(self.settings().path).expect("opens");
        let sql = "SELECT (page_count - freelist_count) * page_size \
                   FROM pragma_page_count, pragma_freelist_count, pragma_page_size";
        let taken: i64 = connection.query_row(sql, [], |row| row.get(0)).expect("reads");
        taken.unsigned_abs()
    }

    fn sql(&self, sql: &str) {
        let connection = rusqlite::Connection::open(self.settings().path).expect("opens");
        connection.execute_batch(sql).expect("executes");
    }
}

pub(crate) async fn close(opened: Opened) {
    let Opened { outbox, runs, ending, .. } = opened;
    drop((outbox, runs));
    ending.ended().await;
}

pub(crate) fn flows() -> [Arc<Flow>; 1] {
    [flow("crm", vec![log("{{ event }}")])]
}

#[tokio::test]
async fn what_is_committed_is_found_again() {
    let place = Place::new();
    let opened = place.open();
    let committed = opened.outbox.commit(entry(1, 0, &flows())).await.expect("commits");
    assert_eq!(committed.moments, [moment_id(1, 0)]);
    assert_eq!(committed.runs.len(), 1);
    opened.outbox.commit(entry(1, 1, &[])).await.expect("commits");
    close(opened).await;

    let mut opened = place.open();
    assert_eq!(opened.recovered.attempts, [(key(1), r#"{"moments":1}"#.to_owned())]);
    assert_eq!(opened.recovered.open_runs, 1);
    let run = opened.runs.recv().await.expect("the run is handed over again");
    assert_eq!([run.id], *committed.runs);
    let payload: hookswitch::moment::Payload = serde_json::from_str(&run.payload).expect("a payload");
    assert!(payload.variables.as_json().contains("customer_id"));

    let forget = Entry { moments: vec![], attempts: vec![AttemptChange::Forget(key(1).hash())] };
    opened.outbox.commit(forget).await.expect("commits");
    close(opened).await;
    assert_eq!(place.open().recovered.attempts, []);
}

#[tokio::test]
async fn a_repeated_moment_starts_nothing_again() {
    let place = Place::new();
    let mut opened = place.open();
    opened.outbox.commit(entry(1, 0, &flows())).await.expect("commits");
    let again = opened.outbox.commit(entry(1, 0, &flows())).await.expect("commits");
    assert_eq!(again, Default::default());
    assert!(opened.runs.try_recv().is_ok());
    assert!(opened.runs.try_recv().is_err());
}

#[tokio::test]
async fn a_second_daemon_is_refused_and_told_of_the_first() {
    let place = Place::new();
    let _first = place.open();
    let error = Opened::open(&place.settings()).expect_err("refused");
    assert!(matches!(error.cause, OpenErrorCause::Lock(_)));
    assert!(error.to_string().contains(&format!("process {}", std::process::id())), "{error}");
}

#[tokio::test]
async fn a_file_of_a_newer_program_or_of_another_one_is_refused() {
    let place = Place::new();
    close(place.open()).await;
    place.sql("PRAGMA user_version = 99");
    let error = Opened::open(&place.settings()).expect_err("refused");
    assert!(matches!(error.cause, OpenErrorCause::Schema(SchemaError::Newer { found: 99 })), "{error}");
    assert!(Deliveries::open(&place.settings().path).is_err());

    let place = Place::new();
    place.sql("CREATE TABLE theirs (column)");
    let error = Opened::open(&place.settings()).expect_err("refused");
    assert!(matches!(error.cause, OpenErrorCause::Schema(SchemaError::Foreign)), "{error}");
}

#[tokio::test]
async fn a_damaged_file_is_set_aside_and_kept() {
    let place = Place::new();
    std::fs::write(place.settings().path, b"this was a database once, and is none any more").expect("writes");
    let opened = place.open();
    let aside = opened.recovered.set_aside.clone().expect("set aside");
    assert!(std::fs::read(&aside).expect("is kept").starts_with(b"this was a database"));
    opened.outbox.commit(entry(1, 0, &flows())).await.expect("the new one works");
}

#[tokio::test]
async fn a_damaged_page_is_noticed() {
    let place = Place::new();
    let opened = place.open();
    for attempt in 0..200 {
        opened.outbox.commit(large_entry(attempt, 1_000, &flows())).await.expect("commits");
    }
    close(opened).await;
    let mut bytes = std::fs::read(place.settings().path).expect("reads");
    // Everything after the page that lists the tables.
    bytes[4_096..].fill(0x5a);
    std::fs::write(place.settings().path, &bytes).expect("writes");
    let opened = place.open();
    let aside = opened.recovered.set_aside.expect("set aside");
    assert!(std::fs::read(aside).expect("is kept")[4_096..] == bytes[4_096..]);
}

/// The index of open runs, which a start needs, and a page in the middle, whatever it holds.
#[tokio::test]
async fn what_can_be_read_of_a_damaged_file_is_delivered() {
    let place = Place::new();
    let opened = place.open();
    for attempt in 0..200 {
        opened.outbox.commit(large_entry(attempt, 1_000, &flows())).await.expect("commits");
    }
    close(opened).await;
    let mut bytes = std::fs::read(place.settings().path).expect("reads");
    let connection = rusqlite::Connection::open(place.settings().path).expect("opens");
    let sql = "SELECT rootpage FROM sqlite_schema WHERE name = 'run_open'";
    let index: i64 = connection.query_row(sql, [], |row| row.get(0)).expect("is there");
    drop(connection);
    let pages = bytes.len() / 4_096;
    for page in [index.unsigned_abs() as usize - 1, pages / 2] {
        bytes[page * 4_096..][..4_096].fill(0);
    }
    std::fs::write(place.settings().path, &bytes).expect("writes");
    let mut opened = place.open();
    assert!(opened.recovered.set_aside.is_some());
    let left = opened.recovered.open_runs;
    assert!((150..=200).contains(&left), "{left} are left");
    for _ in 0..left {
        let mut run = opened.runs.recv().await.expect("a run");
        opened.outbox.record(run.report(None, Progress::Delivered)).await.expect("records");
    }
    close(opened).await;
    let connection = rusqlite::Connection::open(place.settings().path).expect("opens");
    let found: String = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).expect("checks");
    assert_eq!(found, "ok");
}

/// The database's size is limited, and a table that somebody else drops takes the part of files that are deleted.
#[tokio::test]
async fn a_full_disk_stalls_and_loses_nothing() {
    let place = Place::new();
    close(place.open()).await;
    place.sql("CREATE TABLE filler AS SELECT randomblob(2000000) AS bytes");
    let settings = Settings { max_pages: Some(600), ..place.settings() };
    let opened = Opened::open(&settings).expect("opens");
    let mut health = opened.outbox.health();
    let commits = tokio::spawn(commit_all(opened.outbox.clone(), 100));
    let stalled = |health: &Health| matches!(health, Health::Stalled { reason } if reason.contains("full"));
    health.wait_for(stalled).await.expect("is told");
    place.sql("DROP TABLE filler");
    assert_eq!(commits.await.expect("ends"), 100);
    health.wait_for(|health| *health == Health::Writing).await.expect("is told");
    close(opened).await;
    assert_eq!(place.open().recovered.attempts.len(), 100);
}

async fn commit_all(outbox: Outbox, count: u32) -> u32 {
    for attempt in 0..count {
        outbox.commit(large_entry(attempt, 10_000, &flows())).await.expect("commits");
    }
    count
}

#[tokio::test]
async fn an_outbox_that_is_closed_while_it_stalls_acknowledges_nothing_and_ends() {
    let place = Place::new();
    close(place.open()).await;
    let settings = Settings { max_pages: Some(20), ..place.settings() };
    let opened = Opened::open(&settings).expect("opens");
    let receipt = opened.outbox.submit(large_entry(1, 500_000, &flows())).await.expect("is taken");
    opened.outbox.health().wait_for(|health| *health != Health::Writing).await.expect("is told");
    close(opened).await;
    assert!(receipt.durable().await.is_err());
}

#[tokio::test]
async fn runs_without_a_seat_stay_on_disk_until_one_is_free() {
    let place = Place::new();
    let settings = Settings { seats_per_flow: 2, ..place.settings() };
    let mut opened = Opened::open(&settings).expect("opens");
    for attempt in 0..5 {
        opened.outbox.commit(entry(attempt, 0, &flows())).await.expect("commits");
    }
    let mut done = Vec::new();
    for left in (0..5).rev() {
        let mut run = opened.runs.recv().await.expect("a run");
        let in_memory = opened.runs.len() + 1;
        assert_eq!(in_memory, 2.min(left + 1));
        done.push(run.id);
        opened.outbox.record(run.report(None, Progress::Delivered)).await.expect("records");
    }
    let expected: Vec<_> =
        (0..5).map(|attempt| moment_id(attempt, 0).run("support@default/hook", &"crm".into())).collect();
    assert_eq!(done, expected);
}

#[tokio::test]
async fn a_run_retried_by_another_process_is_taken_up() {
    let place = Place::new();
    let mut opened = place.open();
    opened.outbox.commit(entry(1, 0, &flows())).await.expect("commits");
    let mut run = opened.runs.recv().await.expect("a run");
    let failed = Progress::Failed { reason: "refused".into() };
    opened.outbox.record(run.report(None, failed)).await.expect("records");

    let mut deliveries = Deliveries::open(&place.settings().path).expect("opens beside the daemon");
    let listed = deliveries.list(&Filter::default(), 10).expect("lists");
    assert_eq!(listed[0].state, RunState::Failed);
    assert_eq!(listed[0].error.as_deref(), Some("refused"));
    let retry = Intervention::Retry { with: Definitions::Own, expired: false };
    let changes = deliveries.intervene(retry, &Filter::default(), jiff::Timestamp::now()).expect("retries");
    let (was, effect) = (RunState::Failed, Effect::Became(RunState::Pending));
    assert_eq!(changes, [Change { run: run.id, was, effect }]);
    let again = tokio::time::timeout(Duration::from_secs(60), opened.runs.recv()).await.expect("in time");
    assert_eq!(again.expect("a run").id, run.id);
}

#[tokio::test]
async fn variables_that_have_not_changed_are_stored_once() {
    let place = Place::new();
    let opened = place.open();
    for number in 0..10 {
        opened.outbox.commit(entry(1, number, &[])).await.expect("commits");
    }
    opened.outbox.commit(large_entry(1, 10, &[])).await.expect("commits");
    close(opened).await;
    let connection = rusqlite::Connection::open(place.settings().path).expect("opens");
    let count: i64 = connection.query_row("SELECT count(*) FROM variables", [], |row| row.get(0)).expect("counts");
    assert_eq!(count, 1, "the last one repeats a moment, and its variables are not stored either");
}

#[tokio::test]
async fn what_is_old_and_over_is_forgotten_and_nothing_else() {
    let place = Place::new();
    let settings = Settings { keep: Duration::ZERO, ..place.settings() };
    let mut opened = Opened::open(&settings).expect("opens");
    // Delivered and settled; delivered, and the attempt is open; not delivered.
    for attempt in 0..3 {
        opened.outbox.commit(entry(attempt, 0, &flows())).await.expect("commits");
        let mut run = opened.runs.recv().await.expect("a run");
        if attempt < 2 {
            opened.outbox.record(run.report(None, Progress::Delivered)).await.expect("records");
        }
        if attempt != 1 {
            let forget = vec![AttemptChange::Forget(key(attempt).hash())];
            opened.outbox.commit(Entry { moments: vec![], attempts: forget }).await.expect("commits");
        }
    }
    let deliveries = Deliveries::open(&settings.path).expect("opens");
    let attempts = || {
        let listed = deliveries.list(&Filter::default(), 10).expect("lists");
        listed.iter().map(|delivery| delivery.attempt).collect::<Vec<_>>()
    };
    for _ in 0..600 {
        if attempts().len() < 3 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(attempts(), [key(2).hash(), key(1).hash()]);
    opened.outbox.commit(entry(0, 1, &flows())).await.expect("the writer goes on");
}

/// Of a hundred, the second has failed for good, the third is under way, and the fourth one's attempt is open.
#[tokio::test]
async fn what_takes_too_much_is_forgotten_from_the_oldest_on_unless_it_is_not_delivered() {
    const BYTES: u64 = 500_000;
    let place = Place::new();
    let settings = Settings { max_bytes: Some(BYTES), ..place.settings() };
    let mut opened = Opened::open(&settings).expect("opens");
    for attempt in 0..100 {
        opened.outbox.commit(large_entry(attempt, 10_000, &flows())).await.expect("commits");
        let mut run = opened.runs.recv().await.expect("a run");
        let progress = match attempt {
            1 => Progress::Failed { reason: "refused".into() },
            _ => Progress::Delivered,
        };
        if attempt != 2 {
            opened.outbox.record(run.report(None, progress)).await.expect("records");
        }
        if attempt != 3 {
            let forget = vec![AttemptChange::Forget(key(attempt).hash())];
            opened.outbox.commit(Entry { moments: vec![], attempts: forget }).await.expect("commits");
        }
    }
    for _ in 0..600 {
        if place.taken() <= BYTES {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let deliveries = Deliveries::open(&settings.path).expect("opens");
    let listed = deliveries.list(&Filter::default(), 1_000).expect("lists");
    let kept: BTreeSet<_> = listed.iter().map(|delivery| delivery.attempt).collect();
    let left: Vec<u32> = (0..100).filter(|attempt| kept.contains(&key(*attempt).hash())).collect();
    assert!(place.taken() <= BYTES && left.len() > 10, "{left:?} are left");
    assert_eq!(left[..3], [1, 2, 3]);
    let youngest = 100 - (left.len() as u32 - 3)..100;
    assert_eq!(left[3..], youngest.collect::<Vec<_>>());
}

#[cfg(unix)]
#[tokio::test]
async fn nobody_else_may_read_the_file() {
    use std::os::unix::fs::PermissionsExt;

    let place = Place::new();
    let opened = place.open();
    opened.outbox.commit(entry(1, 0, &flows())).await.expect("commits");
    for suffix in ["", "-wal", "-shm"] {
        let file = format!("{}{suffix}", place.settings().path.display());
        assert_eq!(std::fs::metadata(&file).expect("is there").permissions().mode() & 0o777, 0o600, "{file}");
    }
}

/// Opens it. A process that another test is just starting has the lock as well, until its program begins.
fn open(settings: &Settings) -> Opened {
    for _ in 0..500 {
        match Opened::open(settings) {
            Err(OpenError { cause: OpenErrorCause::Lock(_), .. }) => std::thread::sleep(Duration::from_millis(10)),
            opened => return opened.expect("opens"),
        }
    }
    panic!("the lock is held for seconds");
}
