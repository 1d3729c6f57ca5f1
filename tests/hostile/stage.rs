//! The daemon's way from an event to a request, without a FreeSWITCH: a recorded call, made by callers of any name.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::BytesMut;
use hookswitch::config::Config;
use hookswitch::delivery::{Client, Limits};
use hookswitch::esl::codec::{Decoded, FrameCodec};
use hookswitch::esl::frame::FrameKind;
use hookswitch::esl::{Event, Nodes, recording};
use hookswitch::flow::{Flows, Runner};
use hookswitch::hook;
use hookswitch::id::RunId;
use hookswitch::lifecycle::{Effects, Lifecycle};
use hookswitch::outbox::deliveries::{Deliveries, Story};
use hookswitch::outbox::{Entry, Opened, Outbox, Settings};
use tempfile::TempDir;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::name::Name;

const RECORDING: &str = "tests/recordings/30_answered.sub.esl.zst";

/// The caller's name in the recording, and the FreeSWITCH process.
const RECORDED_NAME: &str = "Zo%C3%AB%20M%C3%BCller";
const RECORDED_CORE: &str = "b78e981d";

pub(crate) struct Stage {
    config: Arc<Config>,
    events: Vec<String>,
    outbox: Outbox,
    path: PathBuf,
    /// How many flows a call starts.
    flows: usize,
    calls: AtomicU32,
    _directory: TempDir,
}

impl Stage {
    /// A stage with these flows, each with its steps, and a FreeSWITCH that takes their commands.
    pub(crate) fn open(flows: &[(String, String)], nodes: Nodes) -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let (config, count) = (Arc::new(configuration(flows)), flows.len());
        let directory = TempDir::new().expect("a directory");
        let path = directory.path().join("outbox.db");
        let Opened { outbox, runs, .. } = Opened::open(&Settings::at(&path)).expect("opens");
        let client = Arc::new(Client::new(Limits::default()).expect("a client"));
        let (_, flows) = watch::channel(Arc::<Flows>::default());
        let runner = Runner { outbox: outbox.clone(), client, nodes, flows };
        tokio::spawn(runner.run(runs, CancellationToken::new(), Duration::ZERO));
        Self { config, events: events(), outbox, path, flows: count, calls: AtomicU32::new(1), _directory: directory }
    }

    /// Makes the recorded call under another name, and tells what became of each flow's run.
    pub(crate) async fn call(&self, name: &Name) -> Vec<(String, Story)> {
        let mut lifecycle = Lifecycle::new("fs1".into(), self.config.clone());
        let (mut effects, mut runs) = (Effects::default(), Vec::new());
        // Another process of FreeSWITCH, so that each call is one of its own.
        let core = format!("{:08x}", self.calls.fetch_add(1, Ordering::Relaxed));
        let note = format!("variable_cc_side: member\nvariable_note: {}\n", name.encoded());
        for body in &self.events {
            let body = body.replace(RECORDED_NAME, &name.encoded()).replace(RECORDED_CORE, &core);
            let body = body.replace("variable_cc_side: member\n", &note);
            lifecycle.handle_event(&Event::from_plain(body.into_bytes().into()), &mut effects);
        }
        for moment in effects.moments {
            let moments = hook::start(&self.config, moment);
            let planned = moments.iter().flat_map(|(_, planned)| planned);
            runs.extend(planned.map(|run| (run.flow.name.to_string(), run.id)));
            self.outbox.commit(Entry { moments, attempts: Vec::new() }).await.expect("commits");
        }
        assert_eq!(runs.len(), self.flows, "one run of each flow");
        let mut stories = Vec::new();
        for (flow, run) in runs {
            stories.push((flow, self.over(run).await));
        }
        stories
    }

    /// Waits until the run is over.
    async fn over(&self, run: RunId) -> Story {
        let deliveries = Deliveries::open(&self.path).expect("opens");
        for _ in 0..12_000 {
            let story = deliveries.show(run).expect("reads").expect("is there");
            if story.run.state.is_over() {
                return story;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("run {run} is not over within a minute");
    }
}

fn configuration(flows: &[(String, String)]) -> Config {
    let (mut text, mut hooks) = (String::new(), String::new());
    for (flow, steps) in flows {
        text.push_str(&format!("[flows.{flow}]\nsteps = [{steps}]\n"));
        hooks.push_str(&format!("{{ event = 'offering', flow = '{flow}' }},\n"));
    }
    text.push_str(&format!("[queues.\"*\"]\nhooks = [\n{hooks}]\n"));
    Config::from_toml("hostile.toml", &text).unwrap_or_else(|problems| panic!("{problems}\n{text}"))
}

/// The recording's events, each as the body of its frame.
fn events() -> Vec<String> {
    let mut bytes = Vec::new();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(RECORDING);
    recording::open(&path).expect("opens").read_to_end(&mut bytes).expect("decompresses");
    let (mut bytes, mut codec, mut bodies) = (BytesMut::from(&bytes[..]), FrameCodec::default(), Vec::new());
    while let Some(decoded) = codec.next_frame(&mut bytes).expect("frames") {
        if let Decoded::Frame(frame) = decoded
            && frame.kind == FrameKind::EventPlain
        {
            bodies.push(String::from_utf8(frame.body.to_vec()).expect("UTF-8"));
        }
    }
    bodies
}
