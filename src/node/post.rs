//! A follower's end of the connection to one node: what comes from there, by which clock, and when it is surveyed.

use std::collections::BTreeSet;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::task::JoinHandle;

use super::clock::NodeClock;
use super::survey::{self, SurveyError};
use crate::esl::feed::EventItem;
use crate::esl::link::{self, Intake, Link, NodeAddress};
use crate::freeswitch::Snapshot;
use crate::id::{AttemptHash, NodeName};
use crate::lifecycle::survey::{Differences, Known};

/// How many items are taken from the connection at once: enough that waking up costs little beside them, few enough that
/// a deadline among them is not late.
const BATCH: usize = 256;

/// How long after a survey a connected node is surveyed again.
///
/// Nothing else bounds the life of an attempt whose end nobody tells: FreeSWITCH drops events for a slow listener without a
/// word, and mod_callcenter forgets members when it is reloaded. A survey finds these, and members whose start was dropped,
/// whatever the cause. `HEARTBEAT`'s `Session-Count` could tell of a part of them sooner; but it counts calls that are in no
/// queue and those that are ending as well, so that only a long look at it means something, and then only that a survey
/// is needed.
const ROUTINE: Duration = Duration::from_secs(5 * 60);

/// How long after the survey that follows a connection, or a loss of events, the node is surveyed again, and how long after
/// that: mod_callcenter tells of a member before it lists it, and `show channels` may lag behind, so that who came a moment
/// before is neither in the events to come nor in the first survey.
const AGAIN: [Duration; 2] = [Duration::from_millis(1_500), Duration::from_secs(10)];

/// How long after events about an unknown member the node is surveyed, unless the member's start comes meanwhile, as it mostly
/// does.
const UNKNOWN: Duration = Duration::from_millis(500);

/// How long after a survey one is made for an unknown member. Each that finds none doubles it.
const BETWEEN: Duration = Duration::from_secs(1);

/// The longest it becomes.
const LONGEST_BETWEEN: Duration = Duration::from_secs(64);

/// How long after a failed survey it is tried again.
const RETRY: Duration = Duration::from_secs(5);

/// How long after an agent was added or changed the node is surveyed: whoever changes one usually changes more of it, or
/// of others, and nothing tells when it is done.
const CHANGING: Duration = Duration::from_secs(5);

const _: () =
    assert!(ROUTINE.as_secs() < crate::lifecycle::node::DOUBT.as_secs() as u64, "a survey clears a doubt in time");

/// A node, as its follower has it.
#[derive(Debug)]
pub struct Post {
    /// The node.
    pub name: NodeName,
    /// The connections to it.
    pub link: Link,
    /// Its clock, which goes on by the link's: while this process is paused, time stands still.
    clock: NodeClock,
    /// What its clock showed when something was last heard of it.
    heard_at: Timestamp,
    survey: Option<Survey>,
    /// When the next survey is due; none unless the node is connected and has been surveyed.
    routine_at: Option<Instant>,
    /// How many of the surveys that follow the first one are still to come.
    to_come: usize,
    /// When a survey is due that looks for unknown members, if it is wanted.
    wanted_at: Option<Instant>,
    /// When the latest survey was done, and how long after it unknown members are looked for.
    done_at: Option<Instant>,
    between: Duration,
}

/// A survey that is under way, or done and not used yet.
#[derive(Debug)]
struct Survey {
    /// The attempts that were open when it began.
    open: BTreeSet<AttemptHash>,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    Running(JoinHandle<SurveyResult>),
    Done(SurveyResult),
}

/// What a survey found.
pub type SurveyResult = Result<Snapshot, SurveyError>;

/// What happens at a post.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Happening {
    /// Items have come from the node.
    Items,
    /// A survey is done.
    Surveyed,
    /// The link has ended.
    Ended,
}

impl Post {
    /// Connects to a node whose clock was last known to show that.
    pub fn connect(address: NodeAddress, shown: Timestamp, intake: Intake) -> Self {
        let (name, link) = (address.name.clone(), link::connect_with(address, intake));
        let clock = NodeClock::new(shown, link.clock.now());
        Self {
            name,
            link,
            clock,
            heard_at: shown,
            survey: None,
            routine_at: None,
            to_come: 0,
            wanted_at: None,
            done_at: None,
            between: BETWEEN,
        }
    }

    /// What happens next: the end of a survey, or items, which are put into the empty `items`.
    pub fn poll(&mut self, cx: &mut Context<'_>, items: &mut Vec<EventItem>) -> Poll<Happening> {
        if let Some(Survey { stage, .. }) = &mut self.survey
            && let Stage::Running(task) = stage
            && let Poll::Ready(done) = Pin::new(task).poll(cx)
        {
            let result = done.unwrap_or_else(|failure| std::panic::resume_unwind(failure.into_panic()));
            *stage = Stage::Done(result);
            return Poll::Ready(Happening::Surveyed);
        }
        self.link.events.poll_many(cx, items, BATCH).map(|taken| match taken {
            0 => Happening::Ended,
            _ => Happening::Items,
        })
    }

    /// An event has come, which moved the node's time on to `shown`.
    pub fn heard(&mut self, shown: Timestamp) {
        let now = self.link.clock.now();
        self.clock.set(shown, now);
        self.heard_at = self.clock.read(now);
    }

    /// What the node's clock shows now.
    pub fn shown(&self) -> Timestamp {
        self.clock.read(self.link.clock.now())
    }

    /// The node's clock showed that just now.
    pub fn set_clock(&mut self, shown: Timestamp) {
        self.clock.set(shown, self.link.clock.now());
    }

    /// A survey is done, and has found attempts that were not as they were known.
    pub fn note_survey(&mut self, Differences { gone, new }: Differences) {
        let was_wanted = self.wanted_at.take().is_some();
        self.between = match (new, was_wanted) {
            (0, true) => (self.between * 2).min(LONGEST_BETWEEN),
            (0, false) => self.between,
            _ => BETWEEN,
        };
        let count = |number: usize| number.try_into().unwrap_or(u64::MAX);
        let now = Timestamp::now().as_millisecond();
        self.link.tally.surveyed_at_ms.store(now, Ordering::Relaxed);
        self.link.tally.found_gone.fetch_add(count(gone), Ordering::Relaxed);
        self.link.tally.found_new.fetch_add(count(new), Ordering::Relaxed);
    }

    /// The connection is lost: gives what the clock showed when everything was still heard. Where the node fell silent,
    /// that was when it was heard last.
    pub fn lost(&mut self, fell_silent: bool) -> Timestamp {
        self.survey = None;
        self.routine_at = None;
        self.wanted_at = None;
        if fell_silent { self.heard_at } else { self.shown() }
    }

    /// Begins the surveys after a connection was made, or events were lost: one at once, and others soon after it.
    pub fn begin_surveys(&mut self, open: BTreeSet<AttemptHash>, known: Known) {
        self.to_come = AGAIN.len();
        self.between = BETWEEN;
        self.begin_survey(open, known);
    }

    /// Whether a survey is wanted that looks for unknown members.
    pub fn want_survey(&mut self, is_wanted: bool) {
        if !is_wanted {
            self.wanted_at = None;
        } else if self.wanted_at.is_none() && self.is_between_surveys() {
            let soon = Instant::now() + UNKNOWN;
            self.wanted_at = Some(self.done_at.map_or(soon, |done_at| soon.max(done_at + self.between)));
        }
    }

    /// Begins a survey, unless one was begun a moment ago: that one is replaced.
    pub fn begin_survey(&mut self, open: BTreeSet<AttemptHash>, known: Known) {
        self.survey_after(Duration::ZERO, open, known);
    }

    /// Begins a survey anew that has failed, after a pause.
    pub fn retry_survey(&mut self, open: BTreeSet<AttemptHash>, known: Known) {
        self.survey_after(RETRY, open, known);
    }

    fn survey_after(&mut self, pause: Duration, open: BTreeSet<AttemptHash>, known: Known) {
        let commands = self.link.commands.clone();
        let task = tokio::spawn(async move {
            tokio::time::sleep(pause).await;
            survey::take(&commands, known).await
        });
        self.survey = Some(Survey { open, stage: Stage::Running(task) });
        self.routine_at = None;
    }

    /// The survey that is done, with the attempts that were open when it began; none if the connection was lost since, or
    /// another one has begun.
    pub fn take_survey(&mut self) -> Option<(BTreeSet<AttemptHash>, SurveyResult)> {
        let mut survey = self.survey.take_if(|survey| matches!(survey.stage, Stage::Done(_)))?;
        let open = std::mem::take(&mut survey.open);
        match std::mem::replace(&mut survey.stage, Stage::Done(Ok(Snapshot::default()))) {
            Stage::Done(result) => {
                let now = Instant::now();
                let pause = if result.is_ok() { self.pause() } else { ROUTINE };
                (self.routine_at, self.done_at) = (Some(now + pause), Some(now));
                Some((open, result))
            }
            Stage::Running(_) => None,
        }
    }

    /// How long after a survey the next one is due.
    fn pause(&mut self) -> Duration {
        let Some(to_come) = self.to_come.checked_sub(1) else { return ROUTINE };
        self.to_come = to_come;
        AGAIN[AGAIN.len() - 1 - to_come]
    }

    /// How long it is until the node is to be surveyed again, or its clock shows that time; none if there is nothing to wait for.
    pub fn until_due(&self, deadline: Option<Timestamp>) -> Option<Duration> {
        let deadline = deadline.map(|at| self.clock.until(at, self.link.clock.now()));
        let survey = self.due_at().map(|at| at.saturating_duration_since(Instant::now()));
        [deadline, survey].into_iter().flatten().min()
    }

    /// Whether the node has been surveyed, and no other survey has begun.
    pub fn is_between_surveys(&self) -> bool {
        self.routine_at.is_some()
    }

    /// Surveys the node sooner than it would be: somebody changes its agents.
    pub fn survey_soon(&mut self) {
        self.routine_at = self.routine_at.map(|at| at.min(Instant::now() + CHANGING));
    }

    /// Whether the node is to be surveyed again.
    pub fn is_survey_due(&self) -> bool {
        self.due_at().is_some_and(|at| at <= Instant::now())
    }

    /// When the next survey is due. While one is under way, none is.
    fn due_at(&self) -> Option<Instant> {
        self.routine_at.map(|routine_at| self.wanted_at.map_or(routine_at, |wanted_at| wanted_at.min(routine_at)))
    }
}

impl Drop for Survey {
    fn drop(&mut self) {
        if let Stage::Running(task) = &self.stage {
            task.abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::esl::command::{Password, Subscription};

    fn unreachable() -> NodeAddress {
        NodeAddress {
            name: "fs1".into(),
            address: "127.0.0.1:1".into(),
            password: Password::new("ClueCon").expect("can be sent"),
            connect_timeout: Duration::from_secs(1),
            silence_timeout: Duration::from_secs(60),
            subscription: Subscription::default(),
        }
    }

    #[tokio::test]
    async fn a_node_is_surveyed_again_and_again_as_long_as_it_is_connected() {
        let mut post = Post::connect(unreachable(), Timestamp::UNIX_EPOCH, Intake::default());
        assert_eq!(post.until_due(None), None, "not before the connection is made");
        post.survey = Some(Survey { open: BTreeSet::new(), stage: Stage::Done(Ok(Snapshot::default())) });
        assert!(post.take_survey().is_some() && post.take_survey().is_none());
        assert!(post.until_due(None).is_some_and(|due| due <= ROUTINE) && !post.is_survey_due());
        post.routine_at = Some(Instant::now());
        assert!(post.is_survey_due());
        post.begin_survey(BTreeSet::new(), Known::default());
        assert!(!post.is_survey_due() && post.take_survey().is_none(), "it is under way");
        post.routine_at = Some(Instant::now());
        post.lost(false);
        assert!(!post.is_survey_due() && post.survey.is_none());
    }

    #[tokio::test]
    async fn a_node_that_fell_silent_was_there_when_it_was_heard_last() {
        let noon = Timestamp::from_second(43_200).expect("in range");
        let mut post = Post::connect(unreachable(), Timestamp::UNIX_EPOCH, Intake::default());
        post.heard(noon);
        std::thread::sleep(Duration::from_millis(2));
        assert_eq!(post.lost(true), noon);
        assert!(post.lost(false) > noon);
    }
}
