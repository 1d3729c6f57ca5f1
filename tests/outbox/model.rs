//! Random stories of an outbox against a simple model of what must be in the runner's hands at each point.

use std::collections::BTreeMap;
use std::sync::Arc;

use hookswitch::flow::Flow;
use hookswitch::id::RunId;
use hookswitch::outbox::{AttemptChange, Deliveries, Entry, Filter, Opened, Progress, Run, RunState, Settings};
use jiff::Timestamp;
use proptest::prelude::*;
use tempfile::TempDir;

use crate::sample::{flow, key, log, moment};

const ATTEMPTS: u32 = 3;
const SEATS: usize = 3;

/// What happens.
#[derive(Clone, Debug)]
enum Deed {
    /// An attempt has a new moment, or repeats an old one, and starts flows.
    Commit { attempt: u32, repeats: bool, ordered: bool, unordered: bool },
    /// The attempt is settled.
    Forget { attempt: u32 },
    /// One of the runs in hand comes to something.
    Finish { choice: usize, end: End },
    /// The daemon ends and begins again.
    Restart,
}

#[derive(Clone, Copy, Debug)]
enum End {
    Next,
    Retry,
    Wait,
    Delivered,
    Failed,
    Expired,
}

fn deeds() -> impl Strategy<Value = Deed> {
    let end = prop_oneof![
        Just(End::Next),
        Just(End::Retry),
        Just(End::Wait),
        Just(End::Delivered),
        Just(End::Failed),
        Just(End::Expired)
    ];
    prop_oneof![
        5 => (0..ATTEMPTS, prop::bool::weighted(0.2), any::<bool>(), any::<bool>())
            .prop_map(|(attempt, repeats, ordered, unordered)| Deed::Commit { attempt, repeats, ordered, unordered }),
        1 => (0..ATTEMPTS).prop_map(|attempt| Deed::Forget { attempt }),
        5 => (any::<usize>(), end).prop_map(|(choice, end)| Deed::Finish { choice, end }),
        1 => Just(Deed::Restart),
    ]
}

/// A run of the model.
#[derive(Clone, Debug)]
struct Planned {
    id: RunId,
    attempt: u32,
    flow: Arc<Flow>,
    /// Whether it has a place in its attempt's order.
    ordered: bool,
    over: Option<RunState>,
    step: u32,
}

#[derive(Default)]
struct Model {
    runs: Vec<Planned>,
    moments: [u32; ATTEMPTS as usize],
    open: BTreeMap<u32, u32>,
}

impl Model {
    /// Whether the run may be done now: it is open, and nothing that it must follow is.
    fn is_ready(&self, index: usize) -> bool {
        let run = &self.runs[index];
        let same_turn = |other: &Planned| {
            other.ordered && other.over.is_none() && other.attempt == run.attempt && other.flow.name == run.flow.name
        };
        run.over.is_none() && !(run.ordered && self.runs[..index].iter().any(same_turn))
    }

    fn ready_of(&self, flow: &Flow) -> Vec<RunId> {
        let ready =
            (0..self.runs.len()).filter(|index| self.is_ready(*index) && self.runs[*index].flow.name == flow.name);
        ready.map(|index| self.runs[index].id).collect()
    }

    fn run_mut(&mut self, id: RunId) -> &mut Planned {
        self.runs.iter_mut().find(|run| run.id == id).expect("a run that was committed")
    }
}

struct World {
    settings: Settings,
    flows: [Arc<Flow>; 2],
    opened: Option<Opened>,
    in_hand: Vec<Run>,
    model: Model,
}

impl World {
    fn new(directory: &TempDir) -> Self {
        let mut settings = Settings::at(directory.path().join("outbox.db"));
        settings.seats_per_flow = SEATS.try_into().expect("small");
        let steps = || vec![log("one"), log("two"), log("three")];
        let unordered = Arc::try_unwrap(flow("unordered", steps())).expect("not shared yet");
        let flows = [flow("ordered", steps()), Arc::new(Flow { ordered: false, ..unordered })];
        let opened = Some(Opened::open(&settings).expect("opens"));
        Self { settings, flows, opened, in_hand: Vec::new(), model: Model::default() }
    }

    fn opened(&mut self) -> &mut Opened {
        self.opened.as_mut().expect("is open")
    }

    async fn act(&mut self, deed: Deed) {
        match deed {
            Deed::Commit { attempt, repeats, ordered, unordered } => {
                self.commit(attempt, repeats, [ordered, unordered]).await;
            }
            Deed::Forget { attempt } => {
                self.model.open.remove(&attempt);
                let forget = AttemptChange::Forget(key(attempt).hash());
                self.opened().outbox.commit(Entry { moments: vec![], attempts: vec![forget] }).await.expect("commits");
            }
            Deed::Finish { choice, end } => {
                if !self.in_hand.is_empty() {
                    let run = self.in_hand.remove(choice % self.in_hand.len());
                    self.finish(run, end).await;
                }
            }
            Deed::Restart => self.restart().await,
        }
        // Whatever was given before is durable, and handed over, once this is.
        self.opened().outbox.commit(Entry::default()).await.expect("commits");
        while let Ok(run) = self.opened().runs.try_recv() {
            self.in_hand.push(run);
        }
    }

    async fn commit(&mut self, attempt: u32, repeats: bool, started: [bool; 2]) {
        let moments = &mut self.model.moments[attempt as usize];
        let repeated = repeats && *moments > 0;
        let number = if repeated { 0 } else { *moments };
        let flows: Vec<_> =
            self.flows.iter().zip(started).filter(|(_, started)| *started).map(|(flow, _)| flow.clone()).collect();
        let moment = moment(attempt, number, &flows);
        let planned: Vec<RunId> = moment.1.iter().map(|run| run.id).collect();
        if !repeated {
            *moments += 1;
            let runs = planned.iter().zip(&flows);
            self.model.runs.extend(runs.map(|(id, flow)| Planned {
                id: *id,
                attempt,
                flow: flow.clone(),
                ordered: flow.ordered,
                over: None,
                step: 0,
            }));
        }
        let state = *moments;
        self.model.open.insert(attempt, state);
        let keep = AttemptChange::Keep { key: key(attempt), state: state.to_string() };
        let entry = Entry { moments: vec![moment], attempts: vec![keep] };
        let committed = self.opened().outbox.commit(entry).await.expect("commits");
        assert_eq!(committed.runs, if repeated { vec![] } else { planned });
    }

    async fn finish(&mut self, mut run: Run, end: End) {
        let planned = self.model.run_mut(run.id);
        let (progress, stays) = match end {
            End::Next => {
                planned.step += 1;
                (Progress::Next { step: planned.step }, true)
            }
            End::Retry => (Progress::Retry { at: Timestamp::now(), reason: "later".into() }, false),
            End::Wait => {
                planned.step += 1;
                planned.ordered = false;
                (Progress::Wait { step: planned.step, until: Timestamp::now() }, false)
            }
            End::Expired => {
                planned.over = Some(RunState::Expired);
                (Progress::Expired { reason: "late".into() }, false)
            }
            End::Delivered => {
                planned.over = Some(RunState::Delivered);
                (Progress::Delivered, false)
            }
            End::Failed => {
                planned.over = Some(RunState::Failed);
                (Progress::Failed { reason: "no".into() }, false)
            }
        };
        let report = run.report(None, progress);
        self.opened().outbox.record(report).await.expect("records");
        if stays {
            self.in_hand.push(run);
        }
    }

    async fn restart(&mut self) {
        let Opened { outbox, runs, ending, .. } = self.opened.take().expect("is open");
        drop((outbox, runs));
        ending.ended().await;
        self.in_hand.clear();
        let opened = Opened::open(&self.settings).expect("opens");
        let recovered: BTreeMap<u32, u32> = opened
            .recovered
            .attempts
            .iter()
            .map(|(key, state)| (key.ordinal, state.parse().expect("the state that was given")))
            .collect();
        assert_eq!(recovered, self.model.open);
        let open_runs = self.model.runs.iter().filter(|run| run.over.is_none()).count();
        assert_eq!(opened.recovered.open_runs, open_runs as u64);
        self.opened = Some(opened);
    }

    /// What is in hand is ready, at the step where it was left, and as much as there are seats for.
    fn check(&self) {
        for flow in &self.flows {
            let in_hand: Vec<RunId> =
                self.in_hand.iter().filter(|run| run.flow == flow.name).map(|run| run.id).collect();
            let ready = self.model.ready_of(flow);
            assert!(in_hand.iter().all(|id| ready.contains(id)), "in hand {in_hand:?}, ready {ready:?}");
            assert_eq!(in_hand.len(), ready.len().min(SEATS), "in hand {in_hand:?}, ready {ready:?}");
        }
        for run in &self.in_hand {
            let planned =
                self.model.runs.iter().find(|planned| planned.id == run.id).expect("a run that was committed");
            assert_eq!(run.step, planned.step);
        }
    }

    /// Does all that is left; then the log knows of each run what the model knows.
    async fn finish_all(&mut self) {
        while !self.in_hand.is_empty() {
            self.act(Deed::Finish { choice: 0, end: End::Delivered }).await;
            self.check();
        }
        let deliveries = Deliveries::open(&self.settings.path).expect("opens");
        let listed = deliveries.list(&Filter::default(), u32::MAX).expect("lists");
        let listed: Vec<_> = listed.into_iter().rev().map(|delivery| (delivery.id, Some(delivery.state))).collect();
        let expected: Vec<_> = self.model.runs.iter().map(|run| (run.id, run.over)).collect();
        assert_eq!(listed, expected);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn every_run_is_handed_over_in_its_turn_until_it_is_over(deeds in prop::collection::vec(deeds(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let directory = TempDir::new().expect("a directory");
            let mut world = World::new(&directory);
            for deed in deeds {
                world.act(deed).await;
                world.check();
            }
            world.finish_all().await;
        });
    }
}
