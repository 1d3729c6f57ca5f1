//! The receiver: a process of Python, which prints what it has read.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver as Lines};
use std::time::Duration;

use serde_json::Value as Json;

use crate::position::Position;

/// The receiver; it ends when it is dropped.
pub(crate) struct Receiver {
    pub(crate) address: String,
    process: Child,
    lines: Lines<String>,
    /// What it has read, by the flow that sent it, and nobody has taken yet.
    read: BTreeMap<String, Json>,
}

impl Receiver {
    /// Starts it; none where there is no Python.
    pub(crate) fn start() -> Option<Self> {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/hostile/receiver.py");
        let mut process = Command::new("python3").arg(script).stdout(Stdio::piped()).spawn().ok()?;
        let output = BufReader::new(process.stdout.take().expect("a pipe"));
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        let address = lines.recv_timeout(Duration::from_secs(60)).expect("an address");
        Some(Self { address, process, lines, read: BTreeMap::new() })
    }

    /// What it has read of the request of that position.
    pub(crate) fn take(&mut self, position: Position) -> Json {
        loop {
            if let Some(read) = self.read.remove(&position.flow()) {
                return read;
            }
            let line = self.lines.recv_timeout(Duration::from_secs(60));
            let line = line.unwrap_or_else(|_| panic!("Python could not read the request of {position:?}"));
            let read: Json = serde_json::from_str(&line).expect("JSON");
            let flow = read["path"][0].as_str().expect("a segment").to_owned();
            let other = self.read.insert(flow, read);
            assert_eq!(other, None, "one request for each position");
        }
    }

    /// How many requests came that nobody has asked for.
    pub(crate) fn left_over(&self) -> usize {
        self.read.len() + self.lines.try_iter().count()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
