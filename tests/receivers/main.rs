//! Receivers of every manner: rude ones, each of which ends as `docs/steps/http.md` says, and those that want to know who
//! comes, and how.

mod answers;
mod behaviour;
mod connections;
mod identity;
mod redirects;
mod secrets;
mod server;
#[expect(dead_code, reason = "it can do more than is needed here")]
#[path = "../flow/stage.rs"]
mod stage;
mod statuses;
#[expect(dead_code, reason = "no step here gives commands")]
#[path = "../flow/switchboard.rs"]
mod switchboard;
mod tls;
mod way;

use hookswitch::outbox::RunState;
use hookswitch::outbox::deliveries::Story;
use tempfile::TempDir;

use crate::stage::Stage;

/// Does a run of one `http` step with these keys, under these settings, to its end.
async fn sent(settings: &str, step: &str) -> Story {
    let directory = TempDir::new().expect("a directory");
    sent_from(&directory, settings, step).await
}

/// The same, with files of one's own in the directory.
async fn sent_from(directory: &TempDir, settings: &str, step: &str) -> Story {
    let stage = Stage::start(directory, &format!("{settings}\n[flows.f]\nsteps = [{{ http = {{ {step} }} }}]\n"));
    let run = stage.fire("f", 0, 0).await;
    stage.over(run).await
}

fn assert_delivered(story: &Story) {
    assert_eq!(story.run.state, RunState::Delivered, "{:?}", story.run.error);
}

/// That the run has failed after so many tries, for a reason that says this.
fn assert_failed(story: &Story, tries: usize, reason: &str) {
    let error = story.run.error.as_deref().unwrap_or_default();
    assert_eq!((story.run.state, story.tries.len()), (RunState::Failed, tries), "{error}");
    assert!(error.contains(reason), "{error:?} says nothing of {reason:?}");
}
