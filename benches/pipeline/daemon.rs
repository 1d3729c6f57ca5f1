//! The daemon's way from event to request, as its tasks go it.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hookswitch::config::Config;
use hookswitch::delivery::{Client, Limits};
use hookswitch::esl::Event;
use hookswitch::esl::Nodes;
use hookswitch::flow::Runner;
use hookswitch::hook;
use hookswitch::lifecycle::{Effects, Lifecycle};
use hookswitch::moment::{EventName, Format, Payload};
use hookswitch::outbox::{AttemptChange, Entry, Opened, Outbox, Settings};
use rustix::time::{ClockId, clock_gettime};
use tempfile::TempDir;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::bare::Rows;
use crate::load::Load;
use crate::receiver::Receiver;
use crate::times::Times;

/// One call of 20 events, answered and talked through.
const RECORDING: &str = "tests/recordings/30_answered.sub.esl.zst";

/// How many calls are under way at once.
const CALLS: u64 = 1_000;

/// How many runs may be on their way when as many as possible go: enough that none of the tasks lacks work, few enough
/// that they stay in memory.
const ON_THEIR_WAY: u64 = 512;

/// What stands in the outbox by default: so many requests in all, and to one receiver.
const LIMITS: (usize, usize) = (512, 64);

/// How many runs a second were received, and how much time of all cores each took, receiver and making of events included.
pub(crate) struct Rush {
    pub(crate) rate: f64,
    pub(crate) cpu_micros: f64,
}

pub(crate) struct Daemon {
    load: Load,
    lifecycle: Lifecycle,
    config: Arc<Config>,
    outbox: Outbox,
    path: PathBuf,
    /// A body as the runs send it.
    pub(crate) body: Vec<u8>,
    started: u64,
    _directory: TempDir,
}

impl Daemon {
    pub(crate) fn start(receiver: &Receiver) -> io::Result<Self> {
        let config = Arc::new(configuration(receiver));
        let directory = TempDir::new_in(env!("CARGO_TARGET_TMPDIR"))?;
        let path = directory.path().join("outbox.db");
        let Opened { outbox, runs, .. } = Opened::open(&Settings::at(&path)).map_err(io::Error::other)?;
        let client = Client::new(Limits::new(LIMITS.0, LIMITS.1)).map_err(io::Error::other)?;
        let (_, flows) = watch::channel(Arc::new(config.flows_of_runs()));
        let runner = Runner { outbox: outbox.clone(), client: Arc::new(client), nodes: Nodes::default(), flows };
        tokio::spawn(runner.run(runs, CancellationToken::new(), Duration::ZERO));
        let payload = serde_json::value::to_raw_value(&Payload::sample(EventName::Leaving))?;
        Ok(Self {
            load: Load::new(Path::new(RECORDING), u64::MAX, CALLS)?,
            lifecycle: Lifecycle::new("fs1".into(), config.clone()),
            config,
            outbox,
            path,
            body: Format::Standard.body(&payload)?,
            started: 0,
            _directory: directory,
        })
    }

    /// Starts so many runs a second, and tells how long it took from each event to its requests' first bytes.
    pub(crate) async fn pace(&mut self, pace: u32, round: Duration, receiver: &Receiver) -> Times {
        self.settle(receiver, 0).await;
        receiver.take();
        let (begin, already, mut events) = (Instant::now(), self.started, HashMap::new());
        while begin.elapsed() < round {
            let due = begin + Duration::from_secs(self.started - already) / pace;
            tokio::time::sleep_until(due.into()).await;
            let (event, moments) = self.next_moments().await;
            events.extend(moments.into_iter().map(|id| (id, event)));
        }
        self.settle(receiver, 0).await;
        let first_bytes = receiver.take();
        assert_eq!(first_bytes.len(), events.len(), "a request for each moment");
        Times::of(first_bytes.iter().map(|(id, first_byte)| *first_byte - events[id]).collect())
    }

    /// Starts as many runs as are taken.
    pub(crate) async fn rush(&mut self, round: Duration, receiver: &Receiver) -> Rush {
        let (begin, before, cpu) = (Instant::now(), receiver.count(), cpu_micros());
        while begin.elapsed() < round {
            self.next_moments().await;
            self.settle(receiver, ON_THEIR_WAY).await;
        }
        let runs = (receiver.count() - before) as f64;
        let rush = Rush { rate: runs / begin.elapsed().as_secs_f64(), cpu_micros: (cpu_micros() - cpu) / runs };
        self.settle(receiver, 0).await;
        rush
    }

    /// A few of the rows that were committed.
    pub(crate) fn rows(&self) -> io::Result<Rows> {
        Rows::of(&self.path).map_err(io::Error::other)
    }

    /// Waits until at most so many runs are on their way.
    async fn settle(&self, receiver: &Receiver, on_their_way: u64) {
        while self.started - receiver.count() > on_their_way {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Takes events up to the next that tells something, and gives that to the outbox: when it came, and its moments.
    async fn next_moments(&mut self) -> (Instant, Vec<String>) {
        loop {
            let (mut body, mut effects) = (Vec::new(), Effects::default());
            assert!(self.load.next(&mut body), "calls never end");
            let came = Instant::now();
            self.lifecycle.handle_event(&Event::from_plain(body.into()), &mut effects);
            if effects.is_empty() {
                continue;
            }
            let entry = self.entry(effects);
            let ids: Vec<String> = entry.moments.iter().map(|(moment, _)| moment.payload.id.to_string()).collect();
            let runs: usize = entry.moments.iter().map(|(_, runs)| runs.len()).sum();
            assert_eq!(ids.len(), runs, "a run for each moment");
            drop(self.outbox.submit(entry).await.expect("the outbox is open"));
            self.started += runs as u64;
            if runs > 0 {
                return (came, ids);
            }
        }
    }

    fn entry(&self, effects: Effects) -> Entry {
        let change = |hash| match self.lifecycle.state(hash) {
            Some((key, state)) => AttemptChange::Keep { key, state },
            None => AttemptChange::Forget(hash),
        };
        Entry {
            attempts: effects.changed.iter().map(|hash| change(*hash)).collect(),
            moments: effects.moments.into_iter().flat_map(|moment| hook::start(&self.config, moment)).collect(),
        }
    }
}

fn cpu_micros() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 * 1e6 + time.tv_nsec as f64 / 1e3
}

/// A webhook for each event, signed.
fn configuration(receiver: &Receiver) -> Config {
    let hooks = EventName::EIGHT.into_iter().filter(|event| *event != EventName::Active);
    let hooks: String = hooks.map(|event| format!("{{ event = '{event}', flow = 'log' }},")).collect();
    let text = format!(
        "[delivery]\nsecrets = ['whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw']\n[flows.log]\n\
         steps = [{{ http = {{ url = 'http://{}/hook' }} }}]\n[queues.'*']\nhooks = [{hooks}]\n",
        receiver.address
    );
    Config::from_toml("bench.toml", &text).unwrap_or_else(|problems| panic!("{problems}"))
}
