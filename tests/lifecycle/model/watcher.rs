//! A daemon that hears of a story: its lifecycle, its clock, and what its outbox has kept.

use std::collections::{BTreeMap, BTreeSet};

use hookswitch::id::AttemptHash;
use hookswitch::lifecycle::kept::Kept;
use hookswitch::lifecycle::survey::OpenStays;
use hookswitch::lifecycle::{Effects, Lifecycle};
use hookswitch::moment::Payload;
use jiff::{SignedDuration, Timestamp};

use super::glance::Glance;
use super::stage::Stage;
use crate::story::{Sent, micros};

/// A daemon. It does what a node's follower does, when it is told that it is time.
pub(crate) struct Watcher<'a> {
    stage: &'a Stage,
    pub(crate) lifecycle: Lifecycle,
    pub(crate) payloads: Vec<Payload>,
    /// The states of the attempts that are open, as the outbox has them.
    kept: BTreeMap<AttemptHash, String>,
    /// What the node's clock showed, and when.
    clock: (i64, i64),
    survey: Option<Survey>,
    /// When the next survey is due that follows the one after a connection, and how many more come after it.
    again: Option<(i64, usize)>,
    /// When a survey is due that looks for unknown members.
    wanted_at: Option<i64>,
    /// How long after a member's start mod_callcenter lists it.
    pub(crate) listed_after: i64,
}

/// How long after one another a daemon's surveys follow the one after a connection.
const AGAIN: [i64; 2] = [1_500_000, 10_000_000];

/// How long after an event about an unknown member a survey looks for it.
const UNKNOWN: i64 = 500_000;

/// A survey that is under way.
struct Survey {
    open: BTreeSet<AttemptHash>,
    known: OpenStays,
    lasts: SurveyTimes,
    began_at: i64,
}

/// How many milliseconds after its beginning a survey's questions are answered, and how many after that it is heard of.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct SurveyTimes {
    pub(crate) channels_ms: i64,
    pub(crate) members_ms: i64,
    pub(crate) dumps_ms: i64,
    pub(crate) answer_ms: i64,
}

impl SurveyTimes {
    fn glance(self, began_at: i64, listed_after: i64) -> Glance {
        let channels_at = began_at + self.channels_ms * 1_000;
        let members_at = channels_at + self.members_ms * 1_000;
        Glance { channels_at, members_at, dumps_at: members_at + self.dumps_ms * 1_000, listed_after }
    }

    fn total_ms(self) -> i64 {
        self.channels_ms + self.members_ms + self.dumps_ms + self.answer_ms
    }
}

impl<'a> Watcher<'a> {
    /// A daemon that knows nothing yet.
    pub(crate) fn new(stage: &'a Stage) -> Self {
        let lifecycle = stage.story.lifecycle();
        let clock = (lifecycle.now().as_microsecond(), 0);
        Self {
            stage,
            lifecycle,
            payloads: Vec::new(),
            kept: BTreeMap::new(),
            clock,
            survey: None,
            again: None,
            wanted_at: None,
            listed_after: 0,
        }
    }

    /// An event has come.
    pub(crate) fn hear(&mut self, sent: &Sent, now: i64) {
        let mut effects = Effects::default();
        self.lifecycle.advance(self.shown(now - 1), &mut effects);
        self.lifecycle.handle_event(&sent.event, &mut effects);
        self.commit(effects);
        self.set_clock(now);
        self.want_survey(now);
    }

    /// All that a daemon does by itself until then: its surveys are answered, and others begin.
    pub(crate) fn run_until(&mut self, now: i64) {
        while let Some(at) = self.next_due().filter(|at| *at <= now) {
            if self.survey.is_some() {
                self.finish_survey(at);
                continue;
            }
            self.pass_time(at);
            self.want_survey(at);
            if self.again.is_some_and(|(due, _)| due <= at) || self.wanted_at.is_some_and(|due| due <= at) {
                self.begin_survey(at, SurveyTimes::default());
            }
        }
    }

    fn next_due(&self) -> Option<i64> {
        let answered = |survey: &Survey| survey.began_at + survey.lasts.total_ms() * 1_000;
        let due = [self.again.map(|(at, _)| at), self.wanted_at].into_iter().flatten().min();
        self.survey.as_ref().map(answered).or(due)
    }

    fn want_survey(&mut self, now: i64) {
        let wanted = self.lifecycle.wants_survey() && self.survey.is_none();
        self.wanted_at = wanted.then(|| self.wanted_at.unwrap_or(now + UNKNOWN));
    }

    /// Sets the clock by what the lifecycle has just heard, unless it shows a later time already.
    fn set_clock(&mut self, now: i64) {
        if self.shown(now) < self.lifecycle.now() {
            self.clock = (self.lifecycle.now().as_microsecond(), now);
        }
    }

    /// The connection has been made.
    pub(crate) fn connect(&mut self, now: i64, lasts: SurveyTimes) {
        self.lifecycle.begin_connection();
        self.again = Some((i64::MAX, AGAIN.len()));
        self.begin_survey(now, lasts);
    }

    /// The connection is lost.
    pub(crate) fn disconnect(&mut self, now: i64) {
        self.pass_time(now);
        self.lifecycle.end_connection(self.shown(now));
        (self.survey, self.again, self.wanted_at) = (None, None, None);
    }

    /// Events were dropped: a survey begins.
    pub(crate) fn notice_gap(&mut self, now: i64, lasts: SurveyTimes) {
        self.lifecycle.begin_gap();
        self.again = Some((i64::MAX, AGAIN.len()));
        self.begin_survey(now, lasts);
    }

    fn begin_survey(&mut self, now: i64, lasts: SurveyTimes) {
        let (open, known) = (self.lifecycle.begin_survey(), self.lifecycle.open_stays());
        self.survey = Some(Survey { open, known, lasts, began_at: now });
        self.again = self.again.map(|(_, more)| (i64::MAX, more));
        self.wanted_at = None;
    }

    /// Finishes the survey whose answers have come by now.
    pub(crate) fn finish_survey(&mut self, now: i64) {
        let is_done = |survey: &mut Survey| survey.began_at + survey.lasts.total_ms() * 1_000 <= now;
        let Some(survey) = self.survey.take_if(is_done) else { return };
        let answered_at = survey.began_at + survey.lasts.total_ms() * 1_000;
        let snapshot = self.stage.glance(survey.lasts.glance(survey.began_at, self.listed_after), &survey.known);
        let mut effects = Effects::default();
        self.lifecycle.advance(self.shown(answered_at), &mut effects);
        self.lifecycle.reconcile(&snapshot, &survey.open, &mut effects);
        self.commit(effects);
        self.set_clock(answered_at);
        let again = self.again.and_then(|(_, more)| Some((more, more.checked_sub(1)?)));
        self.again = again.map(|(more, fewer)| (answered_at + AGAIN[AGAIN.len() - more], fewer));
        self.want_survey(answered_at);
    }

    /// Time has passed.
    pub(crate) fn pass_time(&mut self, now: i64) {
        let mut effects = Effects::default();
        self.lifecycle.advance(self.shown(now), &mut effects);
        self.commit(effects);
    }

    /// A day passes, in which nothing happens.
    pub(crate) fn rest(&mut self) {
        let mut effects = Effects::default();
        self.lifecycle.advance(self.lifecycle.now() + SignedDuration::from_hours(24), &mut effects);
        self.commit(effects);
    }

    /// The daemon is started anew, with what its outbox has kept.
    pub(crate) fn restart(&mut self, now: i64) {
        self.lifecycle = self.stage.story.lifecycle();
        for state in self.kept.values() {
            self.lifecycle.restore(Kept::read(state).expect("a state reads back"));
        }
        self.clock = (self.lifecycle.now().as_microsecond(), now);
        (self.survey, self.again, self.wanted_at) = (None, None, None);
    }

    /// What the node's clock shows.
    fn shown(&self, now: i64) -> Timestamp {
        let (shown, set_at) = self.clock;
        micros(shown + now - set_at)
    }

    fn commit(&mut self, effects: Effects) {
        for hash in &effects.changed {
            match self.lifecycle.state(*hash) {
                Some((_, state)) => self.kept.insert(*hash, state),
                None => self.kept.remove(hash),
            };
        }
        self.payloads.extend(effects.moments.into_iter().map(|moment| moment.payload));
    }
}
