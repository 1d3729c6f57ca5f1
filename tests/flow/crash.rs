//! A flow of six steps, and a process that ends at each of its boundaries: every effect comes about, under one name, and
//! none when it is too late.
//!
//! The process is this test program itself, started anew for the single test [`a_daemon`], which does nothing in an
//! ordinary run. Receivers and FreeSWITCH live in the test and outlive it.

use std::collections::BTreeSet;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::Duration;

use hookswitch::failpoint;
use hookswitch::outbox::Filter;
use hookswitch::outbox::RunState;
use hookswitch::outbox::deliveries::Story;
use jiff::Timestamp;
use tempfile::TempDir;

use crate::receiver::{Answer, Receiver};
use crate::stage::{Stage, open};
use crate::switchboard::{Switchboard, link};

/// The daemon's directory and its FreeSWITCH, and whether it is to start the run, in its environment.
const DIRECTORY: &str = "FLOW_TEST_DIRECTORY";
const FREESWITCH: &str = "FLOW_TEST_FREESWITCH";
const FIRES: &str = "FLOW_TEST_FIRES";

/// The name of the configuration in the directory.
const CONFIG: &str = "hookswitch.toml";

/// Starts the run, if it is to, and ends when all runs are over, or earlier where a fail point ends it.
#[tokio::test]
#[ignore = "is the process that the other tests of this file start"]
async fn a_daemon() {
    let _scenario = fail::FailScenario::setup();
    let variable = |name| std::env::var(name).expect("the tests of this file set it");
    let directory = PathBuf::from(variable(DIRECTORY));
    let config = std::fs::read_to_string(directory.join(CONFIG)).expect("is there");
    let stage = Stage::start_in(&directory, &config);
    let link = link(&variable(FREESWITCH));
    stage.nodes.insert("fs1".into(), &link);
    if variable(FIRES) == "yes" {
        stage.fire("story", 1, 0).await;
    }
    for run in stage.deliveries().list(&Filter::default(), u32::MAX).expect("lists") {
        stage.over(run.id).await;
    }
}

/// A daemon that can be started again and again, and all that it acts upon.
struct Theatre {
    directory: TempDir,
    first: Receiver,
    second: Receiver,
    switchboard: Switchboard,
}

impl Theatre {
    /// With commands that expire after so long.
    async fn new(expires_after: &str) -> Self {
        let directory = TempDir::new().expect("a directory");
        let first = Receiver::start(|_| Answer::Json(r#"{"vip":true}"#.into())).await;
        let second = Receiver::start(|_| Answer::ok()).await;
        let config = format!(
            r#"
            [flows.story]
            steps = [
              {{ http = {{ url = "{}" }}, save = "crm" }},
              {{ set = {{ vip = "{{{{ crm.body.vip }}}}" }} }},
              {{ wait = "100ms" }},
              {{ freeswitch = {{ uuid_setvar = ["channel", "vip", "{{{{ vip }}}}"], expires_after = "{expires_after}" }} }},
              {{ if = "vip", then = [{{ http = {{ url = "{}" }} }}] }},
              {{ log = {{ message = "done" }} }},
            ]
            "#,
            first.url(),
            second.url()
        );
        std::fs::write(directory.path().join(CONFIG), config).expect("writes");
        Self { directory, first, second, switchboard: Switchboard::start(|_| "+OK\n".into()).await }
    }

    async fn run(&self, fires: &str, failpoints: &str) -> Output {
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        command
            .args(["--exact", "crash::a_daemon", "--ignored", "--nocapture", "--test-threads=1"])
            .env(DIRECTORY, self.directory.path())
            .env(FREESWITCH, self.switchboard.address.to_string())
            .env(FIRES, fires)
            .env("FAILPOINTS", failpoints);
        tokio::task::spawn_blocking(move || command.output()).await.expect("waits").expect("runs")
    }

    /// Starts the daemon once more, and lets it end what is left.
    async fn finish(&self) {
        let rest = self.run("no", "").await;
        assert!(rest.status.success(), "{}", String::from_utf8_lossy(&rest.stderr));
    }

    /// The run, if its commit was reached.
    fn story(&self) -> Option<Story> {
        let deliveries = open(&self.directory.path().join("outbox.db"));
        let run = deliveries.list(&Filter::default(), 1).expect("lists").pop()?;
        deliveries.show(run.id).expect("reads")
    }

    /// Every effect has come about, each under one name of its own.
    fn assert_effects(&mut self, story: &Story) {
        let names = |receiver: &mut Receiver| {
            let mut names = BTreeSet::new();
            while let Ok(received) = receiver.requests.try_recv() {
                names.insert(received.header("webhook-id").to_owned());
            }
            names
        };
        let run = story.run.id;
        assert_eq!(names(&mut self.first), BTreeSet::from([format!("whr_{run}_0")]));
        assert_eq!(names(&mut self.second), BTreeSet::from([format!("whr_{run}_4-then-0")]));
        let commands: BTreeSet<String> = self.switchboard.lines().into_iter().collect();
        assert_eq!(commands, BTreeSet::from(["uuid_setvar channel vip true".to_owned()]));
        let paths: Vec<&str> = story.steps.iter().map(|step| step.path.as_str()).collect();
        assert_eq!((story.run.state, paths), (RunState::Delivered, vec!["0", "1", "2", "3", "4", "4/then/0", "5"]));
    }
}

fn aborted(output: &Output) -> bool {
    const SIGABRT: i32 = 6;
    output.status.signal() == Some(SIGABRT)
}

#[tokio::test]
async fn every_effect_comes_about_whichever_boundary_the_process_ends_at() {
    let mut ended = Vec::new();
    for point in failpoint::ALL.into_iter().chain(failpoint::OF_COMMANDS) {
        // Until the point is not reached so often any more.
        for passes in 0.. {
            let mut theatre = Theatre::new("1m").await;
            let output = theatre.run("yes", &format!("{point}={passes}*off->return")).await;
            if !aborted(&output) {
                assert!(output.status.success(), "{output:?}");
                assert!(passes > 0, "{point} was not reached");
                break;
            }
            ended.push((point, passes));
            theatre.finish().await;
            match theatre.story() {
                Some(story) => theatre.assert_effects(&story),
                None => assert_eq!((point, passes), (failpoint::BEFORE_COMMIT, 0), "what was committed is there"),
            }
        }
    }
    // Before and after each of the commits, two requests and a command.
    assert!(ended.len() >= 18, "{ended:?}");
}

#[tokio::test]
async fn no_command_is_given_after_its_expiry() {
    for (point, given) in [(failpoint::BEFORE_COMMAND, 0), (failpoint::AFTER_ANSWER, 1)] {
        let expires_after = Duration::from_secs(5);
        let mut theatre = Theatre::new("5s").await;
        let output = theatre.run("yes", &format!("{point}=return")).await;
        assert!(aborted(&output), "{output:?}");
        tokio::time::sleep(expires_after + Duration::from_millis(500)).await;
        theatre.finish().await;
        let story = theatre.story().expect("was committed");
        assert_eq!(story.run.state, RunState::Expired, "{story:?}");
        let meant_for = story.steps.iter().find(|step| step.path == "2").expect("the wait").ended_at.0;
        let commands: Vec<(Timestamp, String)> = theatre.switchboard.commands();
        assert_eq!(commands.len(), given);
        assert!(commands.iter().all(|(at, _)| *at < meant_for + expires_after + Duration::from_secs(1)));
        assert!(theatre.second.requests.try_recv().is_err(), "the run has ended");
    }
}
