//! Backup, restoration and erasure.

use std::fs;
use std::path::PathBuf;

use hookswitch::outbox::archive::{self, ArchiveError};
use hookswitch::outbox::erasure::{ERASED, Erasure, erase_number};
use hookswitch::outbox::{AttemptChange, Entry, Progress};
use hookswitch::outbox::{Deliveries, Filter};

use crate::sample::{entry, flow, key, log};
use crate::store::{Place, close, flows};

#[tokio::test]
async fn a_backup_beside_a_daemon_is_restored_with_all_that_was_committed() {
    let place = Place::new();
    let (outbox, copy) = (place.settings().path, place.settings().path.with_file_name("copy.db"));
    let opened = place.open();
    opened.outbox.commit(entry(1, 0, &flows())).await.expect("commits");
    archive::backup(&outbox, &copy).expect("copies");
    opened.outbox.commit(entry(2, 0, &[])).await.expect("the daemon goes on");
    assert!(matches!(archive::backup(&outbox, &copy), Err(ArchiveError::Write { .. })), "nothing is overwritten");
    assert!(matches!(archive::restore(&outbox, &copy), Err(ArchiveError::Lock(_))), "a daemon uses it");
    close(opened).await;

    let replaced = archive::restore(&outbox, &copy).expect("restores").expect("something was there");
    let opened = place.open();
    assert_eq!(opened.recovered.attempts.len(), 1);
    assert_eq!(opened.recovered.open_runs, 1);
    close(opened).await;
    archive::restore(&outbox, &replaced).expect("restores what was there, too");
    assert_eq!(place.open().recovered.attempts.len(), 2);
}

#[tokio::test]
async fn what_is_no_whole_backup_is_refused_and_the_outbox_stays() {
    let place = Place::new();
    let outbox = place.settings().path;
    let opened = place.open();
    for attempt in 0..100 {
        opened.outbox.commit(entry(attempt, 0, &flows())).await.expect("commits");
    }
    let copy = outbox.with_file_name("copy.db");
    archive::backup(&outbox, &copy).expect("copies");
    close(opened).await;
    let mut bytes = fs::read(&copy).expect("reads");
    bytes[4_096..].fill(0x5a);
    fs::write(&copy, bytes).expect("writes");
    let garbage = outbox.with_file_name("garbage");
    fs::write(&garbage, "not a database".repeat(1_000)).expect("writes");
    for backup in [copy, garbage, outbox.with_file_name("missing")] {
        assert!(archive::restore(&outbox, &backup).is_err(), "{}", backup.display());
    }
    assert_eq!(place.open().recovered.attempts.len(), 100);
}

/// The outbox's files in which a text stands.
fn files_with(place: &Place, text: &str) -> Vec<PathBuf> {
    let files = fs::read_dir(place.settings().path.parent().expect("a directory")).expect("reads");
    let mut files: Vec<_> = files.map(|file| file.expect("a file").path()).collect();
    files.retain(|file| memchr::memmem::find(&fs::read(file).expect("reads"), text.as_bytes()).is_some());
    files
}

#[tokio::test]
async fn a_number_is_erased_with_name_and_variables_and_nobody_elses() {
    let place = Place::new();
    let mut opened = place.open();
    let crm = flow("crm", vec![log("x")]);
    for attempt in 0..3 {
        let mut entry = entry(attempt, 0, std::slice::from_ref(&crm));
        let payload = &mut entry.moments[0].0.payload;
        payload.member_number = Some(if attempt == 2 { "999" } else { "12345678" }.into());
        payload.member_name = (attempt < 1).then(|| "Erika Mustermann".into());
        opened.outbox.commit(entry).await.expect("commits");
        let mut run = opened.runs.recv().await.expect("a run");
        opened.outbox.record(run.report(None, Progress::Delivered)).await.expect("records");
    }
    let over = vec![AttemptChange::Forget(key(0).hash())];
    opened.outbox.commit(Entry { moments: vec![], attempts: over }).await.expect("commits");

    let outbox = place.settings().path;
    let erased = erase_number(&outbox, "12345678").expect("erases");
    assert_eq!(erased, Erasure { attempts: 2, moments: 2, open_attempts: 1 });
    let deliveries = Deliveries::open(&outbox).expect("opens");
    for delivery in deliveries.list(&Filter::default(), 10).expect("lists") {
        let story = deliveries.show(delivery.id).expect("reads").expect("is there");
        let payload: hookswitch::moment::Payload = serde_json::from_str(story.payload.get()).expect("a payload");
        let is_other = delivery.attempt == key(2).hash();
        let erased_name = (delivery.attempt == key(0).hash()).then_some(ERASED);
        assert_eq!(payload.member_number.as_deref(), Some(if is_other { "999" } else { ERASED }));
        assert_eq!(payload.member_name.as_deref(), erased_name, "null stays null");
        assert_eq!(payload.variables.as_json() == "{}", !is_other);
        assert_eq!(payload.wait_sec.map(|wait| wait.0), Some(1.64), "all else stays");
    }
    drop(deliveries);
    assert_eq!(erase_number(&outbox, "12345678").expect("erases"), Erasure::default());
    close(opened).await;
    assert!(files_with(&place, "12345678").is_empty(), "{:?}", files_with(&place, "12345678"));
    assert!(files_with(&place, "Erika").is_empty());
    assert!(!files_with(&place, "999").is_empty());
}

#[test]
fn where_there_is_no_outbox_none_is_made() {
    let place = Place::new();
    assert!(erase_number(&place.settings().path, "1").is_err());
    assert!(archive::backup(&place.settings().path, &place.settings().path.with_file_name("copy")).is_err());
    assert_eq!(fs::read_dir(place.settings().path.parent().expect("a directory")).expect("reads").count(), 0);
}
