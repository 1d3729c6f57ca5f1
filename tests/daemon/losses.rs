//! Every way to lose a FreeSWITCH, and what is told of its calls then.

use std::collections::BTreeSet;
use std::time::Duration;

use rustix::process::Signal;

use crate::place::{Nodes, Tale};
use crate::process::Process;
use crate::switch::Switch;

/// A node, a daemon that has followed it for a while, and two callers in its queue.
async fn two_callers(settings: &str) -> (Switch, Nodes, Process, Tale) {
    let (switch, place) = (Switch::start("core-1").await, Nodes::new());
    place.write(&[&switch.as_node("fs1", settings)]);
    let mut daemon = place.run();
    daemon.says("compared with");
    switch.join("1001");
    switch.join("1002");
    let tale = Tale::until(&mut daemon, |tale| tale.open("fs1") == 2);
    (switch, place, daemon, tale)
}

/// What must be told when 1001 goes while nobody listens, and 1002 stays and hangs up later.
fn told(switch: &Switch, daemon: &mut Process, mut tale: Tale) {
    tale.read_until(daemon, |tale| tale.open("fs1") == 1);
    switch.leave("1002");
    tale.read_until(daemon, |tale| tale.open("fs1") == 0);
    tale.assert_whole();
    assert_eq!(tale.ends(), ["1001 cancel lost", "1002 abandoned hangup"]);
    assert!(tale.of("fs1").all(|line| line.synthetic == (line.result == "cancel")), "{tale:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_link_is_cut() {
    let (switch, _place, mut daemon, tale) = two_callers("").await;
    switch.cut();
    switch.vanish("1001");
    daemon.says("the connection was lost");
    told(&switch, &mut daemon, tale);
}

#[tokio::test(flavor = "multi_thread")]
async fn freeswitch_says_that_it_disconnects_and_its_calls_live_on() {
    let (switch, _place, mut daemon, tale) = two_callers("").await;
    switch.disconnect();
    switch.vanish("1001");
    daemon.says("FreeSWITCH closed the connection");
    told(&switch, &mut daemon, tale);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_connection_stays_open_and_nothing_comes() {
    let (switch, _place, mut daemon, tale) = two_callers("silence_timeout = \"2s\"").await;
    switch.stall();
    switch.vanish("1001");
    daemon.says("nothing was heard for 2 s");
    told(&switch, &mut daemon, tale);
}

#[tokio::test(flavor = "multi_thread")]
async fn events_come_and_commands_are_swallowed() {
    let (switch, _place, mut daemon, tale) = two_callers("").await;
    switch.swallow_commands(true);
    switch.cut();
    switch.vanish("1001");
    daemon.says("what FreeSWITCH has could not be read; trying again");
    // Events are told meanwhile.
    switch.join("1003");
    let mut tale = tale;
    tale.read_until(&mut daemon, |tale| tale.open("fs1") == 3);
    switch.leave("1003");
    tale.read_until(&mut daemon, |tale| tale.open("fs1") == 2);
    switch.swallow_commands(false);
    tale.read_until(&mut daemon, |tale| tale.open("fs1") == 1);
    switch.leave("1002");
    tale.read_until(&mut daemon, |tale| tale.open("fs1") == 0);
    tale.assert_whole();
    assert_eq!(tale.ends(), ["1001 cancel lost", "1002 abandoned hangup", "1003 abandoned hangup"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn freeswitch_is_started_anew() {
    let (switch, _place, mut daemon, mut tale) = two_callers("").await;
    switch.restart("core-2");
    daemon.says("FreeSWITCH is connected");
    daemon.says("compared with");
    tale.read_until(&mut daemon, |tale| tale.open("fs1") == 0);
    switch.join("1003");
    switch.leave("1003");
    tale.read_until(&mut daemon, |tale| tale.ends().len() == 3);
    tale.assert_whole();
    assert_eq!(tale.ends(), ["1001 cancel lost", "1002 cancel lost", "1003 abandoned hangup"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_password_changes_and_is_wrong_for_a_while() {
    let (switch, place, mut daemon, tale) = two_callers("").await;
    switch.set_password("another");
    switch.cut();
    switch.vanish("1001");
    daemon.says("FreeSWITCH refused the password");
    place.write(&[&switch.as_node("fs1", "")]);
    told(&switch, &mut daemon, tale);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_daemon_is_down_for_an_hour() {
    let (switch, place, daemon, mut tale) = two_callers("").await;
    daemon.signal(Signal::TERM);
    let (code, said) = daemon.ends();
    assert_eq!(code, Some(0), "{said}");
    let last_known = switch.now();
    switch.vanish("1001");
    switch.skip(Duration::from_secs(3_600));
    let mut daemon = place.run();
    tale.read_until(&mut daemon, |tale| tale.open("fs1") == 1);
    let lost = tale.of("fs1").last().expect("a line").clone();
    assert!(lost.left_at.is_some_and(|left_at| left_at <= last_known), "{lost:?}, last known at {last_known}");
    switch.leave("1002");
    tale.read_until(&mut daemon, |tale| tale.open("fs1") == 0);
    tale.assert_whole();
    assert_eq!(tale.ends(), ["1001 cancel lost", "1002 abandoned hangup"]);
    let stayed = tale.of("fs1").last().expect("a line");
    assert!(stayed.left_at.is_some_and(|left_at| left_at.duration_since(last_known).as_secs() >= 3_600), "{stayed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_joined_a_moment_before_the_connection_is_told() {
    let (switch, _place, mut daemon, mut tale) = two_callers("").await;
    switch.cut();
    switch.slip_in("1003");
    switch.slip_in("1004");
    daemon.says("FreeSWITCH is connected");
    daemon.says("compared with");
    switch.offer("1003", "agent1");
    switch.list("1003");
    // Of the other nothing is heard: a later survey finds it.
    switch.list("1004");
    tale.read_until(&mut daemon, |tale| tale.open("fs1") == 4);
    for number in ["1003", "1004", "1001", "1002"] {
        switch.leave(number);
    }
    tale.read_until(&mut daemon, |tale| tale.open("fs1") == 0);
    tale.assert_whole();
    let ends = ["1001", "1002", "1003", "1004"].map(|number| format!("{number} abandoned hangup"));
    assert_eq!(tale.ends(), ends);
    let made_up = tale.of("fs1").filter(|line| line.synthetic && line.event == "joined").map(|line| &*line.number);
    assert_eq!(made_up.collect::<BTreeSet<_>>(), ["1003", "1004"].into());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_joined_a_moment_before_the_connection_and_hangs_up_at_once_is_told() {
    let (switch, _place, mut daemon, mut tale) = two_callers("").await;
    switch.cut();
    switch.slip_in("1003");
    daemon.says("FreeSWITCH is connected");
    daemon.says("compared with");
    switch.leave("1003");
    tale.read_until(&mut daemon, |tale| tale.ends().len() == 1);
    assert_eq!(tale.ends(), ["1003 abandoned hangup"]);
    switch.leave("1001");
    switch.leave("1002");
    tale.read_until(&mut daemon, |tale| tale.open("fs1") == 0);
    tale.assert_whole();
}
