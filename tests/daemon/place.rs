//! A daemon that follows several nodes and tells their stories, a line for each hook.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tempfile::TempDir;

use crate::process::{PATIENCE, Process, program};

/// A node: its name, its address, and its other keys.
pub(crate) type Node = (&'static str, String, String);

/// A directory with a configuration of several nodes.
pub(crate) struct Nodes(TempDir);

impl Nodes {
    pub(crate) fn new() -> Self {
        Self(TempDir::new().expect("a directory"))
    }

    /// Writes a configuration that follows these, and tells every hook.
    pub(crate) fn write(&self, nodes: &[&Node]) {
        let events = ["joined", "offering", "answered", "bridged", "missed", "processing", "leaving"];
        let hooks = events.map(|event| format!("{{ name = \"{event}\", event = \"{event}\", flow = \"tell\" }}"));
        let fields = [
            "node",
            "member_number",
            "attempt_id",
            "sequence",
            "event",
            "synthetic",
            "cc_result",
            "cc_cancel_reason",
            "left_at",
        ];
        let message = fields.map(|field| format!("{{{{ {field} or '-' }}}}")).join(" ");
        let outbox = self.0.path().join("outbox.db");
        let mut text = format!(
            "[queues.\"*\"]\nprocessing = true\nhooks = [{}]\n[outbox]\npath = {outbox:?}\n\
             [flows.tell]\nsteps = [{{ log = {{ message = \"[{message}]\" }} }}]\n",
            hooks.join(", "),
        );
        for (name, address, more) in nodes {
            text.push_str(&format!("[[freeswitch]]\nname = \"{name}\"\naddress = \"{address}\"\n{more}\n"));
        }
        // In one go: the daemon reads it as soon as it changes.
        let (path, draft) = (self.0.path().join("hookswitch.toml"), self.0.path().join("draft"));
        fs::write(&draft, text).expect("writes");
        fs::rename(draft, path).expect("renames");
    }

    /// The same with more, and each hook tells that.
    pub(crate) fn write_with(&self, nodes: &[&Node], more: &str, message: &str) {
        self.write(nodes);
        let text = fs::read_to_string(self.config()).expect("reads");
        let (before, behind) = text.split_once("message = \"").expect("a step that logs");
        let (_, behind) = behind.split_once("\" } }]").expect("its end");
        fs::write(self.config(), format!("{before}message = \"{message}\" }} }}]{behind}\n{more}")).expect("writes");
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.0.path().join("hookswitch.toml")
    }

    /// Starts the daemon.
    pub(crate) fn run(&self) -> Process {
        let mut command = program();
        command.arg("run").arg("--config").arg(self.0.path().join("hookswitch.toml"));
        Process::start(command)
    }
}

/// A hook that was told.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) node: String,
    pub(crate) number: String,
    pub(crate) attempt: String,
    pub(crate) sequence: usize,
    pub(crate) event: String,
    pub(crate) synthetic: bool,
    pub(crate) result: String,
    pub(crate) reason: String,
    pub(crate) left_at: Option<Timestamp>,
}

/// The hooks that were told, over several runs of the daemon.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tale {
    lines: Vec<Line>,
    /// How much was read of what the daemon said, and of which run.
    read: (u32, usize),
}

impl Tale {
    /// All that is told until that holds.
    pub(crate) fn until(daemon: &mut Process, holds: impl Fn(&Self) -> bool) -> Self {
        let mut tale = Self::default();
        tale.read_until(daemon, holds);
        tale
    }

    /// Reads on until that holds.
    pub(crate) fn read_until(&mut self, daemon: &mut Process, holds: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let said = daemon.said();
            if self.read.0 != daemon.id() {
                self.read = (daemon.id(), 0);
            }
            self.lines.extend(said[self.read.1..].lines().filter_map(Line::read));
            self.read.1 = said.len();
            if holds(self) {
                return;
            }
            assert!(Instant::now() < deadline, "it is not told:\n{said}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// What was told of a node.
    pub(crate) fn of(&self, node: &str) -> impl Iterator<Item = &Line> {
        self.lines.iter().filter(move |line| line.node == node)
    }

    /// How many attempts are open on a node.
    pub(crate) fn open(&self, node: &str) -> usize {
        let count = |event| self.of(node).filter(|line| line.event == event).count();
        count("joined") - count("leaving")
    }

    /// How the attempts ended, by number: `1001 abandoned hangup`.
    pub(crate) fn ends(&self) -> Vec<String> {
        let ended = self.lines.iter().filter(|line| line.event == "leaving");
        let mut ends: Vec<_> = ended.map(|line| format!("{} {} {}", line.number, line.result, line.reason)).collect();
        ends.sort();
        ends
    }

    /// Each attempt has one beginning, one end, and everything in between in order.
    pub(crate) fn assert_whole(&self) {
        let mut attempts: BTreeMap<&str, Vec<&Line>> = BTreeMap::new();
        for line in &self.lines {
            attempts.entry(&line.attempt).or_default().push(line);
        }
        assert!(!attempts.is_empty());
        for story in attempts.values() {
            let sequence: Vec<_> = story.iter().map(|line| line.sequence).collect();
            assert_eq!(sequence, (1..=story.len()).collect::<Vec<_>>(), "{story:?}");
            let left = story.iter().position(|line| line.event == "leaving").expect("has left");
            assert_eq!(story[0].event, "joined", "{story:?}");
            assert!(story[left + 1..].iter().all(|line| line.event == "processing"), "{story:?}");
            assert!(story[1..].iter().all(|line| line.event != "joined"), "{story:?}");
        }
    }
}

impl Line {
    fn read(line: &str) -> Option<Self> {
        let words = line.split_once('[')?.1.split_once(']')?.0.split(' ').collect::<Vec<_>>();
        let [node, number, attempt, sequence, event, synthetic, result, reason, left_at] = words[..] else {
            return None;
        };
        Some(Self {
            node: node.to_owned(),
            number: number.to_owned(),
            attempt: attempt.to_owned(),
            sequence: sequence.parse().ok()?,
            event: event.to_owned(),
            synthetic: synthetic == "true",
            result: result.to_owned(),
            reason: reason.to_owned(),
            left_at: left_at.parse().ok(),
        })
    }
}
