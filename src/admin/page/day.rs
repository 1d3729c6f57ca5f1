//! What today adds up to: read from the log once, and from then on only what is new. It begins at midnight in the daemon's
//! own zone.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use tokio::sync::Mutex;

use crate::admin::app::App;
use crate::admin::problem::Problem;
use crate::id::{AgentName, QueueName};
use crate::moment::value::CcResult;
use crate::moment::{EventName, Payload};
use crate::outbox::chronicle::{Begun, Place};
use crate::outbox::deliveries::{Deliveries, DeliveriesError};

/// How many parts a day's drawing has, of ten minutes each.
pub const PARTS: usize = 144;

/// How many rows are read at once.
const CHUNK: u32 = 10_000;

/// The day so far. Who asks waits for whoever reads what is new.
#[derive(Debug, Default)]
pub struct Day {
    tally: Mutex<Arc<Tally>>,
    /// When the latest moment happened, in milliseconds.
    latest_ms: AtomicI64,
}

/// What the day adds up to.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// When it began.
    pub began: Timestamp,
    /// Where the log was then.
    pub start: Place,
    /// When the latest moment happened.
    pub latest: Timestamp,
    read: Place,
    /// By queue.
    pub queues: BTreeMap<QueueName, QueueDay>,
    /// By agent.
    pub agents: BTreeMap<AgentName, AgentDay>,
    /// The latest run of each hook, and how many it began.
    pub runs: HashMap<String, (Begun, u64)>,
}

/// A queue's day.
#[derive(Clone, Debug, Default)]
pub struct QueueDay {
    /// Members who came.
    pub joined: u64,
    /// Those who were connected with an agent.
    pub answered: u64,
    /// Those who hung up before.
    pub abandoned: u64,
    /// Those who left otherwise without an agent.
    pub cancelled: u64,
    /// How long those waited together who were connected.
    pub waited_sec: f64,
    /// How long the one waited who waited longest.
    pub longest_sec: f64,
    /// The day in parts.
    pub parts: Vec<Part>,
    waiting: u32,
}

/// A part of a queue's day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Part {
    /// Connected with an agent in this time.
    pub answered: u32,
    /// Hung up in this time.
    pub abandoned: u32,
    /// How many waited at most.
    pub waiting: u32,
}

/// An agent's day.
#[derive(Clone, Debug, Default)]
pub struct AgentDay {
    /// Offers.
    pub offered: u64,
    /// Those that were connected.
    pub answered: u64,
    /// Those that were missed.
    pub missed: u64,
    /// How long the agent talked.
    pub talked_sec: f64,
}

impl Day {
    /// The day up to now.
    pub async fn read(&self, app: &App) -> Result<Arc<Tally>, Problem> {
        let mut day = self.tally.lock().await;
        let (known, began) = (Arc::clone(&day), midnight());
        *day = app.deliveries(move |log| read_on(known, began, &log)).await?;
        self.latest_ms.store(day.latest.as_millisecond(), Ordering::Relaxed);
        Ok(Arc::clone(&day))
    }

    /// What time it is where calls are.
    pub fn now(&self) -> Timestamp {
        let latest = Timestamp::from_millisecond(self.latest_ms.load(Ordering::Relaxed)).unwrap_or_default();
        latest.max(Timestamp::now())
    }
}

fn midnight() -> Timestamp {
    let now = Zoned::new(Timestamp::now(), TimeZone::system());
    now.start_of_day().map_or_else(|_| Timestamp::now(), |start| start.timestamp())
}

fn read_on(mut known: Arc<Tally>, began: Timestamp, log: &Deliveries) -> Result<Arc<Tally>, DeliveriesError> {
    if known.began != began {
        let start = log.place_at(began)?;
        known = Arc::new(Tally { began, start, read: start, ..Tally::default() });
    }
    loop {
        let moments = log.moments_after(known.read.moment, CHUNK)?;
        let runs = log.runs_after(known.read.run, CHUNK)?;
        if moments.is_empty() && runs.is_empty() {
            return Ok(known);
        }
        let tally = Arc::make_mut(&mut known);
        for told in moments {
            tally.read.moment = told.row;
            tally.add(&told.payload);
        }
        for begun in runs {
            tally.read.run = begun.row;
            let count = tally.runs.get(&begun.hook).map_or(0, |(_, count)| *count);
            tally.runs.insert(begun.hook.clone(), (begun, count + 1));
        }
    }
}

impl Tally {
    fn add(&mut self, payload: &Payload) {
        let at = payload.timestamp.0;
        self.latest = self.latest.max(at);
        if let Some(queue) = &payload.queue_name {
            let part = usize::try_from(at.duration_since(self.began).as_secs() / 600).unwrap_or_default();
            self.queues.entry(queue.clone()).or_default().add(payload, part.min(PARTS - 1));
        }
        let Some(agent) = &payload.agent_name else { return };
        let day = self.agents.entry(agent.clone()).or_default();
        match payload.event {
            EventName::Offering => day.offered += 1,
            EventName::Bridged => day.answered += 1,
            EventName::Missed => day.missed += 1,
            EventName::Leaving => day.talked_sec += payload.call_voice_sec.map_or(0.0, |talked| talked.0),
            _ => {}
        }
    }
}

impl QueueDay {
    fn add(&mut self, payload: &Payload, part: usize) {
        if self.parts.is_empty() {
            self.parts = vec![Part::default(); PARTS];
        }
        let waited = payload.wait_sec.map_or(0.0, |wait| wait.0);
        match payload.event {
            EventName::Joined => {
                self.joined += 1;
                self.waiting += 1;
            }
            EventName::Bridged => {
                self.answered += 1;
                self.waited_sec += waited;
                self.parts[part].answered += 1;
                self.waiting = self.waiting.saturating_sub(1);
            }
            EventName::Leaving if payload.bridged_at.is_none() => {
                self.waiting = self.waiting.saturating_sub(1);
                match payload.cc_result {
                    Some(CcResult::Abandoned) => {
                        self.abandoned += 1;
                        self.parts[part].abandoned += 1;
                    }
                    Some(CcResult::Cancel | CcResult::Success) | None => self.cancelled += 1,
                }
            }
            _ => return,
        }
        self.longest_sec = self.longest_sec.max(waited);
        self.parts[part].waiting = self.parts[part].waiting.max(self.waiting);
    }

    /// How long those waited on average who were connected.
    pub fn average_wait_sec(&self) -> Option<f64> {
        (self.answered > 0).then(|| self.waited_sec / self.answered as f64)
    }
}
