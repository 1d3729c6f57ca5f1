//! Events that came before the attempt they are about.
//!
//! They wait for the member's start, which can come a little later, and for a survey: where a member joined just before the
//! connection, neither the events nor the survey that follows it tell of the start, because mod_callcenter tells of a member
//! before it lists it. So whoever surveys the node is asked to do so once more ([`EarlyEvents::want_survey`]), and the
//! events wait until that is answered. Where nobody surveys, as in a recording of events alone, they don't.

use std::collections::{HashMap, VecDeque};

use jiff::{SignedDuration, Timestamp};

use crate::esl::Event;

/// How long an event waits for its attempt: `agent-offering` can come before `member-queue-start`.
const EARLY_WAIT: SignedDuration = SignedDuration::from_secs(2);

/// The longest that an event waits for a survey: one takes seconds where FreeSWITCH is overloaded, and may fail once.
const SURVEY_WAIT: SignedDuration = SignedDuration::from_secs(20);

/// The most events that wait. Each keeps the buffer it was read into alive.
const EARLY_LIMIT: usize = 1_000;

/// How many surveys are made in one connection for the same member: one who was found by none is left alone, as those are
/// whom mod_callcenter offers although they are gone, or whom the configuration ignores.
const SURVEYS_FOR_A_MEMBER: u8 = 2;

/// The most members of whom it is kept that surveys did not find them.
const SOUGHT_LIMIT: usize = 10_000;

/// An event that waits.
#[derive(Debug)]
pub struct EarlyEvent {
    /// Until when.
    until: Timestamp,
    /// Since when.
    since: Timestamp,
    /// The member's channel.
    pub session: Box<str>,
    /// The event.
    pub event: Event,
}

/// The events that wait, those first that are to wait no longer.
#[derive(Debug, Default)]
pub struct EarlyEvents {
    events: VecDeque<EarlyEvent>,
    members: HashMap<Box<str>, UnknownMember>,
    surveys: Surveys,
}

/// A member of whom nothing but events is known.
#[derive(Debug, Default)]
struct UnknownMember {
    /// How many events wait.
    events: usize,
    /// How many surveys had begun when the first came.
    surveys_begun: u64,
    /// How many surveys that began later did not find the member.
    sought: u8,
}

/// The surveys of this connection, by number.
#[derive(Debug, Default)]
struct Surveys {
    begun: u64,
    answered: Option<u64>,
}

impl Surveys {
    /// Whether a survey that is under way, or another one, may still find the member.
    fn may_find(&self, member: &UnknownMember) -> bool {
        self.begun > 0 && member.sought < SURVEYS_FOR_A_MEMBER
    }
}

impl EarlyEvents {
    /// Keeps an event of an attempt that is not known yet; false if there is no room.
    pub fn keep(&mut self, now: Timestamp, session: &str, event: &Event) -> bool {
        let room = self.events.len() < EARLY_LIMIT;
        if room {
            let (until, since) = (now + EARLY_WAIT, now);
            self.events.push_back(EarlyEvent { until, since, session: session.into(), event: event.clone() });
            let surveys_begun = self.surveys.begun;
            let new = || UnknownMember { surveys_begun, ..UnknownMember::default() };
            self.members.entry(session.into()).or_insert_with(new).events += 1;
        }
        room
    }

    /// When the first has waited long enough.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.events.front().map(|early| early.until)
    }

    /// Lets all events about the member of the first go on waiting, if a survey may still find the member, unless one of
    /// them can do without.
    pub fn wait_for_survey(&mut self, now: Timestamp, can_do_without: impl Fn(&Event) -> bool) -> bool {
        let Some(first) = self.events.front() else { return false };
        let may_find = self.members.get(&first.session).is_some_and(|member| self.surveys.may_find(member));
        let has_waited = first.since + SURVEY_WAIT <= now;
        if !may_find || has_waited || self.find(&first.session, can_do_without).is_some() {
            return false;
        }
        let session = first.session.clone();
        let (waiting, others) = std::mem::take(&mut self.events).into_iter().partition(|e| e.session == session);
        self.events = others;
        let waiting: VecDeque<EarlyEvent> = waiting;
        self.events.extend(waiting.into_iter().map(|early| EarlyEvent { until: now + EARLY_WAIT, ..early }));
        true
    }

    /// Takes out the first.
    pub fn pop(&mut self) -> Option<EarlyEvent> {
        let early = self.events.pop_front()?;
        if let Some(member) = self.members.get_mut(&early.session) {
            member.events -= 1;
            if member.events == 0 && member.sought == 0 {
                self.members.remove(&early.session);
            }
        }
        Some(early)
    }

    /// Takes out the events about a member's channel.
    pub fn take(&mut self, session: &str) -> Vec<Event> {
        self.members.remove(session);
        let (taken, kept) = std::mem::take(&mut self.events).into_iter().partition(|early| *early.session == *session);
        self.events = kept;
        let taken: VecDeque<EarlyEvent> = taken;
        taken.into_iter().map(|early| early.event).collect()
    }

    /// The first event about a member's channel of which that holds.
    pub fn find(&self, session: &str, holds: impl Fn(&Event) -> bool) -> Option<Event> {
        let about = self.events.iter().filter(|early| *early.session == *session).map(|early| &early.event);
        about.into_iter().find(|event| holds(event)).cloned()
    }

    /// Whether an event about a member's channel waits.
    pub fn has(&self, session: &str) -> bool {
        self.members.get(session).is_some_and(|member| member.events > 0)
    }

    /// The clock was set: those that wait do so as long as before.
    pub fn follow_clock(&mut self, moved: impl Fn(Timestamp) -> Timestamp) {
        for early in &mut self.events {
            (early.until, early.since) = (moved(early.until), moved(early.since));
        }
    }

    /// A survey begins: it may find those about whom events have come before.
    pub fn begin_survey(&mut self) {
        self.surveys.begun += 1;
    }

    /// The latest survey that began is answered; those whom it found are known by now.
    pub fn end_survey(&mut self) {
        let answered = self.surveys.begun;
        self.surveys.answered = Some(answered).filter(|number| *number > 0);
        for member in self.members.values_mut().filter(|member| member.events > 0) {
            member.sought += u8::from(member.surveys_begun < answered);
        }
        if self.members.len() > SOUGHT_LIMIT {
            self.members.retain(|_, member| member.events > 0);
        }
    }

    /// Whether a survey was answered in this connection.
    pub fn is_surveyed(&self) -> bool {
        self.surveys.answered.is_some()
    }

    /// Whether another survey may find a member about whom events wait. One that is under way may be too early for that.
    pub fn want_survey(&self) -> bool {
        self.events
            .iter()
            .any(|early| self.members.get(&early.session).is_some_and(|member| self.surveys.may_find(member)))
    }

    /// Another connection begins, or the latest has ended: nobody surveys until it is said again.
    pub fn begin_connection(&mut self) {
        self.surveys = Surveys::default();
        self.members.retain(|_, member| member.events > 0);
        for member in self.members.values_mut() {
            (member.surveys_begun, member.sought) = (0, 0);
        }
    }

    /// Forgets them all.
    pub fn clear(&mut self) {
        self.events.clear();
        self.members.clear();
    }
}
