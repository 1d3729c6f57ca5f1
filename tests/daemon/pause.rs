//! The daemon is stopped for longer than it lets FreeSWITCH be silent, and goes on.

use std::time::Duration;

use rustix::process::Signal;

use crate::place::{Nodes, Tale};
use crate::switch::Switch;

/// How long it stands still: several times the silence limit, and longer than the limit of signing in.
const PAUSE: Duration = Duration::from_secs(4);

#[tokio::test(flavor = "multi_thread")]
async fn what_came_during_a_pause_is_read_and_nobody_is_lost() {
    let (switch, place) = (Switch::start("core-1").await, Nodes::new());
    place.write(&[&switch.as_node("fs1", "silence_timeout = \"1s\"\nconnect_timeout = \"2s\"")]);
    let mut daemon = place.run();
    daemon.says("compared with");
    switch.join("1000");
    let mut tale = Tale::until(&mut daemon, |tale| tale.open("fs1") == 1);
    for round in 1..=3 {
        daemon.signal(Signal::STOP);
        let number = |place: u32| (round * 1_000 + place).to_string();
        for place in 1..=50 {
            switch.join(&number(place));
            if place % 2 == 0 {
                switch.leave(&number(place));
            }
        }
        tokio::time::sleep(PAUSE).await;
        daemon.signal(Signal::CONT);
        let stays = 1 + 25 * round as usize;
        tale.read_until(&mut daemon, |tale| tale.open("fs1") == stays && tale.ends().len() == stays - 1);
    }
    assert!(tale.ends().iter().all(|end| end.ends_with(" abandoned hangup")), "{:?}", tale.ends());
    let said = daemon.said();
    assert!(!said.contains("no connection to FreeSWITCH"), "{said}");
    assert_eq!(said.matches("FreeSWITCH is connected").count(), 1, "{said}");
    // It is still watched.
    switch.stall();
    daemon.says("nothing was heard for 1 s");
}
