//! An example at work: a recording, the flows that its moments start, and whom they reach.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hookswitch::config::Config;
use hookswitch::delivery::{Client, Limits};
use hookswitch::esl::{Nodes, recording};
use hookswitch::flow::{Flows, Runner};
use hookswitch::hook;
use hookswitch::id::RunId;
use hookswitch::lifecycle::Effects;
use hookswitch::moment::value::Time;
use hookswitch::outbox::deliveries::{Deliveries, Story};
use hookswitch::outbox::{Entry, Opened, RunState, Settings};
use hookswitch::recording::Playback;
use jiff::Timestamp;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::receiver::{Answer, Received, Receiver};
use crate::switchboard::{Switchboard, link};

/// What stands for a secret of any kind.
pub(crate) const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// What an example is played with.
pub(crate) struct Play {
    /// The example's name.
    pub(crate) example: &'static str,
    /// The recording's.
    pub(crate) recording: &'static str,
    /// What is changed in the example for this recording, from and to.
    pub(crate) changes: &'static [(&'static str, &'static str)],
    /// What receivers answer.
    pub(crate) answer: fn(&Received) -> Answer,
    /// What FreeSWITCH answers; none: it is not followed.
    pub(crate) freeswitch: Option<fn(&str) -> String>,
}

/// What came about.
pub(crate) struct Effect {
    /// The requests in the order in which they came: method, receiver with path and query, body.
    pub(crate) requests: Vec<(String, String, Value)>,
    /// The requests as they came.
    pub(crate) received: Vec<Received>,
    /// The commands to FreeSWITCH.
    pub(crate) commands: Vec<String>,
    /// The runs, in the order of their moments.
    pub(crate) stories: Vec<Story>,
}

impl Play {
    /// Receivers that take everything, and no FreeSWITCH.
    pub(crate) fn of(example: &'static str, recording: &'static str) -> Self {
        Self { example, recording, changes: &[], answer: |_| Answer::ok(), freeswitch: None }
    }

    /// Plays it, and waits until all runs are over.
    pub(crate) async fn perform(self) -> Effect {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let mut receiver = Receiver::start(self.answer).await;
        let nodes = Nodes::default();
        let switchboard = match self.freeswitch {
            None => None,
            Some(answer) => {
                let switchboard = Switchboard::start(answer).await;
                nodes.insert("fs1".into(), &link(&switchboard.address.to_string()));
                Some(switchboard)
            }
        };
        let config = Arc::new(self.configuration(&receiver));
        let directory = TempDir::new().expect("a directory");
        let path = directory.path().join("outbox.db");
        let Opened { outbox, runs, .. } = Opened::open(&Settings::at(&path)).expect("opens");
        let client = Arc::new(Client::new(Limits::default()).expect("a client"));
        let (_, flows) = watch::channel(Arc::<Flows>::default());
        let runner = Runner { outbox: outbox.clone(), client, nodes, flows };
        tokio::spawn(runner.run(runs, CancellationToken::new(), Duration::ZERO));
        let mut started = Vec::new();
        for mut moment in self.moments(&config).moments {
            // As if it happened now: some of what follows on it is of use for a while only.
            moment.payload.timestamp = Time(Timestamp::now());
            let entry = Entry { moments: hook::start(&config, moment), attempts: Vec::new() };
            started.extend(outbox.commit(entry).await.expect("commits").runs);
        }
        let mut stories = Vec::new();
        for run in started {
            stories.push(over(&path, run).await);
        }
        let mut received = Vec::new();
        while let Ok(request) = receiver.requests.try_recv() {
            received.push(request);
        }
        let requests = received.iter().map(request_of).collect();
        let commands = switchboard.map(|switchboard| switchboard.lines()).unwrap_or_default();
        Effect { requests, received, commands, stories }
    }

    /// The example with what its operator changes.
    fn configuration(&self, receiver: &Receiver) -> Config {
        let path =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("conf/examples").join(self.example).with_extension("toml");
        let mut text = std::fs::read_to_string(&path).expect("reads");
        for (from, to) in self.changes {
            assert!(text.contains(from), "{}: there is no {from}", self.example);
            text = text.replace(from, to);
        }
        for secret in ["ESL_PASSWORD", "WEBHOOK_SECRET", "CRM_AUTHORIZATION"] {
            text = text.replace(&format!("{{ env = \"{secret}\" }}"), &format!("\"{SECRET}\""));
        }
        for host in ["chat", "crm", "desk", "dialer", "log"] {
            text = text.replace(&format!("https://{host}.example"), &format!("http://{}/{host}", receiver.address));
        }
        Config::from_toml(self.example, &text).unwrap_or_else(|problems| panic!("{problems}"))
    }

    /// The moments of the recorded calls.
    fn moments(&self, config: &Arc<Config>) -> Effects {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recordings").join(self.recording);
        let (mut playback, mut effects) = (Playback::new("fs1".into(), Arc::clone(config)), Effects::default());
        playback.begin();
        for item in recording::events(recording::open(&path).expect("opens")) {
            playback.play(item.expect("whole"), &mut effects).expect("no newer marks");
        }
        playback.finish(&mut effects);
        effects
    }
}

fn request_of(received: &Received) -> (String, String, Value) {
    let body = match received.body.as_slice() {
        [] => Value::Null,
        body => serde_json::from_slice(body).expect("JSON"),
    };
    (received.method.clone(), received.path.clone(), body)
}

impl Effect {
    /// All runs have been delivered, and there were so many.
    pub(crate) fn assert_delivered(&self, runs: usize) {
        assert!(self.stories.iter().all(|story| story.run.state == RunState::Delivered), "{:?}", self.stories);
        assert_eq!(self.stories.len(), runs);
    }

    /// The bodies, which all came by POST to that receiver and path.
    pub(crate) fn posted_to(&self, path: &str) -> Vec<&Value> {
        let ours = |(method, to, _): &(String, String, Value)| (method.as_str(), to.as_str()) == ("POST", path);
        assert!(self.requests.iter().all(ours), "{:?}", self.requests);
        self.requests.iter().map(|(_, _, body)| body).collect()
    }
}

/// What FreeSWITCH lists of a queue: a member who waits, and agents of those states.
pub(crate) fn queue(command: &str, agents: &[(&str, &str)]) -> String {
    let rows = match command.contains("list members") {
        true => json!([{ "queue": "support@default", "uuid": "m", "session_uuid": "s", "state": "Waiting",
            "joined_epoch": "1795421926" }]),
        false => agents.iter().map(|(status, state)| json!({ "status": status, "state": state })).collect(),
    };
    json!({ "status": "success", "response": rows }).to_string()
}

async fn over(outbox: &Path, run: RunId) -> Story {
    let deliveries = Deliveries::open(outbox).expect("opens");
    for _ in 0..6_000 {
        let story = deliveries.show(run).expect("reads").expect("is there");
        if story.run.state.is_over() {
            return story;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("run {run} is not over within a minute");
}
