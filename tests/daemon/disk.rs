//! Disks that do not do what they should.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use rustix::process::Signal;

use crate::process::{Place, tells};

#[tokio::test(flavor = "multi_thread")]
async fn an_outbox_that_cannot_be_made_is_a_clear_error() {
    let place = Place::new().await;
    place.write(&tells("x"));
    let state = place.outbox().parent().expect("a directory").to_owned();
    if rustix::process::geteuid().is_root() {
        // To root no directory is read-only: a file stands in its place.
        fs::remove_dir_all(&state).expect("removes");
        fs::write(&state, "").expect("writes");
    } else {
        fs::set_permissions(&state, fs::Permissions::from_mode(0o500)).expect("sets");
    }
    let (code, said) = place.run().ends();
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("can't open the outbox") && said.contains("outbox.db"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_outbox_is_set_aside_and_the_daemon_goes_on() {
    let place = Place::new().await;
    place.write(&tells("goes on"));
    fs::write(place.outbox(), "this is no database".repeat(1_000)).expect("writes");
    let mut daemon = place.run();
    let told = daemon.says("the outbox was damaged");
    let aside = told.split("set_aside=").nth(1).expect("it says where").split_whitespace().next().expect("a path");
    assert!(fs::read_to_string(aside).expect("is kept").starts_with("this is no database"));
    daemon.says("goes on");
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
