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
    /// The node that the latest frame was of; none where something is missing, which may have said so.
    node: Option<NodeName>,
}

impl Tap {
    /// Into a recording that began with that node.
    pub fn into(recorder: Recorder, node: NodeName) -> Self {
        Self(Some(Tapped { recorder, node: Some(node) }))
    }

    /// Whether there is a recording.
    pub fn is_wanted(&self) -> bool {
        self.0.is_some()
    }

    /// Records a mark, which is made only where it is wanted.
    pub fn mark<'a>(&mut self, node: &NodeName, mark: impl FnOnce() -> Mark<'a>) {
        self.on(node, |recorder| recorder.mark(&mark()));
    }

    /// Records a mark that is about no single node.
    pub fn mark_all(&self, mark: &Mark<'_>) {
        if let Some(tapped) = &self.0 {
            // Without room for it, the recording says that something is missing.
            tapped.recorder.mark(mark);
        }
    }

    /// Records an event.
    pub fn event(&mut self, node: &NodeName, event: &Event) {
        self.on(node, |recorder| recorder.event(event));
    }

    /// Records a frame that is no event.
    pub fn frame(&mut self, node: &NodeName, frame: &Frame) {
        self.on(node, |recorder| recorder.frame(frame));
    }

    /// Records what a survey found.
    pub fn snapshot(&mut self, node: &NodeName, snapshot: &Snapshot) {
        self.on(node, |recorder| recorder.snapshot(snapshot));
    }

    /// Lets the recorder write, once it was told of which node.
    fn on(&mut self, node: &NodeName, write: impl FnOnce(&Recorder) -> bool) {
        let Some(Tapped { recorder, node: latest }) = &mut self.0 else { return };
        let is_said = latest.as_ref() == Some(node) || recorder.mark(&Mark::Node { name: node.clone() });
        let is_written = write(recorder);
        *latest = (is_said && is_written).then(|| node.clone());
    }
}
