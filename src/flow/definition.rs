//! What a flow is, once the configuration has been read and everything in it was checked.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::action::Action;
use super::expression::Expression;
use crate::delivery::Priority;
use crate::id::{DefinitionHash, FlowName};

/// A named list of steps, made once, started by any hook.
///
/// Blocks within steps and flows that are called are laid out behind each other, so that a run's place is one number.
#[derive(Debug)]
pub struct Flow {
    /// The flow's name.
    pub name: FlowName,
    /// Its steps; it begins with the first.
    pub steps: Vec<Step>,
    /// Whether runs of this flow for one attempt are done one after the other.
    pub ordered: bool,
    /// Which of its runs and those of other flows goes first, where both wait for the same.
    pub priority: Priority,
    /// Whether its runs stay in the outbox for now.
    pub paused: bool,
    /// Whether the newest of its runs that are due goes first, rather than the oldest.
    pub newest_first: bool,
    /// How long after its moment a run is of use; unset: always.
    pub expires_after: Option<Duration>,
    /// What the configuration says of it; none for a flow that was made otherwise.
    pub definition: Option<Definition>,
}

/// What the configuration says of a flow and of those that it calls: all that is needed to make it again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Definition {
    /// Its hash.
    pub hash: DefinitionHash,
    /// The text, as JSON.
    pub json: Arc<str>,
}

/// One step of a flow.
#[derive(Debug)]
pub struct Step {
    /// The step's path within the flow (`0`, `2/then/0`): its name in webhook ids, tries, journal and log lines.
    pub path: String,
    /// What it does.
    pub kind: StepKind,
    /// What later steps call its result.
    pub save: Option<String>,
    /// The step after it; as many as there are steps: the end.
    pub next: u32,
    /// What follows where it fails for good.
    pub on_error: OnError,
}

/// What a step does.
#[derive(Debug)]
pub enum StepKind {
    /// Something of its own.
    Do(Arc<Action>),
    /// Goes on with one of two steps.
    If {
        /// What decides.
        condition: Arc<Expression>,
        /// Where it holds.
        then: u32,
        /// Where it does not.
        otherwise: u32,
    },
    /// Goes on with the step of the case that the value names.
    Switch {
        /// What decides.
        value: Arc<Expression>,
        /// The cases.
        cases: BTreeMap<String, u32>,
        /// Where there is none.
        default: u32,
    },
    /// Goes on with the first step of another flow.
    Call(u32),
}

/// What follows on a step that has failed for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnError {
    /// The run has failed.
    Fail,
    /// The step after it.
    Continue,
    /// The first step of another flow, and then the step after it.
    Goto(u32),
}

impl Flow {
    /// The step of that index; none at the end.
    pub fn step(&self, index: u32) -> Option<&Step> {
        self.steps.get(usize::try_from(index).ok()?)
    }

    /// Whether its runs keep a journal: a run of one step is told by its tries.
    pub fn is_journaled(&self) -> bool {
        self.steps.len() > 1
    }

    /// Where a run goes on in this flow that stands at a step of another definition: at the step of the same path and kind.
    pub fn place_of(&self, step: &Step) -> Option<u32> {
        let same = |own: &Step| own.path == step.path && own.kind.name() == step.kind.name();
        u32::try_from(self.steps.iter().position(same)?).ok()
    }
}

impl Definition {
    /// The definition with that text.
    pub fn new(json: impl Into<Arc<str>>) -> Self {
        let json = json.into();
        Self { hash: DefinitionHash::of(&json), json }
    }
}

impl StepKind {
    /// The kind's name, as the configuration has it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Do(action) => action.name(),
            Self::If { .. } => "if",
            Self::Switch { .. } => "switch",
            Self::Call(_) => "flow",
        }
    }

    /// Whether the step only reads and reckons, so that doing it again after a crash is the same as remembering it.
    pub fn is_pure(&self) -> bool {
        match self {
            Self::Do(action) => matches!(**action, Action::Set(_)),
            Self::If { .. } | Self::Switch { .. } | Self::Call(_) => true,
        }
    }
}
