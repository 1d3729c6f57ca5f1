//! Sending runs again and cancelling them, beside a daemon and without one.

use std::time::Duration;

use hookswitch::config::Config;
use hookswitch::delivery::Limits;
use hookswitch::id::RunId;
use hookswitch::outbox::intervention::{Definitions, Effect, Intervention};
use hookswitch::outbox::{AttemptChange, Deliveries, Entry, Filter, Opened, Progress, Run, RunState, Settings};
use jiff::{SignedDuration, Timestamp};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::delivery::Daemon;
use crate::sample::{entry, key, webhook};
use crate::store::{Place, close, flows};

const RETRY: Intervention = Intervention::Retry { with: Definitions::Own, expired: false };
const RETRY_EXPIRED: Intervention = Intervention::Retry { with: Definitions::Own, expired: true };

/// A place, an open outbox in it, and the delivery log beside it.
struct World {
    place: Place,
    opened: Opened,
    deliveries: Deliveries,
}

impl World {
    fn new() -> Self {
        let place = Place::new();
        let opened = place.open();
        let deliveries = Deliveries::open(&place.settings().path).expect("opens");
        Self { place, opened, deliveries }
    }

    /// Commits a moment of the attempt, which starts a run.
    async fn start(&self, attempt: u32, number: u32) -> RunId {
        let committed = self.opened.outbox.commit(entry(attempt, number, &flows())).await.expect("commits");
        committed.runs[0]
    }

    async fn next(&mut self) -> Run {
        let next = tokio::time::timeout(Duration::from_secs(60), self.opened.runs.recv()).await;
        next.expect("in time").expect("a run")
    }

    fn intervene(&mut self, intervention: Intervention, runs: &[RunId]) -> Vec<(RunId, Effect)> {
        let filter = Filter { runs: runs.to_vec(), ..Filter::default() };
        let changes = self.deliveries.intervene(intervention, &filter, Timestamp::now()).expect("intervenes");
        changes.into_iter().map(|change| (change.run, change.effect)).collect()
    }

    async fn record(&self, run: &mut Run, progress: Progress) -> RunState {
        self.opened.outbox.record(run.report(None, progress)).await.expect("records")
    }

    fn state(&self, run: RunId) -> RunState {
        self.deliveries.list(&Filter::run(run), 1).expect("lists")[0].state
    }
}

fn later() -> Progress {
    Progress::Retry { at: Timestamp::now() + SignedDuration::from_hours(1), reason: "503".into() }
}

fn failed() -> Progress {
    Progress::Failed { reason: "404".into() }
}

const CANCELLED: Effect = Effect::Became(RunState::Cancelled);

#[tokio::test]
async fn a_cancelled_run_makes_room_for_the_next_of_its_attempt() {
    let mut world = World::new();
    let runs = [world.start(1, 0).await, world.start(1, 1).await, world.start(1, 2).await];
    let mut first = world.next().await;
    world.record(&mut first, later()).await;
    // The middle one waits for the first, and is not made ready in between.
    let changes = world.intervene(Intervention::Cancel, &runs[..2]);
    assert_eq!(changes, [(runs[1], CANCELLED), (runs[0], CANCELLED)]);
    assert_eq!(world.next().await.id, runs[2]);
    assert_eq!(runs.map(|run| world.state(run)), [RunState::Cancelled, RunState::Cancelled, RunState::Running]);
    let story = world.deliveries.show(runs[0]).expect("reads").expect("is there");
    assert_eq!(story.run.error.as_deref(), Some("503"), "what was known stays known");
    assert_eq!(world.intervene(Intervention::Cancel, &runs[..1]), [(runs[0], Effect::Stayed)]);
}

#[tokio::test]
async fn a_run_that_is_being_done_ends_its_try_and_is_not_continued() {
    let tomorrow = Timestamp::now() + SignedDuration::from_hours(24);
    for (progress, end) in [
        (Progress::Next { step: 1 }, RunState::Cancelled),
        (Progress::Wait { step: 1, until: tomorrow }, RunState::Cancelled),
        (later(), RunState::Cancelled),
        (failed(), RunState::Cancelled),
        (Progress::Delivered, RunState::Delivered),
    ] {
        let mut world = World::new();
        let runs = [world.start(1, 0).await, world.start(1, 1).await];
        let mut first = world.next().await;
        let changes = world.intervene(Intervention::Cancel, &runs[..1]);
        assert_eq!(changes, [(runs[0], Effect::Became(RunState::Cancelling))]);
        assert_eq!(world.intervene(RETRY, &runs[..1]), [(runs[0], Effect::Stayed)]);
        assert_eq!(world.state(runs[1]), RunState::Waiting, "the try is not over");
        assert_eq!(world.record(&mut first, progress.clone()).await, end, "{progress:?}");
        assert_eq!(world.state(runs[0]), end, "{progress:?}");
        assert_eq!(world.next().await.id, runs[1]);
    }
}

#[tokio::test]
async fn what_was_being_cancelled_when_the_daemon_ended_is_cancelled() {
    let mut world = World::new();
    let runs = [world.start(1, 0).await, world.start(1, 1).await];
    world.next().await;
    world.intervene(Intervention::Cancel, &runs[..1]);
    let World { place, opened, .. } = world;
    close(opened).await;
    let mut again = place.open();
    assert_eq!(again.recovered.open_runs, 1);
    assert_eq!(again.runs.recv().await.expect("a run").id, runs[1]);
}

#[tokio::test]
async fn runs_of_one_attempt_that_are_done_again_keep_their_order() {
    let mut world = World::new();
    let runs = [world.start(1, 0).await, world.start(1, 1).await];
    for _ in 0..2 {
        let mut run = world.next().await;
        world.record(&mut run, failed()).await;
    }
    let became = [RunState::Pending, RunState::Waiting].map(Effect::Became);
    assert_eq!(world.intervene(RETRY, &runs), [(runs[0], became[0]), (runs[1], became[1])]);
    let mut first = world.next().await;
    assert_eq!(first.id, runs[0]);
    assert_eq!(world.state(runs[1]), RunState::Waiting);
    world.record(&mut first, Progress::Delivered).await;
    assert_eq!(world.next().await.id, runs[1]);
}

#[tokio::test]
async fn a_cancelled_run_can_be_done_again_and_is_then_not_held_for_cancelled() {
    let mut world = World::new();
    let run = world.start(1, 0).await;
    let mut first = world.next().await;
    world.intervene(Intervention::Cancel, &[run]);
    while !world.opened.outbox.cancellations().contains(run) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    world.record(&mut first, later()).await;
    assert!(!world.opened.outbox.cancellations().contains(run));
    assert_eq!(world.intervene(RETRY, &[run]), [(run, Effect::Became(RunState::Pending))]);
    assert_eq!(world.next().await.id, run);
}

#[tokio::test]
async fn expired_runs_are_done_again_only_on_purpose_and_are_then_meant_for_now() {
    let mut world = World::new();
    let run = world.start(1, 0).await;
    let mut first = world.next().await;
    world.record(&mut first, Progress::Expired { reason: "late".into() }).await;
    assert_eq!(world.intervene(RETRY, &[run]), [(run, Effect::TooLate)]);
    let before = Timestamp::now() - SignedDuration::from_millis(1);
    assert_eq!(world.intervene(RETRY_EXPIRED, &[run]), [(run, Effect::Became(RunState::Pending))]);
    let again = world.next().await;
    assert_eq!(again.expires_at, None);
    assert!(again.resumed_at.is_some_and(|at| at >= before));
}

#[tokio::test]
async fn a_run_that_has_failed_and_whose_time_is_over_since_is_too_late_as_well() {
    let mut world = World::new();
    let mut entry = entry(1, 0, &flows());
    entry.moments[0].1[0].expires_after = Some(Duration::from_secs(60));
    // The sample's moment may be of any time: this one is an hour old.
    entry.moments[0].0.payload.timestamp.0 = Timestamp::now() - SignedDuration::from_hours(1);
    let run = world.opened.outbox.commit(entry).await.expect("commits").runs[0];
    let mut first = world.next().await;
    world.record(&mut first, failed()).await;
    assert_eq!(world.intervene(RETRY, &[run]), [(run, Effect::TooLate)]);
}

#[tokio::test]
async fn a_rehearsal_tells_the_same_and_changes_nothing() {
    let mut world = World::new();
    let runs = [world.start(1, 0).await, world.start(1, 1).await];
    let mut first = world.next().await;
    world.record(&mut first, later()).await;
    let now = Timestamp::now();
    let rehearsed = world.deliveries.rehearse(Intervention::Cancel, &Filter::default(), now).expect("rehearses");
    assert_eq!(runs.map(|run| world.state(run)), [RunState::Pending, RunState::Waiting]);
    let done = world.deliveries.intervene(Intervention::Cancel, &Filter::default(), now).expect("cancels");
    assert_eq!(done.len(), 2);
    assert_eq!(rehearsed, done);
}

#[tokio::test]
async fn a_run_that_waits_for_its_destination_is_not_sent_once_it_is_cancelled() {
    // Answers when it is told to.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let url = format!("http://{}/", listener.local_addr().expect("an address"));
    let daemon = Daemon::start(Limits::new(1, 1));
    let flow = webhook("crm", &url, &[]);
    let runs = [daemon.fire(1, 0, &flow).await, daemon.fire(2, 0, &flow).await, daemon.fire(3, 0, &flow).await];
    let (mut stream, _) = listener.accept().await.expect("the first try");
    let filter = Filter { flow: Some("crm".into()), ..Filter::default() };
    let mut deliveries = Deliveries::open(&daemon.path).expect("opens");
    let changes = deliveries.intervene(Intervention::Cancel, &filter, Timestamp::now()).expect("cancels");
    assert!(changes.iter().all(|change| change.effect == Effect::Became(RunState::Cancelling)));
    while !runs.iter().all(|run| daemon.outbox.cancellations().contains(*run)) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let mut buffer = [0; 16 * 1_024];
    assert!(stream.read(&mut buffer).await.expect("the request's beginning") > 0);
    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await.expect("answers");
    let mut states = Vec::new();
    for run in runs {
        let story = daemon.over(run).await;
        states.push((story.run.state, story.tries.len()));
    }
    states.sort_unstable();
    assert_eq!(states, [(RunState::Delivered, 1), (RunState::Cancelled, 0), (RunState::Cancelled, 0)]);
}

#[tokio::test]
async fn definitions_that_no_run_has_any_more_are_forgotten() {
    let place = Place::new();
    let settings = Settings { keep: Duration::ZERO, ..place.settings() };
    let mut opened = Opened::open(&settings).expect("opens");
    let configured = |message: &str| {
        let text = format!("[flows.crm]\nsteps = [{{ log = {{ message = '{message}' }} }}]");
        let config = Config::from_toml("test.toml", &text).expect("a good configuration");
        config.flow("crm").expect("is configured").clone()
    };
    let definitions = || {
        let connection = rusqlite::Connection::open(&settings.path).expect("opens");
        let mut statement = connection.prepare("SELECT json FROM definition ORDER BY rowid").expect("is right");
        let texts = statement.query_map([], |row| row.get::<_, String>(0)).expect("reads");
        texts.map(|text| text.expect("a text")).collect::<Vec<_>>()
    };
    let [old, new] = ["old", "new"].map(configured);
    for (attempt, flow) in [(1, &old), (2, &new)] {
        opened.outbox.commit(entry(attempt, 0, std::slice::from_ref(flow))).await.expect("commits");
        let mut run = opened.runs.recv().await.expect("a run");
        if attempt == 1 {
            opened.outbox.record(run.report(None, Progress::Delivered)).await.expect("records");
        }
    }
    assert_eq!(definitions().len(), 2);
    let forget = vec![AttemptChange::Forget(key(1).hash())];
    opened.outbox.commit(Entry { moments: vec![], attempts: forget }).await.expect("commits");
    for _ in 0..600 {
        if definitions().len() < 2 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(matches!(&*definitions(), [only] if only.contains("new")), "{:?}", definitions());
    opened.outbox.commit(entry(3, 0, &[old])).await.expect("commits");
    assert_eq!(definitions().len(), 2, "what is needed again is stored again");
}
