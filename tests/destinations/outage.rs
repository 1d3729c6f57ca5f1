//! One story for every destination: it is frozen for ten seconds, and killed once, while runs come in.

use std::time::Duration;

use hookswitch::id::RunId;
use hookswitch::outbox::RunState;
use tokio::time::sleep;

use crate::stage::Stage;

/// What a run's webhooks, messages and mails are called, of a flow of one step.
pub(crate) fn webhook_id(run: RunId) -> String {
    format!("whr_{run}_0")
}

/// Tries within two minutes.
pub(crate) const RETRY: &str = "timeout = '3s', retry = ['500ms', '1s', '2s', '4s', '8s', '15s', '15s', '30s', '45s']";

/// What is done to a server.
pub(crate) trait Victim {
    fn freeze(&mut self);
    fn thaw(&mut self);
    async fn kill_and_restart(&mut self);
}

/// Fires eighty runs of the flow `f` while the server is frozen for ten seconds and killed once; each is delivered.
pub(crate) async fn endured(stage: &Stage, victim: &mut impl Victim) -> Vec<RunId> {
    let mut runs = Vec::new();
    fire(stage, 0..20, &mut runs).await;
    victim.freeze();
    fire(stage, 20..40, &mut runs).await;
    sleep(Duration::from_secs(10)).await;
    victim.thaw();
    fire(stage, 40..60, &mut runs).await;
    victim.kill_and_restart().await;
    fire(stage, 60..80, &mut runs).await;
    let mut tries = 0;
    for run in &runs {
        let story = stage.over(*run).await;
        assert_eq!(story.run.state, RunState::Delivered, "{:?}", story.run.error);
        tries += story.tries.len();
    }
    assert!(tries > runs.len(), "nothing was tried twice, so the server was never away");
    runs
}

async fn fire(stage: &Stage, attempts: std::ops::Range<u32>, runs: &mut Vec<RunId>) {
    for attempt in attempts {
        runs.push(stage.fire("f", attempt, 0).await);
        sleep(Duration::from_millis(10)).await;
    }
}
