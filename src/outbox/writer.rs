//! The one thread that writes: whatever waits for it goes into one transaction, so that many share one flush of the disk.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::{Connection, TransactionBehavior};
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, watch};
use tracing::{debug, error, info, warn};

use super::cancellations::CancellationsSender;
use super::checkpointer::{self, Checkpointer, LogLength};
use super::clock::{self, Reading};
use super::desk::{Desk, Turns};
use super::figures::Figures;
use super::file;
use super::lock::{Displaced, Lock};
use super::outbox::{Command, Committed, Health};
use super::retention::Retention;
use super::run::{Run, RunState};
use super::store;
use super::transaction::{Stored, Work};
use super::trouble;
use crate::failpoint;

/// How many commands share a transaction at most: at some 20 µs for each, none waits longer than the flush itself takes on
/// a slow disk.
const BATCH: usize = 1_024;

/// How often the file is looked at for what another process has written, and tidied when nothing else is to be done.
const TICK: Duration = Duration::from_secs(1);

/// The shortest wait where a run is due already and can't be taken, because the runner is behind.
const BREATH: Duration = Duration::from_millis(5);

/// The waits before a failed transaction is tried again: short for what passes quickly, and long enough in the end that a
/// full disk does not fill the log as well.
const FIRST_BACKOFF: Duration = Duration::from_millis(50);
const LAST_BACKOFF: Duration = Duration::from_secs(5);

/// How long after it could not forget what is old it tries again: nothing waits for it, and the log is not to fill.
const FORGETTING_PAUSE: Duration = Duration::from_secs(60);

/// The writer and all it owns.
pub(super) struct Writer {
    connection: Connection,
    lock: Lock,
    ends: Ends,
    desk: Desk,
    stored: Stored,
    retention: Retention,
    checkpointer: Checkpointer,
    /// What the clocks said when the times of open runs were last moved: they are of this wall clock.
    clock: Reading,
    /// Changes when another process has written.
    data_version: i64,
    last_tick: Instant,
    /// Before this time, nothing is forgotten.
    forget_from: Instant,
    /// Whether something was written since the last checkpoint.
    unsaved: bool,
    /// Whether the log has grown because another program reads.
    is_log_kept: bool,
}

/// The writer's ends of what it shares with others.
pub(super) struct Ends {
    pub(super) commands: mpsc::Receiver<Command>,
    pub(super) runs: mpsc::Sender<Run>,
    pub(super) health: watch::Sender<Health>,
    pub(super) turns: watch::Receiver<Arc<Turns>>,
    pub(super) cancellations: CancellationsSender,
    pub(super) figures: Arc<Figures>,
}

/// What one transaction brought forth.
struct Outcome {
    committed: Vec<Committed>,
    /// Where each run that was reported stands.
    recorded: Vec<RunState>,
    /// How many runs each wake-up has made due.
    woken: Vec<usize>,
    ready: Vec<Run>,
    desk: Desk,
    /// Where the clock was set, what both clocks said then and by how much.
    followed: Option<(Reading, i64)>,
}

impl Writer {
    pub(super) fn new(
        connection: Connection,
        lock: Lock,
        ends: Ends,
        desk: Desk,
        retention: Retention,
        checkpointer: Checkpointer,
        clock: Reading,
    ) -> rusqlite::Result<Self> {
        let data_version = file::data_version(&connection)?;
        let last_tick = Instant::now();
        Ok(Self {
            connection,
            lock,
            ends,
            desk,
            stored: Stored::default(),
            retention,
            checkpointer,
            clock,
            data_version,
            last_tick,
            forget_from: last_tick,
            unsaved: true,
            is_log_kept: false,
        })
    }

    /// Works until all handles are dropped and everything that was given is committed. An error is damage of the file; what
    /// was given and is not committed is then forgotten, and nobody was told that it was committed. Gives the lock back once
    /// the connection is closed.
    pub(super) fn run(mut self, runtime: &Runtime) -> (rusqlite::Result<()>, Lock) {
        let ended = self.work(runtime);
        let Self { connection, lock, checkpointer, .. } = self;
        drop((connection, checkpointer));
        (ended, lock)
    }

    fn work(&mut self, runtime: &Runtime) -> rusqlite::Result<()> {
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            let (wait, received) = (self.wait(), self.ends.commands.recv_many(&mut batch, BATCH));
            if runtime.block_on(async { tokio::time::timeout(wait, received).await }) == Ok(0) {
                break;
            }
            let idle = batch.is_empty();
            let room = if self.ends.runs.is_closed() { 0 } else { self.ends.runs.capacity() };
            self.desk.set_room(room.try_into().unwrap_or(u32::MAX));
            self.desk.set_turns(self.ends.turns.borrow().clone());
            let now = Reading::now();
            let clock_was_set = now.step_since(self.clock) != 0;
            if !idle || clock_was_set || !self.desk.claimable(now.wall_ms()).is_empty() {
                self.persist(&mut batch)?;
            }
            if self.checkpointer.has_ended() {
                self.checkpoint();
            }
            if self.last_tick.elapsed() >= TICK {
                self.tick(idle);
            }
        }
        self.checkpoint();
        Ok(())
    }

    /// How long to wait for a command: until the next run on disk is due, at most one tick.
    fn wait(&self) -> Duration {
        match self.desk.next_due_ms() {
            Some(due_ms) if !self.ends.runs.is_closed() => {
                let remaining_ms = due_ms.saturating_sub(Reading::now().wall_ms());
                Duration::from_millis(remaining_ms.try_into().unwrap_or(0)).clamp(BREATH, TICK)
            }
            Some(_) | None => TICK,
        }
    }

    /// Commits the batch, however often it takes, then hands over the runs and tells who waits.
    fn persist(&mut self, batch: &mut Vec<Command>) -> rusqlite::Result<()> {
        let Some(outcome) = self.transact_until_done(batch)? else {
            error!(commands = batch.len(), "the outbox could not write before the end");
            batch.clear();
            return Ok(());
        };
        failpoint::after_commit();
        self.unsaved = true;
        self.desk = outcome.desk;
        if let Some((clock, step_ms)) = outcome.followed {
            self.clock = clock;
            warn!(step_ms, "the clock was set; what waits for a time waits as long as before");
        }
        for run in outcome.ready {
            // There is a place for it, because the desk gives no more seats than the channel has. Where the runner has
            // ended, the run is found again at the next start.
            if self.ends.runs.try_send(run).is_err() {
                debug!("the runner has ended");
            }
        }
        let mut committed = outcome.committed.into_iter();
        let mut recorded = outcome.recorded.into_iter();
        let mut woken = outcome.woken.into_iter();
        for command in batch.drain(..) {
            // Who no longer waits for the answer does not need it.
            match command {
                Command::Commit { entry, done } => {
                    let Some(committed) = committed.next() else { continue };
                    for moment in entry.moments.iter().filter(|moment| committed.moments.contains(&moment.id)) {
                        self.ends.figures.note_moment(moment.event, moment.is_loss);
                    }
                    let _ = done.send(committed);
                }
                Command::Record { report, done } => {
                    let Some(state) = recorded.next() else { continue };
                    self.ends.figures.note_state(state);
                    if state.is_over() {
                        self.ends.cancellations.forget(report.run);
                    }
                    let _ = done.send(state);
                }
                Command::Wake { done, .. } => {
                    let _ = done.send(woken.next().unwrap_or(0));
                }
            }
        }
        Ok(())
    }

    /// Tries until the batch is committed, or the daemon ends: it can't wait for a disk, and nobody was told that these
    /// were committed. Damage does not pass by waiting.
    fn transact_until_done(&mut self, batch: &[Command]) -> rusqlite::Result<Option<Outcome>> {
        let mut backoff = FIRST_BACKOFF;
        loop {
            let began = Instant::now();
            let done = self.check_place().map(|()| self.transact(batch));
            self.ends.figures.commits.observe(began.elapsed());
            match done {
                Err(reason) => self.set_health(Health::Stalled { reason }),
                Ok(Ok(outcome)) => {
                    self.set_health(Health::Writing);
                    return Ok(Some(outcome));
                }
                Ok(Err(damage)) if trouble::is_damage(&damage) => return Err(damage),
                Ok(Err(error)) => self.set_health(Health::Stalled { reason: reason(&error) }),
            }
            self.stored.forget_all();
            if self.ends.commands.is_closed() {
                return Ok(None);
            }
            thread::sleep(backoff);
            backoff = (backoff * 2).min(LAST_BACKOFF);
        }
    }

    /// Looks whether what is written now will be found again, and says why not. Where the log is gone, what is in it is moved
    /// into the database while it can still be read.
    fn check_place(&mut self) -> Result<(), String> {
        self.lock.check().map_err(|displaced| {
            if matches!(displaced, Displaced::Log(_)) {
                self.checkpoint();
            }
            displaced.to_string()
        })
    }

    /// Does the batch in one transaction; an error rolls all of it back. Times that are stored already follow the clock first,
    /// and by the same reading as what the batch stores, so that nothing is moved twice or not at all.
    fn transact(&mut self, batch: &[Command]) -> rusqlite::Result<Outcome> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut desk = self.desk.clone();
        let clock = Reading::now();
        let step_ms = clock::follow(&transaction, self.clock, clock)?;
        if step_ms != 0 {
            store::load_due(&transaction, &mut desk)?;
        }
        let mut work =
            Work { connection: &transaction, desk: &mut desk, stored: &mut self.stored, clock, ready: Vec::new() };
        let (mut committed, mut recorded, mut woken) = (Vec::new(), Vec::new(), Vec::new());
        for command in batch {
            match command {
                Command::Commit { entry, .. } => committed.push(work.commit(entry)?),
                Command::Record { report, .. } => recorded.push(work.record(report)?),
                Command::Wake { receiver, .. } => woken.push(work.wake(receiver)?),
            }
        }
        work.claim()?;
        let ready = work.ready;
        failpoint::before_commit();
        transaction.commit()?;
        let followed = (step_ms != 0).then_some((clock, step_ms));
        Ok(Outcome { committed, recorded, woken, ready, desk, followed })
    }

    fn set_health(&self, health: Health) {
        self.ends.health.send_if_modified(|known| {
            let changed = *known != health;
            if changed {
                match &health {
                    Health::Stalled { reason } => error!(reason, "the outbox can't write; it tries again"),
                    Health::Writing => info!("the outbox writes again"),
                }
                *known = health;
            }
            changed
        });
    }

    /// Looks for runs that another process has made due or cancelled, forgets what is old, and has the log moved into the database: when
    /// nothing else is to be done, or beside the work when it has grown long.
    fn tick(&mut self, idle: bool) {
        self.last_tick = Instant::now();
        // What can't be written is tried until it can, so nothing but the file's place can be wrong here.
        if let Err(reason) = self.check_place() {
            return self.set_health(Health::Stalled { reason });
        }
        self.set_health(Health::Writing);
        self.lock.keep_beside();
        if let Err(error) = self.notice_others() {
            warn!(%error, "the outbox could not be read");
        }
        self.forget_old();
        match checkpointer::length(&self.connection) {
            Ok(length) => self.keep_log_short(length, idle),
            Err(error) => warn!(%error, "the outbox's log could not be read"),
        }
    }

    /// Moves the log into the database: when nothing else is to be done, or beside the work when it has grown long; and
    /// where that is not fast enough, the work waits for it.
    fn keep_log_short(&mut self, length: LogLength, idle: bool) {
        self.ends.figures.log_bytes.store(length.bytes(), Ordering::Relaxed);
        if length.unmoved >= checkpointer::TOO_LONG {
            self.checkpointer.finish();
            self.checkpoint();
        } else if idle {
            self.checkpoint();
        } else if length.unmoved >= checkpointer::LONG {
            self.checkpointer.begin();
        }
        let is_kept = self.is_log_kept;
        self.is_log_kept = length.pages >= checkpointer::KEPT;
        if self.is_log_kept && !is_kept {
            warn!(
                bytes = length.bytes(),
                "another program keeps a transaction open on the outbox, so its log grows; end it"
            );
        }
    }

    fn notice_others(&mut self) -> rusqlite::Result<()> {
        let data_version = file::data_version(&self.connection)?;
        if data_version != self.data_version {
            store::load_due(&self.connection, &mut self.desk)?;
            self.ends.cancellations.read(&self.connection)?;
            self.data_version = data_version;
        }
        Ok(())
    }

    fn forget_old(&mut self) {
        if self.last_tick < self.forget_from {
            return;
        }
        // By the clock as stored times have it, which may have been set just now.
        let now_ms = self.clock.advanced().as_millisecond();
        match self.retention.advance(&mut self.connection, now_ms) {
            Ok(0) => {}
            Ok(deleted) => {
                debug!(rows = deleted, "forgot what is old");
                self.unsaved = true;
                // Rows of variables and definitions may be gone with it.
                self.stored.forget_all();
            }
            Err(error) => {
                warn!(reason = reason(&error), "the outbox could not forget what is old; it tries again");
                self.forget_from = self.last_tick + FORGETTING_PAUSE;
            }
        }
    }

    fn checkpoint(&mut self) {
        if !self.unsaved {
            return;
        }
        match checkpointer::checkpoint(&self.connection) {
            // What a reader still needs is moved later.
            Ok(left) => self.unsaved = left.unmoved > 0,
            Err(error) => warn!(%error, "the outbox could not be checkpointed; it is tried again"),
        }
    }
}

/// What SQLite said, and what can be done about it.
fn reason(error: &rusqlite::Error) -> String {
    trouble::advice(error).map_or_else(|| error.to_string(), |advice| format!("{error}; {advice}"))
}
