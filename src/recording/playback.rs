//! A recording, played into a lifecycle.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::mark::{Mark, MarkError, Writer};
use crate::config::Config;
use crate::esl::Event;
use crate::esl::frame::FrameKind;
use crate::esl::recording::Item;
use crate::id::{AttemptHash, ChannelUuid, NodeName};
use crate::lifecycle::anomaly::Anomalies;
use crate::lifecycle::{Effects, Lifecycle};

/// The lifecycle of a node, or of a cluster of them, as its recordings tell it.
#[derive(Debug)]
pub struct Playback {
    lifecycle: Lifecycle,
    /// The node whose frames follow.
    node: NodeName,
    /// All nodes that were told of.
    nodes: BTreeSet<NodeName>,
    config: Arc<Config>,
    /// Whether events beyond the eight are told although no hook hears them.
    tells_all: bool,
    /// Whether anything was played yet.
    is_new: bool,
    /// Whether the recording in hand has marks: they say then when a connection begins.
    has_marks: bool,
    /// The attempts that were open when a node's survey under way began.
    surveys: BTreeMap<NodeName, BTreeSet<AttemptHash>>,
    /// What the survey in hand was told of channels.
    dumps: BTreeMap<ChannelUuid, Event>,
    gaps: Gaps,
    /// The anomalies of daemons that have ended since.
    anomalies: Anomalies,
}

/// Where a replay can differ from what happened live.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gaps {
    /// How many bytes the recorder could not write.
    pub missing_bytes: u64,
    /// How often the configuration was read again.
    pub configurations: u64,
}

impl Playback {
    /// Nothing was played yet. `node` is the name that payloads carry where the recording has none.
    pub fn new(node: NodeName, config: Arc<Config>) -> Self {
        Self {
            lifecycle: Lifecycle::new(node.clone(), Arc::clone(&config)),
            nodes: BTreeSet::from([node.clone()]),
            node,
            config,
            tells_all: false,
            is_new: true,
            has_marks: false,
            surveys: BTreeMap::new(),
            dumps: BTreeMap::new(),
            gaps: Gaps::default(),
            anomalies: Anomalies::default(),
        }
    }

    /// From now on tells the events beyond the eight although no hook hears them.
    pub fn tell_all(&mut self) {
        self.tells_all = true;
        self.lifecycle.tell_all();
    }

    /// The lifecycle, as it is now.
    pub fn lifecycle(&self) -> &Lifecycle {
        &self.lifecycle
    }

    /// Where the replay can differ from what happened live.
    pub fn gaps(&self) -> Gaps {
        self.gaps
    }

    /// The facts that fitted no story, of all recordings.
    pub fn anomalies(&self) -> Anomalies {
        let mut all = self.anomalies.clone();
        all.add(self.lifecycle.anomalies());
        all
    }

    /// Another recording begins: the node's next connection.
    pub fn begin(&mut self) {
        self.has_marks = false;
        self.begin_connection();
    }

    /// Nothing more will come: attempts whose end was seen are settled, all others stay open.
    pub fn finish(&mut self, effects: &mut Effects) {
        for node in &self.nodes {
            self.lifecycle.on(node).finish(effects);
        }
    }

    /// Plays the next item of the recording in hand.
    pub fn play(&mut self, item: Item, effects: &mut Effects) -> Result<(), MarkError> {
        match item {
            Item::Event(event) => {
                self.is_new = false;
                self.lifecycle.handle_event(&event, effects);
            }
            Item::Mark(frame) => {
                let mark = Mark::read(&frame)?;
                self.has_marks = true;
                self.play_mark(mark, effects);
                self.is_new = false;
            }
            Item::Skipped(skipped) if skipped.kind == FrameKind::Mark => {
                return Err(MarkError::TooLong(skipped.length));
            }
            Item::Connected if !self.has_marks => self.begin_connection(),
            Item::Connected | Item::Disconnected(_) | Item::Other(_) | Item::Skipped(_) => {}
        }
        Ok(())
    }

    fn play_mark(&mut self, mark: Mark<'_>, effects: &mut Effects) {
        match mark {
            Mark::Begin { by, node, .. } => self.begin_as(by, node),
            Mark::Node { name } => self.turn_to(name),
            Mark::Left => {
                self.nodes.remove(&self.node);
                self.lifecycle.remove(&self.node);
            }
            Mark::Restored(kept) => self.lifecycle.restore(kept.into_owned()),
            Mark::Connected { .. } => {
                // It may have left, and be back before another was heard of.
                self.turn_to(self.node.clone());
                self.begin_connection();
            }
            Mark::Dirty { .. } => self.lifecycle.begin_gap(),
            Mark::Missing { bytes } => {
                self.gaps.missing_bytes += bytes;
                self.nodes.iter().for_each(|node| self.lifecycle.on(node).begin_gap());
                self.lifecycle.on(&self.node);
            }
            Mark::Clock { now } => self.lifecycle.advance(now, effects),
            Mark::Survey => {
                self.surveys.insert(self.node.clone(), self.lifecycle.begin_survey());
            }
            Mark::Dump { channel, headers } => {
                self.dumps.insert(channel, headers.into_owned());
            }
            Mark::Snapshot(snapshot) => {
                let mut snapshot = snapshot.into_owned();
                snapshot.dumps = std::mem::take(&mut self.dumps);
                let open = self.surveys.remove(&self.node).unwrap_or_default();
                self.lifecycle.reconcile(&snapshot, &open, effects);
            }
            Mark::Configured => self.gaps.configurations += 1,
            Mark::Lost { heard_until, .. } => self.lifecycle.end_connection(heard_until),
            Mark::Arrived { .. } => {}
        }
    }

    /// A daemon began with nothing but what it restored; a recorder goes on where the recording before it ended.
    fn begin_as(&mut self, by: Writer, node: NodeName) {
        if by == Writer::Daemon || self.is_new {
            self.anomalies.add(self.lifecycle.anomalies());
            self.lifecycle = Lifecycle::new(node.clone(), Arc::clone(&self.config));
            if self.tells_all {
                self.lifecycle.tell_all();
            }
            self.nodes.clear();
            self.surveys.clear();
        }
        self.turn_to(node);
    }

    fn turn_to(&mut self, node: NodeName) {
        self.lifecycle.on(&node);
        self.nodes.insert(node.clone());
        self.node = node;
    }

    fn begin_connection(&mut self) {
        self.lifecycle.begin_connection();
    }
}
