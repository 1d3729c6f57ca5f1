//! Everything that runs: the simulator, the witness, the receiver, and one life of the daemon after the other.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use hookswitch::moment::EventName;
use tempfile::TempDir;

use crate::inbox::{Inbox, SECRET};
use crate::oracle::{Evidence, Findings, Gap, Run};
use crate::process::{PATIENCE, Process};
use crate::witness::Witness;

/// How many simulated seconds pass in one. Calls last some ten simulated seconds.
const SPEED: &str = "20";

/// What the daemon says when it has compared its attempts with FreeSWITCH's.
const SURVEYED: &str = "compared with what FreeSWITCH has";

/// What the simulator says around its address.
const GREETING: (&str, &str) = ("listens on ", " (password");

const PASSWORD: &str = "ClueCon";

/// The directory of the outbox, and of nothing else.
const STATE: &str = "state";

/// The stage. All its processes end with it.
pub(crate) struct Stage {
    simulator: Process,
    witness: Witness,
    inbox: Inbox,
    daemon: Option<Process>,
    /// When each life of the daemon began.
    lives: Vec<jiff::Timestamp>,
    /// When events may have passed the daemon by while it lived.
    gaps: Vec<Gap>,
    directory: TempDir,
}

impl Stage {
    /// Starts everything but the daemon.
    pub(crate) async fn open(seed: u64) -> Self {
        let directory = TempDir::new().expect("a directory");
        let path = |name: &str| directory.path().join(name);
        std::fs::create_dir(path(STATE)).expect("a directory");
        std::fs::write(path("scenario.toml"), include_str!("scenario.toml")).expect("writes");
        let inbox = Inbox::open(seed).await;
        let arguments = [
            // It ends by itself at last, should nothing be left to end it.
            format!("simulate --listen 127.0.0.1:0 --speed {SPEED} --seed {seed} --for 3h --password {PASSWORD}"),
            format!("--scenario {}", path("scenario.toml").display()),
            format!("--journal {}", path("journal.jsonl").display()),
        ];
        let arguments: Vec<_> = arguments.iter().flat_map(|words| words.split(' ')).collect();
        let mut simulator = Process::start(&arguments, "", &path("simulator.log"));
        simulator.says(GREETING.1).await;
        let said = simulator.said();
        let address = said.split_once(GREETING.0).and_then(|(_, rest)| rest.split_once(GREETING.1));
        let address = address.expect("an address").0;
        let witness = Witness::start(address, PASSWORD, &path("witness.esl"));
        let outbox = path(STATE).join("outbox.db");
        std::fs::write(path("hookswitch.toml"), configuration(address, &inbox, &outbox)).expect("writes");
        Self { simulator, witness, inbox, daemon: None, lives: Vec::new(), gaps: Vec::new(), directory }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The directory that the outbox has for itself.
    pub(crate) fn state(&self) -> PathBuf {
        self.path(STATE)
    }

    /// The daemon that was started last.
    pub(crate) fn daemon(&mut self) -> &mut Process {
        self.daemon.as_mut().expect("it was started")
    }

    /// Notes that events may have passed the daemon by.
    pub(crate) fn note(&mut self, gap: Gap) {
        self.gaps.push(gap);
    }

    /// Starts the daemon.
    pub(crate) fn start_daemon(&mut self, fail_points: &str) {
        let (config, log) = (self.path("hookswitch.toml"), self.path("daemon.log"));
        let daemon = Process::start(&["run".as_ref(), "--config".as_ref(), config.as_os_str()], fail_points, &log);
        self.lives.push(daemon.started_at);
        self.daemon = Some(daemon);
    }

    /// Kills the daemon.
    pub(crate) fn kill_daemon(&mut self) {
        let mut daemon = self.daemon.take().expect("it was started");
        daemon.kill();
    }

    /// Ends the daemon in good order.
    pub(crate) async fn stop_daemon(&mut self) {
        self.daemon.take().expect("it was started").stop().await;
    }

    /// Waits until the daemon ends by itself.
    pub(crate) async fn daemon_ends(&mut self) -> ExitStatus {
        self.daemon.take().expect("it was started").ends().await
    }

    /// Waits until the daemon has compared its attempts with FreeSWITCH's.
    pub(crate) async fn daemon_is_settled_in(&mut self) {
        self.daemon().says(SURVEYED).await;
    }

    /// Lets some time pass.
    pub(crate) async fn wait(&mut self, time: Duration) {
        tokio::time::sleep(time).await;
        self.inbox.arrivals();
    }

    /// Ends everything in good order, and holds the accounts against each other. Whether they agree is printed, with what
    /// they cover; differences fail the test and keep the directory.
    pub(crate) async fn conclude(mut self) -> Findings {
        self.daemon_is_settled_in().await;
        self.wait(Duration::from_secs(2)).await;
        self.simulator.stop().await;
        let (config, began) = (self.directory.path().join("hookswitch.toml"), Instant::now());
        let is_open = |state: &str| !list(&config, &["--state", state]).is_empty();
        while began.elapsed() < PATIENCE && (attempts_are_open(&mut self.inbox) || OPEN_STATES.into_iter().any(is_open))
        {
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
        self.daemon.take().expect("it was started").stop().await;
        let journal = std::fs::read_to_string(self.directory.path().join("journal.jsonl")).expect("a journal");
        let findings = Evidence {
            arrivals: self.inbox.arrivals(),
            runs: list(&config, &["--limit", "4000000000"]),
            journal: journal.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect(),
            sightings: self.witness.sightings(),
            lives: self.lives,
            gaps: self.gaps,
        }
        .judge();
        println!("{findings}");
        if !findings.differences.is_empty() {
            let kept = self.directory.keep();
            panic!("{} differences; see {}", findings.differences.len(), kept.display());
        }
        assert!(findings.followed > 0, "too short to prove anything");
        findings
    }
}

const OPEN_STATES: [&str; 3] = ["waiting", "pending", "running"];

/// Whether an attempt was told of whose end was not.
fn attempts_are_open(inbox: &mut Inbox) -> bool {
    let (mut joined, mut left) = (BTreeSet::new(), BTreeSet::new());
    for arrived in &inbox.arrivals().webhooks {
        let known = if arrived.moment.event == EventName::Leaving { &mut left } else { &mut joined };
        known.insert((&arrived.moment.queue_name, &arrived.moment.member_channel_id));
    }
    !joined.is_subset(&left)
}

/// The outbox's runs, as the command line tells of them.
fn list(config: &Path, arguments: &[&str]) -> Vec<Run> {
    let mut all = vec!["deliveries", "--config", config.to_str().expect("a path"), "list", "--json"];
    all.extend(arguments);
    let output = Process::output(&all);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8(output.stdout).expect("UTF-8");
    lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// Two flows: one hears everything, the other one the milestones.
fn configuration(freeswitch: &str, inbox: &Inbox, outbox: &Path) -> String {
    let hook = |event: EventName, flow: &str| {
        format!("  {{ name = \"{flow}-{event}\", event = \"{event}\", flow = \"{flow}\" }},\n")
    };
    let story = EventName::EIGHT.into_iter().map(|event| hook(event, "story"));
    let milestones = [EventName::Joined, EventName::Bridged, EventName::Leaving];
    let hooks: String = story.chain(milestones.into_iter().map(|event| hook(event, "milestones"))).collect();
    // A run that is refused so often in a row does not happen at the receiver's rates.
    let mut waits = vec!["50ms", "100ms", "200ms", "400ms"];
    waits.extend(["800ms"; 12]);
    format!(
        "[[freeswitch]]\nname = \"fs1\"\naddress = \"{freeswitch}\"\npassword = \"{PASSWORD}\"\n\n\
         [outbox]\npath = {outbox:?}\n\n\
         [delivery]\nsecrets = [\"{SECRET}\"]\nretry = {waits:?}\n\n\
         [queues.\"*\"]\nprocessing = true\nhooks = [\n{hooks}]\n\n\
         [flows.story]\nsteps = [{{ http = {{ url = \"{}\" }} }}]\n\n\
         [flows.milestones]\nsteps = [{{ http = {{ url = \"{}\" }} }}]\n",
        inbox.url("story"),
        inbox.url("milestones"),
    )
}
