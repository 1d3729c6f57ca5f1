//! The daemon ends itself at the instants that matter most.

use std::os::unix::process::ExitStatusExt as _;
use std::time::Duration;

use hookswitch::failpoint;
use rustix::process::Signal;

use crate::stage::Stage;

/// How often a point is passed before the daemon ends there: at once, and in the midst of things.
const PASSES: [u32; 2] = [0, 37];

/// How long the daemon lives in between, so that attempts are followed that no end interrupts.
const PEACE: Duration = Duration::from_secs(1);

#[tokio::test(flavor = "multi_thread")]
async fn what_the_daemon_saw_is_told_once_and_truly_whichever_instant_it_ends_at() {
    let mut stage = Stage::open(1).await;
    for point in failpoint::ALL {
        for passes in PASSES {
            stage.start_daemon(&format!("{point}={passes}*off->return"));
            let status = stage.daemon_ends().await;
            assert_eq!(status.signal(), Some(Signal::ABORT.as_raw()), "{point} after {passes}: {status}");
            stage.start_daemon("");
            stage.daemon_is_settled_in().await;
            stage.wait(PEACE).await;
            stage.kill_daemon();
        }
    }
    stage.start_daemon("");
    assert!(stage.conclude().await.interrupted > 0, "no call was interrupted");
}
