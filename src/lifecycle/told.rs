//! Queues outside FreeSWITCH as a source: what is told of attempts by others (`source = "api"`).
//!
//! Whoever tells gives each attempt a key and each signal an identifier, may tell anything again, and is told when something
//! can't have happened. What was accepted is remembered with the attempt, and for a while after it has left. An attempt that
//! is not heard of for its time to live leaves with `lost`.

use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::anomaly::Anomaly;
use super::attempt::{Attempt, Loss};
use super::attempts::LIVE_BYTES;
use super::following::Disorder;
use super::input::Input;
use super::machine::{Effects, Lifecycle};
use super::subscriber::{Named, Subscriber};
use super::world::Occasion;
use super::wrap_up::AgentMove;
use crate::config::queue::QueueSource;
use crate::freeswitch::channel::ChannelData;
use crate::id::{
    AgentName, AttemptHash, AttemptKey, ChannelUuid, ContentHash, CoreUuid, MemberUuid, NodeName, QueueName,
};
use crate::moment::value::{Source, Time};
use crate::signal::event::ToldByEvent;
use crate::signal::{Opening, Signal, SignalId, Step, TellersKey, Telling};

/// The node that payloads name where HTTP told, and what stands in the place of its FreeSWITCH process.
pub const API_NODE: &str = "api";

/// How long an attempt may go without being heard of, unless the queue says otherwise: longer than people are silent in a
/// chat, and short enough that what a crashed teller left behind is over the same day.
const TIME_TO_LIVE: Duration = Duration::from_secs(60 * 60);

/// How many signals an attempt may have: each is remembered. With more, somebody repeats himself under new names.
const SIGNALS_LIMIT: usize = 256;

/// How far ahead of ours a teller's clock may be; what it says is then now.
const CLOCK_TOLERANCE: SignedDuration = SignedDuration::from_secs(5);

/// What was accepted of an attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// Its opening.
    opening: Accepted,
    /// The signals, in their order.
    signals: Vec<Accepted>,
    /// When it was last heard of, since the daemon's start.
    #[serde(skip)]
    heard_at: Option<Timestamp>,
    /// How long nobody could be heard since.
    #[serde(skip)]
    unheard: SignedDuration,
}

/// Something that was accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Accepted {
    /// The signal's name; the opening has none.
    id: Option<SignalId>,
    content: ContentHash,
    at: Timestamp,
    /// How many of the eight moments the attempt had then.
    sequence: u32,
}

/// What a teller is answered: the same however often it tells the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Acknowledgement {
    /// The attempt's identifier.
    pub attempt: AttemptHash,
    /// Its number, as payloads carry it.
    pub attempt_id: u64,
    /// When it happened, as it was taken down.
    pub at: Time,
    /// The attempt's moments of the eight events until then.
    pub sequence: u32,
    /// Whether it was told before.
    #[serde(skip)]
    pub is_repeated: bool,
}

/// Why something that was told is not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The queue is not told of.
    #[error("there is no queue `{0}` with `source = \"api\"`")]
    Queue(QueueName),
    /// There is no such attempt.
    #[error("there is no attempt `{key}` in `{queue}`")]
    Attempt {
        /// The queue.
        queue: QueueName,
        /// The attempt's key.
        key: TellersKey,
    },
    /// The same name was given to something else before.
    #[error("`{0}` was told before with another content")]
    OtherContent(String),
    /// The attempt is over.
    #[error("the attempt has left")]
    HasLeft,
    /// What is told can't follow what was told before.
    #[error("{0}")]
    Order(Disorder),
    /// It happened before what was told before.
    #[error("{at} is before {former}, when the former signal happened")]
    TooEarly {
        /// When it is said to have happened.
        at: Timestamp,
        /// When the former did.
        former: Timestamp,
    },
    /// It has not happened yet.
    #[error("{at} is in the future; it is {now}")]
    InFuture {
        /// When it is said to have happened.
        at: Timestamp,
        /// What time it is.
        now: Timestamp,
    },
    /// The attempt has had too many signals.
    #[error("the attempt has had {SIGNALS_LIMIT} signals, and no more are taken")]
    TooManySignals,
    /// There are too many attempts.
    #[error("too many attempts live")]
    TooManyAttempts,
    /// The live attempts have too many bytes.
    #[error("the live attempts have {} MiB of variables, names and signals; nothing more is taken until some have left", LIVE_BYTES / 1024 / 1024)]
    TooManyBytes,
    /// No attempt can have happened then.
    #[error("{0} is before the year {EARLIEST_YEAR}")]
    LongAgo(Timestamp),
}

/// Something that is told, on its way.
struct Word<'a> {
    queue: &'a QueueName,
    key: &'a TellersKey,
    now: Timestamp,
    source: &'a Source,
    /// The event that told it, which may have a channel's data.
    data: Option<ChannelData<'a>>,
}

impl Lifecycle {
    /// The lifecycle of the attempts that are told of over HTTP.
    pub fn of_api(config: std::sync::Arc<crate::config::Config>) -> Self {
        let mut lifecycle = Self::new(NodeName::from(API_NODE), config);
        lifecycle.here.core = Some(CoreUuid::from(API_NODE));
        lifecycle
    }

    /// Something is told of an attempt, now. Time must have passed up to now before.
    pub fn tell(
        &mut self,
        queue: &QueueName,
        key: &TellersKey,
        telling: &Telling,
        effects: &mut Effects,
    ) -> Result<Acknowledgement, Refusal> {
        let word = Word { queue, key, now: self.here.now, source: &Source::default(), data: None };
        self.hear(&word, telling, effects)
    }

    /// Something is told of an attempt by an event.
    pub(super) fn tell_by_event(
        &mut self,
        input: &Input<'_>,
        told: &ToldByEvent,
        data: ChannelData<'_>,
        effects: &mut Effects,
    ) {
        let ToldByEvent { queue, key, telling } = told;
        let word = Word { queue, key, now: input.at, source: &input.source, data: Some(data) };
        if let Err(refusal) = self.hear(&word, telling, effects) {
            tracing::debug!(%queue, %key, %refusal, "what an event tells is refused");
            self.anomalies.count(Anomaly::RefusedSignal);
        }
    }

    fn hear(&mut self, word: &Word<'_>, telling: &Telling, effects: &mut Effects) -> Result<Acknowledgement, Refusal> {
        let core = self.here.core.clone();
        let is_told = self.world.config.source(word.queue.as_str()) == QueueSource::Api;
        let Some(core) = core.filter(|_| is_told) else { return Err(Refusal::Queue(word.queue.clone())) };
        let (member, session) = (MemberUuid::from(word.key.as_str()), ChannelUuid::from(word.key.as_str()));
        let key = AttemptKey { core, queue: word.queue.clone(), member, session, ordinal: 0 };
        let answer = match telling {
            Telling::Opening(opening) => self.open_told(key, word, opening, effects),
            Telling::Signal(signal) => self.take_signal(key.hash(), word, signal, effects),
        };
        self.tell_queue_counts(effects);
        answer
    }

    fn open_told(
        &mut self,
        key: AttemptKey,
        word: &Word<'_>,
        opening: &Opening,
        effects: &mut Effects,
    ) -> Result<Acknowledgement, Refusal> {
        let (hash, content) = (key.hash(), opening.content());
        if let Some(told) = self.told(hash) {
            if told.opening.content != content {
                return Err(Refusal::OtherContent(word.key.to_string()));
            }
            let answer = told.opening.acknowledge(hash, true);
            self.keep_alive(hash, word.now);
            return Ok(answer);
        }
        let joined_at = moment_of(opening.at, word.now, Timestamp::MIN, SignedDuration::ZERO)?;
        if !self.has_room() {
            return Err(Refusal::TooManyAttempts);
        }
        if !self.attempts.have_bytes() {
            return Err(Refusal::TooManyBytes);
        }
        let settings = self.world.config.queue(&key.queue).settings.clone();
        let mut attempt = Attempt::begin(key, self.here.name.clone(), QueueSource::Api, settings, joined_at);
        let subscriber = word.data.map_or_else(Subscriber::default, |data| {
            let known = data.uuid().and_then(|uuid| self.here.channels.get(&uuid));
            Subscriber::of(known, Some(data), &Named::by_caller_id(data))
        });
        attempt.introduce(opening, subscriber, word.data);
        let opening = Accepted { id: None, content, at: joined_at, sequence: 1 };
        let answer = opening.acknowledge(hash, false);
        attempt.told = Some(Box::new(Told {
            opening,
            signals: Vec::new(),
            heard_at: Some(word.now),
            unheard: SignedDuration::ZERO,
        }));
        self.attempts.insert(attempt);
        self.with_attempt(hash, joined_at, word.source, effects, |attempt, occasion| {
            attempt.join(occasion, false, false);
        });
        Ok(answer)
    }

    fn take_signal(
        &mut self,
        hash: AttemptHash,
        word: &Word<'_>,
        signal: &Signal,
        effects: &mut Effects,
    ) -> Result<Acknowledgement, Refusal> {
        let content = signal.content();
        let unknown = || Refusal::Attempt { queue: word.queue.clone(), key: word.key.clone() };
        let told = self.told(hash).ok_or_else(unknown)?;
        if let Some(known) = told.find(&signal.id) {
            if known.content != content {
                return Err(Refusal::OtherContent(signal.id.to_string()));
            }
            let answer = known.acknowledge(hash, true);
            self.keep_alive(hash, word.now);
            return Ok(answer);
        }
        let attempt = self.attempt(hash).filter(|attempt| attempt.left_at().is_none()).ok_or(Refusal::HasLeft)?;
        attempt.may_follow(&signal.signal).map_err(Refusal::Order)?;
        if told.signals.len() >= SIGNALS_LIMIT {
            return Err(Refusal::TooManySignals);
        }
        if !self.attempts.have_bytes() && !matches!(signal.signal, Step::Leaving { .. }) {
            return Err(Refusal::TooManyBytes);
        }
        // By a clock that was set back since, what comes after it may be before it.
        let set_back = attempt.clock_step.min(SignedDuration::ZERO);
        let at = moment_of(signal.at, word.now, told.latest().at, set_back)?;
        if let Step::Offering { agent } = &signal.signal {
            self.note_told_offer(agent, hash, at, word.source, effects);
        }
        let mut sequence = 0;
        self.with_attempt(hash, at, word.source, effects, |attempt, occasion| {
            attempt.follow(occasion, &signal.signal);
            sequence = attempt.accept(occasion, signal, content);
        });
        Ok(Accepted { id: None, content, at, sequence }.acknowledge(hash, false))
    }

    /// An attempt is offered to an agent, whose post-processing of another is over with it.
    fn note_told_offer(
        &mut self,
        agent: &AgentName,
        hash: AttemptHash,
        at: Timestamp,
        source: &Source,
        effects: &mut Effects,
    ) {
        self.attempts.note_offer(agent.as_str(), hash);
        for other in self.attempts.wrapping_up(agent.as_str()).into_iter().filter(|other| *other != hash) {
            self.with_attempt(other, at, source, effects, |attempt, occasion| {
                attempt.move_agent(occasion, agent.as_str(), AgentMove::Offer);
            });
        }
    }

    /// The clock by which things are told was set: what waits for a time waits as long as before, and what is remembered is
    /// remembered as long.
    pub fn follow_clock(&mut self, step: SignedDuration) {
        let moved = |time: Timestamp| time.saturating_add(step).unwrap_or(time);
        let now = self.here.now;
        self.here.now = moved(now);
        self.here.memory.follow_clock(moved);
        self.here.deadlines.clear();
        for (hash, held) in self.attempts.all_held_mut() {
            held.attempt.follow_wall_clock(step);
            held.deadline = held.deadline.map(moved);
            self.here.deadlines.extend(held.deadline.map(|at| (at, hash)));
        }
    }

    /// For that long nobody could be heard: times to live are longer by it.
    pub fn extend_times_to_live(&mut self, span: SignedDuration) {
        for (_, held) in self.attempts.all_mut() {
            if let Some(told) = held.attempt.told.as_deref_mut() {
                told.unheard = told.unheard.saturating_add(span);
            }
        }
    }

    /// What was accepted of an attempt, be it over.
    fn told(&self, hash: AttemptHash) -> Option<&Told> {
        let held = self.attempts.held(hash).and_then(|held| held.attempt.told.as_deref());
        let departed = || self.nodes().find_map(|node| node.memory.departed(hash))?.told.as_deref();
        held.or_else(departed)
    }

    /// An attempt was heard of: its time to live begins anew.
    fn keep_alive(&mut self, hash: AttemptHash, now: Timestamp) {
        let held = self.attempts.held_mut(hash);
        if let Some(told) = held.and_then(|held| held.attempt.told.as_mut()) {
            told.hear(now);
        }
    }
}

impl Told {
    /// About how many bytes it has.
    pub(super) fn bytes(&self) -> usize {
        let ids: usize = self.signals.iter().filter_map(|signal| signal.id.as_ref()).map(|id| id.as_str().len()).sum();
        ids + self.signals.len() * size_of::<Accepted>()
    }

    fn hear(&mut self, now: Timestamp) {
        self.heard_at = self.heard_at.max(Some(now));
        self.unheard = SignedDuration::ZERO;
    }

    fn find(&self, id: &SignalId) -> Option<&Accepted> {
        self.signals.iter().find(|accepted| accepted.id.as_ref() == Some(id))
    }

    fn latest(&self) -> &Accepted {
        self.signals.last().unwrap_or(&self.opening)
    }
}

impl Accepted {
    fn acknowledge(&self, attempt: AttemptHash, is_repeated: bool) -> Acknowledgement {
        let (at, sequence) = (Time(self.at), self.sequence);
        Acknowledgement { attempt_id: attempt.attempt_id(), attempt, at, sequence, is_repeated }
    }
}

impl Attempt {
    /// Moves what it waits for by as much as the clock was set.
    pub(super) fn follow_wall_clock(&mut self, step: SignedDuration) {
        let moved = |time: Timestamp| time.saturating_add(step).unwrap_or(time);
        self.clock_step = self.clock_step.saturating_add(step);
        if let Some(wrap_up) = &mut self.wrap_up {
            (wrap_up.since, wrap_up.due) = (moved(wrap_up.since), moved(wrap_up.due));
        }
        if let Some(told) = &mut self.told {
            told.heard_at = told.heard_at.map(moved);
        }
        self.dirty = true;
    }

    /// Takes down that a signal was accepted: gives the number of moments until then.
    fn accept(&mut self, occasion: &Occasion<'_>, signal: &Signal, content: ContentHash) -> u32 {
        // Conclusions are drawn after this; leaving is the only one that has a number.
        let sequence = self.sequence + u32::from(matches!(signal.signal, Step::Leaving { .. }));
        if let Some(told) = &mut self.told {
            told.hear(occasion.now);
            told.signals.push(Accepted { id: Some(signal.id.clone()), content, at: occasion.at, sequence });
        }
        self.dirty = true;
        sequence
    }

    /// Gives an attempt up that was not heard of for too long; returns when that will be.
    pub(super) fn settle_told(&mut self, now: Timestamp) -> Option<Timestamp> {
        if self.left_at().is_some() {
            return None;
        }
        let ttl = self.settings.ttl.unwrap_or(TIME_TO_LIVE);
        // After a restart of the daemon, nobody could be heard before.
        let told = self.told.as_mut()?;
        let heard_at = *told.heard_at.get_or_insert(now);
        let due = (heard_at + ttl).saturating_add(told.unheard).unwrap_or(Timestamp::MAX);
        if now < due {
            return Some(due);
        }
        self.lose(Loss::new(heard_at, now));
        self.dirty = true;
        None
    }

    /// Whether all facts about it come from a teller.
    pub fn is_told(&self) -> bool {
        self.source == QueueSource::Api
    }
}

/// The first year in which anything can have happened: a time before it is a mistake, as that of a clock that was never set.
const EARLIEST_YEAR: i16 = 2000;

/// When something happened: as it says itself, if that can be, else now. It is not before the former signal, but where the
/// clock was set back meanwhile.
fn moment_of(
    said: Option<Timestamp>,
    now: Timestamp,
    former: Timestamp,
    set_back: SignedDuration,
) -> Result<Timestamp, Refusal> {
    let Some(at) = said else { return Ok(now.max(former)) };
    if at.to_zoned(TimeZone::UTC).year() < EARLIEST_YEAR {
        return Err(Refusal::LongAgo(at));
    }
    if at > now.saturating_add(CLOCK_TOLERANCE).unwrap_or(Timestamp::MAX) {
        return Err(Refusal::InFuture { at, now });
    }
    if at < former.saturating_add(set_back).unwrap_or(Timestamp::MIN) {
        return Err(Refusal::TooEarly { at, former });
    }
    Ok(at.min(now).max(former))
}
