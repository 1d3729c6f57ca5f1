//! What today adds up to: read from the log once, and from then on only what is new. It begins at midnight in the daemon's
//! own zone. Where there is much to read, nobody waits for all of it: a page says that its figures are not whole yet.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::time::timeout;

use crate::admin::app::App;
use crate::admin::problem::Problem;
use crate::id::{AgentName, FlowName, QueueName};
use crate::moment::value::CcResult;
use crate::moment::{EventName, Payload};
use crate::outbox::chronicle::{Begun, Place};
use crate::outbox::deliveries::{Deliveries, DeliveriesError};

/// How many parts a day's drawing has, of ten minutes each.
pub const PARTS: usize = 144;

/// How many rows are read at once: a few milliseconds' worth.
const CHUNK: u32 = 2_000;

/// How long a page waits for what is new.
const PATIENCE: Duration = Duration::from_millis(50);

/// The day so far.
#[derive(Debug, Default)]
pub struct Day {
    tally: RwLock<Arc<Tally>>,
    /// One reads at a time.
    reader: Arc<Mutex<()>>,
    /// When the latest moment happened, in milliseconds.
    latest_ms: AtomicI64,
}

/// What the day adds up to.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// When it began.
    pub began: Timestamp,
    /// When the latest moment happened.
    pub latest: Timestamp,
    /// Whether all was read that there was.
    pub is_whole: bool,
    read: Place,
    /// By queue.
    pub queues: BTreeMap<QueueName, QueueDay>,
    /// By agent.
    pub agents: BTreeMap<AgentName, AgentDay>,
    /// The latest run of each hook, and how many it began.
    pub runs: HashMap<String, (Begun, u64)>,
    /// How many runs each flow began.
    pub flows: BTreeMap<FlowName, u64>,
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
    /// The day up to now, or as far as it could be read at once; the rest is then read while nobody waits.
    pub async fn read(&self, app: &App) -> Result<Arc<Tally>, Problem> {
        let read = async {
            // Who is not the one to read begins nothing that would go on without a page.
            let alone = self.reader.clone().lock_owned().await;
            let reader = app.clone();
            tokio::spawn(async move { reader.pages.day.read_rest(&reader, alone).await }).await
        };
        if let Ok(read) = timeout(PATIENCE, read).await {
            read.unwrap_or_else(|panicked| std::panic::resume_unwind(panicked.into_panic()))?;
        }
        Ok(self.known())
    }

    /// What is known of the day.
    fn known(&self) -> Arc<Tally> {
        let (known, began) = (Arc::clone(&self.tally.read().unwrap_or_else(PoisonError::into_inner)), midnight());
        if known.began == began { known } else { Arc::new(Tally { began, ..Tally::default() }) }
    }

    /// Reads what is new, a piece after the other, until nothing is or the daemon ends.
    pub async fn read_on(&self, app: &App) -> Result<(), Problem> {
        let alone = self.reader.clone().lock_owned().await;
        self.read_rest(app, alone).await
    }

    async fn read_rest(&self, app: &App, _alone: OwnedMutexGuard<()>) -> Result<(), Problem> {
        while !app.pages.end.is_cancelled() {
            let known = self.known();
            let tally = app.deliveries(move |log| read_piece(known, &log)).await?;
            let is_whole = tally.is_whole;
            self.latest_ms.store(tally.latest.as_millisecond(), Ordering::Relaxed);
            *self.tally.write().unwrap_or_else(PoisonError::into_inner) = tally;
            if is_whole {
                break;
            }
        }
        Ok(())
    }

    /// Whether all was read that there was.
    pub fn is_whole(&self) -> bool {
        self.known().is_whole
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

/// The part of the day by the clock on the wall, also on a day that has an hour twice, or one less.
fn part_of(at: &Zoned) -> usize {
    usize::try_from(i32::from(at.hour()) * 6 + i32::from(at.minute()) / 10).unwrap_or_default()
}

fn read_piece(mut known: Arc<Tally>, log: &Deliveries) -> Result<Arc<Tally>, DeliveriesError> {
    if known.read == Place::default() {
        let start = log.place_at(known.began)?;
        known = Arc::new(Tally { began: known.began, read: start, ..Tally::default() });
    }
    let moments = log.moments_after(known.read.moment, CHUNK)?;
    let runs = log.runs_after(known.read.run, CHUNK)?;
    let is_whole = moments.len().max(runs.len()) < CHUNK as usize;
    if moments.is_empty() && runs.is_empty() && known.is_whole == is_whole {
        return Ok(known);
    }
    let tally = Arc::make_mut(&mut known);
    tally.is_whole = is_whole;
    for told in moments {
        tally.read.moment = told.row;
        tally.add(&told.payload);
    }
    for begun in runs {
        tally.read.run = begun.row;
        *tally.flows.entry(begun.flow.clone()).or_default() += 1;
        let count = tally.runs.get(&begun.hook).map_or(0, |(_, count)| *count);
        tally.runs.insert(begun.hook.clone(), (begun, count + 1));
    }
    Ok(known)
}

impl Tally {
    fn add(&mut self, payload: &Payload) {
        let at = payload.timestamp.0;
        self.latest = self.latest.max(at);
        if let Some(queue) = &payload.queue_name {
            let part = if at < self.began { 0 } else { part_of(&at.to_zoned(TimeZone::system())) };
            self.queues.entry(queue.clone()).or_default().add(payload, part);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_the_day_is_what_the_clock_on_the_wall_shows() {
        let part = |text: &str| part_of(&text.parse::<Zoned>().expect("a time"));
        assert_eq!(part("2026-11-24T00:09:59[Europe/Berlin]"), 0);
        assert_eq!(part("2026-11-24T23:59:59[Europe/Berlin]"), PARTS - 1);
        // The days on which clocks are put back and forward.
        assert_eq!(part("2026-10-25T23:59:59[Europe/Berlin]"), PARTS - 1);
        assert_eq!(part("2026-10-25T02:30:00+02:00[Europe/Berlin]"), part("2026-10-25T02:30:00+01:00[Europe/Berlin]"));
        assert_eq!(part("2026-03-29T12:00:00[Europe/Berlin]"), PARTS / 2);
    }
}
