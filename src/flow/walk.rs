//! A run under way: from step to step, each recorded before the next begins.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value as Json, json};

use super::context::Context;
use super::definition::{Definition, Flow, OnError, Step, StepKind};
use super::flows::{Chosen, Flows, NoFlow};
use super::names::ERROR;
use super::step::{Done, Outcome, StepEnd};
use crate::delivery::{TryKind, TryRecord};
use crate::id::RunId;
use crate::outbox::{Expiry, JournalEntry, Progress, Report, Run};

/// The longest that a run is put off, but for chance: half a million that wait are then 800 a second that are looked at.
const LONGEST_PUT_OFF: Duration = Duration::from_secs(600);

/// A run, its flow, and what its steps have left behind.
#[derive(Debug)]
pub struct Walk {
    run: Run,
    flow: Arc<Flow>,
    context: Context,
    /// Steps that are over and not yet recorded.
    journal: Vec<JournalEntry>,
    /// The definition that the run goes over to with its next report.
    changed_to: Option<Definition>,
}

/// What a run is taken up with.
#[derive(Debug)]
pub struct Start {
    chosen: Chosen,
    context: Context,
}

/// Why a run can't be taken up.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// There is no flow for it.
    #[error(transparent)]
    Flow(#[from] NoFlow),
    /// What is stored of it is unreadable.
    #[error("what is stored of the run can't be read: {0}")]
    Stored(#[from] serde_json::Error),
}

/// What is to be done after a step has ended.
#[derive(Debug)]
pub enum After {
    /// The step at hand, which is another one now.
    GoOn,
    /// This is to be recorded first.
    Record(Box<Report>),
}

fn step_name(step: &Step) -> String {
    format!("step {}", step.path)
}

fn expired_before(left: &str) -> String {
    format!("it expired before {left}")
}

/// How long a run is put off whose moment is of that age: so much longer than the receiver's pause that most find it
/// answering and not all come at once; and the older it is the longer, so that a backlog of hours costs little until then,
/// and what is new goes first.
fn put_off(pause: Duration, age: SignedDuration, chance: f64) -> Duration {
    let age = Duration::try_from(age).unwrap_or_default();
    pause.max((age / 4).min(LONGEST_PUT_OFF)).mul_f64(1.0 + chance / 2.0)
}

impl Start {
    /// Finds the run's flow, and reads what is stored of the run.
    pub fn find(run: &Run, flows: &Flows) -> Result<Self, StartError> {
        let chosen = flows.choose(&run.flow, &run.began_with, run.step)?;
        let mut context = Context::from_payload_json(&run.payload)?;
        for saved in &run.saved {
            // What was saved did fit then; where the limits have become narrower it is better dropped than the run.
            let _ = context.save(&serde_json::from_str(saved)?);
        }
        Ok(Self { chosen, context })
    }
}

impl Walk {
    /// Takes up a run where it stands.
    pub fn begin(mut run: Run, start: Start) -> Self {
        let Start { chosen: Chosen { flow, step, changed_to }, context } = start;
        run.step = step;
        Self { run, flow, context, journal: Vec::new(), changed_to }
    }

    /// The flow by which it goes.
    pub fn flow(&self) -> Arc<Flow> {
        self.flow.clone()
    }

    /// The run.
    pub fn id(&self) -> RunId {
        self.run.id
    }

    /// The index of the step at hand.
    pub fn place(&self) -> u32 {
        self.run.step
    }

    /// What texts can name.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// How the try at hand has come about.
    pub fn try_kind(&self) -> TryKind {
        match self.run.step_tries {
            _ if self.run.is_asked => TryKind::Manual,
            0 => TryKind::First { since: self.run.since() },
            _ => TryKind::Retry,
        }
    }

    /// The present, by the clock of the run's times.
    pub fn now(&self) -> Timestamp {
        self.run.now()
    }

    /// When the run is of no use any more.
    pub fn expires(&self) -> Expiry {
        self.run.expiry()
    }

    /// When the step at hand was meant to be done: at the run's moment, or at the end of its latest `wait`.
    pub fn meant_for(&self) -> Timestamp {
        self.run.resumed_at.unwrap_or_else(|| self.run.moved(self.context.happened_at()))
    }

    /// Why the run is of no use any more, if it is: there is something left to be done, if only to rest.
    pub fn expiry(&self) -> Option<Progress> {
        let now = self.now();
        let left = match self.flow.step(self.run.step) {
            Some(step) => step_name(step),
            None if self.run.resumed_at.is_some_and(|at| at > now) => "its last `wait` was over".into(),
            None => return None,
        };
        let is_expired = self.run.expires_at.is_some_and(|expires_at| expires_at <= now);
        is_expired.then(|| Progress::Expired { reason: expired_before(&left) })
    }

    /// The report with which a run ends between two steps.
    pub fn end(&mut self, progress: Progress) -> Report {
        self.report(None, progress)
    }

    /// Takes what the step at hand has come to.
    pub fn take(&mut self, step: &Step, end: StepEnd) -> After {
        let now = self.now();
        let StepEnd { attempted, outcome } = end;
        let progress = match outcome {
            Outcome::Done(done) => self.done(step, done),
            Outcome::Wait { until } => {
                self.note(step, None, None);
                Progress::Wait { step: step.next, until }
            }
            Outcome::Stop => {
                self.note(step, None, None);
                Progress::Delivered
            }
            Outcome::Retry { reason, after } => {
                let retry = match &step.kind {
                    StepKind::Do(action) => action.retry(),
                    StepKind::If { .. } | StepKind::Switch { .. } | StepKind::Call(_) => None,
                };
                let tries = self.run.step_tries + 1;
                match retry.and_then(|retry| retry.wait(tries, after, fastrand::f64())) {
                    Some(wait) => Progress::Retry { at: now.saturating_add(wait).unwrap_or(Timestamp::MAX), reason },
                    None => self.failed(step, format!("{reason} (try {tries}, the last)")),
                }
            }
            Outcome::PutOff { receiver, reason, pause } => {
                // Who asked for it does not wait for the others' turn.
                let age = if self.run.is_asked {
                    SignedDuration::ZERO
                } else {
                    now.duration_since(self.run.moved(self.context.happened_at()))
                };
                let pause = put_off(pause, age, fastrand::f64());
                Progress::PutOff { receiver, at: now.saturating_add(pause).unwrap_or(Timestamp::MAX), reason }
            }
            Outcome::Failed { reason } => self.failed(step, reason),
            Outcome::Expired { reason } if step.on_error == OnError::Fail => {
                Progress::Expired { reason: self.placed(step, reason) }
            }
            Outcome::Expired { reason } => self.failed(step, reason),
            Outcome::Cancelled => Progress::Cancelled,
            Outcome::Late => Progress::Expired { reason: expired_before(&step_name(step)) },
            Outcome::Refused { reason } => {
                self.note(step, None, None);
                Progress::Failed { reason: self.placed(step, reason) }
            }
        };
        match progress {
            Progress::Next { step: next } if step.kind.is_pure() => {
                (self.run.step, self.run.step_tries) = (next, 0);
                After::GoOn
            }
            progress => After::Record(Box::new(self.report(attempted.as_ref(), progress))),
        }
    }

    fn done(&mut self, step: &Step, Done { saved, next }: Done) -> Progress {
        if !saved.is_empty()
            && let Err(error) = self.context.save(&saved)
        {
            return self.failed(step, error.to_string());
        }
        self.note(step, None, Some(saved));
        self.next(next.unwrap_or(step.next))
    }

    fn failed(&mut self, step: &Step, reason: String) -> Progress {
        let next = match step.on_error {
            OnError::Fail => return Progress::Failed { reason: self.placed(step, reason) },
            OnError::Continue => step.next,
            OnError::Goto(first) => first,
        };
        let error = Map::from_iter([(ERROR.to_owned(), json!({ "step": step.path, "reason": reason }))]);
        // What says the error is short, so only a run that has saved all it may can't take it.
        let saved = self.context.save(&error).is_ok().then_some(error);
        self.note(step, Some(reason), saved);
        self.next(next)
    }

    fn next(&self, step: u32) -> Progress {
        if self.flow.step(step).is_some() { Progress::Next { step } } else { Progress::Delivered }
    }

    /// Notes a step that is over. A flow of one step has its tries for that.
    fn note(&mut self, step: &Step, error: Option<String>, saved: Option<Map<String, Json>>) {
        if self.flow.is_journaled() {
            let saved = saved.filter(|saved| !saved.is_empty()).map(|saved| Json::Object(saved).to_string());
            self.journal.push(JournalEntry { path: step.path.clone(), kind: step.kind.name(), error, saved });
        }
    }

    fn placed(&self, step: &Step, reason: String) -> String {
        if self.flow.is_journaled() { format!("step {}: {reason}", step.path) } else { reason }
    }

    fn report(&mut self, attempted: Option<&TryRecord>, progress: Progress) -> Report {
        let (journal, changed_to) = (std::mem::take(&mut self.journal), self.changed_to.take());
        self.run.report(attempted, progress).with_journal(journal).with_definition(changed_to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_new_comes_back_first_and_nothing_stays_away_for_long() {
        let (pause, now) = (Duration::from_secs(5), SignedDuration::ZERO);
        assert_eq!(put_off(pause, now, 0.0), pause);
        assert_eq!(put_off(pause, -SignedDuration::from_secs(9), 0.0), pause, "a clock that went back");
        assert_eq!(put_off(pause, SignedDuration::from_secs(60), 0.0), Duration::from_secs(15));
        assert_eq!(put_off(pause, SignedDuration::MAX, 1.0), Duration::from_secs(900));
    }
}
