//! A recording replayed gives the moments that were committed live.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use hookswitch::config::Config;
use hookswitch::daemon::Daemon;
use hookswitch::esl::Nodes;
use hookswitch::esl::command::{Password, Subscription};
use hookswitch::esl::link::NodeAddress;
use hookswitch::node::follower::Order;
use hookswitch::node::surroundings::Surroundings;
use hookswitch::node::{Follower, LiveAttempts};
use hookswitch::outbox::store::{Opened, Settings as OutboxSettings};
use hookswitch::recording::mark::Writer;
use hookswitch::recording::recorder::{self, Settings};
use hookswitch::recording::{Directory, Tap};
use hookswitch::simulator::server::DEFAULT_PASSWORD;
use serde_json::Value;
use tokio::sync::{mpsc, watch};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::place::{FreeSwitch, Line, Place, Replayed, marks, program, spans};

/// The recordings of a directory, in the order in which they were begun.
fn files(directory: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = directory.read_dir().expect("is there").map(|entry| entry.expect("reads").path()).collect();
    files.sort();
    files
}

/// The replay's moments are those that were committed, field by field and in their order. At its end a replay settles
/// attempts whose end was seen, too, which a daemon that ends leaves for its next start.
fn assert_replays(file: &Path, config: &Path, committed: &[Value]) {
    let replayed = replay(file, config);
    for (place, (replayed, committed)) in replayed.iter().zip(committed).enumerate() {
        assert_eq!(replayed, committed, "moment {place} of {}", file.display());
    }
    assert!(replayed.len() >= committed.len(), "{} of {} moments", replayed.len(), committed.len());
    for settled in &replayed[committed.len()..] {
        assert!(
            ["offering", "missed", "leaving", "processing"].map(Value::from).contains(&settled["event"]),
            "{settled}"
        );
    }
}

/// The moments of a replay, which are the same each time, byte for byte.
fn replay(file: &Path, config: &Path) -> Vec<Value> {
    let (first, second) = (Replayed::of(&[file], Some(config)), Replayed::of(&[file], Some(config)));
    assert!(first.output.status.success(), "{}", first.errors());
    assert!(first.output.stdout == second.output.stdout, "{}", file.display());
    first.moments()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_daemon_and_recorder_wrote_of_a_link_that_was_cut_replays_to_what_was_committed() {
    let (place, freeswitch) = (Place::new(), FreeSwitch::at_work().await);
    let line = Line::to(freeswitch.address).await;
    let config = place.configure(line.address);
    let loaded = Arc::new(Config::load(&config).expect("a good configuration"));
    let directory = Directory { path: place.path("recordings"), redact: false };

    let recorded = place.path("recorded.esl.zst");
    let mut recorder = program(&["record", "--for", "9s", "--out"]);
    let recorder = recorder.arg(&recorded).arg("--config").arg(&config).stderr(Stdio::piped()).spawn().expect("starts");

    let daemon = Daemon::start(Arc::clone(&loaded), Some(directory.clone())).expect("starts");
    sleep(Duration::from_secs(2)).await;
    line.cut();
    sleep(Duration::from_secs(1)).await;
    line.mend();
    sleep(Duration::from_secs(3)).await;
    daemon.stop().await;
    let before = place.committed();

    let daemon = Daemon::start(loaded, Some(directory.clone())).expect("starts again");
    sleep(Duration::from_secs(2)).await;
    daemon.stop().await;
    let all = place.committed();

    let [first, second] = &files(&directory.path)[..] else { panic!("two recordings") };
    let counts = marks(first);
    for (name, least) in [("begin", 1), ("connected", 2), ("lost", 1), ("snapshot", 2), ("dump", 1), ("arrived", 10)] {
        assert!(counts.get(name).is_some_and(|count| *count >= least), "{name} in {counts:?}");
    }
    assert!(marks(second)["restored"] >= 1);
    assert!(before.len() > 20 && all.len() > before.len(), "{} of {} moments", before.len(), all.len());
    assert_replays(first, &config, &before);
    assert_replays(second, &config, &all[before.len()..]);

    let output = recorder.wait_with_output().expect("ends");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let spans_of_daemon = [spans(first), spans(second)].concat();
    same_where_both_heard(&replay(&recorded, &config), &spans(&recorded), &all, &spans_of_daemon);
}

/// Two who listened by themselves tell the attempts that both heard whole, within one connection, alike.
fn same_where_both_heard(
    one: &[Value],
    spans: &[RangeInclusive<u64>],
    other: &[Value],
    others: &[RangeInclusive<u64>],
) {
    let heard = |moments: &[Value], spans: &[RangeInclusive<u64>]| {
        let mut heard = BTreeMap::<u64, BTreeSet<Option<usize>>>::new();
        for moment in moments {
            let sequence = moment["source"]["event_sequence"].as_u64().filter(|_| moment["synthetic"] == false);
            let span = sequence.and_then(|sequence| spans.iter().position(|span| span.contains(&sequence)));
            heard.entry(moment["attempt_id"].as_u64().expect("an attempt")).or_default().insert(span);
        }
        heard.retain(|_, spans| spans.len() == 1 && !spans.contains(&None));
        heard
    };
    let (heard, heard_by_other) = (heard(one, spans), heard(other, others));
    let whole = |attempt: &Value| {
        attempt.as_u64().is_some_and(|id| heard.contains_key(&id) && heard_by_other.contains_key(&id))
    };
    let mut compared = 0;
    for moment in one.iter().filter(|moment| whole(&moment["attempt_id"])) {
        if let Some(same) = other.iter().find(|other| other["id"] == moment["id"]) {
            let (mut moment, mut same) = (moment.clone(), same.clone());
            // It may be one that a survey has found, and only a daemon makes surveys.
            moment["previous_attempt_id"].take();
            same["previous_attempt_id"].take();
            assert_eq!(moment, same);
            compared += 1;
        }
    }
    assert!(compared > 10, "only {compared} moments were told by both");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_follower_was_fed_through_a_gap_replays_to_what_was_committed() {
    let (place, freeswitch) = (Place::new(), FreeSwitch::at_work().await);
    let config = place.configure(freeswitch.address);
    let loaded = Arc::new(Config::load(&config).expect("a good configuration"));
    let (_unchanged, config_in) = watch::channel(loaded);
    let opened = Opened::open(&OutboxSettings::at(place.outbox())).expect("an outbox");
    let file = place.path("gap.esl");
    let settings = Settings { file: file.clone(), node: "pbx".into(), by: Writer::Daemon, redaction: None };
    let (recorder, recording) = recorder::begin(settings).expect("a recording");
    let node = NodeAddress {
        name: "pbx".into(),
        address: freeswitch.address.to_string(),
        password: Password::new(DEFAULT_PASSWORD).expect("can be sent"),
        connect_timeout: Duration::from_secs(10),
        silence_timeout: Duration::from_secs(60),
        subscription: Subscription::default(),
    };
    // So little room that the events of one moment of the simulation are too many.
    let outbox = Some(opened.outbox.clone());
    let around = Surroundings {
        config: config_in,
        outbox,
        live: LiveAttempts::default(),
        nodes: Nodes::default(),
        event_capacity: 4,
    };
    let (orders, obeyed) = mpsc::channel(1);
    let follower = Follower::new("pbx".into(), obeyed, around, Tap::into(recorder, "pbx".into()));
    let end = CancellationToken::new();
    let following = tokio::spawn(follower.run(end.clone()));
    orders.send(Order::Follow(Box::new(node), Vec::new())).await.expect("it listens");
    sleep(Duration::from_secs(4)).await;
    end.cancel();
    following.await.expect("ends").expect("it could follow");
    assert_eq!(recording.ended().await.unwritten, 0);
    drop((opened.outbox, opened.runs));
    opened.ending.ended().await;

    let counts = marks(&file);
    assert!(counts.contains_key("dirty") && counts["survey"] > 1, "{counts:?}");
    let committed = place.committed();
    assert!(committed.len() > 10, "{} moments", committed.len());
    assert_replays(&file, &config, &committed);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_cluster_told_while_a_node_went_and_came_replays_to_what_was_committed() {
    let (place, one, other) = (Place::new(), FreeSwitch::at_work().await, FreeSwitch::at_work().await);
    let nodes = [("one", one.address), ("other", other.address)];
    let config = place.configure_cluster(&nodes);
    let load = || Config::load(&config).expect("a good configuration");
    let directory = Directory { path: place.path("recordings"), redact: false };
    let daemon = Daemon::start(Arc::new(load()), Some(directory.clone())).expect("starts");
    sleep(Duration::from_secs(2)).await;
    place.configure_cluster(&nodes[..1]);
    daemon.reload(load()).expect("a good configuration");
    sleep(Duration::from_secs(1)).await;
    place.configure_cluster(&nodes);
    daemon.reload(load()).expect("a good configuration");
    sleep(Duration::from_secs(2)).await;
    daemon.stop().await;

    let [file] = &files(&directory.path)[..] else { panic!("one recording") };
    let counts = marks(file);
    assert!(counts["node"] > 10 && counts["left"] == 1 && counts["configured"] == 2, "{counts:?}");
    let committed = place.committed();
    for (node, _) in nodes {
        assert!(committed.iter().filter(|moment| moment["node"] == node).count() > 10);
    }
    assert_replays(file, &config, &committed);
}
