//! The runner: does the steps of each run that the outbox hands over, and reports what became of them.
//!
//! A run is a task of its own. There are as many as the outbox gives seats, and it gives them in each attempt's order, so
//! nothing here waits for another run but for the limits of its destination.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use super::context::Context;
use super::definition::{Flow, Step};
use super::step::StepEnd;
use crate::delivery::{Client, Verdict};
use crate::id::FlowName;
use crate::outbox::{Closed, Outbox, Progress, Run};

/// The configured flows.
pub type Flows = BTreeMap<FlowName, Arc<Flow>>;

/// The runner.
#[derive(Debug)]
pub struct Runner {
    /// Where results are recorded.
    pub outbox: Outbox,
    /// What sends.
    pub client: Arc<Client>,
    /// The flows as they are configured now, for runs that come from disk.
    pub flows: watch::Receiver<Arc<Flows>>,
}

impl Runner {
    /// Does runs until it is told to end or the outbox has ended. Then those under way have `grace` to finish; what does not
    /// is begun again at the next start, with the same webhook ids.
    pub async fn run(self, mut runs: mpsc::Receiver<Run>, end: CancellationToken, grace: Duration) {
        let runner = Arc::new(self);
        let mut tasks = JoinSet::new();
        loop {
            tokio::select! {
                run = runs.recv() => match run {
                    Some(run) => drop(tasks.spawn(runner.clone().perform(run))),
                    None => break,
                },
                Some(done) = tasks.join_next() => note(done),
                () = end.cancelled() => break,
            }
        }
        drop(runs);
        let finish = async {
            while let Some(done) = tasks.join_next().await {
                note(done);
            }
        };
        if tokio::time::timeout(grace, finish).await.is_err() {
            info!(runs = tasks.len(), "runs that are not done begin again at the next start");
        }
    }

    /// Does the run's steps from the one at hand, each recorded before the next begins.
    async fn perform(self: Arc<Self>, mut run: Run) -> Result<(), Closed> {
        let (flow, context) = match self.prepare(&run) {
            Ok(prepared) => prepared,
            Err(reason) => {
                warn!(run = %run.id, flow = %run.flow, reason, "a run has failed");
                return self.outbox.record(run.report(None, Progress::Failed { reason })).await;
            }
        };
        while let Some(step) = step_at(&flow, run.step) {
            let StepEnd { attempted, verdict } =
                contained(step.perform(run.id, &context, &self.client)).await.unwrap_or_else(StepEnd::panicked);
            let progress = progress(&flow, step, &run, verdict);
            let goes_on = matches!(progress, Progress::Next { .. });
            tell(&run, step, &progress);
            self.outbox.record(run.report(attempted.as_ref(), progress)).await?;
            if !goes_on {
                return Ok(());
            }
        }
        // Only a flow without steps comes here.
        self.outbox.record(run.report(None, Progress::Delivered)).await
    }

    fn prepare(&self, run: &Run) -> Result<(Arc<Flow>, Context), String> {
        let configured = || self.flows.borrow().get(&run.flow).cloned();
        let flow = run.definition.clone().or_else(configured);
        let flow = flow.ok_or_else(|| format!("the flow `{}` is no longer configured", run.flow))?;
        if run.step > 0 && step_at(&flow, run.step).is_none() {
            return Err(format!("the flow `{}` was changed: it has no step {} any more", run.flow, run.step));
        }
        let context = Context::from_payload_json(&run.payload)
            .map_err(|error| format!("the stored payload can't be read: {error}"))?;
        Ok((flow, context))
    }
}

/// Takes note of a run's task that has ended.
fn note(done: Result<Result<(), Closed>, JoinError>) {
    match done {
        Ok(Ok(())) => {}
        Ok(Err(Closed)) => debug!("a run's result came after the outbox had ended"),
        Err(failure) => error!(%failure, "a run's task has failed; it begins again at the next start"),
    }
}

/// Does a step so that a panic in it, which is a bug of ours, leaves its run with an end.
async fn contained<F: Future>(step: F) -> Option<F::Output> {
    let mut step = pin!(step);
    let poll = |context: &mut std::task::Context<'_>| {
        let polled = catch_unwind(AssertUnwindSafe(|| step.as_mut().poll(context)));
        polled.map_or(Poll::Ready(None), |poll| poll.map(Some))
    };
    poll_fn(poll).await
}

/// How the run goes on after a step ended so.
fn progress(flow: &Flow, step: &Step, run: &Run, verdict: Verdict) -> Progress {
    match verdict {
        Verdict::Delivered => match run.step + 1 {
            next if step_at(flow, next).is_some() => Progress::Next { step: next },
            _ => Progress::Delivered,
        },
        Verdict::Failed { reason } => Progress::Failed { reason },
        Verdict::Retry { reason, after } => {
            let wait = step.retry().and_then(|retry| retry.wait(run.step_tries + 1, after, fastrand::f64()));
            match wait {
                Some(wait) => Progress::Retry { at: later(Timestamp::now(), wait), reason },
                None => Progress::Failed { reason: format!("{reason} (try {}, the last)", run.step_tries + 1) },
            }
        }
    }
}

fn step_at(flow: &Flow, index: u32) -> Option<&Step> {
    flow.steps.get(usize::try_from(index).ok()?)
}

fn later(now: Timestamp, wait: Duration) -> Timestamp {
    now.checked_add(wait).unwrap_or(Timestamp::MAX)
}

/// One line for each step that did not work; what worked is in the delivery log.
fn tell(run: &Run, step: &Step, progress: &Progress) {
    let (run_id, flow, path) = (run.id, &run.flow, &step.path);
    match progress {
        Progress::Next { .. } | Progress::Delivered => debug!(run = %run_id, %flow, step = path, "done"),
        Progress::Retry { at, reason } => info!(run = %run_id, %flow, step = path, %at, reason, "will be tried again"),
        Progress::Failed { reason } => warn!(run = %run_id, %flow, step = path, reason, "a run has failed"),
    }
}
