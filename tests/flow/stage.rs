//! A daemon without its FreeSWITCH side: a configuration's flows, an outbox and a runner.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hookswitch::config::Config;
use hookswitch::delivery::{Client, Limits};
use hookswitch::esl::Nodes;
use hookswitch::flow::{Flows, Runner};
use hookswitch::id::{AttemptKey, RunId};
use hookswitch::moment::value::Time;
use hookswitch::moment::{EventName, Moment, Payload};
use hookswitch::outbox::deliveries::{Deliveries, Story};
use hookswitch::outbox::{Entry, Opened, Outbox, PlannedRun, RunState, Settings};
use jiff::Timestamp;
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::switchboard::{Switchboard, link};

/// The daemon.
pub(crate) struct Stage {
    pub(crate) path: PathBuf,
    pub(crate) nodes: Nodes,
    config: Config,
    outbox: Outbox,
    flows: watch::Sender<Arc<Flows>>,
    end: CancellationToken,
    runner: JoinHandle<()>,
    ending: hookswitch::outbox::Ending,
}

/// Reads it from a file in the directory, beside those that it names.
fn load(directory: &Path, text: &str) -> Config {
    let path = directory.join("stage.toml");
    std::fs::write(&path, text).expect("is written");
    Config::load(&path).unwrap_or_else(|problems| panic!("{problems}"))
}

/// A moment of an attempt that happened just now, but for what is changed, and starts the flow.
fn entry_of(config: &Config, flow: &str, attempt: u32, number: u32, change: impl FnOnce(&mut Payload)) -> Entry {
    let key = AttemptKey {
        core: "core".into(),
        queue: "support@default".into(),
        member: "member".into(),
        session: "session".into(),
        ordinal: attempt,
    };
    let mut payload = Payload::sample(EventName::Missed);
    payload.id = key.hash().moment("missed", Some((&"1000@default".into(), number)));
    payload.attempt_id = Some(u64::from(attempt));
    payload.sequence = Some(number + 1);
    payload.timestamp = Time(Timestamp::now());
    change(&mut payload);
    let flow = config.flow(flow).expect("is configured").clone();
    let id = payload.id.run("*/hook", &flow.name);
    let run = PlannedRun { id, hook: "*/hook".into(), expires_after: flow.expires_after, flow };
    Entry { moments: vec![(Moment { attempt: key.hash(), payload }, vec![run])], attempts: Vec::new() }
}

impl Stage {
    /// Starts in a directory, with a configuration.
    pub(crate) fn start(directory: &TempDir, text: &str) -> Self {
        Self::start_in(directory.path(), text)
    }

    pub(crate) fn start_in(directory: &Path, text: &str) -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let (config, path) = (load(directory, text), directory.join("outbox.db"));
        let settings = Settings { turns: config.turns(), ..Settings::at(&path) };
        let Opened { outbox, runs, ending, .. } = Opened::open(&settings).expect("opens");
        let (flows, configured) = watch::channel(Arc::new(config.flows_of_runs()));
        let client = Arc::new(Client::new(Limits::default()).expect("a client"));
        client.mask(config.secrets());
        let nodes = Nodes::default();
        let runner = Runner { outbox: outbox.clone(), client, nodes: nodes.clone(), flows: configured };
        let end = CancellationToken::new();
        let runner = tokio::spawn(runner.run(runs, end.clone(), Duration::ZERO));
        Self { path, nodes, config, outbox, flows, end, runner, ending }
    }

    /// Follows that FreeSWITCH under the name that moments carry.
    pub(crate) fn follow(&self, switchboard: &Switchboard) {
        self.nodes.insert("fs1".into(), &link(&switchboard.address.to_string()));
    }

    /// Uses another configuration from now on.
    pub(crate) fn configure(&mut self, text: &str) {
        self.config = load(self.path.parent().expect("a directory"), text);
        self.flows.send_replace(Arc::new(self.config.flows_of_runs()));
        self.outbox.set_turns(self.config.turns());
    }

    /// Ends at once: what is under way is left as it is.
    pub(crate) async fn stop(self) {
        self.end.cancel();
        self.runner.await.expect("ends");
        drop(self.outbox);
        self.ending.ended().await;
    }

    /// Commits an attempt's moment that starts the flow.
    pub(crate) async fn fire(&self, flow: &str, attempt: u32, number: u32) -> RunId {
        self.fire_changed(flow, attempt, number, |_| {}).await
    }

    /// Commits such a moment with other fields.
    pub(crate) async fn fire_changed(
        &self,
        flow: &str,
        attempt: u32,
        number: u32,
        change: impl FnOnce(&mut Payload),
    ) -> RunId {
        let entry = entry_of(&self.config, flow, attempt, number, change);
        self.outbox.commit(entry).await.expect("commits").runs[0]
    }

    /// Waits until the run is over.
    pub(crate) async fn over(&self, run: RunId) -> Story {
        self.until(run, |story| story.run.state.is_over()).await
    }

    /// Waits until the run has ended so.
    pub(crate) async fn over_with(&self, run: RunId, state: RunState) -> Story {
        self.until(run, |story| story.run.state == state).await
    }

    /// Waits until the run rests on disk.
    pub(crate) async fn at_rest(&self, run: RunId) -> Story {
        self.until(run, |story| story.run.state == RunState::Pending).await
    }

    pub(crate) async fn until(&self, run: RunId, reached: impl Fn(&Story) -> bool) -> Story {
        let deliveries = self.deliveries();
        for _ in 0..6_000 {
            let story = deliveries.show(run).expect("reads").expect("is there");
            if reached(&story) {
                return story;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("run {run} did not get there within a minute: {:?}", deliveries.show(run));
    }

    pub(crate) fn deliveries(&self) -> Deliveries {
        open(&self.path)
    }
}

pub(crate) fn open(path: &Path) -> Deliveries {
    Deliveries::open(path).expect("opens")
}

/// The paths of a run's steps that are over.
pub(crate) fn paths(story: &Story) -> Vec<&str> {
    story.steps.iter().map(|step| step.path.as_str()).collect()
}
