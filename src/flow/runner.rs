//! The runner: does the steps of each run that the outbox hands over, and reports what became of them.
//!
//! A run is a task of its own. There are as many as the outbox gives seats, and it gives them in each attempt's order, so
//! nothing here waits for another run but for the limits of its destination.

use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use super::flows::Flows;
use super::step::Surroundings;
use super::walk::{After, Start, Walk};
use crate::delivery::Client;
use crate::esl::Nodes;
use crate::failpoint;
use crate::outbox::{Closed, Failure, FailureKind, Outbox, Progress, Report, Run, RunState};

/// The runner.
#[derive(Debug)]
pub struct Runner {
    /// Where results are recorded.
    pub outbox: Outbox,
    /// What sends.
    pub client: Arc<Client>,
    /// Where commands are given.
    pub nodes: Nodes,
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
                    Some(run) => drop(tasks.spawn(runner.clone().perform_or_report(run))),
                    None => break,
                },
                Some(done) = tasks.join_next() => note(done),
                receivers = runner.client.recovered() => drop(tasks.spawn(runner.clone().wake(receivers))),
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

    /// Makes the runs due that were deferred because these receivers did not answer.
    async fn wake(self: Arc<Self>, receivers: BTreeSet<String>) -> Result<(), Closed> {
        for receiver in receivers {
            self.outbox.wake(&receiver).await?;
        }
        Ok(())
    }

    /// Does the run, and reports it where the program fails in it.
    async fn perform_or_report(self: Arc<Self>, run: Run) -> Result<(), Closed> {
        let panicked = run.panicked();
        let id = run.id;
        match AssertUnwindSafe(self.clone().perform(run)).catch_unwind().await {
            Ok(done) => done,
            Err(_) => {
                error!(run = %id, "the program failed in a run, which is a bug of it; the run is tried again");
                self.outbox.record(self.telling(panicked, "", None)).await.map(drop)
            }
        }
    }

    /// Does the run's steps from the one at hand, each recorded before the next begins.
    async fn perform(self: Arc<Self>, mut run: Run) -> Result<(), Closed> {
        failpoint::in_run();
        let start = Start::find(&run, &self.flows.borrow());
        let mut walk = match start {
            Ok(start) => Walk::begin(run, start),
            Err(error) => {
                let reason = error.to_string();
                warn!(run = %run.id, flow = %run.flow, reason, "a run has failed");
                let report = run.report(None, Progress::Failed { reason });
                return self.outbox.record(self.telling(report, "", None)).await.map(drop);
            }
        };
        let flow = walk.flow();
        let cancellations = self.outbox.cancellations();
        loop {
            let is_cancelled = || cancellations.contains(walk.id()).then_some(Progress::Cancelled);
            if let Some(progress) = walk.expiry().or_else(is_cancelled) {
                tell(&walk, "", &progress);
                return self.outbox.record(walk.end(progress)).await.map(drop);
            }
            let Some(step) = flow.step(walk.place()) else { break };
            let around = Surroundings {
                run: walk.id(),
                context: walk.context(),
                now: walk.now(),
                meant_for: walk.meant_for(),
                expiry: walk.expires(),
                priority: self.flows.borrow().priority(&flow.name),
                kind: walk.try_kind(),
                client: &self.client,
                nodes: &self.nodes,
                cancellations,
            };
            let end = step.perform(around).await;
            let left_alone = end.attempted.as_ref().filter(|record| record.left_alone);
            let left_alone = left_alone.and_then(|record| record.error.clone());
            let After::Record(report) = walk.take(step, end) else { continue };
            tell(&walk, &step.path, report.progress());
            let deferred_by = match report.progress() {
                Progress::PutOff { receiver, .. } => Some(receiver.clone()),
                _ => None,
            };
            // Somebody may have cancelled it meanwhile.
            if self.outbox.record(self.telling(*report, &step.path, left_alone)).await? != RunState::Running {
                deferred_by.into_iter().for_each(|receiver| self.client.recheck(&receiver));
                return Ok(());
            }
        }
        // Only a `wait` at the end comes here.
        self.outbox.record(walk.end(Progress::Delivered)).await.map(drop)
    }
}

impl Runner {
    /// Has the flow begin that is told of failures, if the report is of one, or a receiver is left alone for that reason.
    fn telling(&self, report: Report, step: &str, left_alone: Option<String>) -> Report {
        let (kind, reason) = match (report.progress(), left_alone) {
            (Progress::Failed { reason }, _) => (FailureKind::Run, reason.clone()),
            // Begins only if it is the last try, which the outbox knows.
            (Progress::Panicked, _) => (FailureKind::Run, Run::PANICKED.to_owned()),
            (_, Some(reason)) => (FailureKind::Receiver, reason),
            _ => return report,
        };
        let failure = Failure { kind, step: step.to_owned(), reason };
        match self.flows.borrow().on_failure() {
            Some(flow) => report.telling(flow, &failure),
            None => report,
        }
    }
}

/// Takes note of a run's task that has ended.
fn note(done: Result<Result<(), Closed>, JoinError>) {
    match done {
        Ok(Ok(())) => {}
        Ok(Err(Closed)) => debug!("a run's result came after the outbox had ended"),
        Err(failure) => {
            error!(%failure, "a run's task has ended before its time; the run begins again at the next start");
        }
    }
}

/// One line for each step that did not work; what worked is in the delivery log.
fn tell(walk: &Walk, path: &str, progress: &Progress) {
    let (run, flow) = (walk.id(), walk.flow());
    let flow = &flow.name;
    match progress {
        Progress::Next { .. } | Progress::Delivered => debug!(%run, %flow, step = path, "done"),
        Progress::Wait { until, .. } => debug!(%run, %flow, step = path, %until, "rests"),
        Progress::Retry { at, reason } => info!(%run, %flow, step = path, %at, reason, "will be tried again"),
        Progress::PutOff { at, reason, .. } => debug!(%run, %flow, step = path, %at, reason, "put off"),
        Progress::Failed { reason } => warn!(%run, %flow, step = path, reason, "a run has failed"),
        Progress::Expired { reason } => warn!(%run, %flow, reason, "a run has expired"),
        Progress::Panicked => {}
        Progress::Cancelled => info!(%run, %flow, step = path, "a run is cancelled"),
    }
}
