//! The task that follows one node: the only owner of its lifecycle.
//!
//! Everything the lifecycle brings forth goes to the outbox before the next event is looked at. When the outbox is slow,
//! this task waits, the events behind it are dropped and counted at the connection, and the node is surveyed again.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::clock::NodeClock;
use super::live::LiveAttempts;
use super::survey::{self, SurveyError};
use crate::config::Config;
use crate::esl::exit::Exit;
use crate::esl::feed::{EventItem, EventStream};
use crate::esl::link::Link;
use crate::freeswitch::Snapshot;
use crate::hook;
use crate::id::{AttemptHash, NodeName};
use crate::lifecycle::attempt::Attempt;
use crate::lifecycle::{Effects, Lifecycle};
use crate::outbox::{AttemptChange, Closed, Entry, Outbox};

/// How many events are taken from the connection at once: enough that waking up costs little beside them, few enough that
/// a deadline among them is not late.
const BATCH: usize = 256;

/// How long after a failed survey it is tried again.
const SURVEY_PAUSE: Duration = Duration::from_secs(5);

/// How long after an agent was added or changed FreeSWITCH is asked for its agents: whoever changes one usually changes
/// more of it, or of others, and nothing tells when it is done.
const ROSTER_PAUSE: Duration = Duration::from_secs(5);

/// Follows a node.
#[derive(Debug)]
pub struct Follower {
    node: NodeName,
    link: Link,
    lifecycle: Lifecycle,
    clock: NodeClock,
    config: watch::Receiver<Arc<Config>>,
    outbox: Outbox,
    live: LiveAttempts,
    survey: Option<Survey>,
}

/// A survey that is under way.
#[derive(Debug)]
struct Survey {
    /// The attempts that were open when it began.
    open: BTreeSet<AttemptHash>,
    task: JoinHandle<Result<Snapshot, SurveyError>>,
}

impl Follower {
    /// Takes up a node, with the attempts that an earlier run of the daemon left open on it.
    pub fn new(
        node: NodeName,
        link: Link,
        open: Vec<Attempt>,
        config: watch::Receiver<Arc<Config>>,
        outbox: Outbox,
        live: LiveAttempts,
    ) -> Self {
        let mut lifecycle = Lifecycle::new(node.clone(), config.borrow().clone());
        for attempt in open {
            if !attempt.left {
                live.show(&attempt);
            }
            lifecycle.restore(attempt);
        }
        let clock = NodeClock::new(lifecycle.now(), Instant::now());
        Self { node, link, lifecycle, clock, config, outbox, live, survey: None }
    }

    /// Follows the node until it is told to end, or the outbox has ended.
    pub async fn run(mut self, end: CancellationToken) {
        let mut items = Vec::with_capacity(BATCH);
        loop {
            let due = self.until_deadline();
            let done = tokio::select! {
                biased;
                () = end.cancelled() => break,
                surveyed = finished(&mut self.survey) => self.surveyed(surveyed).await,
                changed = self.config.changed() => {
                    if changed.is_err() { break }
                    let config = self.config.borrow_and_update().clone();
                    self.lifecycle.configure(config);
                    Ok(())
                }
                taken = next_many(&mut self.link.events, &mut items) => {
                    if taken == 0 { break }
                    self.take(&mut items).await
                }
                () = sleep(due) => self.pass_time().await,
            };
            if done.is_err() {
                break;
            }
        }
        self.link.tasks.shut_down().await;
    }

    async fn take(&mut self, items: &mut Vec<EventItem>) -> Result<(), Closed> {
        for item in items.drain(..) {
            let mut effects = Effects::default();
            match item {
                EventItem::Event(event) => {
                    self.lifecycle.handle_event(&event, &mut effects);
                    self.clock.set(self.lifecycle.now(), Instant::now());
                }
                EventItem::Connected => {
                    info!(node = %self.node, open_attempts = self.lifecycle.live(), "FreeSWITCH is connected");
                    self.lifecycle.begin_connection();
                    self.begin_survey(Duration::ZERO);
                }
                EventItem::Dirty { dropped } => {
                    warn!(node = %self.node, dropped, "events were dropped, because what is behind them was slow");
                    self.lifecycle.begin_gap();
                    self.begin_survey(Duration::ZERO);
                }
                EventItem::Lost(exit) => {
                    if !matches!(exit, Exit::HeartbeatMissed(_)) {
                        // So long everything was still there.
                        self.lifecycle.advance(self.clock.read(Instant::now()), &mut effects);
                    }
                    self.survey = None;
                }
            }
            self.commit(effects).await?;
        }
        if self.survey.is_none() && self.lifecycle.take_stale_roster() {
            self.begin_survey(ROSTER_PAUSE);
        }
        Ok(())
    }

    /// Takes what waits now, but nothing that comes meanwhile: that could go on for ever.
    async fn take_waiting(&mut self) -> Result<(), Closed> {
        let mut items = Vec::with_capacity(BATCH);
        let mut waiting = self.link.events.waiting();
        while waiting > 0 {
            waiting -= self.link.events.next_many(&mut items, waiting.min(BATCH)).await;
            self.take(&mut items).await?;
        }
        Ok(())
    }

    async fn pass_time(&mut self) -> Result<(), Closed> {
        let mut effects = Effects::default();
        self.lifecycle.advance(self.clock.read(Instant::now()), &mut effects);
        self.commit(effects).await
    }

    /// How long it is until something is to be decided; an hour where nothing is.
    fn until_deadline(&self) -> Duration {
        let idle = Duration::from_secs(3_600);
        self.lifecycle.next_deadline().map_or(idle, |at| self.clock.until(at, Instant::now()))
    }

    fn begin_survey(&mut self, pause: Duration) {
        let (commands, stays) = (self.link.commands.clone(), self.lifecycle.open_stays());
        let task = tokio::spawn(async move {
            tokio::time::sleep(pause).await;
            survey::take(&commands, stays).await
        });
        self.survey = Some(Survey { open: self.lifecycle.open_attempts(), task });
    }

    /// A survey is done. The events that have come before its answers are older than they are, so they go first.
    async fn surveyed(&mut self, result: Result<Snapshot, SurveyError>) -> Result<(), Closed> {
        let Some(id) = self.survey.as_ref().map(|survey| survey.task.id()) else { return Ok(()) };
        self.take_waiting().await?;
        let Some(survey) = self.survey.take_if(|survey| survey.task.id() == id) else {
            // The connection was lost meanwhile, or another survey has begun.
            return Ok(());
        };
        let snapshot = match result {
            Ok(snapshot) => snapshot,
            Err(error) => {
                warn!(node = %self.node, %error, "what FreeSWITCH has could not be read; trying again");
                self.begin_survey(SURVEY_PAUSE);
                return Ok(());
            }
        };
        let mut effects = Effects::default();
        self.lifecycle.advance(self.clock.read(Instant::now()), &mut effects);
        self.lifecycle.reconcile(&snapshot, &survey.open, &mut effects);
        info!(
            node = %self.node,
            channels = snapshot.channels.len(),
            members = snapshot.members.len(),
            agents = snapshot.agents.len(),
            open_attempts = survey.open.len(),
            "compared with what FreeSWITCH has",
        );
        self.commit(effects).await
    }

    /// Gives what one input brought forth to the outbox, as one entry.
    async fn commit(&self, effects: Effects) -> Result<(), Closed> {
        if effects.is_empty() {
            return Ok(());
        }
        let entry = self.entry(effects);
        self.outbox.submit(entry).await.map(drop)
    }

    fn entry(&self, effects: Effects) -> Entry {
        for moment in &effects.moments {
            let payload = &moment.payload;
            info!(
                node = %payload.node,
                queue = payload.queue_name.as_ref().map(display),
                agent = payload.agent_name.as_ref().map(display),
                attempt = payload.attempt_id,
                sequence = payload.sequence,
                synthetic = payload.synthetic,
                "{}", payload.event,
            );
        }
        let config = self.config.borrow();
        Entry {
            attempts: effects.changed.iter().map(|hash| self.change(*hash)).collect(),
            moments: effects.moments.into_iter().flat_map(|moment| hook::start(&config, moment)).collect(),
        }
    }

    /// What became of an attempt, shown to whoever looks.
    fn change(&self, hash: AttemptHash) -> AttemptChange {
        match self.lifecycle.attempt(hash) {
            Some(attempt) => self.live.show(attempt),
            None => self.live.remove(hash),
        }
        match self.lifecycle.state(hash) {
            Some((key, state)) => AttemptChange::Keep { key, state },
            None => AttemptChange::Forget(hash),
        }
    }
}

impl Drop for Survey {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The result of the survey under way; never, without one.
async fn finished(survey: &mut Option<Survey>) -> Result<Snapshot, SurveyError> {
    match survey {
        None => std::future::pending().await,
        Some(survey) => match (&mut survey.task).await {
            Ok(result) => result,
            Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
        },
    }
}

async fn next_many(events: &mut EventStream, items: &mut Vec<EventItem>) -> usize {
    events.next_many(items, BATCH).await
}

async fn sleep(duration: Duration) {
    tokio::time::sleep(duration).await;
}
