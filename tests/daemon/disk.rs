//! Disks that do not do what they should.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use rustix::process::Signal;

use crate::process::{Place, Process, program, tells};

#[tokio::test(flavor = "multi_thread")]
async fn an_outbox_that_cannot_be_made_is_a_clear_error() {
    let place = Place::new().await;
    place.write(&tells("x"));
    let state = place.outbox().parent().expect("a directory").to_owned();
    fs::remove_dir_all(&state).expect("removes");
    let (code, said) = place.run().ends();
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("can't open the outbox") && said.contains("check that its directory is there"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_may_not_be_written_is_a_clear_error() {
    let place = Place::new().await;
    place.write(&tells("x"));
    let state = place.outbox().parent().expect("a directory").to_owned();
    fs::set_permissions(&state, fs::Permissions::from_mode(0o555)).expect("sets");
    let Some(command) = place.without_privileges(&["run"]) else { return };
    let (code, said) = Process::start(command).ends();
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("Permission denied") && said.contains("may write in it"), "{said}");
}

/// One that never was a database, one that was cut off, and one whose pages are gone that a start needs.
#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_outbox_is_set_aside_and_the_daemon_goes_on() {
    let place = Place::new().await;
    place.write(&tells("goes on"));
    let whole = filled(&place);
    let garbage = b"this is no database".repeat(1_000);
    let cut = whole[..whole.len() / 2].to_owned();
    let holed = without_page_of("run_open", &place, &whole);
    for bytes in [garbage, cut, holed] {
        fs::write(place.outbox(), &bytes).expect("writes");
        let mut daemon = place.run();
        assert_eq!(fs::read(set_aside(&mut daemon)).expect("is kept"), bytes);
        daemon.says("goes on");
        daemon.signal(Signal::TERM);
        assert_eq!(daemon.ends().0, Some(0));
    }
}

/// Nothing needs the page before the first moment is stored.
#[tokio::test(flavor = "multi_thread")]
async fn damage_that_is_met_at_work_ends_the_daemon_and_the_next_one_goes_on() {
    let place = Place::new().await;
    place.write(&tells("goes on"));
    let whole = filled(&place);
    fs::write(place.outbox(), without_page_of("moment_hash", &place, &whole)).expect("writes");
    let mut daemon = place.run();
    daemon.says("the outbox is open");
    let aside = set_aside(&mut daemon);
    let (code, said) = daemon.ends();
    assert_eq!(code, Some(1), "{said}");
    assert!(fs::metadata(aside).expect("is kept").len() >= whole.len() as u64);
    assert!(told(&place) >= 5, "what can be read is there still");
    place.run().says("goes on");
}

/// The outbox's bytes after some work.
fn filled(place: &Place) -> Vec<u8> {
    let mut daemon = place.run();
    for _ in 0..5 {
        daemon.says("goes on");
    }
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.ends().0, Some(0));
    fs::read(place.outbox()).expect("reads")
}

/// How many runs the outbox has.
fn told(place: &Place) -> usize {
    let mut list = program();
    list.args(["deliveries", "--config"]).arg(place.config()).args(["list", "--json", "--limit", "1000000"]);
    let output = list.output().expect("runs");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stdout).lines().count()
}

/// The same, with nothing where the root of this index was.
fn without_page_of(index: &str, place: &Place, whole: &[u8]) -> Vec<u8> {
    let connection = rusqlite::Connection::open(place.outbox()).expect("opens");
    let sql = "SELECT rootpage, (SELECT page_size FROM pragma_page_size) FROM sqlite_schema WHERE name = ?1";
    let (page, size): (u32, u32) =
        connection.query_row(sql, [index], |row| Ok((row.get(0)?, row.get(1)?))).expect("is there");
    let mut bytes = whole.to_owned();
    bytes[((page - 1) * size) as usize..(page * size) as usize].fill(0);
    bytes
}

/// Where the daemon says that it set the damaged file aside to.
fn set_aside(daemon: &mut Process) -> String {
    daemon.says("the outbox is damaged");
    let told = daemon.says("the damaged file is kept");
    let path = told.split("set_aside=").nth(1).expect("it says where").split_whitespace().next();
    path.expect("a path").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_daemon_is_refused_and_the_first_goes_on() {
    let place = Place::new().await;
    place.write(&tells("goes on"));
    let mut daemon = place.run();
    daemon.says("goes on");
    let (code, said) = place.run().ends();
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("another daemon"), "{said}");
    daemon.says("goes on");
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.ends().0, Some(0));
}
