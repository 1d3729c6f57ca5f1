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

#[tokio::test(flavor = "multi_thread")]
async fn who_could_not_be_heard_over_http_during_a_pause_is_not_lost() {
    let (switch, place) = (Switch::start("core-1").await, Nodes::new());
    let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a port").port();
    let chat = "[queues.chat]\nsource = \"api\"\nttl = \"5s\"";
    place.write(&[&switch.as_node("fs1", &format!("{chat}\n[http]\nlisten = \"127.0.0.1:{port}\"\n"))]);
    let mut daemon = place.run();
    daemon.says("compared with");
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let attempt = format!("http://127.0.0.1:{port}/api/queues/chat/attempts/c1");
    let opened = client.put(&attempt).json(&serde_json::json!({})).send().await.expect("answers");
    assert_eq!(opened.status(), 201);
    daemon.signal(Signal::STOP);
    tokio::time::sleep(Duration::from_secs(7)).await;
    daemon.signal(Signal::CONT);
    tokio::time::sleep(Duration::from_millis(500)).await;
    let leaving = serde_json::json!({ "id": "1", "signal": { "leaving": {} } });
    let left = client.post(format!("{attempt}/signals")).json(&leaving).send().await.expect("answers");
    assert_eq!(left.status(), 200, "{}", left.text().await.expect("a text"));
    // Who says nothing is lost all the same.
    client.put(attempt.replace("c1", "c2")).json(&serde_json::json!({})).send().await.expect("answers");
    let tale = Tale::until(&mut daemon, |tale| tale.ends().len() == 2);
    assert_eq!(tale.ends(), ["- abandoned hangup", "- cancel lost"]);
}
