//! The follower's end of a recording: nothing, where none is wanted.

use super::mark::Mark;
use super::recorder::Recorder;
use crate::esl::Event;
use crate::esl::frame::Frame;
use crate::freeswitch::Snapshot;
use crate::id::NodeName;

/// Takes down what the follower of a cluster does, and says of which node.
#[derive(Debug, Default)]
pub struct Tap(Option<Tapped>);

#[derive(Debug)]
struct Tapped {
    recorder: Recorder,
    /// The node that the latest frame was of.
    node: NodeName,
}

impl Tap {
    /// Into a recording that began with that node.
    pub fn into(recorder: Recorder, node: NodeName) -> Self {
        Self(Some(Tapped { recorder, node }))
    }

    /// Whether there is a recording.
    pub fn is_wanted(&self) -> bool {
        self.0.is_some()
    }

    /// Records a mark, which is made only where it is wanted.
    pub fn mark<'a>(&mut self, node: &NodeName, mark: impl FnOnce() -> Mark<'a>) {
        if let Some(recorder) = self.on(node) {
            recorder.mark(&mark());
        }
    }

    /// Records a mark that is about no single node.
    pub fn mark_all(&self, mark: &Mark<'_>) {
        if let Some(tapped) = &self.0 {
            tapped.recorder.mark(mark);
        }
    }

    /// Records an event.
    pub fn event(&mut self, node: &NodeName, event: &Event) {
        if let Some(recorder) = self.on(node) {
            recorder.event(event);
        }
    }

    /// Records a frame that is no event.
    pub fn frame(&mut self, node: &NodeName, frame: &Frame) {
        if let Some(recorder) = self.on(node) {
            recorder.frame(frame);
        }
    }

    /// Records what a survey found.
    pub fn snapshot(&mut self, node: &NodeName, snapshot: &Snapshot) {
        if let Some(recorder) = self.on(node) {
            recorder.snapshot(snapshot);
        }
    }

    /// The recorder, which was told of which node the next frame is.
    fn on(&mut self, node: &NodeName) -> Option<&Recorder> {
        let tapped = self.0.as_mut()?;
        if tapped.node != *node {
            tapped.node = node.clone();
            tapped.recorder.mark(&Mark::Node { name: node.clone() });
        }
        Some(&tapped.recorder)
    }
}
