//! Timers, order, expiry and pauses.

use std::time::Duration;

use hookswitch::outbox::RunState;
use tempfile::TempDir;

use crate::receiver::{Answer, Receiver};
use crate::stage::{Stage, paths};
use crate::switchboard::Switchboard;

#[tokio::test]
async fn a_wait_outlives_the_daemon() {
    let mut receiver = Receiver::start(|_| Answer::ok()).await;
    let (directory, url) = (TempDir::new().expect("a directory"), receiver.url());
    let text = format!(
        "[flows.f]\nsteps = [{{ set = {{ pause = 1.5 }} }}, {{ wait = '{{{{ pause }}}}' }}, {{ http = {{ url = '{url}' }} }}]"
    );
    let stage = Stage::start(&directory, &text);
    let run = stage.fire("f", 1, 0).await;
    let story = stage.at_rest(run).await;
    assert_eq!(paths(&story), ["0", "1"]);
    let due = story.run.due_at.expect("is due").0;
    stage.stop().await;
    let stage = Stage::start(&directory, &text);
    receiver.next().await;
    assert!(jiff::Timestamp::now() >= due);
    let story = stage.over(run).await;
    assert_eq!((story.run.state, paths(&story)), (RunState::Delivered, vec!["0", "1", "2"]));
}

#[tokio::test]
async fn a_run_that_waits_gives_up_its_place_in_the_attempts_order() {
    let mut receiver = Receiver::start(|_| Answer::ok()).await;
    let (directory, url) = (TempDir::new().expect("a directory"), receiver.url());
    let text = format!(
        "[flows.f]\nsteps = [{{ http = {{ url = '{url}' }} }}, {{ wait = '1h' }}, {{ http = {{ url = '{url}' }} }}]"
    );
    let stage = Stage::start(&directory, &text);
    for number in 0..3 {
        stage.fire("f", 1, number).await;
    }
    for sequence in 1..=3 {
        assert_eq!(receiver.next().await.field("sequence"), sequence);
    }
}

#[tokio::test]
async fn a_run_that_expires_ends_visibly_and_makes_room_for_the_next() {
    let receiver = Receiver::start(|_| Answer::Status("500 Internal Server Error", String::new())).await;
    let (directory, url) = (TempDir::new().expect("a directory"), receiver.url());
    let text = format!(
        "[flows.f]\nexpires_after = '700ms'\nsteps = [{{ http = {{ url = '{url}', retry = ['1h'] }} }}]\n\
         [flows.rests]\nexpires_after = '700ms'\nsteps = [{{ wait = '1h' }}]\n"
    );
    let stage = Stage::start(&directory, &text);
    let (first, second) = (stage.fire("f", 1, 0).await, stage.fire("f", 1, 1).await);
    let rests = stage.fire("rests", 1, 2).await;
    for run in [first, second, rests] {
        let story = stage.over(run).await;
        assert_eq!(story.run.state, RunState::Expired, "{story:?}");
        assert!(story.run.error.is_some() || run == rests);
    }
}

#[tokio::test]
async fn a_command_that_is_too_late_is_not_given() {
    let switchboard = Switchboard::start(|_| "+OK\n".into()).await;
    let directory = TempDir::new().expect("a directory");
    let text = "[flows.late]\nsteps = [{ freeswitch = { uuid_kill = ['channel'], expires_after = '1m' } }]\n\
                [flows.waits]\nsteps = [{ wait = '1ms' }, { freeswitch = { uuid_kill = ['channel'] } }]\n\
                [flows.passes]\nsteps = [{ freeswitch = { uuid_kill = ['channel'] }, on_error = 'continue' }, \
                { log = { message = 'x' } }]\n";
    let stage = Stage::start(&directory, text);
    stage.follow(&switchboard);
    let long_ago = |payload: &mut hookswitch::moment::Payload| {
        payload.timestamp.0 -= Duration::from_secs(3_600);
    };
    let late = stage.over(stage.fire_changed("late", 1, 0, long_ago).await).await;
    assert_eq!((late.run.state, late.tries.len()), (RunState::Expired, 0));
    let passes = stage.over(stage.fire_changed("passes", 1, 1, long_ago).await).await;
    assert_eq!(passes.run.state, RunState::Delivered);
    assert_eq!(switchboard.lines(), [""; 0]);
    let waits = stage.over(stage.fire_changed("waits", 1, 2, long_ago).await).await;
    assert_eq!((waits.run.state, switchboard.lines().len()), (RunState::Delivered, 1), "meant for after the wait");
}

#[tokio::test]
async fn runs_of_a_paused_flow_wait_and_are_not_lost() {
    let mut receiver = Receiver::start(|_| Answer::ok()).await;
    let (directory, url) = (TempDir::new().expect("a directory"), receiver.url());
    let text = |paused: bool| format!("[flows.f]\npaused = {paused}\nsteps = [{{ http = {{ url = '{url}' }} }}]");
    let stage = Stage::start(&directory, &text(true));
    let run = stage.fire("f", 1, 0).await;
    stage.stop().await;
    let mut stage = Stage::start(&directory, &text(true));
    stage.fire("f", 1, 1).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(stage.deliveries().show(run).expect("reads").expect("is there").run.state, RunState::Pending);
    assert!(receiver.requests.try_recv().is_err());
    stage.configure(&text(false));
    for sequence in 1..=2 {
        assert_eq!(receiver.next().await.field("sequence"), sequence);
    }
}

#[tokio::test]
async fn the_newest_goes_first_where_the_flow_says_so() {
    for newest_first in [false, true] {
        let mut receiver = Receiver::start(|_| Answer::ok()).await;
        let directory = TempDir::new().expect("a directory");
        let text = |paused: bool| {
            format!(
                "[delivery]\nconcurrency = 1\n[flows.f]\npaused = {paused}\nnewest_first = {newest_first}\n\
                 steps = [{{ http = {{ url = '{}', json = {{ id = '{{{{ attempt_id }}}}' }} }} }}]",
                receiver.url()
            )
        };
        let mut stage = Stage::start(&directory, &text(true));
        // More than are taken from disk at once.
        for attempt in 0..1_000 {
            stage.fire("f", attempt, 0).await;
        }
        let resumed = text(false);
        stage.configure(&resumed);
        let first: serde_json::Value = serde_json::from_slice(&receiver.next().await.body).expect("JSON");
        let is_new = first["id"].as_u64().expect("a number") >= 500;
        assert_eq!(is_new, newest_first, "{first}");
    }
}
