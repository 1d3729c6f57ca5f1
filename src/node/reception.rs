//! The task that takes what is told over HTTP of queues outside FreeSWITCH: the only owner of their lifecycle.
//!
//! It stands for a node named `api`, whose clock is this machine's. What is told goes to the outbox before it is answered;
//! while one flush is under way, the next gathers, so that many tellers share one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::surroundings::Surroundings;
use crate::esl::running_clock::{RunningClock, STEP};
use crate::id::QueueName;
use crate::lifecycle::kept::Kept;
use crate::lifecycle::told::{Acknowledgement, Refusal};
use crate::lifecycle::{Effects, Lifecycle};
use crate::outbox::{Closed, Committed, Reading, Receipt};
use crate::signal::{TellersKey, Telling};

/// How many words may wait: as many as the outbox takes into one transaction.
const WORDS: usize = 1_024;

/// How long the task sleeps where nothing is to be decided; whatever comes wakes it.
const IDLE: Duration = Duration::from_secs(3_600);

/// What may have passed beyond the time in which this process could run: timers are late on a busy machine.
const PAUSE: SignedDuration = SignedDuration::from_secs(1);

/// The task.
#[derive(Debug)]
pub struct Reception {
    lifecycle: Lifecycle,
    around: Surroundings,
    words: mpsc::Receiver<Word>,
    clock: RunningClock,
    /// What this machine's clocks and the running clock showed when time last passed.
    passed: (Reading, Instant),
}

/// Where something can be told; clones are handles to the same task.
#[derive(Clone, Debug)]
pub struct Desk {
    words: mpsc::Sender<Word>,
    figures: Arc<Figures>,
}

/// What was told, from the daemon's start on.
#[derive(Debug, Default)]
pub struct Figures {
    /// What was new and accepted.
    pub accepted: AtomicU64,
    /// What had been told before.
    pub repeated: AtomicU64,
    /// What can't have happened.
    pub refused: AtomicU64,
}

/// Something that is told, and where it is answered.
#[derive(Debug)]
struct Word {
    queue: QueueName,
    key: TellersKey,
    telling: Telling,
    answer: oneshot::Sender<Result<Promise, Refusal>>,
}

/// An answer that holds once the receipt says so.
type Promise = (Acknowledgement, Receipt<Committed>);

/// Why something that was told has no acknowledgement.
#[derive(Debug, thiserror::Error)]
pub enum TellError {
    /// It can't have happened.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The daemon ends.
    #[error(transparent)]
    Closed(#[from] Closed),
}

impl Reception {
    /// A reception that takes up the attempts that an earlier run of the daemon left open.
    pub fn new(around: Surroundings, kept: Vec<Kept>) -> (Self, Desk) {
        let mut lifecycle = Lifecycle::of_api(around.config.borrow().clone());
        // Times to live begin anew: while the daemon was down, nobody could be heard.
        lifecycle.advance(Timestamp::now(), &mut Effects::default());
        for kept in kept {
            if let Some(attempt) = kept.open() {
                around.live.show(attempt);
            }
            lifecycle.restore(kept);
        }
        let (sender, words) = mpsc::channel(WORDS);
        let clock = RunningClock::default();
        let passed = (Reading::now(), clock.now());
        (Self { lifecycle, around, words, clock, passed }, Desk { words: sender, figures: Arc::default() })
    }

    /// Takes what is told until it is told to end.
    pub async fn run(mut self, end: CancellationToken) -> Result<(), Closed> {
        loop {
            let due = self.lifecycle.next_deadline().map_or(IDLE, |at| until(at).min(STEP));
            tokio::select! {
                biased;
                () = end.cancelled() => return Ok(()),
                Ok(()) = self.around.config.changed() => {
                    let config = self.around.config.borrow_and_update().clone();
                    self.lifecycle.configure(config);
                }
                Some(word) = self.words.recv() => self.take(word).await?,
                () = tokio::time::sleep(due) => {
                    let effects = self.pass_time();
                    if !effects.is_empty() {
                        drop(self.submit(effects).await?);
                    }
                }
            }
        }
    }

    async fn take(&mut self, word: Word) -> Result<(), Closed> {
        let Word { queue, key, telling, answer } = word;
        let mut effects = self.pass_time();
        let told = self.lifecycle.tell(&queue, &key, &telling, &mut effects);
        // What is repeated is submitted as well: it is durable once all before it is.
        let receipt = self.submit(effects).await?;
        // Who no longer waits for the answer asks again.
        let _ = answer.send(told.map(|acknowledgement| (acknowledgement, receipt)));
        Ok(())
    }

    /// Lets time pass. A clock that was set makes nothing late or early; and where more time has passed than this process
    /// could run, because it was paused, nobody could be heard in between.
    fn pass_time(&mut self) -> Effects {
        let former = std::mem::replace(&mut self.passed, (Reading::now(), self.clock.now()));
        let (now, running) = self.passed;
        let step = SignedDuration::from_millis(now.step_since(former.0));
        if !step.is_zero() {
            self.lifecycle.follow_clock(step);
        }
        let ran = SignedDuration::try_from(running.duration_since(former.1)).unwrap_or(SignedDuration::MAX);
        let unheard = now.elapsed_since(former.0).saturating_sub(ran);
        if unheard > PAUSE {
            self.lifecycle.extend_times_to_live(unheard);
        }
        let mut effects = Effects::default();
        self.lifecycle.advance(Timestamp::now(), &mut effects);
        effects
    }

    async fn submit(&self, effects: Effects) -> Result<Receipt<Committed>, Closed> {
        let outbox = self.around.outbox.as_ref().ok_or(Closed)?;
        outbox.submit(self.around.entry(&self.lifecycle, effects)).await
    }
}

impl Desk {
    /// Tells something; it is durable when it is acknowledged.
    pub async fn tell(
        &self,
        queue: QueueName,
        key: TellersKey,
        telling: Telling,
    ) -> Result<Acknowledgement, TellError> {
        let (answer, answered) = oneshot::channel();
        self.words.send(Word { queue, key, telling, answer }).await.map_err(|_| Closed)?;
        let promised = answered.await.map_err(|_| Closed)?;
        let counter = match &promised {
            Ok((acknowledgement, _)) if acknowledgement.is_repeated => &self.figures.repeated,
            Ok(_) => &self.figures.accepted,
            Err(_) => &self.figures.refused,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        let (acknowledgement, receipt) = promised?;
        receipt.durable().await?;
        Ok(acknowledgement)
    }

    /// What was told since the start.
    pub fn figures(&self) -> &Figures {
        &self.figures
    }
}

fn until(deadline: Timestamp) -> Duration {
    let left = deadline.duration_since(Timestamp::now());
    // Waking up a little late costs one look less.
    Duration::try_from(left).unwrap_or_default() + Duration::from_millis(1)
}
