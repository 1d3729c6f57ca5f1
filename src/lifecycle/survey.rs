//! What a survey of FreeSWITCH finds: which attempts are gone, and which nobody saw begin.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use super::attempt::{Attempt, Loss};
use super::directory::DirectoryQuestions;
use super::input::Input;
use super::joining::{Newcomer, not_before_the_call};
use super::machine::{Effects, LOSS_GRACE, Lifecycle};
use super::memory::{Settled, Stay};
use super::subscriber::Named;
use crate::config::WaitingAtStart;
use crate::config::queue::QueueSource;
use crate::esl::{Event, event};
use crate::freeswitch::Snapshot;
use crate::freeswitch::channel::ChannelData;
use crate::freeswitch::fact::{MemberRef, Stamp};
use crate::freeswitch::header as h;
use crate::freeswitch::snapshot::MemberRow;
use crate::id::{AttemptHash, AttemptKey, ChannelUuid, CoreUuid};
use crate::moment::value::Source;

/// What is older than this was there before a survey that ends now had asked for anything.
const BEFORE_SURVEY: SignedDuration = SignedDuration::from_secs(30);

/// The stays of the live attempts, with what is known of them.
pub type OpenStays = BTreeMap<Stay, KnownStay>;

/// What is known of a live attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownStay {
    /// Whether an agent is known to be connected.
    pub is_bridged: bool,
}

/// What is known of a node: a survey asks for the rest.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// The stays in mod_callcenter's queues.
    pub stays: OpenStays,
    /// The channels of which everything was heard; others may be a dialer's legs, or callers in a fifo. None where neither is
    /// followed.
    pub legs: Option<BTreeSet<ChannelUuid>>,
    /// The variables of which these have one.
    pub marks: Vec<&'static str>,
    /// What is to be read in FreeSWITCH's directory. None where it is not configured.
    pub directory: Option<DirectoryQuestions>,
}

/// How many attempts were not as a snapshot has them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Differences {
    /// Those that FreeSWITCH does not have any more, found so for the first time.
    pub gone: usize,
    /// Those that were taken over.
    pub new: usize,
}

impl Lifecycle {
    /// The live attempts of the node at hand: those that a snapshot, asked for now, is to be compared with. FreeSWITCH does
    /// not know those that others tell of.
    pub fn open_attempts(&self) -> BTreeSet<AttemptHash> {
        self.attempts_here().filter(|(_, attempt)| !attempt.is_told()).map(|(hash, _)| hash).collect()
    }

    /// A survey of the node at hand begins: gives the attempts that what it finds is to be compared with.
    pub fn begin_survey(&mut self) -> BTreeSet<AttemptHash> {
        self.here.early.begin_survey();
        self.open_attempts()
    }

    /// What a survey of the node at hand needs not ask FreeSWITCH again.
    pub fn open_stays(&self) -> OpenStays {
        let known =
            |(_, attempt): (_, &Attempt)| (Stay::of(&attempt.key), KnownStay { is_bridged: attempt.bridge.is_some() });
        let of_callcenter = self.attempts_here().filter(|(_, attempt)| attempt.source == QueueSource::Callcenter);
        of_callcenter.map(known).collect()
    }

    /// All that a survey needs to know before it asks.
    pub fn known(&self) -> Known {
        let sources = [(QueueSource::Channel, h::HOOKSWITCH_QUEUE), (QueueSource::Fifo, h::FIFO_PUSH_TIMESTAMP)];
        let marks = sources.iter().filter(|(source, _)| self.world.config.has_source(*source));
        let marks: Vec<_> = marks.filter_map(|(_, header)| header.strip_prefix(h::VARIABLE_PREFIX)).collect();
        Known {
            stays: self.open_stays(),
            legs: (!marks.is_empty()).then(|| self.here.channels.heard()),
            marks,
            directory: self.world.directory.questions(&self.world.config, self.here.now),
        }
    }

    fn attempts_here(&self) -> impl Iterator<Item = (AttemptHash, &Attempt)> {
        self.attempts.all().filter(|(_, attempt)| attempt.node == self.here.name)
    }

    /// Compares the node's attempts that were open when the snapshot was asked for with what it has: those that it does not
    /// have any more are lost, unless the events that tell their end are on their way. Members of whom nothing is known
    /// are taken over, unless the configuration leaves those alone who waited at the start; so is what the snapshot says of
    /// agents. Tells how many attempts were not as the snapshot has them.
    pub fn reconcile(
        &mut self,
        snapshot: &Snapshot,
        open: &BTreeSet<AttemptHash>,
        effects: &mut Effects,
    ) -> Differences {
        // What comes after it is waited for from then on: no event may have come yet that set the clock.
        self.here.now = snapshot.taken_at.map_or(self.here.now, |taken_at| taken_at.max(self.here.now));
        if let Some(core) = snapshot.core.as_ref().filter(|core| self.here.core.as_ref() != Some(core)) {
            self.change_core(core.clone(), effects);
        }
        let (lived, comparison) = (self.open_attempts(), self.begin_comparison(snapshot, open));
        self.find_agents(snapshot, effects);
        let gone_legs = self.here.channels.prune(|uuid| snapshot.channels.contains(uuid));
        let waiting: BTreeSet<_> = snapshot.members.iter().map(MemberRow::identity).collect();
        let is_listed =
            |key: &AttemptKey| waiting.contains(&(key.queue.as_str(), key.member.as_str(), key.session.as_str()));
        let lives = |channel: &ChannelUuid| snapshot.channels.contains(channel);
        let is_there = |attempt: &Attempt| match attempt.channel() {
            Some(channel) => lives(channel) && (attempt.source != QueueSource::Callcenter || is_listed(&attempt.key)),
            // The member is not called yet; an agent is, or was a moment ago.
            None => attempt.is_ending() || attempt.live_legs().any(lives),
        };
        let judged = self.attempts_here().filter(|(hash, _)| open.contains(hash));
        let (there, gone): (Vec<_>, Vec<_>) = judged.partition(|(_, attempt)| is_there(attempt));
        let hashes = |found: Vec<(AttemptHash, &Attempt)>| found.into_iter().map(|(hash, _)| hash).collect::<Vec<_>>();
        let (there, gone) = (hashes(there), hashes(gone));
        let first_missed = |hash: &&AttemptHash| self.attempt(**hash).is_some_and(|attempt| attempt.loss.is_none());
        let missed = gone.iter().filter(first_missed).count();
        let loss = self.here.compare();
        let (lives_on, is_over): (Vec<_>, Vec<_>) = gone.into_iter().partition(|hash| {
            self.attempt(*hash).and_then(Attempt::channel).is_some_and(|channel| snapshot.channels.contains(channel))
        });
        self.lose(is_over, &loss, effects);
        self.lose(lives_on, &Loss { call_lives: true, ..loss.clone() }, effects);
        self.lose_legs(gone_legs, loss.at, effects);
        let is_gone = |leg: &ChannelUuid| !snapshot.channels.contains(leg);
        let long_before = self.here.now - BEFORE_SURVEY;
        let outlasted = self.legs_that_outlast(|attempt| attempt.left_at().is_some_and(|at| at < long_before));
        self.lose_legs(outlasted.into_iter().filter(|(leg, _)| is_gone(leg)).collect(), loss.at, effects);
        let there: Vec<_> = there.into_iter().filter(|hash| self.attempts.is_latest(*hash)).collect();
        for hash in &there {
            if let Some(held) = self.attempts.held_mut(*hash) {
                held.attempt.loss = None;
            }
        }
        for row in &snapshot.members {
            if let Some(dump) = snapshot.dumps.get(row.session_uuid.as_str()) {
                self.take_over(row, dump, effects);
            }
        }
        let members: BTreeSet<_> = snapshot.members.iter().map(|row| row.session_uuid.as_str()).collect();
        let legs = snapshot.dumps.iter().filter(|(uuid, _)| !members.contains(uuid.as_str()));
        self.take_over_legs(legs.map(|(_, dump)| dump).collect(), effects);
        self.here.early.end_survey();
        // Only now all is known that the snapshot tells.
        for hash in there {
            self.with_attempt(hash, self.here.now, &Source::default(), effects, |_, _| {});
        }
        self.tell_queue_counts(effects);
        self.tell_reconciled(comparison, effects);
        Differences { gone: missed, new: self.open_attempts().difference(&lived).count() }
    }

    /// The FreeSWITCH process is another one than before: all attempts of the old one are over.
    pub(super) fn change_core(&mut self, core: CoreUuid, effects: &mut Effects) {
        let gone = self.attempts_here().filter(|(_, attempt)| attempt.key.core != core).map(|(hash, _)| hash).collect();
        let known_until = self.here.known_until();
        self.lose(gone, &Loss::new(known_until, known_until), effects);
        let outlasted = self.legs_that_outlast(|attempt| attempt.key.core != core);
        self.lose_legs(outlasted, known_until, effects);
        self.here.change_core(core);
    }

    /// The legs of agents who are on the phone although the member has left, of some of the node's attempts.
    fn legs_that_outlast(&self, is_meant: impl Fn(&Attempt) -> bool) -> Vec<(ChannelUuid, AttemptHash)> {
        let outlasted =
            self.attempts.outlasted().filter(|(_, attempt)| attempt.node == self.here.name && is_meant(attempt));
        outlasted.flat_map(|(hash, attempt)| attempt.live_legs().map(move |leg| (leg.clone(), hash))).collect()
    }

    /// Attempts were found gone.
    fn lose(&mut self, mut gone: Vec<AttemptHash>, loss: &Loss, effects: &mut Effects) {
        gone.sort_unstable_by_key(|hash| (self.attempt(*hash).map(|attempt| attempt.joined_at), *hash));
        let (now, source) = (self.here.now, Source { core_uuid: self.here.core.clone(), event_sequence: None });
        for hash in gone {
            self.with_attempt(hash, now, &source, effects, |attempt, _| attempt.lose(loss.clone()));
        }
    }

    /// Agents' legs were found gone: the offers that were made on them are over.
    fn lose_legs(&mut self, mut gone: Vec<(ChannelUuid, AttemptHash)>, at: Timestamp, effects: &mut Effects) {
        gone.sort_unstable();
        let (now, source) = (self.here.now, Source { core_uuid: self.here.core.clone(), event_sequence: None });
        for (leg, hash) in gone {
            self.with_attempt(hash, now, &source, effects, |attempt, occasion| {
                attempt.lose_leg(leg.as_str(), Loss::new(at, occasion.now + LOSS_GRACE));
            });
        }
    }

    /// Takes over a member that a snapshot shows, and its connection with an agent, as far as they are not known: nobody
    /// saw them begin.
    fn take_over(&mut self, row: &MemberRow, dump: &Event, effects: &mut Effects) {
        if !self.is_callcenters(&row.queue) {
            return;
        }
        let (queue, member, session) = row.identity();
        let member = MemberRef { queue: queue.into(), member: member.into(), session: session.into() };
        let data = ChannelData(dump);
        let is_in_queue = data.header(h::CC_QUEUE_VARIABLE).is_some_and(|queue| queue == member.queue);
        // The list tells whole seconds.
        let is_over = |settled: Settled| row.joined_at().is_none_or(|at| at.as_second() <= settled.left_at.as_second());
        if !is_in_queue || self.settled(&Stay::named_by(&member)).is_some_and(is_over) {
            return;
        }
        let at = Stamp::read(dump).at.unwrap_or(self.here.now);
        self.here.now = self.here.now.max(at);
        let source = Source { core_uuid: self.here.core.clone(), event_sequence: None };
        let input = Input::of_snapshot(dump, at, source);
        let known = self.attempts.find(&member.queue, &member.member, &member.session);
        if known.is_none() && self.was_there_at_start(row.joined_at()) {
            return;
        }
        let opened = known.or_else(|| {
            let text = |text| event::non_empty(Cow::Borrowed(text));
            let named = Named { name: text(&row.cid_name), number: text(&row.cid_number) };
            let joined_at = row.joined_at().map_or(at, |second| not_before_the_call(second, data, &member.session));
            // Who is connected while the survey's questions are answered is connected in this stay.
            let is_before = |at: &Timestamp| !row.is_answered() && at.as_second() <= joined_at.as_second();
            let bridged_before = data.bridged_at().filter(is_before);
            let resumed = row.is_resumed();
            let (source, brings_call, synthetic) = (QueueSource::Callcenter, false, true);
            let member = &member;
            let newcomer =
                Newcomer { member, source, brings_call, named, data, joined_at, bridged_before, resumed, synthetic };
            let opened = self.open(&input, newcomer, effects)?;
            self.apply_early(&member.session, effects);
            Some(opened)
        });
        let Some(hash) = opened else { return };
        if self.attempt(hash).is_some_and(|attempt| attempt.bridge.is_some()) || !row.is_answered() {
            return;
        }
        let (Some(agent), Some(leg), Some(bridged_at)) =
            (data.header(h::CC_AGENT_VARIABLE), data.header(h::CC_AGENT_UUID_VARIABLE), data.bridged_at())
        else {
            return;
        };
        self.attempts.note_offer(&agent, hash);
        self.note_leg(&leg, hash);
        self.with_attempt(hash, at, &input.source, effects, |attempt, occasion| {
            attempt.take_over_bridge(occasion, &agent, ChannelUuid::new(&*leg), bridged_at, data);
        });
    }

    /// Whether what began then was there at the start already, and the configuration leaves that alone. Where no event has
    /// come yet, whatever is there was.
    pub(super) fn was_there_at_start(&self, began_at: Option<Timestamp>) -> bool {
        let began_before = |start| began_at.is_none_or(|began_at| began_at <= start);
        self.world.config.daemon.waiting_at_start == WaitingAtStart::Ignore
            && self.here.followed_since.is_none_or(began_before)
    }
}
