//! A directory to record into, the program, and a simulated FreeSWITCH behind a line that can be cut.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hookswitch::esl::recording::{self, Item};
use hookswitch::recording::Mark;
use hookswitch::simulator::server::DEFAULT_PASSWORD;
use hookswitch::simulator::{Scenario, Server, ServerOptions};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

/// How many simulated seconds pass in one.
const SPEED: f64 = 20.0;

/// A place to record in.
pub(crate) struct Place {
    pub(crate) directory: TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self { directory: TempDir::new().expect("a directory") }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn outbox(&self) -> PathBuf {
        self.path("outbox.db")
    }

    /// Writes a configuration that follows a node at that address, and gives its path.
    pub(crate) fn configure(&self, node: SocketAddr) -> PathBuf {
        self.configure_cluster(&[("pbx", node)])
    }

    /// Writes a configuration that follows nodes which share a callcenter database, and gives its path.
    pub(crate) fn configure_cluster(&self, nodes: &[(&str, SocketAddr)]) -> PathBuf {
        let node = |(name, address): &(&str, SocketAddr)| {
            let cluster = "cluster = \"east\"";
            format!(
                "[[freeswitch]]\nname = \"{name}\"\naddress = \"{address}\"\npassword = \"{DEFAULT_PASSWORD}\"\n{cluster}\n"
            )
        };
        let text = format!(
            "{}[outbox]\npath = {:?}\n[queues.\"*\"]\nprocessing = true\nvariables = {{ crm = \"acme\" }}\n\
             [agents.\"1001@default\"]\nid = 17\n",
            nodes.iter().map(node).collect::<String>(),
            self.outbox(),
        );
        let path = self.path("hookswitch.toml");
        std::fs::write(&path, text).expect("writes");
        path
    }

    /// All moments that the outbox has, in the order in which they were committed.
    pub(crate) fn committed(&self) -> Vec<Value> {
        let connection = rusqlite::Connection::open(self.outbox()).expect("the outbox is there");
        let query =
            "SELECT payload, json FROM moment JOIN variables ON variables.id = moment.variables ORDER BY moment.id";
        let mut statement = connection.prepare(query).expect("a query");
        let row = |row: &rusqlite::Row<'_>| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?));
        let rows = statement.query_map([], row).expect("rows");
        rows.map(|row| {
            let (payload, variables) = row.expect("a row");
            let mut moment: Value = serde_json::from_str(&payload).expect("JSON");
            moment["variables"] = serde_json::from_str(&variables).expect("JSON");
            moment
        })
        .collect()
    }
}

/// The program, with nothing of this process's environment that changes what it does.
pub(crate) fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hookswitch"));
    for name in ["RUST_LOG", "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "JOURNAL_STREAM"] {
        command.env_remove(name);
    }
    command.args(arguments);
    command
}

/// What `hookswitch replay` gives.
pub(crate) struct Replayed {
    pub(crate) output: Output,
}

impl Replayed {
    pub(crate) fn of(files: &[&Path], config: Option<&Path>) -> Self {
        let mut command = program(&["replay", "--format", "jsonl"]);
        config.into_iter().for_each(|config| {
            command.arg("--config").arg(config);
        });
        Self { output: command.args(files).output().expect("runs") }
    }

    pub(crate) fn moments(&self) -> Vec<Value> {
        let lines = self.output.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let moment = |line| {
            let mut moment: Value = serde_json::from_slice(line).expect("JSON");
            // Which hooks would start is no part of the moment.
            moment.as_object_mut().expect("an object").remove("flows");
            moment
        };
        lines.map(moment).collect()
    }

    pub(crate) fn errors(&self) -> String {
        String::from_utf8_lossy(&self.output.stderr).into_owned()
    }
}

/// How many marks of each name a recording has.
pub(crate) fn marks(file: &Path) -> std::collections::BTreeMap<String, usize> {
    let mut counts = std::collections::BTreeMap::new();
    for item in recording::events(recording::open(file).expect("the recording is there")) {
        if let Item::Mark(frame) = item.expect("the recording is whole") {
            let name = match Mark::read(&frame).expect("a mark") {
                Mark::Begin { .. } => "begin",
                Mark::Restored(_) => "restored",
                Mark::Connected { .. } => "connected",
                Mark::Lost { .. } => "lost",
                Mark::Dirty { .. } => "dirty",
                Mark::Arrived { .. } => "arrived",
                Mark::Clock { .. } => "clock",
                Mark::Survey => "survey",
                Mark::Dump { .. } => "dump",
                Mark::Snapshot(_) => "snapshot",
                Mark::Configured => "configured",
                Mark::Missing { .. } => "missing",
                Mark::Node { .. } => "node",
                Mark::Left => "left",
            };
            *counts.entry(name.to_owned()).or_default() += 1;
        }
    }
    counts
}

/// The events that were heard on each connection of a recording, by FreeSWITCH's own count of them.
pub(crate) fn spans(file: &Path) -> Vec<RangeInclusive<u64>> {
    let (mut spans, mut heard) = (Vec::new(), None::<RangeInclusive<u64>>);
    for item in recording::events(recording::open(file).expect("the recording is there")) {
        match item.expect("the recording is whole") {
            Item::Mark(frame) if matches!(Mark::read(&frame), Ok(Mark::Connected { .. })) => spans.extend(heard.take()),
            Item::Event(event) => {
                let sequence = event.header("Event-Sequence").and_then(|sequence| sequence.parse().ok());
                let sequence: u64 = sequence.expect("FreeSWITCH counts its events");
                let first = heard.map_or(sequence, |heard| *heard.start());
                heard = Some(first..=sequence);
            }
            _ => {}
        }
    }
    spans.extend(heard);
    spans
}

/// A simulated FreeSWITCH, until it is dropped.
pub(crate) struct FreeSwitch {
    pub(crate) address: SocketAddr,
    shutdown: CancellationToken,
}

impl FreeSwitch {
    /// One in which calls come, wait and talk already.
    pub(crate) async fn at_work() -> Self {
        let server = Server::bind("127.0.0.1:0").await.expect("a free port");
        let (address, shutdown) = (server.local_addr(), CancellationToken::new());
        let scenario = Scenario::plausible_day().with_calls_per_second(0.5);
        // No two have the same calls, which are one to who follows both.
        let seed = address.port().into();
        let options = ServerOptions { speed: SPEED, scenario, seed, ..ServerOptions::default() };
        tokio::spawn(server.run(options, shutdown.clone()));
        tokio::time::sleep(Duration::from_secs(4)).await;
        Self { address, shutdown }
    }
}

impl Drop for FreeSwitch {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

/// A line to a FreeSWITCH.
pub(crate) struct Line {
    pub(crate) address: SocketAddr,
    whole: Arc<Mutex<CancellationToken>>,
}

impl Line {
    pub(crate) async fn to(freeswitch: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let whole = Arc::new(Mutex::new(CancellationToken::new()));
        let cut = Arc::clone(&whole);
        tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let whole = cut.lock().expect("nobody panics").clone();
                tokio::spawn(whole.run_until_cancelled_owned(async move {
                    let mut far = TcpStream::connect(freeswitch).await?;
                    copy_bidirectional(&mut near, &mut far).await
                }));
            }
        });
        Self { address, whole }
    }

    /// Cuts all connections. New ones come to nothing until it is [mended](Self::mend).
    pub(crate) fn cut(&self) {
        self.whole.lock().expect("nobody panics").cancel();
    }

    pub(crate) fn mend(&self) {
        *self.whole.lock().expect("nobody panics") = CancellationToken::new();
    }
}
