//! A dialer's channels as a source: queues whose members are called without mod_callcenter.
//!
//! A dialer names queue, side and attempt in the variables of each leg that it makes. Every event of the leg carries them,
//! so whichever comes first shows the attempt, and when it began. mod_fifo marks the legs on which it calls consumers in a
//! like way, so these are known here as well; what else it tells is in [`super::fifo`]. What the steps change of an attempt
//! is in [`super::dialled`].

use std::borrow::Cow;

use jiff::Timestamp;

use super::anomaly::Anomaly;
use super::attempt::Attempt;
use super::input::Input;
use super::joining::Newcomer;
use super::machine::{Effects, Lifecycle};
use super::memory::Stay;
use super::subscriber::{self, Named, Subscriber};
use super::wrap_up::AgentMove;
use crate::config::queue::QueueSource;
use crate::esl::Event;
use crate::freeswitch::channel::{ChannelData, Direction};
use crate::freeswitch::fact::{ChannelStep, MemberRef, Stamp};
use crate::freeswitch::header as h;
use crate::id::{AttemptHash, ChannelUuid};
use crate::moment::value::{QueueType, Side, Source};

/// What stands before a dialer's name for an attempt where other attempts have their member's channel: the key must be the
/// same before the member is called. No channel is named so.
const NAMED: &str = "hookswitch_attempt ";

/// A leg whose variables say which attempt it belongs to.
#[derive(Debug)]
struct MarkedLeg<'e> {
    source: QueueSource,
    member: MemberRef<'e>,
    side: Side,
}

/// What a mark lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Incomplete;

impl<'e> MarkedLeg<'e> {
    /// Reads the marks; none of a leg that mod_callcenter has made, or carries.
    fn read(data: ChannelData<'e>) -> Option<Result<Self, Incomplete>> {
        if data.header(h::CC_MEMBER_UUID_VARIABLE).is_some() {
            return None;
        }
        if let Some(queue) = data.header(h::HOOKSWITCH_QUEUE) {
            return Some(Self::of_dialer(queue, data).ok_or(Incomplete));
        }
        let (queue, caller) = (data.header(h::FIFO_NAME_VARIABLE)?, data.header(h::FIFO_BRIDGE_UUID)?);
        let member = MemberRef { queue, member: caller.clone(), session: caller };
        Some(Ok(Self { source: QueueSource::Fifo, member, side: Side::Agent }))
    }

    fn of_dialer(queue: Cow<'e, str>, data: ChannelData<'e>) -> Option<Self> {
        let side = match &*data.header(h::HOOKSWITCH_SIDE)? {
            "member" => Side::Member,
            "agent" => Side::Agent,
            _ => return None,
        };
        let attempt = data.header(h::HOOKSWITCH_ATTEMPT)?;
        let session = format!("{NAMED}{attempt}").into();
        Some(Self { source: QueueSource::Channel, member: MemberRef { queue, member: attempt, session }, side })
    }
}

impl Lifecycle {
    /// A channel has taken a step: gives the attempt of a queue without mod_callcenter to which it belongs. One that nobody
    /// has seen begin is opened, and whom the leg calls is noted.
    pub(super) fn marked_leg(
        &mut self,
        input: &Input<'_>,
        step: ChannelStep,
        uuid: &str,
        data: ChannelData<'_>,
        effects: &mut Effects,
    ) -> Option<AttemptHash> {
        if let Some(known) = self.known_leg(uuid) {
            return Some(known);
        }
        if !self.world.config.has_sources() {
            return None;
        }
        let leg = match MarkedLeg::read(data)? {
            Ok(leg) if self.world.config.source(&leg.member.queue) == leg.source => leg,
            Ok(_) => return None,
            Err(Incomplete) => {
                self.anomalies.count(Anomaly::Malformed);
                return None;
            }
        };
        let is_seen = step == ChannelStep::Create;
        let hash = self.attempt_of_leg(input, &leg, is_seen, data, effects)?;
        match leg.side {
            Side::Agent => self.offer_on_leg(input, hash, uuid, is_seen, data, effects),
            Side::Member | Side::System => self.call_member(input, hash, uuid, data, effects),
        }
        self.attempt(hash).is_some().then_some(hash)
    }

    /// The attempt without mod_callcenter that a leg is known to belong to.
    fn known_leg(&self, uuid: &str) -> Option<AttemptHash> {
        let serves = self.here.channels.get(uuid).and_then(|channel| channel.serves);
        let served = serves.filter(|hash| self.attempt(*hash).is_some_and(|a| a.source != QueueSource::Callcenter));
        served.or_else(|| {
            let is_dialled = |hash: &AttemptHash| self.attempt(*hash).is_some_and(Attempt::is_dialled);
            self.attempts.on_session(uuid).into_iter().find(is_dialled)
        })
    }

    /// The attempt that a marked leg names.
    fn attempt_of_leg(
        &mut self,
        input: &Input<'_>,
        leg: &MarkedLeg<'_>,
        is_seen: bool,
        data: ChannelData<'_>,
        effects: &mut Effects,
    ) -> Option<AttemptHash> {
        let MemberRef { queue, member, session } = &leg.member;
        let found = self.attempts.find(queue, member, session);
        let left_at = found.and_then(|hash| self.attempt(hash)).and_then(Attempt::left_at);
        if found.is_some() && left_at.is_none() {
            return found;
        }
        let began_at = if is_seen { input.at } else { data.created_at().unwrap_or(input.at) };
        let left_at = left_at.or(self.settled(&Stay::named_by(&leg.member)).map(|settled| settled.left_at));
        if left_at.is_some_and(|left_at| began_at <= left_at || !self.may_begin_with(leg)) {
            // That a leg outlives its attempt is usual.
            if is_seen {
                self.anomalies.count(Anomaly::AfterLeaving);
            }
            return None;
        }
        if leg.source == QueueSource::Fifo {
            // Its caller entered the fifo before the daemon listened, or has left it.
            self.anomalies.count(Anomaly::UnknownAttempt);
            return None;
        }
        if !self.may_begin_with(leg) && !input.waited {
            // The member's leg was made first, and its event is on its way.
            self.keep(input, session);
            return None;
        }
        if !is_seen && !input.is_snapshot && self.here.connected_at.is_none_or(|at| began_at <= at) {
            if !input.waited && self.here.early.is_surveyed() {
                // It was made just before the connection, and a survey may find it.
                self.keep(input, session);
                return None;
            }
            if !self.here.early.is_surveyed() || self.was_there_at_start(Some(began_at)) {
                self.anomalies.count(Anomaly::BeganBefore);
                return None;
            }
        }
        self.open_dialled(input, leg, began_at, !is_seen, data, effects)
    }

    /// Whether such a leg is the first of an attempt: a member's is, and an agent's where agents are called first.
    fn may_begin_with(&self, leg: &MarkedLeg<'_>) -> bool {
        let queue_type = self.world.config.queue(&(&*leg.member.queue).into()).settings.queue_type;
        leg.side == Side::Member || matches!(queue_type, QueueType::Preview | QueueType::Offline)
    }

    fn open_dialled(
        &mut self,
        input: &Input<'_>,
        leg: &MarkedLeg<'_>,
        joined_at: Timestamp,
        synthetic: bool,
        data: ChannelData<'_>,
        effects: &mut Effects,
    ) -> Option<AttemptHash> {
        let newcomer = Newcomer {
            member: &leg.member,
            source: leg.source,
            brings_call: leg.side == Side::Member,
            named: Named::by_caller_id(data),
            data,
            joined_at,
            bridged_before: None,
            resumed: false,
            synthetic,
        };
        let hash = self.open(input, newcomer, effects)?;
        self.apply_early(&leg.member.session, effects);
        Some(hash)
    }

    /// A leg on which an agent is called.
    fn offer_on_leg(
        &mut self,
        input: &Input<'_>,
        hash: AttemptHash,
        uuid: &str,
        is_seen: bool,
        data: ChannelData<'_>,
        effects: &mut Effects,
    ) {
        let Some(agent) = agent_on(data) else {
            self.anomalies.count(Anomaly::Malformed);
            return;
        };
        self.move_agent(input, &agent, AgentMove::Offer, Some(hash), effects);
        // While the event was kept, its channel may have ended.
        if !input.again || self.here.channels.get(uuid).is_some() {
            self.note_leg(uuid, hash);
        }
        self.with_attempt(hash, input.at, &input.source, effects, |attempt, occasion| {
            attempt.offer_on_leg(occasion, &agent, ChannelUuid::new(uuid), data, is_seen);
        });
        if self.attempt(hash).is_some() {
            self.attempts.note_offer(&agent, hash);
        }
    }

    /// A leg on which the member is called. Where one is called on several, the first counts.
    fn call_member(
        &mut self,
        input: &Input<'_>,
        hash: AttemptHash,
        uuid: &str,
        data: ChannelData<'_>,
        effects: &mut Effects,
    ) {
        let channel = ChannelUuid::new(uuid);
        match self.attempt(hash).and_then(Attempt::channel) {
            Some(known) if *known != channel => return self.anomalies.count(Anomaly::RepeatedJoin),
            Some(_) => {}
            None => {
                let known = self.here.channels.get(uuid);
                let subscriber = Subscriber::of(known, Some(data), &Named::by_caller_id(data));
                self.with_attempt(hash, input.at, &input.source, effects, |attempt, _| {
                    attempt.introduce_subscriber(subscriber);
                    attempt.take_call(data);
                });
            }
        }
        self.attempts.note_session(channel, hash);
    }

    /// What a step of a leg means for the attempt that it was found to belong to, beside what it means for any attempt.
    pub(super) fn leg_step(
        &mut self,
        input: &Input<'_>,
        hash: AttemptHash,
        step: ChannelStep,
        uuid: &str,
        data: ChannelData<'_>,
        effects: &mut Effects,
    ) {
        let is_member = |attempt: &Attempt| attempt.channel().is_some_and(|channel| channel.as_str() == uuid);
        self.with_attempt(hash, input.at, &input.source, effects, |attempt, occasion| {
            match (step, is_member(attempt)) {
                (ChannelStep::Ring, true) => attempt.ring(occasion),
                (ChannelStep::Answer, true) => attempt.answer_call(occasion, data, input.is_snapshot),
                (ChannelStep::Judge, true) => attempt.judge(occasion, data),
                (ChannelStep::Beep, true) => attempt.hear_beep(),
                (ChannelStep::Answer, false) => attempt.answer_offer(occasion, uuid, data, input.is_snapshot),
                _ => {}
            }
        });
    }

    /// Takes over the legs that a survey has found and that nobody saw being made: first all of them, then who is connected
    /// with whom.
    pub(super) fn take_over_legs(&mut self, mut dumps: Vec<&Event>, effects: &mut Effects) {
        dumps.sort_by_key(|dump| ChannelData(dump).created_at());
        for dump in &dumps {
            self.take_over_leg(dump, effects);
        }
        for dump in dumps {
            let data = ChannelData(dump);
            let Some(hash) = data.uuid().and_then(|uuid| self.known_leg(&uuid)) else { continue };
            let source = self.source_of_snapshot();
            self.with_attempt(hash, self.here.now, &source, effects, |attempt, occasion| {
                attempt.infer_bridge(occasion, data);
            });
        }
    }

    fn take_over_leg(&mut self, dump: &Event, effects: &mut Effects) {
        let data = ChannelData(dump);
        let Some(uuid) = data.uuid() else { return };
        let at = Stamp::read(dump).at.unwrap_or(self.here.now);
        self.here.now = self.here.now.max(at);
        let input = Input::of_snapshot(dump, at, self.source_of_snapshot());
        let is_new = self.known_leg(&uuid).is_none();
        if is_new && self.was_there_at_start(data.created_at()) {
            return;
        }
        if self.take_over_caller(&input, &uuid, data, effects) {
            return;
        }
        let Some(hash) = self.marked_leg(&input, ChannelStep::Ring, &uuid, data, effects) else { return };
        if data.answered_at().is_some() {
            self.leg_step(&input, hash, ChannelStep::Answer, &uuid, data, effects);
        }
    }

    fn source_of_snapshot(&self) -> Source {
        Source { core_uuid: self.here.core.clone(), event_sequence: None }
    }
}

/// The agent on a leg: as the dialer names it, else by the number that was called, or has called.
pub(super) fn agent_on(data: ChannelData<'_>) -> Option<Cow<'_, str>> {
    let number = || match data.direction() {
        Some(Direction::Inbound) => data.header(h::CALLER_ID_NUMBER),
        _ => subscriber::dialled(data).map(Cow::Owned),
    };
    data.header(h::CC_AGENT_VARIABLE).or_else(number)
}

/// Whether that is a dialer's name in the place of a channel.
pub(super) fn is_named(session: &ChannelUuid) -> bool {
    session.as_str().starts_with(NAMED)
}
