//! The configuration, read again while the daemon runs.

use std::fs;

use rustix::process::Signal;

use crate::process::{Place, tells};

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_configuration_holds_at_once_and_a_bad_one_changes_nothing() {
    let place = Place::new().await;
    place.write(&tells("the first flow"));
    let mut daemon = place.run();
    daemon.says("the first flow");
    place.write(&tells("the second flow"));
    daemon.says("the new configuration holds");
    daemon.says("the second flow");

    place.write(&tells("the third flow {{ no_such_field }}"));
    let problem = daemon.says("no_such_field");
    assert!(problem.contains("hookswitch.toml:4"), "{problem}");
    daemon.says("the configuration is refused, and the former one stays");
    daemon.says("the second flow");
    daemon.signal(Signal::TERM);
    let (code, said) = daemon.ends();
    assert_eq!(code, Some(0), "{said}");
    assert!(!said.contains("the third flow"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn sighup_reads_everything_again_and_tells_what_needs_a_restart() {
    let place = Place::new().await;
    place.write(&tells("{{ queue_name }}"));
    let mut daemon = place.run();
    daemon.says("FreeSWITCH is connected");
    daemon.signal(Signal::HUP);
    daemon.says("the new configuration holds");
    let concurrent = format!("{}[delivery]\nconcurrency = 7\n", tells("changed"));
    place.write(&concurrent);
    daemon.says("delivery.concurrency");
    daemon.says("changed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_that_is_gone_or_follows_nothing_is_refused() {
    let place = Place::new().await;
    place.write(&tells("still here"));
    let mut daemon = place.run();
    daemon.says("still here");
    fs::write(place.config(), tells("nobody")).expect("writes");
    daemon.says("no FreeSWITCH is configured");
    daemon.says("the configuration is refused, and the former one stays");
    fs::remove_file(place.config()).expect("removes");
    daemon.says("cannot read");
    daemon.says("the configuration is refused, and the former one stays");
    daemon.says("still here");
}
