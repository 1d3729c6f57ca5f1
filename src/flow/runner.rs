//! The runner: does the steps of each run that the outbox hands over, and reports what became of them.
//!
//! A run is a task of its own. There are as many as the outbox gives seats, and it gives them in each attempt's order, so
//! nothing here waits for another run but for the limits of its destination.

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

use super::flows::Flows;
use super::step::{StepEnd, Surroundings};
use super::walk::{After, Start, Walk};
use crate::delivery::Client;
use crate::esl::Nodes;
use crate::outbox::{Closed, Outbox, Progress, Run};

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
        let start = Start::find(&run, &self.flows.borrow());
        let mut walk = match start {
            Ok(start) => Walk::begin(run, start),
            Err(error) => {
                let reason = error.to_string();
                warn!(run = %run.id, flow = %run.flow, reason, "a run has failed");
                return self.outbox.record(run.report(None, Progress::Failed { reason })).await;
            }
        };
        let flow = walk.flow();
        loop {
            if let Some(progress) = walk.expiry(Timestamp::now()) {
                tell(&walk, "", &progress);
                return self.outbox.record(walk.end(progress)).await;
            }
            let Some(step) = flow.step(walk.place()) else { break };
            let around = Surroundings {
                run: walk.id(),
                context: walk.context(),
                resumed_at: walk.resumed_at(),
                client: &self.client,
                nodes: &self.nodes,
            };
            let end = contained(step.perform(around)).await.unwrap_or_else(StepEnd::panicked);
            let After::Record(report) = walk.take(step, end, Timestamp::now()) else { continue };
            tell(&walk, &step.path, report.progress());
            let goes_on = matches!(report.progress(), Progress::Next { .. });
            self.outbox.record(*report).await?;
            if !goes_on {
                return Ok(());
            }
        }
        // Only a `wait` at the end comes here.
        self.outbox.record(walk.end(Progress::Delivered)).await
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

/// One line for each step that did not work; what worked is in the delivery log.
fn tell(walk: &Walk, path: &str, progress: &Progress) {
    let (run, flow) = (walk.id(), walk.flow());
    let flow = &flow.name;
    match progress {
        Progress::Next { .. } | Progress::Delivered => debug!(%run, %flow, step = path, "done"),
        Progress::Wait { until, .. } => debug!(%run, %flow, step = path, %until, "rests"),
        Progress::Retry { at, reason } => info!(%run, %flow, step = path, %at, reason, "will be tried again"),
        Progress::Failed { reason } => warn!(%run, %flow, step = path, reason, "a run has failed"),
        Progress::Expired { reason } => warn!(%run, %flow, reason, "a run has expired"),
    }
}
