//! Several nodes in one daemon: added, taken out, moved and changed while others go on; and nodes that share a database.

use crate::place::{Nodes, Tale};
use crate::switch::Switch;

use hookswitch::simulator::server::DEFAULT_PASSWORD;
use hookswitch::simulator::{Server, ServerOptions};
use tokio_util::sync::CancellationToken;

/// How many simulated seconds pass in one.
const SPEED: f64 = 20.0;

/// A simulated FreeSWITCH under load; ends all its calls when it is told to.
async fn simulator(seed: u64) -> (String, CancellationToken) {
    let server = Server::bind("127.0.0.1:0").await.expect("a free port");
    let (address, shutdown) = (server.local_addr().to_string(), CancellationToken::new());
    let options = ServerOptions { speed: SPEED, seed, ..ServerOptions::default() };
    tokio::spawn(server.run(options, shutdown.clone()));
    (address, shutdown)
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_come_and_go_and_change_while_another_notices_nothing() {
    let ((a, end_a), (b, end_b), (c, end_c)) = (simulator(1).await, simulator(2).await, simulator(3).await);
    let node = |name, address: &str, password| (name, address.to_owned(), format!("password = \"{password}\""));
    let (fs_a, fs_b, fs_c) = (node("a", &a, DEFAULT_PASSWORD), node("b", &b, DEFAULT_PASSWORD), node("c", &c, "wrong"));
    let place = Nodes::new();
    place.write(&[&fs_a, &fs_b]);
    let mut daemon = place.run();
    daemon.has_said(&[
        "compared with what FreeSWITCH has node=a",
        "compared with what FreeSWITCH has node=b",
        "[a ",
        "[b ",
    ]);

    let waiting_at_start = Tale::until(&mut daemon, |_| true).of("b").filter(|line| line.synthetic).count();

    place.write(&[&fs_a, &fs_b, &fs_c]);
    daemon.says("FreeSWITCH refused the password");
    let fs_c = node("c", &c, DEFAULT_PASSWORD);
    place.write(&[&fs_a, &fs_b, &fs_c]);
    daemon.says("compared with what FreeSWITCH has node=c");
    daemon.says("[c ");
    daemon.says("[b ");

    place.write(&[&fs_b, &fs_c]);
    daemon.says("FreeSWITCH is not followed any more node=a");
    daemon.says("[b ");
    daemon.says("[c ");

    place.write(&[&fs_b, &fs_a, &fs_c]);
    daemon.says("compared with what FreeSWITCH has node=a");
    daemon.says("[a ");
    daemon.says("[b ");
    for end in [end_a, end_b, end_c] {
        end.cancel();
    }
    let tale = Tale::until(&mut daemon, |tale| ["a", "b", "c"].iter().all(|node| tale.open(node) == 0));
    tale.assert_whole();
    let made_up = tale.of("b").filter(|line| line.synthetic && line.event == "joined");
    assert!(made_up.count() <= waiting_at_start, "nothing was missed on b");
    let said = daemon.said();
    let connected = |name: &str| said.matches(&format!("FreeSWITCH is connected node={name} ")).count();
    assert_eq!((connected("a"), connected("b"), connected("c")), (2, 1, 1), "{said}");
    assert!(!said.contains("takes effect when hookswitch is started again"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_moved_or_changed_its_name_for_a_cluster_keeps_its_attempts() {
    let (old, new) = (Switch::start("core-1").await, Switch::start("core-2").await);
    let place = Nodes::new();
    place.write(&[&old.as_node("a", "")]);
    let mut daemon = place.run();
    daemon.says("compared with");
    old.join("1001");
    old.join("1002");
    let mut tale = Tale::until(&mut daemon, |tale| tale.open("a") == 2);

    // It joins a cluster: another follower has it.
    place.write(&[&old.as_node("a", "cluster = \"both\"")]);
    daemon.says("FreeSWITCH is not followed any more node=a open_attempts=2");
    daemon.says("FreeSWITCH is connected node=a open_attempts=2");
    daemon.says("compared with");
    old.leave("1001");
    tale.read_until(&mut daemon, |tale| tale.open("a") == 1);

    // Its address is that of another process now: what lived on the old one is lost.
    place.write(&[&new.as_node("a", "cluster = \"both\"")]);
    tale.read_until(&mut daemon, |tale| tale.open("a") == 0);
    tale.assert_whole();
    assert_eq!(tale.ends(), ["1001 abandoned hangup", "1002 cancel lost"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_node_of_a_cluster_restarts_and_the_others_calls_go_on() {
    let (one, two) = (Switch::start("core-1").await, Switch::start("core-2").await);
    one.share_database_with(&two);
    let place = Nodes::new();
    let shared = "cluster = \"both\"";
    place.write(&[&one.as_node("a", shared), &two.as_node("b", shared)]);
    let mut daemon = place.run();
    daemon.has_said(&["compared with what FreeSWITCH has node=a", "compared with what FreeSWITCH has node=b"]);
    one.join("1001");
    two.join("1002");
    let mut tale = Tale::until(&mut daemon, |tale| tale.open("a") == 1 && tale.open("b") == 1);
    two.restart("core-3");
    tale.read_until(&mut daemon, |tale| tale.open("b") == 0);
    // The lists of both nodes are the same, and only one has the member's channel.
    one.cut();
    daemon.says("compared with what FreeSWITCH has node=a");
    assert_eq!(tale.open("a"), 1);
    one.leave("1001");
    // Who gave up on one node may come back on the other.
    two.join("1003");
    tale.read_until(&mut daemon, |tale| tale.open("a") == 0 && tale.open("b") == 1);
    two.leave("1003");
    tale.read_until(&mut daemon, |tale| tale.open("b") == 0);
    tale.assert_whole();
    assert_eq!(tale.ends(), ["1001 abandoned hangup", "1002 cancel lost", "1003 abandoned hangup"]);
}
