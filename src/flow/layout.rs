//! Laying a flow out: blocks within blocks, and flows that call flows, become one list of steps.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::action::Action;
use super::definition::{OnError, Step, StepKind};
use super::expression::Expression;
use crate::id::FlowName;

/// The most steps of a flow, those of the flows that it calls included: a run's journal has a row for each, and a person
/// has to understand them.
pub const MAX_STEPS: usize = 500;

/// How deep blocks and called flows may be nested: deeper ones are made by mistake, and paths stay readable.
pub const MAX_DEPTH: usize = 16;

/// Steps that follow each other.
pub type Block = Vec<Piece>;

/// A step, as it is written.
#[derive(Clone, Debug)]
pub struct Piece {
    /// What it does.
    pub kind: PieceKind,
    /// What later steps call its result.
    pub save: Option<String>,
    /// What follows where it fails for good.
    pub on_error: Remedy,
}

/// What a step does, as it is written.
#[derive(Clone, Debug)]
pub enum PieceKind {
    /// Something of its own.
    Do(Arc<Action>),
    /// One of two blocks.
    If {
        /// What decides.
        condition: Arc<Expression>,
        /// Where it holds.
        then: Block,
        /// Where it does not.
        otherwise: Block,
    },
    /// The block of the case that the value names.
    Switch {
        /// What decides.
        value: Arc<Expression>,
        /// The cases.
        cases: Vec<(String, Block)>,
        /// Where there is none.
        default: Block,
    },
    /// Another flow.
    Flow(FlowName),
}

/// What is done about a step that has failed for good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// Nothing: the run has failed.
    Fail,
    /// Nothing: the run goes on.
    Continue,
    /// Another flow; then the run goes on.
    Flow(FlowName),
}

/// Why a flow can't be laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LayoutError {
    /// It has too many steps.
    #[error("the flow has more than {MAX_STEPS} steps, those of the flows it calls included")]
    TooManySteps,
    /// It is nested too deep, or calls itself.
    #[error("the flow's blocks and the flows it calls are nested more than {MAX_DEPTH} deep")]
    TooDeep,
    /// It calls a flow that is not there.
    #[error("the flow calls one that is not there")]
    UnknownFlow,
}

impl From<Action> for Piece {
    fn from(action: Action) -> Self {
        Self { kind: PieceKind::Do(Arc::new(action)), save: None, on_error: Remedy::Fail }
    }
}

/// Lays out `block`, whose flows are found among `flows`.
pub fn lay_out(block: &Block, flows: &BTreeMap<FlowName, Block>) -> Result<Vec<Step>, LayoutError> {
    let mut layout = Layout { flows, steps: Vec::new(), labels: Vec::new() };
    let end = layout.label();
    layout.block(block, "", end, 0)?;
    layout.place(end)?;
    let Layout { mut steps, labels, .. } = layout;
    steps.iter_mut().for_each(|step| resolve(step, &labels));
    Ok(steps)
}

/// A layout under way. Until it is done a step names others by labels, because those behind it have no place yet.
struct Layout<'a> {
    flows: &'a BTreeMap<FlowName, Block>,
    steps: Vec<Step>,
    /// The place of each label.
    labels: Vec<u32>,
}

/// Where a step leads to, before it has a place.
type Label = u32;

impl Layout<'_> {
    fn label(&mut self) -> Label {
        self.labels.push(0);
        u32::try_from(self.labels.len() - 1).unwrap_or(Label::MAX)
    }

    /// Gives the label the place where the next step will be.
    fn place(&mut self, label: Label) -> Result<(), LayoutError> {
        let here = u32::try_from(self.steps.len()).map_err(|_| LayoutError::TooManySteps)?;
        if let Some(place) = usize::try_from(label).ok().and_then(|index| self.labels.get_mut(index)) {
            *place = here;
        }
        Ok(())
    }

    /// Lays out a block that leads to `end`, and tells where it begins.
    fn block(&mut self, block: &[Piece], prefix: &str, end: Label, depth: usize) -> Result<Label, LayoutError> {
        if depth > MAX_DEPTH {
            return Err(LayoutError::TooDeep);
        }
        let mut begin = end;
        let mut next = end;
        for (index, piece) in block.iter().enumerate() {
            let here = if index == 0 { self.label() } else { next };
            self.place(here)?;
            if index == 0 {
                begin = here;
            }
            next = if index + 1 == block.len() { end } else { self.label() };
            self.piece(piece, format!("{prefix}{index}"), next, depth)?;
        }
        Ok(begin)
    }

    fn piece(&mut self, piece: &Piece, path: String, next: Label, depth: usize) -> Result<(), LayoutError> {
        let index = self.steps.len();
        if index == MAX_STEPS {
            return Err(LayoutError::TooManySteps);
        }
        let (kind, save, on_error) = (StepKind::Call(next), piece.save.clone(), OnError::Fail);
        self.steps.push(Step { path: path.clone(), kind, save, next, on_error });
        let kind = match &piece.kind {
            PieceKind::Do(action) => StepKind::Do(action.clone()),
            PieceKind::If { condition, then, otherwise } => StepKind::If {
                condition: condition.clone(),
                then: self.block(then, &format!("{path}/then/"), next, depth + 1)?,
                otherwise: self.block(otherwise, &format!("{path}/else/"), next, depth + 1)?,
            },
            PieceKind::Switch { value, cases, default } => {
                let cases = cases.iter().map(|(case, block)| {
                    let begin = self.block(block, &format!("{path}/cases/{case}/"), next, depth + 1)?;
                    Ok((case.clone(), begin))
                });
                StepKind::Switch {
                    value: value.clone(),
                    cases: cases.collect::<Result<_, LayoutError>>()?,
                    default: self.block(default, &format!("{path}/default/"), next, depth + 1)?,
                }
            }
            PieceKind::Flow(name) => StepKind::Call(self.flow(name, &format!("{path}/flow/"), next, depth)?),
        };
        let on_error = match &piece.on_error {
            Remedy::Fail => OnError::Fail,
            Remedy::Continue => OnError::Continue,
            Remedy::Flow(name) => OnError::Goto(self.flow(name, &format!("{path}/on_error/"), next, depth)?),
        };
        (self.steps[index].kind, self.steps[index].on_error) = (kind, on_error);
        Ok(())
    }

    fn flow(&mut self, name: &FlowName, prefix: &str, next: Label, depth: usize) -> Result<Label, LayoutError> {
        let block = self.flows.get(name).ok_or(LayoutError::UnknownFlow)?;
        self.block(block, prefix, next, depth + 1)
    }
}

/// Puts places in the stead of labels.
fn resolve(step: &mut Step, labels: &[u32]) {
    let place = |label: &mut Label| {
        *label = usize::try_from(*label).ok().and_then(|index| labels.get(index)).copied().unwrap_or(u32::MAX);
    };
    place(&mut step.next);
    if let OnError::Goto(label) = &mut step.on_error {
        place(label);
    }
    match &mut step.kind {
        StepKind::Do(_) => {}
        StepKind::If { then, otherwise, .. } => {
            place(then);
            place(otherwise);
        }
        StepKind::Switch { cases, default, .. } => {
            cases.values_mut().for_each(place);
            place(default);
        }
        StepKind::Call(label) => place(label),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::SavedNames;
    use crate::flow::action::{LogStep, StopStep};
    use crate::flow::template::TextTemplate;

    fn log() -> Piece {
        let message = TextTemplate::compile("x", &SavedNames::none()).expect("compiles");
        Action::Log(LogStep { level: tracing::Level::INFO, message }).into()
    }

    fn piece(kind: PieceKind) -> Piece {
        Piece { kind, save: None, on_error: Remedy::Fail }
    }

    fn condition() -> Arc<Expression> {
        Arc::new(Expression::compile("true", &SavedNames::none()).expect("compiles"))
    }

    fn paths(steps: &[Step]) -> Vec<(&str, u32)> {
        steps.iter().map(|step| (step.path.as_str(), step.next)).collect()
    }

    #[test]
    fn a_list_of_steps_stays_as_it_is() {
        let steps = lay_out(&vec![log(), log(), log()], &BTreeMap::new()).expect("lays out");
        assert_eq!(paths(&steps), [("0", 1), ("1", 2), ("2", 3)]);
    }

    #[test]
    fn blocks_lead_to_the_step_after_theirs() {
        let choice = PieceKind::If { condition: condition(), then: vec![log(), log()], otherwise: Vec::new() };
        let steps = lay_out(&vec![piece(choice), log()], &BTreeMap::new()).expect("lays out");
        assert_eq!(paths(&steps), [("0", 3), ("0/then/0", 2), ("0/then/1", 3), ("1", 4)]);
        let StepKind::If { then, otherwise, .. } = steps[0].kind else { panic!("is a choice") };
        assert_eq!((then, otherwise), (1, 3));
    }

    #[test]
    fn flows_are_laid_out_where_they_are_called() {
        let stop = Action::Stop(StopStep { failed: false, reason: None });
        let flows = BTreeMap::from([("other".into(), vec![log(), stop.into()])]);
        let mut first = log();
        first.on_error = Remedy::Flow("other".into());
        let block = vec![first, piece(PieceKind::Flow("other".into()))];
        let steps = lay_out(&block, &flows).expect("lays out");
        let expected = [("0", 3), ("0/on_error/0", 2), ("0/on_error/1", 3), ("1", 6), ("1/flow/0", 5), ("1/flow/1", 6)];
        assert_eq!(paths(&steps), expected);
        assert_eq!(steps[0].on_error, OnError::Goto(1));
    }

    #[test]
    fn a_flow_has_an_end_also_where_it_calls_itself() {
        let flows = BTreeMap::from([("self".into(), vec![piece(PieceKind::Flow("self".into()))])]);
        assert_eq!(lay_out(&flows["self"], &flows).map(drop), Err(LayoutError::TooDeep));
        let many = (0..=MAX_STEPS).map(|_| log()).collect();
        assert_eq!(lay_out(&many, &BTreeMap::new()).map(drop), Err(LayoutError::TooManySteps));
    }
}
