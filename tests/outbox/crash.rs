//! The process ends at the worst instants, and is started again: what was acknowledged is delivered, under one name.
//!
//! The process is this test program itself, started anew for the single test [`a_daemon`], which does nothing in an
//! ordinary run. The receiver lives in the test and outlives it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use hookswitch::delivery::{Client, Limits};
use hookswitch::esl::Nodes;
use hookswitch::failpoint;
use hookswitch::flow::{Flows, Runner};
use hookswitch::outbox::{Deliveries, Filter, Opened, RunState, Settings};
use tempfile::TempDir;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::receiver::{Answer, Receiver};
use crate::sample::{entry, key, moment_id, webhook};

/// How many moments a daemon commits, each of an attempt of its own.
const MOMENTS: u32 = 40;

/// What a daemon prints for each moment that it knows to be durable.
const ACKNOWLEDGED: &str = "acknowledged ";

/// The daemon's file, its receiver, and how many moments it commits, in its environment.
const FILE: &str = "OUTBOX_TEST_FILE";
const RECEIVER: &str = "OUTBOX_TEST_RECEIVER";
const COUNT: &str = "OUTBOX_TEST_COUNT";

/// Commits moments, delivers them, and ends when all runs are over, or earlier where a fail point ends it.
#[tokio::test]
#[ignore = "is the process that the other tests of this file start"]
async fn a_daemon() {
    let _scenario = fail::FailScenario::setup();
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let variable = |name| std::env::var(name).expect("the tests of this file set it");
    let flow = webhook("crm", &variable(RECEIVER), &[Duration::from_millis(20); 3]);
    let path = variable(FILE);
    let Opened { outbox, runs, .. } = Opened::open(&Settings::at(&path)).expect("opens");
    let alarm = webhook("alarm", &variable(RECEIVER), &[]);
    let flows = Arc::new(Flows::from_iter([flow.clone(), alarm.clone()]).telling(Some(alarm)));
    let client = Arc::new(Client::new(Limits::default()).expect("a client"));
    let nodes = Nodes::default();
    let runner = Runner { outbox: outbox.clone(), client, nodes, flows: watch::channel(flows).1 };
    tokio::spawn(runner.run(runs, CancellationToken::new(), Duration::ZERO));
    for attempt in 0..variable(COUNT).parse().expect("a number") {
        outbox.commit(entry(attempt, 0, std::slice::from_ref(&flow))).await.expect("commits");
        println!("{ACKNOWLEDGED}{attempt}");
    }
    let deliveries = Deliveries::open(Path::new(&path)).expect("opens");
    let over = || {
        let runs = deliveries.list(&Filter::default(), u32::MAX).expect("lists");
        runs.iter().all(|run| run.state.is_over())
    };
    for _ in 0..6_000 {
        if over() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("not all is over within a minute");
}

/// A daemon that can be started again and again.
struct Stage {
    directory: TempDir,
    receiver: Receiver,
}

impl Stage {
    async fn new() -> Self {
        let directory = TempDir::new().expect("a directory");
        Self { directory, receiver: Receiver::start(|_| Answer::ok()).await }
    }

    fn file(&self) -> std::path::PathBuf {
        self.directory.path().join("outbox.db")
    }

    fn daemon(&self, count: u32, failpoints: &str) -> Command {
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        command
            .args(["--exact", "crash::a_daemon", "--ignored", "--nocapture", "--test-threads=1"])
            .env(FILE, self.file())
            .env(RECEIVER, self.receiver.url())
            .env(COUNT, count.to_string())
            .env("FAILPOINTS", failpoints);
        command
    }

    async fn run(&self, count: u32, failpoints: &str) -> Output {
        let mut daemon = self.daemon(count, failpoints);
        tokio::task::spawn_blocking(move || daemon.output()).await.expect("waits").expect("runs")
    }

    /// Starts the daemon once more, without moments of its own, and lets it end what is left. Then each moment that was
    /// acknowledged has come, each run has one name, and each attempt is found again.
    async fn assert_nothing_is_missing(mut self, acknowledged: &BTreeSet<u32>) {
        let rest = self.run(0, "").await;
        assert!(rest.status.success(), "{}", String::from_utf8_lossy(&rest.stderr));
        let mut names: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        while let Ok(received) = self.receiver.requests.try_recv() {
            let moment = received.field("id").as_str().expect("an identifier").to_owned();
            names.entry(moment).or_default().insert(received.header("webhook-id").to_owned());
        }
        for attempt in acknowledged {
            assert!(names.contains_key(&moment_id(*attempt, 0).to_string()), "moment {attempt} is missing");
        }
        assert!(names.values().all(|names| names.len() == 1), "{names:?}");
        let opened = Opened::open(&Settings::at(self.file())).expect("opens");
        let found: BTreeSet<_> = opened.recovered.attempts.iter().map(|(key, _)| key.clone()).collect();
        assert!(acknowledged.iter().all(|attempt| found.contains(&key(*attempt))));
        assert_eq!(opened.recovered.open_runs, 0);
    }
}

/// Whether the process ended at a fail point.
fn aborted(output: &Output) -> bool {
    const SIGABRT: i32 = 6;
    output.status.signal() == Some(SIGABRT)
}

fn acknowledged(output: &Output) -> BTreeSet<u32> {
    let text = String::from_utf8_lossy(&output.stdout);
    let numbers = text.lines().filter_map(|line| line.split_once(ACKNOWLEDGED));
    numbers.map(|(_, attempt)| attempt.parse().expect("a number")).collect()
}

#[tokio::test]
async fn nothing_acknowledged_is_missing_whichever_instant_the_process_ends_at() {
    for point in failpoint::ALL {
        for passes in [0, 7] {
            let stage = Stage::new().await;
            let output = stage.run(MOMENTS, &format!("{point}={passes}*off->return")).await;
            assert!(aborted(&output), "{point} was not reached: {output:?}");
            let acknowledged = acknowledged(&output);
            assert!(acknowledged.len() < MOMENTS as usize, "{point} was reached too late");
            stage.assert_nothing_is_missing(&acknowledged).await;
        }
    }
}

#[tokio::test]
async fn nothing_acknowledged_is_missing_after_a_kill() {
    let stage = Stage::new().await;
    let mut daemon = stage.daemon(u32::MAX, "").stdout(Stdio::piped()).spawn().expect("runs");
    let acknowledged = tokio::task::spawn_blocking(move || {
        let mut acknowledged = BTreeSet::new();
        for line in BufReader::new(daemon.stdout.take().expect("is piped")).lines() {
            if let Some((_, attempt)) = line.expect("reads").split_once(ACKNOWLEDGED) {
                acknowledged.insert(attempt.parse().expect("a number"));
            }
            if acknowledged.len() == 100 {
                daemon.kill().expect("kills");
            }
        }
        assert!(!daemon.wait().expect("ends").success());
        acknowledged
    });
    let acknowledged = acknowledged.await.expect("reads");
    stage.assert_nothing_is_missing(&acknowledged).await;
}

#[tokio::test]
async fn a_request_whose_answer_was_not_recorded_is_repeated_under_its_name() {
    let mut stage = Stage::new().await;
    let output = stage.run(1, &format!("{}=return", failpoint::AFTER_RESPONSE)).await;
    assert!(aborted(&output), "{output:?}");
    let first = stage.receiver.next().await;
    assert!(stage.run(0, "").await.status.success());
    let second = stage.receiver.next().await;
    assert_eq!(first.header("webhook-id"), second.header("webhook-id"));
    assert_eq!(first.body, second.body);
}

#[tokio::test]
async fn a_step_that_panics_is_a_failed_try_and_harms_no_other() {
    let stage = Stage::new().await;
    let output = stage.run(5, &format!("{}=1*panic", failpoint::BEFORE_REQUEST)).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let runs = Deliveries::open(&stage.file()).expect("opens").list(&Filter::default(), u32::MAX).expect("lists");
    assert_eq!(runs.iter().filter(|run| run.state == RunState::Delivered).count(), 5);
    let output = stage.run(1, &format!("{}=panic", failpoint::BEFORE_REQUEST)).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// A bug between two steps, where nothing of the run is at hand any more but its row.
#[tokio::test]
async fn a_run_that_panics_is_tried_again_and_fails_in_the_end_and_those_behind_it_go_on() {
    let stage = Stage::new().await;
    let output = stage.run(5, &format!("{}=1*panic", failpoint::IN_RUN)).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let runs = || Deliveries::open(&stage.file()).expect("opens").list(&Filter::default(), u32::MAX).expect("lists");
    assert_eq!(runs().iter().filter(|run| run.state == RunState::Delivered).count(), 5);
    let file = stage.file();
    std::fs::remove_file(&file).expect("deletes");
    let output = stage.run(1, &format!("{}=3*panic", failpoint::IN_RUN)).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let runs = runs();
    let of = |flow: &str| runs.iter().filter(|run| run.flow.as_str() == flow).collect::<Vec<_>>();
    let ([failed], [alarm]) = (&of("crm")[..], &of("alarm")[..]) else { panic!("one of each: {runs:?}") };
    assert_eq!((failed.state, alarm.state), (RunState::Failed, RunState::Delivered), "the failure is told of");
    assert!(failed.error.as_deref().is_some_and(|error| error.contains("bug")));
}
