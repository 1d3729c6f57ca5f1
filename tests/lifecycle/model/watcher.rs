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
}

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
    fn glance(self, began_at: i64) -> Glance {
        let channels_at = began_at + self.channels_ms * 1_000;
        let members_at = channels_at + self.members_ms * 1_000;
        Glance { channels_at, members_at, dumps_at: members_at + self.dumps_ms * 1_000 }
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
        Self { stage, lifecycle, payloads: Vec::new(), kept: BTreeMap::new(), clock, survey: None }
    }

    /// An event has come.
    pub(crate) fn hear(&mut self, sent: &Sent, now: i64) {
        let mut effects = Effects::default();
        self.lifecycle.advance(self.shown(now - 1), &mut effects);
        self.lifecycle.handle_event(&sent.event, &mut effects);
        self.commit(effects);
        self.set_clock(now);
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
        self.begin_survey(now, lasts);
    }

    /// The connection is lost.
    pub(crate) fn disconnect(&mut self, now: i64) {
        self.pass_time(now);
        self.lifecycle.end_connection(self.shown(now));
        self.survey = None;
    }

    /// Events were dropped: a survey begins.
    pub(crate) fn notice_gap(&mut self, now: i64, lasts: SurveyTimes) {
        self.lifecycle.begin_gap();
        self.begin_survey(now, lasts);
    }

    fn begin_survey(&mut self, now: i64, lasts: SurveyTimes) {
        let (open, known) = (self.lifecycle.open_attempts(), self.lifecycle.open_stays());
        self.survey = Some(Survey { open, known, lasts, began_at: now });
    }

    /// Finishes the survey whose answers have come by now.
    pub(crate) fn finish_survey(&mut self, now: i64) {
        let is_done = |survey: &mut Survey| survey.began_at + survey.lasts.total_ms() * 1_000 <= now;
        let Some(survey) = self.survey.take_if(is_done) else { return };
        let answered_at = survey.began_at + survey.lasts.total_ms() * 1_000;
        let snapshot = self.stage.glance(survey.lasts.glance(survey.began_at), &survey.known);
        let mut effects = Effects::default();
        self.lifecycle.advance(self.shown(answered_at), &mut effects);
        self.lifecycle.reconcile(&snapshot, &survey.open, &mut effects);
        self.commit(effects);
        self.set_clock(answered_at);
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
        self.survey = None;
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
