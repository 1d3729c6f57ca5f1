//! Both connections to one FreeSWITCH, kept up until their handles are dropped.
//!
//! ```text
//!                 ┌─ keep_events ───> EventStream   bounded: EVENT_CAPACITY, then dropped and counted
//! connect(node) ──┤
//!                 └─ keep_commands <─ Commands      bounded: MAX_PENDING here and as many at FreeSWITCH
//!                         └──── watch: LinkState, and Tally, a set of counters
//! ```
//!
//! Two tasks. A FreeSWITCH that is away, at the start or later, is waited for; the state says why.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::backoff::Backoff;
use super::command::{Password, Subscription};
use super::commands::{Commands, Request};
use super::connection::{carry_commands, follow_events};
use super::exit::Exit;
use super::feed::{EVENT_CAPACITY, EventItem, EventStream, Feed};
use super::nodes::LinkView;
use super::running_clock::RunningClock;
use super::session::Purpose;
use crate::id::NodeName;

/// How often it is said that there is no connection, as long as the reason is the same.
const COMPLAINT_PAUSE: Duration = Duration::from_secs(30);

/// Where a FreeSWITCH is, and how to get in.
#[derive(Clone, Debug)]
pub struct NodeAddress {
    /// Its name in the configuration.
    pub name: NodeName,
    /// Host and port of its Event Socket.
    pub address: String,
    /// The Event Socket's password.
    pub password: Password,
    /// How long connecting and signing in may take.
    pub connect_timeout: Duration,
    /// How long nothing at all may be heard on the events connection.
    pub silence_timeout: Duration,
    /// What the events connection asks for beside what it always does.
    pub subscription: Subscription,
}

/// A link to one FreeSWITCH.
#[derive(Debug)]
pub struct Link {
    /// Its events.
    pub events: EventStream,
    /// Commands to it.
    pub commands: Commands,
    /// How its connections are.
    pub state: watch::Receiver<LinkState>,
    /// What was counted since the start.
    pub tally: Arc<Tally>,
    /// By which its time limits are measured.
    pub clock: Arc<RunningClock>,
    /// Its tasks.
    pub tasks: LinkTasks,
}

/// The tasks of a link. They end when the handles are dropped, too; this is for waiting until they have.
#[derive(Debug)]
pub struct LinkTasks {
    stop: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
}

impl LinkTasks {
    /// Closes both connections and waits until they are.
    pub async fn shut_down(self) {
        self.stop.cancel();
        self.ended().await;
    }

    /// Waits until the tasks have ended because the handles were dropped.
    pub async fn ended(self) {
        for task in self.tasks {
            if let Err(error) = task.await {
                tracing::error!(%error, "a task of the link to FreeSWITCH panicked");
            }
        }
    }
}

/// How the two connections are.
#[derive(Clone, Debug, Default)]
pub struct LinkState {
    /// The events connection.
    pub events: ConnectionState,
    /// The commands connection.
    pub commands: ConnectionState,
}

/// How a connection is.
#[derive(Clone, Debug)]
pub enum ConnectionState {
    /// It is being made.
    Connecting {
        /// How often that failed since it last held.
        failures: u32,
    },
    /// It is up.
    Ready,
    /// It ended or could not be made, and is tried again.
    Waiting {
        /// Why.
        reason: Exit,
        /// How long after this it is tried again.
        retry_in: Duration,
    },
    /// It was shut down.
    Ended,
}

impl LinkState {
    /// Why it is not up; none if both connections are.
    pub fn trouble(&self) -> Option<String> {
        let down = [&self.events, &self.commands].into_iter().find(|connection| !connection.is_ready())?;
        Some(match down {
            ConnectionState::Waiting { reason, .. } => reason.to_string(),
            ConnectionState::Ready | ConnectionState::Connecting { .. } => "the connection is being made".into(),
            ConnectionState::Ended => "the connection was closed by us".into(),
        })
    }
}

impl ConnectionState {
    /// Whether it is up.
    pub const fn is_ready(&self) -> bool {
        matches!(self, Self::Ready)
    }
}

impl Default for ConnectionState {
    fn default() -> Self {
        Self::Connecting { failures: 0 }
    }
}

/// What both connections counted since the start.
#[derive(Debug, Default)]
pub struct Tally {
    /// Events that came.
    pub events: AtomicU64,
    /// Events that were dropped because nobody took them in time.
    pub dropped: AtomicU64,
    /// Frames passed over because they were too long or of an unknown kind.
    pub skipped: AtomicU64,
    /// JSON events that could not be read.
    pub malformed: AtomicU64,
    /// Frames of a kind that was not asked for.
    pub unasked: AtomicU64,
    /// Connections that ended because what came made no sense, or was taken for something else than it was.
    pub desyncs: AtomicU64,
    /// Connections that became ready.
    pub connections: AtomicU64,
    /// How long after it happened the latest event was taken in, in microseconds, and one more; 0 while that is not known.
    lag: AtomicU64,
    /// Attempts that surveys found gone, whose end was not heard.
    pub found_gone: AtomicU64,
    /// Attempts that surveys found, whose beginning was not heard.
    pub found_new: AtomicU64,
    /// When the latest survey was done, in milliseconds of our clock since 1970; 0: none was yet.
    pub surveyed_at_ms: AtomicI64,
}

impl Tally {
    /// When the latest survey was done.
    pub fn surveyed_at(&self) -> Option<Timestamp> {
        let millis = Some(self.surveyed_at_ms.load(Ordering::Relaxed)).filter(|millis| *millis > 0);
        millis.and_then(|millis| Timestamp::from_millisecond(millis).ok())
    }

    /// How long after it happened the latest event was taken in, by two machines' clocks; none before a connection's first
    /// event.
    pub fn lag(&self) -> Option<Duration> {
        self.lag.load(Ordering::Relaxed).checked_sub(1).map(Duration::from_micros)
    }

    /// Notes how long after it happened the latest event was taken in.
    pub fn set_lag(&self, lag: Option<Duration>) {
        let micros = lag.map(|lag| u64::try_from(lag.as_micros()).unwrap_or(u64::MAX).saturating_add(1));
        self.lag.store(micros.unwrap_or(0), Ordering::Relaxed);
    }

    pub(super) fn add(counter: &AtomicU64, count: u64) {
        counter.fetch_add(count, Ordering::Relaxed);
    }
}

/// What is taken in of the events connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Intake {
    /// How many events may wait for whoever follows them.
    pub capacity: usize,
    /// Whether frames that are no events are handed on too ([`EventItem::Aside`]).
    pub asides: bool,
}

impl Default for Intake {
    fn default() -> Self {
        Self { capacity: EVENT_CAPACITY, asides: false }
    }
}

/// Connects to a FreeSWITCH and stays connected. Must be called within a tokio runtime.
pub fn connect(node: NodeAddress) -> Link {
    connect_with(node, Intake::default())
}

/// As [`connect`], with another intake.
pub fn connect_with(node: NodeAddress, intake: Intake) -> Link {
    let stop = CancellationToken::new();
    let (stop_events, stop_commands) = (stop.child_token(), stop.child_token());
    let (tally, clock) = (Arc::new(Tally::default()), Arc::new(RunningClock::default()));
    let (sender, state) = watch::channel(LinkState::default());
    let sender = Arc::new(sender);
    let alive = stop_events.clone().drop_guard();
    let (feed, events) = Feed::new(node.name.clone(), intake, Arc::clone(&tally), alive);
    let (commands, requests) = Commands::new(state.clone(), Arc::clone(&clock), stop_commands.clone().drop_guard());
    let keeper = |purpose, stop| Keeper {
        node: node.clone(),
        purpose,
        state: Arc::clone(&sender),
        tally: Arc::clone(&tally),
        clock: Arc::clone(&clock),
        stop,
        backoff: Backoff::default(),
        ready_since: None,
        complained: None,
    };
    let tasks = vec![
        tokio::spawn(keep_events(keeper(Purpose::Events, stop_events), feed)),
        tokio::spawn(keep_commands(keeper(Purpose::Commands, stop_commands), requests)),
    ];
    Link { events, commands, state, tally, clock, tasks: LinkTasks { stop, tasks } }
}

/// Connects to a FreeSWITCH for commands alone, for whoever has a few and follows nothing.
pub fn connect_for_commands(node: NodeAddress) -> (LinkView, LinkTasks) {
    let stop = CancellationToken::new();
    let (sender, state) = watch::channel(LinkState::default());
    let (tally, clock) = (Arc::new(Tally::default()), Arc::new(RunningClock::default()));
    let (commands, requests) = Commands::new(state.clone(), Arc::clone(&clock), stop.child_token().drop_guard());
    let keeper = Keeper {
        node,
        purpose: Purpose::Commands,
        state: Arc::new(sender),
        tally: Arc::clone(&tally),
        clock,
        stop: stop.clone(),
        backoff: Backoff::default(),
        ready_since: None,
        complained: None,
    };
    (
        LinkView { commands, state, tally },
        LinkTasks { stop, tasks: vec![tokio::spawn(keep_commands(keeper, requests))] },
    )
}

async fn keep_events(mut keeper: Keeper, mut feed: Feed) {
    let (node, tally, stop) = (keeper.node.clone(), Arc::clone(&keeper.tally), keeper.stop.clone());
    let clock = Arc::clone(&keeper.clock);
    let keep = async {
        loop {
            keeper.connecting();
            let exit = follow_events(&node, &mut feed, &tally, &clock, || keeper.ready()).await;
            if keeper.ready_since.is_some() {
                feed.give(EventItem::Lost(exit.clone()));
            }
            let until = clock.now() + keeper.failed(exit);
            while clock.now() < until {
                tokio::select! {
                    () = clock.step_towards(until) => {}
                    () = feed.settle(), if feed.owes() => {}
                }
            }
        }
    };
    let _: Option<()> = stop.run_until_cancelled(keep).await;
    keeper.set(ConnectionState::Ended);
}

async fn keep_commands(mut keeper: Keeper, mut requests: mpsc::Receiver<Request>) {
    let (node, tally, stop) = (keeper.node.clone(), Arc::clone(&keeper.tally), keeper.stop.clone());
    let clock = Arc::clone(&keeper.clock);
    let keep = async {
        let mut state = keeper.state.subscribe();
        loop {
            keeper.connecting();
            let exit = carry_commands(&node, &mut requests, &tally, &clock, || keeper.ready()).await;
            let has_events = state.borrow().events.is_ready();
            tokio::select! {
                () = clock.sleep(keeper.failed(exit)) => {}
                // FreeSWITCH is back, and who follows its events is going to ask what happened meanwhile.
                () = events_are_back(&mut state, has_events) => {}
            }
        }
    };
    let _: Option<()> = stop.run_until_cancelled(keep).await;
    keeper.set(ConnectionState::Ended);
}

/// Waits until the events connection is up that was not; one that was must end before.
async fn events_are_back(state: &mut watch::Receiver<LinkState>, was_ready: bool) {
    if was_ready {
        // It fails only when no keeper is left, and this is one's.
        let _ = state.wait_for(|state| !state.events.is_ready()).await;
    }
    let _ = state.wait_for(|state| state.events.is_ready()).await;
}

/// Keeps one connection's state, and knows how long to wait for the next.
struct Keeper {
    node: NodeAddress,
    purpose: Purpose,
    state: Arc<watch::Sender<LinkState>>,
    tally: Arc<Tally>,
    clock: Arc<RunningClock>,
    stop: CancellationToken,
    backoff: Backoff,
    ready_since: Option<Instant>,
    /// Why there was no connection when that was last said, and when.
    complained: Option<(String, Instant)>,
}

impl Keeper {
    fn connecting(&mut self) {
        self.ready_since = None;
        self.set(ConnectionState::Connecting { failures: self.backoff.failures() });
    }

    fn ready(&mut self) {
        self.ready_since = Some(Instant::now());
        Tally::add(&self.tally.connections, 1);
        tracing::debug!(node = %self.node.name, purpose = ?self.purpose, "connected to FreeSWITCH");
        self.set(ConnectionState::Ready);
    }

    /// Says why the connection ended, and how long to wait.
    fn failed(&mut self, exit: Exit) -> Duration {
        if let Some(since) = self.ready_since {
            self.backoff.reset(since.elapsed());
            self.complained = None;
        }
        if exit.is_desync() && self.ready_since.is_some() {
            Tally::add(&self.tally.desyncs, 1);
        }
        let retry_in = if exit.is_refusal() { self.backoff.refused() } else { self.backoff.next(fastrand::f64()) };
        self.complain(&exit, retry_in);
        self.set(ConnectionState::Waiting { reason: exit, retry_in });
        retry_in
    }

    /// Says it once for both connections, which nearly always fail together, and not at every try.
    fn complain(&mut self, exit: &Exit, retry_in: Duration) {
        let is_said = |(reason, at): &(String, Instant)| *reason == exit.to_string() && at.elapsed() < COMPLAINT_PAUSE;
        if self.complained.as_ref().is_some_and(is_said) {
            tracing::debug!(node = %self.node.name, reason = %exit, "still no connection to FreeSWITCH");
            return;
        }
        if self.purpose == Purpose::Commands && !matches!(exit, Exit::CommandTimeout(_)) {
            tracing::debug!(node = %self.node.name, reason = %exit, "no connection for commands to FreeSWITCH");
            return;
        }
        tracing::warn!(
            node = %self.node.name,
            address = %self.node.address,
            reason = %exit,
            cause = std::error::Error::source(exit).map(tracing::field::display),
            advice = exit.advice(),
            retry_in_ms = retry_in.as_millis() as u64,
            "no connection to FreeSWITCH"
        );
        self.complained = Some((exit.to_string(), Instant::now()));
    }

    fn set(&self, new: ConnectionState) {
        self.state.send_modify(|state| match self.purpose {
            Purpose::Events => state.events = new,
            Purpose::Commands => state.commands = new,
        });
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn events_are_back_only_after_they_were_away() {
        let (sender, mut state) = watch::channel(LinkState::default());
        let set = |events| sender.send_modify(|state| state.events = events);
        set(ConnectionState::Ready);
        let back = events_are_back(&mut state, true);
        tokio::pin!(back);
        timeout(Duration::ZERO, &mut back).await.expect_err("they have been there all the time");
        set(ConnectionState::default());
        timeout(Duration::ZERO, &mut back).await.expect_err("they are away");
        set(ConnectionState::Ready);
        timeout(Duration::ZERO, &mut back).await.expect("they are back");
    }
}
