//! `hookswitch check --connect`, and what a real FreeSWITCH answers to it.

use std::net::TcpListener;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::daemon::{program, write_configuration};
use crate::place::{PASSWORD, Place};
use crate::switch::Switch;

/// Reloading the Event Socket takes a second.
const RELOAD_LIMIT: Duration = Duration::from_secs(60);

/// What must be said, and was not.
pub(crate) fn differences(place: &Place) -> Vec<String> {
    let mut switch = Switch::start(place, "HEARTBEAT");
    let nobody_listens =
        TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port");
    let mut found = Vec::new();
    let mut expect = |what: &str, (said, code): (String, Option<i32>), wanted: i32, words: &[&str]| {
        println!("== {what}: exit {code:?}\n{said}");
        if code != Some(wanted) || words.iter().any(|word| !said.contains(word)) {
            found.push(format!("{what}: {said}"));
        }
    };
    let here = place.event_socket;
    expect("all is well", check(place, here, PASSWORD), 0, &["FreeSWITCH Version 1.", "7 queues", "support@default"]);
    expect("another password", check(place, here, "ClueCon"), 1, &["refused the password", "`password`"]);
    expect("nobody listens", check(place, nobody_listens.port(), PASSWORD), 1, &["was refused", "mod_event_socket"]);
    switch.api("unload mod_callcenter");
    expect(
        "no mod_callcenter",
        check(place, here, PASSWORD),
        1,
        &["FreeSWITCH refused `callcenter_config queue list`", "check that it is loaded"],
    );
    switch.api("load mod_callcenter");
    expect("with mod_callcenter again", check(place, here, PASSWORD), 0, &["support@default"]);

    place.let_nobody_in();
    switch.api("reloadxml");
    // Not from a connection that the module has to wait for.
    switch.api("sched_api +1 none reload mod_event_socket");
    let begun = Instant::now();
    let mut said = check(place, here, PASSWORD);
    while !said.0.contains("let this host in") && begun.elapsed() < RELOAD_LIMIT {
        sleep(Duration::from_millis(200));
        said = check(place, here, PASSWORD);
    }
    expect("not on the access list", said, 1, &["does not let this host in", "apply-inbound-acl"]);
    found
}

/// What the command prints, and its exit code.
fn check(place: &Place, port: u16, password: &str) -> (String, Option<i32>) {
    let done = Command::new(program())
        .args(["check", "--connect", "--config"])
        .arg(write_configuration("hookswitch", place, port, "http://127.0.0.1:9/"))
        .env("ESL_PASSWORD", password)
        .env("WEBHOOK_SECRET", crate::receiver::SECRET)
        .output()
        .expect("hookswitch can be run");
    (String::from_utf8_lossy(&done.stdout).into_owned(), done.status.code())
}
