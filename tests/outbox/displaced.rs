//! The database's file is deleted, moved, replaced, or reached by another name: nothing is acknowledged that will be gone,
//! and no two daemons have one file.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hookswitch::outbox::{Health, OpenErrorCause, Opened, Outbox, Settings};

use crate::sample::entry;
use crate::store::{Place, close, flows};

/// Longer than any machine takes; only a test that fails waits so long.
const LONG: Duration = Duration::from_secs(60);

fn beside(path: &Path, suffix: &str) -> PathBuf {
    PathBuf::from(format!("{}{suffix}", path.display()))
}

async fn becomes(outbox: &Outbox, what: &str, is_it: impl FnMut(&Health) -> bool) {
    let mut health = outbox.health();
    let found = tokio::time::timeout(LONG, health.wait_for(is_it)).await;
    found.unwrap_or_else(|_| panic!("it is not noticed: {what}")).expect("the outbox lives");
}

fn is_stalled(health: &Health) -> bool {
    matches!(health, Health::Stalled { reason } if reason.contains("would be lost"))
}

/// Displaces the file, sees that it is noticed and that nothing is acknowledged, puts it back, and sees that all is there.
async fn displaced(what: &str, displace: impl FnOnce(&Path), put_back: impl FnOnce(&Path)) {
    let place = Place::new();
    let path = place.settings().path;
    let opened = place.open();
    opened.outbox.commit(entry(1, 0, &flows())).await.expect("commits");
    displace(&path);
    becomes(&opened.outbox, what, is_stalled).await;
    let receipt = opened.outbox.submit(entry(2, 0, &flows())).await.expect("is taken");
    let durable = receipt.durable();
    tokio::pin!(durable);
    let early = tokio::time::timeout(Duration::from_millis(1_500), durable.as_mut()).await;
    assert!(early.is_err(), "{what}: it is acknowledged, and will be gone");
    put_back(&path);
    becomes(&opened.outbox, "it is back", |health| *health == Health::Writing).await;
    tokio::time::timeout(LONG, durable).await.expect("is committed").expect("the outbox lives");
    close(opened).await;
    assert_eq!(place.open().recovered.attempts.len(), 2, "{what}");
}

#[tokio::test]
async fn a_file_that_is_moved_away_is_written_again_when_it_is_back() {
    let elsewhere = |path: &Path| beside(path, ".elsewhere");
    displaced(
        "moved",
        |path| fs::rename(path, elsewhere(path)).expect("moves"),
        |path| fs::rename(elsewhere(path), path).expect("moves back"),
    )
    .await;
}

#[tokio::test]
async fn a_file_that_another_one_replaces_is_not_written() {
    let elsewhere = |path: &Path| beside(path, ".elsewhere");
    displaced(
        "replaced",
        |path| {
            fs::rename(path, elsewhere(path)).expect("moves");
            fs::copy(elsewhere(path), path).expect("copies");
        },
        |path| fs::rename(elsewhere(path), path).expect("moves back"),
    )
    .await;
}

#[tokio::test]
async fn a_directory_that_is_moved_away_takes_its_files_with_it() {
    let directory = tempfile::tempdir().expect("a directory");
    let (inner, elsewhere) = (directory.path().join("inner"), directory.path().join("elsewhere"));
    fs::create_dir(&inner).expect("makes");
    let opened = Opened::open(&Settings::at(inner.join("outbox.db"))).expect("opens");
    fs::rename(&inner, &elsewhere).expect("moves");
    becomes(&opened.outbox, "the directory is moved", is_stalled).await;
    fs::rename(&elsewhere, &inner).expect("moves back");
    becomes(&opened.outbox, "it is back", |health| *health == Health::Writing).await;
}

#[tokio::test]
async fn a_log_that_is_deleted_is_noticed_and_what_was_in_it_is_saved() {
    for suffix in ["-wal", "-shm"] {
        let place = Place::new();
        let path = place.settings().path;
        let opened = place.open();
        opened.outbox.commit(entry(1, 0, &flows())).await.expect("commits");
        opened.outbox.commit(entry(2, 0, &flows())).await.expect("commits");
        fs::remove_file(beside(&path, suffix)).expect("deletes");
        becomes(&opened.outbox, suffix, is_stalled).await;
        // What a crash would leave.
        let copy = beside(&path, ".copy");
        fs::copy(&path, &copy).expect("copies");
        let count = "SELECT count(*) FROM moment";
        let found = rusqlite::Connection::open(&copy).and_then(|copy| copy.query_row(count, [], |row| row.get(0)));
        assert_eq!(found, Ok(2), "{suffix} is deleted");
    }
}

/// The database is where it was, but whoever opens it next looks for its log elsewhere.
#[tokio::test]
async fn a_path_that_leads_to_the_file_by_another_name_is_noticed() {
    let directory = tempfile::tempdir().expect("a directory");
    let name = |name: &str| directory.path().join(name);
    let renamed = Opened::open(&Settings::at(name("outbox.db"))).expect("opens");
    renamed.outbox.commit(entry(1, 0, &flows())).await.expect("commits");
    fs::rename(name("outbox.db"), name("real.db")).expect("moves");
    symlink("real.db", name("outbox.db")).expect("links");
    becomes(&renamed.outbox, "it is renamed, and a link leads to it", is_stalled).await;

    symlink("first.db", name("link.db")).expect("links");
    let linked = Opened::open(&Settings::at(name("link.db"))).expect("opens");
    linked.outbox.commit(entry(1, 0, &flows())).await.expect("commits");
    fs::hard_link(name("first.db"), name("second.db")).expect("links");
    fs::remove_file(name("link.db")).expect("deletes");
    symlink("second.db", name("link.db")).expect("links");
    becomes(&linked.outbox, "the link leads to another name of it", is_stalled).await;
}

/// Where the whole directory has moved and a link leads to it, nothing is lost.
#[tokio::test]
async fn a_directory_to_which_a_link_leads_is_written() {
    let directory = tempfile::tempdir().expect("a directory");
    let (inner, elsewhere) = (directory.path().join("inner"), directory.path().join("elsewhere"));
    fs::create_dir(&inner).expect("makes");
    let opened = Opened::open(&Settings::at(inner.join("outbox.db"))).expect("opens");
    opened.outbox.commit(entry(1, 0, &flows())).await.expect("commits");
    fs::rename(&inner, &elsewhere).expect("moves");
    symlink(&elsewhere, &inner).expect("links");
    becomes(&opened.outbox, "it is there", |health| *health == Health::Writing).await;
    let committed = tokio::time::timeout(LONG, opened.outbox.commit(entry(2, 0, &flows()))).await;
    committed.expect("in time").expect("commits");
}

#[tokio::test]
async fn a_file_that_is_deleted_is_noticed_and_its_end_acknowledges_nothing() {
    let place = Place::new();
    let opened = place.open();
    for suffix in ["", "-wal", "-shm"] {
        fs::remove_file(beside(&place.settings().path, suffix)).expect("deletes");
    }
    becomes(&opened.outbox, "it is deleted", is_stalled).await;
    let receipt = opened.outbox.submit(entry(1, 0, &flows())).await.expect("is taken");
    close(opened).await;
    assert!(receipt.durable().await.is_err());
}

/// Whatever name leads to the file: a second daemon is told who has it.
fn assert_refused(path: &Path, what: &str) {
    let error = Opened::open(&Settings::at(path)).expect_err(what);
    assert!(matches!(error.cause, OpenErrorCause::Lock(_)), "{what}: {error}");
}

#[tokio::test]
async fn a_second_daemon_is_refused_by_whatever_name_it_reaches_the_file() {
    let place = Place::new();
    let path = place.settings().path;
    let opened = place.open();
    opened.outbox.commit(entry(1, 0, &flows())).await.expect("commits");
    let directory = tempfile::tempdir_in(path.parent().expect("a directory")).expect("a directory");
    let name = |name: &str| directory.path().join(name);
    symlink(&path, name("link.db")).expect("links");
    symlink(name("link.db"), name("link_to_link.db")).expect("links");
    symlink(path.parent().expect("a directory"), name("directory")).expect("links");
    fs::hard_link(&path, name("hard.db")).expect("links");
    assert_refused(&name("link.db"), "a symbolic link");
    assert_refused(&name("link_to_link.db"), "a link to a link");
    assert_refused(&name("directory").join("outbox.db"), "a link to the directory");
    assert_refused(&name("hard.db"), "a hard link");
    let lock = beside(&path, ".lock");
    fs::remove_file(&lock).expect("deletes");
    assert_refused(&path, "the lock file is deleted");
    close(opened).await;
}

#[tokio::test]
async fn a_lock_file_that_is_deleted_is_made_anew() {
    let place = Place::new();
    let opened = place.open();
    let lock = beside(&place.settings().path, ".lock");
    fs::remove_file(&lock).expect("deletes");
    let began = std::time::Instant::now();
    while !lock.exists() && began.elapsed() < LONG {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(fs::read_to_string(&lock).expect("is made anew"), std::process::id().to_string());
    assert_refused(&place.settings().path, "the lock file is made anew");
    close(opened).await;
}

/// The states in which a crash can leave the files of a replacement, each of which the next start finishes.
#[tokio::test]
async fn a_replacement_that_was_cut_off_at_any_instant_loses_nothing() {
    for cut in 0..5 {
        let place = Place::new();
        let path = place.settings().path;
        let opened = place.open();
        for attempt in 0..20 {
            opened.outbox.commit(entry(attempt, 0, &flows())).await.expect("commits");
        }
        close(opened).await;
        let damaged = beside(&path, ".damaged-20260101T000000.000Z");
        let (salvaged, salvaging) = (beside(&path, ".salvaged"), beside(&path, ".salvaging"));
        match cut {
            // While what can be read was being copied.
            0 => fs::write(&salvaging, b"half a database").expect("writes"),
            // All was copied, and the damaged file is still in its place.
            1 | 2 => {
                fs::copy(&path, &salvaged).expect("copies");
                fs::write(&path, b"this was a database once").expect("writes");
                if cut == 2 {
                    fs::write(beside(&path, "-wal"), b"this was its log").expect("writes");
                }
            }
            // The log of the damaged file is set aside, the file itself is not.
            3 => {
                fs::copy(&path, &salvaged).expect("copies");
                fs::write(beside(&damaged, "-wal"), b"this was its log").expect("writes");
            }
            // The damaged file is set aside, and nothing is in its place.
            _ => {
                fs::rename(&path, &salvaged).expect("moves");
                fs::write(&damaged, b"this was a database once").expect("writes");
            }
        }
        let opened = place.open();
        assert_eq!(opened.recovered.attempts.len(), 20, "cut {cut}");
        assert_eq!(opened.recovered.open_runs, 20, "cut {cut}");
        assert_eq!(opened.recovered.set_aside.is_some(), cut > 0, "cut {cut}");
        assert!(!salvaged.exists(), "cut {cut}");
        opened.outbox.commit(entry(30, 0, &flows())).await.expect("commits");
        close(opened).await;
        assert_eq!(place.open().recovered.attempts.len(), 21, "cut {cut}");
    }
}

/// A reader that holds a transaction open keeps the log; when it is gone the log is short again.
#[tokio::test]
async fn the_log_is_short_again_when_a_forgotten_reader_is_gone() {
    let place = Place::new();
    let path = place.settings().path;
    let opened = place.open();
    opened.outbox.commit(entry(0, 0, &flows())).await.expect("commits");
    let reader = rusqlite::Connection::open(&path).expect("opens");
    reader.execute_batch("BEGIN").expect("begins");
    let read = "SELECT count(*) FROM moment";
    reader.query_row(read, [], |row| row.get::<_, i64>(0)).expect("reads");
    let log = beside(&path, "-wal");
    let length = || fs::metadata(&log).expect("is there").len();
    let mut attempt = 1;
    while length() < 80 << 20 {
        opened.outbox.commit(crate::sample::large_entry(attempt, 60_000, &flows())).await.expect("commits");
        attempt += 1;
    }
    drop(reader);
    let began = std::time::Instant::now();
    while length() > 40 << 20 && began.elapsed() < LONG {
        opened.outbox.commit(entry(attempt, 0, &flows())).await.expect("commits");
        attempt += 1;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(length() <= 40 << 20, "the log has {} bytes", length());
    let counted = || opened.outbox.figures().log_bytes.load(std::sync::atomic::Ordering::Relaxed);
    while counted() == 0 && began.elapsed() < LONG {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(counted() > 0, "its length is counted");
    close(opened).await;
}
