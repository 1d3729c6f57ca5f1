//! mod_callcenter as a source: what its events, and those of the channels, mean for attempts.

use std::borrow::Cow;

use jiff::Timestamp;

use super::anomaly::Anomaly;
use super::attempt::{Attempt, Call, Member};
use super::ending::TransferMark;
use super::machine::{Effects, LOSS_GRACE, Lifecycle};
use super::memory::Stay;
use super::variables;
use super::wrap_up::AgentMove;
use crate::config::WaitingAtStart;
use crate::config::queue::QueueSource;
use crate::esl::Event;
use crate::freeswitch::channel::ChannelData;
use crate::freeswitch::fact::{ChannelStep, Fact, FactKind, MemberRef, MemberStep, OfferStep, Stamp};
use crate::freeswitch::header as h;
use crate::freeswitch::snapshot::MemberRow;
use crate::id::{AttemptHash, AttemptKey, ChannelUuid, CoreUuid};
use crate::moment::value::Source;

/// An event on its way through the lifecycle.
pub(super) struct Input<'a> {
    pub(super) event: &'a Event,
    pub(super) at: Timestamp,
    pub(super) source: Source,
    /// Whether the event was kept for an attempt, and is looked at again.
    pub(super) again: bool,
    /// Whether it has waited for its attempt in vain.
    pub(super) waited: bool,
    /// Whether it is a channel as a survey has found it.
    pub(super) is_snapshot: bool,
}

impl<'a> Input<'a> {
    /// A channel as a survey has found it: nothing that explains it is on its way.
    pub(super) fn of_snapshot(event: &'a Event, at: Timestamp, source: Source) -> Self {
        Self { event, at, source, again: false, waited: true, is_snapshot: true }
    }
}

/// A member for whom an attempt is to be opened.
pub(super) struct Newcomer<'a> {
    pub(super) member: &'a MemberRef<'a>,
    pub(super) source: QueueSource,
    /// Whether the data are those of a leg on which a dialer calls the member.
    pub(super) brings_call: bool,
    pub(super) name: Option<String>,
    pub(super) number: Option<String>,
    pub(super) data: ChannelData<'a>,
    pub(super) joined_at: Timestamp,
    /// When the channel had been connected before, where that is known.
    pub(super) bridged_before: Option<Timestamp>,
    pub(super) resumed: bool,
    pub(super) synthetic: bool,
}

impl<'a> Newcomer<'a> {
    fn of_event(member: &'a MemberRef<'a>, data: ChannelData<'a>, joined_at: Timestamp, synthetic: bool) -> Self {
        let text = |name| data.header(name).map(Cow::into_owned);
        let (name, number) = (text(h::CC_MEMBER_CID_NAME), text(h::CC_MEMBER_CID_NUMBER));
        let resumed = data.header(h::CC_ACTION).is_some_and(|action| action == "member-queue-resume");
        // What is made up of a later event may have been connected since.
        let bridged_before = data.bridged_at().filter(|_| !synthetic);
        let (source, brings_call) = (QueueSource::Callcenter, false);
        Self { member, source, brings_call, name, number, data, joined_at, bridged_before, resumed, synthetic }
    }
}

impl Lifecycle {
    /// One event has come.
    pub fn handle_event(&mut self, event: &Event, effects: &mut Effects) {
        match Fact::read(event) {
            Ok(fact) => {
                if let Some(input) = self.begin(event, &fact.stamp, effects) {
                    self.apply(&input, fact.kind, effects);
                    self.tell_queue_counts(effects);
                }
            }
            Err(malformed) => {
                tracing::debug!(%malformed, "an event lacks what it must have");
                self.anomalies.count(Anomaly::Malformed);
            }
        }
    }

    /// Moves the clock on to the event's time; none if the event has come before.
    fn begin<'a>(&mut self, event: &'a Event, stamp: &Stamp<'_>, effects: &mut Effects) -> Option<Input<'a>> {
        if let Some(core) = stamp.core.as_deref()
            && self.here.core.as_ref().map(CoreUuid::as_str) != Some(core)
        {
            self.change_core(core.into(), effects);
        }
        if stamp.sequence.is_some_and(|sequence| !self.here.seen.note(sequence)) {
            self.anomalies.count(Anomaly::RepeatedEvent);
            return None;
        }
        let at = stamp.at.unwrap_or(self.here.now);
        if self.next_deadline().is_some_and(|deadline| deadline < at) {
            // What was due before this event is decided without it; what falls due with it waits for it.
            self.advance(at - jiff::SignedDuration::from_nanos(1), effects);
        }
        self.here.now = self.here.now.max(at);
        self.here.connected_at.get_or_insert(at);
        self.here.followed_since.get_or_insert(at);
        Some(Input { event, at, source: self.source(stamp), again: false, waited: false, is_snapshot: false })
    }

    fn source(&self, stamp: &Stamp<'_>) -> Source {
        Source { core_uuid: self.here.core.clone(), event_sequence: stamp.sequence }
    }

    fn apply(&mut self, input: &Input<'_>, kind: FactKind<'_>, effects: &mut Effects) {
        match kind {
            FactKind::Member(_, member, _) | FactKind::Offer(_, member, _, _) if !self.is_callcenters(&member.queue) => {
                self.anomalies.count(Anomaly::OtherSource);
            }
            FactKind::Channel(step, data) => self.channel_step(input, step, data, effects),
            FactKind::Member(step @ (MemberStep::Start | MemberStep::Resume), member, data) => {
                self.member_joined(input, step, &member, data, effects);
            }
            FactKind::Member(MemberStep::End, member, data) => {
                let ending = self.find_ending(&member, input.at);
                let Some(hash) = ending.or_else(|| self.attempt_of(input, &member, effects)) else { return };
                if self.attempt(hash).is_some_and(|attempt| input.at < attempt.joined_at) {
                    // It is the end of an earlier stay on the same channel.
                    self.anomalies.count(Anomaly::AfterLeaving);
                    return;
                }
                self.note_transfer_target(hash, data);
                self.with_attempt(hash, input.at, &input.source, effects, |attempt, occasion| {
                    attempt.absorb(data);
                    attempt.end_queue(occasion, data);
                });
            }
            FactKind::Offer(step, member, agent, data) => self.offer_step(input, step, &member, &agent, data, effects),
            FactKind::Agent(step, agent) => self.agent_step(input, &step, &agent, effects),
            FactKind::Fifo(step, name, data) => self.fifo_step(input, &step, &name, data, effects),
            FactKind::Other => {}
        }
    }

    /// Whether mod_callcenter's events are what tells of the queue: each has one source.
    fn is_callcenters(&self, queue: &str) -> bool {
        self.world.config.source(queue) == QueueSource::Callcenter
    }

    fn channel_step(&mut self, input: &Input<'_>, step: ChannelStep, data: ChannelData<'_>, effects: &mut Effects) {
        let Some(uuid) = data.uuid() else { return };
        if step == ChannelStep::Create && !input.again {
            self.here.channels.create(&uuid, data, &mut self.anomalies);
        }
        if let Some(hash) = self.marked_leg(input, step, &uuid, data, effects) {
            self.leg_step(input, hash, step, &uuid, data, effects);
        }
        match step {
            ChannelStep::Create => {
                self.agent_leg(input, &uuid, data, effects);
            }
            ChannelStep::Ring | ChannelStep::Judge | ChannelStep::Beep => {}
            ChannelStep::Answer => {
                if let Some(hash) = self.agent_leg(input, &uuid, data, effects) {
                    self.with_attempt(hash, input.at, &input.source, effects, |attempt, occasion| {
                        attempt.answer_leg(occasion, &uuid, data);
                    });
                }
            }
            ChannelStep::Bridge => self.bridged(input, &uuid, data, effects),
            ChannelStep::Unbridge | ChannelStep::Hold | ChannelStep::Unhold => {
                let other = data.other_uuid();
                for hash in self.about(&uuid) {
                    self.with_attempt(hash, input.at, &input.source, effects, |attempt, occasion| match step {
                        ChannelStep::Unbridge => attempt.disconnect(&uuid, other.as_deref(), input.at),
                        _ => attempt.hold(occasion, &uuid, step == ChannelStep::Hold),
                    });
                }
            }
            ChannelStep::HangupComplete => self.hung_up(input, &uuid, data, effects),
        }
    }

    /// The attempts that a channel matters to: its member's, and the one whose agent is on it.
    fn about(&self, uuid: &str) -> Vec<AttemptHash> {
        let mut hashes = self.on_session(uuid);
        hashes.extend(self.here.channels.get(uuid).and_then(|channel| channel.serves));
        hashes
    }

    fn bridged(&mut self, input: &Input<'_>, uuid: &str, data: ChannelData<'_>, effects: &mut Effects) {
        let Some(other) = data.other_uuid() else { return };
        for (session, leg) in [(uuid, &*other), (&*other, uuid)] {
            for hash in self.on_session(session) {
                self.with_attempt(hash, input.at, &input.source, effects, |attempt, occasion| {
                    if session == uuid {
                        attempt.absorb(data);
                    }
                    attempt.connect(occasion, leg);
                });
            }
        }
    }

    fn hung_up(&mut self, input: &Input<'_>, uuid: &str, data: ChannelData<'_>, effects: &mut Effects) {
        let on_session = self.on_session(uuid);
        if on_session.is_empty() && !input.waited && self.nodes().any(|node| node.early.has(uuid)) {
            // A member whose start is yet to come, or is lost: the end comes after it.
            self.keep(input, uuid);
            return;
        }
        if on_session.is_empty() && data.is_member_leg() {
            // Its start may be on its way yet.
            self.here.memory.hang_up(self.here.now, ChannelUuid::new(uuid), input.at);
        }
        for hash in on_session.into_iter().filter(|hash| self.is_latest(*hash)).collect::<Vec<_>>() {
            self.note_transfer_target(hash, data);
            self.with_attempt(hash, input.at, &input.source, effects, |attempt, occasion| {
                attempt.end_call(occasion, data);
            });
        }
        if let Some(hash) = self.here.channels.get(uuid).and_then(|channel| channel.serves) {
            self.with_attempt(hash, input.at, &input.source, effects, |attempt, occasion| {
                attempt.infer_bridge(occasion, data);
                attempt.end_leg(uuid, input.at, data);
                attempt.end_offer_with_leg(occasion, uuid);
            });
        }
        self.here.channels.end(uuid);
    }

    /// Notes that an agent is called on a channel, where its variables say so.
    fn agent_leg(
        &mut self,
        input: &Input<'_>,
        uuid: &str,
        data: ChannelData<'_>,
        effects: &mut Effects,
    ) -> Option<AttemptHash> {
        if !data.is_agent_leg() {
            return None;
        }
        let agent = data.header(h::CC_AGENT_VARIABLE)?;
        let member = MemberRef {
            queue: data.header(h::CC_QUEUE_VARIABLE)?,
            member: data.header(h::CC_MEMBER_UUID_VARIABLE)?,
            session: data.header(h::CC_MEMBER_SESSION_UUID_VARIABLE)?,
        };
        if !self.is_callcenters(&member.queue) {
            return None;
        }
        let known = self.here.channels.get(uuid).and_then(|channel| channel.serves);
        let known = known.filter(|hash| self.attempt(*hash).is_some());
        let hash = known.or_else(|| self.attempt_of(input, &member, effects))?;
        // While the event was kept, its channel may have ended.
        if !input.again || self.here.channels.get(uuid).is_some() {
            self.note_leg(uuid, hash);
        }
        self.with_attempt(hash, input.at, &input.source, effects, |attempt, occasion| {
            attempt.add_leg(occasion, &agent, ChannelUuid::new(uuid), data);
        });
        Some(hash)
    }

    fn offer_step(
        &mut self,
        input: &Input<'_>,
        step: OfferStep<'_>,
        member: &MemberRef<'_>,
        agent: &str,
        data: ChannelData<'_>,
        effects: &mut Effects,
    ) {
        let under_way = match step {
            OfferStep::Offering { .. } => None,
            _ => self.find_offered(member, agent, input.at),
        };
        let Some(hash) = under_way.or_else(|| self.attempt_of(input, member, effects)) else { return };
        let ended_at = self.attempt(hash).and_then(Attempt::ended_at);
        if matches!(step, OfferStep::Offering { .. }) && ended_at.is_some_and(|ended_at| ended_at < input.at) {
            // Unless the member comes back on the same channel, it has left.
            if input.waited {
                self.anomalies.count(Anomaly::AfterLeaving);
            } else {
                self.keep(input, &member.session);
            }
            return;
        }
        if step == OfferStep::BridgeStart
            && let Some(leg) = data.header(h::CC_AGENT_UUID)
        {
            self.note_leg(&leg, hash);
        }
        if !matches!(step, OfferStep::Fail { .. }) {
            self.move_agent(input, agent, AgentMove::Offer, Some(hash), effects);
        }
        let mut fits = true;
        self.with_attempt(hash, input.at, &input.source, effects, |attempt, occasion| match step {
            OfferStep::Offering { standby } => fits = attempt.offer(occasion, agent, standby),
            OfferStep::BridgeStart => fits = attempt.start_bridge(occasion, agent, data),
            OfferStep::BridgeEnd { bridged } => fits = attempt.end_bridge(occasion, agent, bridged, data),
            OfferStep::Fail { cause } => fits = attempt.fail_offer(occasion, agent, &cause),
        });
        if !fits {
            self.anomalies.count(Anomaly::AfterOffer);
        } else if self.attempt(hash).is_some() {
            self.note_offer(agent, hash);
        }
    }

    /// The attempt that an event is about. Where there is none, the event waits for it; after that, it is made up if it
    /// must have begun since the connection did.
    fn attempt_of(&mut self, input: &Input<'_>, member: &MemberRef<'_>, effects: &mut Effects) -> Option<AttemptHash> {
        if let Some(hash) = self.find(&member.queue, &member.member, &member.session) {
            return Some(hash);
        }
        let settled = self.settled(&stay(member));
        if settled.is_some_and(|settled| input.waited || input.at <= settled.left_at) {
            self.anomalies.count(Anomaly::AfterLeaving);
            return None;
        }
        if !input.waited {
            self.keep(input, &member.session);
            return None;
        }
        let Some(joined_at) = joined_time(input.event) else {
            self.anomalies.count(Anomaly::UnknownAttempt);
            return None;
        };
        // It is an attempt of the node that has the member's channel, whoever tells of it.
        let (here, home) = (self.here.name.clone(), self.home_of(&member.session));
        let opened = if self.on(&home).here.connected_at.is_none_or(|connected_at| joined_at <= connected_at) {
            self.anomalies.count(Anomaly::BeganBefore);
            None
        } else {
            let newcomer = Newcomer::of_event(member, ChannelData(input.event), joined_at, true);
            self.open(input, newcomer, effects)
        };
        self.on(&here);
        opened
    }

    pub(super) fn keep(&mut self, input: &Input<'_>, session: &str) {
        if !self.here.early.keep(self.here.now, session, input.event) {
            self.anomalies.count(Anomaly::TooManyEarlyEvents);
        }
    }

    fn member_joined(
        &mut self,
        input: &Input<'_>,
        step: MemberStep,
        member: &MemberRef<'_>,
        data: ChannelData<'_>,
        effects: &mut Effects,
    ) {
        let before = self.find(&member.queue, &member.member, &member.session);
        if let Some((hash, attempt)) = before.and_then(|hash| Some((hash, self.attempt(hash)?)))
            && attempt.left_at().is_none()
        {
            if step != MemberStep::Resume || input.at <= attempt.joined_at {
                self.anomalies.count(Anomaly::RepeatedJoin);
                return;
            }
            // Nobody resumes who has not left: the end is on its way, or is lost.
            self.with_attempt(hash, input.at, &input.source, effects, |attempt, occasion| {
                attempt.lose(occasion.at, occasion.now + LOSS_GRACE);
            });
        }
        if self.left_before(member).is_some_and(|left_at| input.at < left_at) {
            self.anomalies.count(Anomaly::RepeatedJoin);
            return;
        }
        let Some(hash) = self.open(input, Newcomer::of_event(member, data, input.at, false), effects) else { return };
        self.apply_early(&member.session, effects);
        let session = ChannelUuid::new(&*member.session);
        let hung_up_at = self.nodes().find_map(|node| node.memory.hung_up_at(&session));
        if let Some(hung_up_at) = hung_up_at.filter(|hung_up_at| input.at <= *hung_up_at) {
            // Whatever told how the stay ended has come and gone.
            self.with_attempt(hash, input.at, &input.source, effects, |attempt, occasion| {
                attempt.lose(hung_up_at, occasion.now + LOSS_GRACE);
            });
        }
    }

    /// When the latest stay with the same UUIDs ended.
    fn left_before(&self, member: &MemberRef<'_>) -> Option<Timestamp> {
        let live = self.find(&member.queue, &member.member, &member.session).and_then(|hash| self.attempt(hash));
        live.and_then(Attempt::left_at).or(self.settled(&stay(member)).map(|settled| settled.left_at))
    }

    /// Applies the events that have waited, on whichever node, for what has just become known of a member's channel.
    pub(super) fn apply_early(&mut self, session: &str, effects: &mut Effects) {
        let waits = self.nodes().filter(|node| node.early.has(session));
        let (here, nodes) = (self.here.name.clone(), waits.map(|node| node.name.clone()).collect::<Vec<_>>());
        for node in nodes {
            for event in self.on(&node).here.early.take(session) {
                self.apply_kept(&event, false, effects);
            }
        }
        self.on(&here);
    }

    /// An event has waited for its attempt long enough.
    pub(super) fn expire_early_event(&mut self, effects: &mut Effects) {
        let Some(early) = self.here.early.pop() else { return };
        if joined_time(&early.event).is_none()
            && let Some(witness) = self.here.early.find(&early.session, |event| joined_time(event).is_some())
        {
            // The event does not say when the member joined, but one that came after it does.
            self.make_up(&witness, effects);
        }
        self.apply_kept(&early.event, true, effects);
        if !self.on_session(&early.session).is_empty() {
            self.apply_early(&early.session, effects);
        }
    }

    /// Makes up the attempt that an event is about, without applying the event.
    fn make_up(&mut self, event: &Event, effects: &mut Effects) {
        let Ok(Fact { stamp, kind }) = Fact::read(event) else { return };
        if let FactKind::Member(_, member, _) | FactKind::Offer(_, member, _, _) = kind {
            let at = stamp.at.unwrap_or(self.here.now);
            self.attempt_of(
                &Input { event, at, source: self.source(&stamp), again: true, waited: true, is_snapshot: false },
                &member,
                effects,
            );
        }
    }

    fn apply_kept(&mut self, event: &Event, waited: bool, effects: &mut Effects) {
        let Ok(fact) = Fact::read(event) else { return };
        let at = fact.stamp.at.unwrap_or(self.here.now);
        let input = Input { event, at, source: self.source(&fact.stamp), again: true, waited, is_snapshot: false };
        self.apply(&input, fact.kind, effects);
    }

    /// Opens an attempt, and tells that the member joined.
    pub(super) fn open(&mut self, input: &Input<'_>, newcomer: Newcomer<'_>, effects: &mut Effects) -> Option<AttemptHash> {
        if !self.has_room() {
            return None;
        }
        let mut attempt = self.new_attempt(&newcomer)?;
        let Newcomer { member, data, resumed, synthetic, .. } = newcomer;
        let of_member = data.uuid().is_some_and(|uuid| uuid == member.session);
        if newcomer.brings_call {
            attempt.take_call(data);
        } else if of_member {
            attempt.absorb(data);
            attempt.call.transfer_mark_at_join = attempt.call.transfer_mark.take();
            attempt.call.bridged_before = newcomer.bridged_before.max(self.bridged_on(&member.session));
        }
        if let Some(channel) = attempt.channel()
            && let Some(channel) = self.here.channels.entry(channel.as_str(), &mut self.anomalies)
        {
            channel.latest_attempt_id = Some(attempt.attempt_id);
        }
        let hash = self.insert(attempt);
        self.with_attempt(hash, input.at, &input.source, effects, |attempt, occasion| {
            attempt.join(occasion, resumed, synthetic);
        });
        Some(hash)
    }

    /// When a channel was last connected with an agent, in stays that are known.
    fn bridged_on(&self, session: &str) -> Option<Timestamp> {
        let stays = self.on_session(session).into_iter().filter_map(|hash| self.attempt(hash)?.bridge.as_ref());
        let over = self.here.channels.get(session).and_then(|channel| channel.bridged_at);
        stays.map(|bridge| bridge.at).chain(over).max()
    }

    fn new_attempt(&self, newcomer: &Newcomer<'_>) -> Option<Attempt> {
        let Newcomer { member, data, joined_at, .. } = newcomer;
        let earlier = self.find(&member.queue, &member.member, &member.session).and_then(|hash| self.attempt(hash));
        let settled = self.settled(&stay(member)).map(|settled| settled.ordinal);
        let ordinal = earlier.map(|attempt| attempt.key.ordinal).max(settled);
        let key = AttemptKey {
            core: self.here.core.clone()?,
            queue: (&*member.queue).into(),
            member: (&*member.member).into(),
            session: (&*member.session).into(),
            ordinal: ordinal.map_or(0, |ordinal| ordinal + 1),
        };
        let settings = self.world.config.queue(&key.queue).settings.clone();
        let channel = self.here.channels.get(&member.session);
        let before = earlier.map(Attempt::for_a_resume).or_else(|| self.abandoned(&key.member).cloned());
        // Only mod_callcenter lets a member take its place again.
        let before = before.filter(|_| newcomer.source == QueueSource::Callcenter);
        let on_channel = channel.and_then(|channel| channel.latest_attempt_id);
        let integer = |name| data.header(name)?.parse::<u64>().ok();
        let dialers = integer(h::CC_ATTEMPT_ID).filter(|_| on_channel.is_none());
        Some(Attempt {
            attempt_id: dialers.unwrap_or_else(|| key.hash().attempt_id()),
            member: Member {
                name: newcomer.name.clone(),
                number: newcomer.number.clone(),
                id: None,
                attempt_seq: integer(h::CC_ATTEMPT_SEQ)
                    .unwrap_or_else(|| before.as_ref().map_or(1, |b| b.attempts + 1)),
                first_joined_at: before.as_ref().map(|before| before.first_joined_at),
                previous_attempt_id: before.map(|before| before.attempt_id).or(on_channel),
            },
            call: Call {
                destination: channel
                    .and_then(|channel| channel.destination.as_deref().map(str::to_owned))
                    .or_else(|| destination(*data).filter(|_| newcomer.source != QueueSource::Channel)),
                variables: variables::collect(*data, &settings),
                ..Call::default()
            },
            settings,
            key,
            node: self.here.name.clone(),
            source: newcomer.source,
            joined_at: *joined_at,
            // Most are offered once; a vector that grows by itself would begin with room for four.
            offers: Vec::with_capacity(1),
            unclaimed_legs: Vec::new(),
            bridge: None,
            queue_end: None,
            loss: None,
            wrap_up: None,
            sla_missed: false,
            sequence: 0,
            left: false,
            dirty: true,
        })
    }

    /// Takes over a member that a snapshot shows, and its connection with an agent, as far as they are not known: nobody
    /// saw them begin.
    pub(super) fn take_over(&mut self, row: &MemberRow, dump: &Event, effects: &mut Effects) {
        if !self.is_callcenters(&row.queue) {
            return;
        }
        let (queue, member, session) = row.identity();
        let member = MemberRef { queue: queue.into(), member: member.into(), session: session.into() };
        let data = ChannelData(dump);
        let is_in_queue = data.header(h::CC_QUEUE_VARIABLE).is_some_and(|queue| queue == member.queue);
        if !is_in_queue || self.settled(&stay(&member)).is_some() {
            return;
        }
        let at = Stamp::read(dump).at.unwrap_or(self.here.now);
        self.here.now = self.here.now.max(at);
        let source = Source { core_uuid: self.here.core.clone(), event_sequence: None };
        let input = Input::of_snapshot(dump, at, source);
        let known = self.find(&member.queue, &member.member, &member.session);
        if known.is_none() && self.is_left_alone(row) {
            return;
        }
        let opened = known.or_else(|| {
            let (name, number) = (Some(row.cid_name.clone()), Some(row.cid_number.clone()));
            let joined_at = row.joined_at().unwrap_or(at);
            let bridged_before = data.bridged_at().filter(|_| !row.is_answered());
            let resumed = row.is_resumed();
            let newcomer = Newcomer {
                member: &member,
                source: QueueSource::Callcenter,
                brings_call: false,
                name,
                number,
                data,
                joined_at,
                bridged_before,
                resumed,
                synthetic: true,
            };
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
        self.note_offer(&agent, hash);
        self.note_leg(&leg, hash);
        self.with_attempt(hash, at, &input.source, effects, |attempt, occasion| {
            attempt.take_over_bridge(occasion, &agent, ChannelUuid::new(&*leg), bridged_at);
        });
    }

    /// Whether the member waited at the start already, and the configuration leaves those alone. Where no event has come yet,
    /// whoever is there did.
    fn is_left_alone(&self, row: &MemberRow) -> bool {
        self.was_there_at_start(row.joined_at())
    }

    /// Whether what began then was there at the start already, and the configuration leaves that alone.
    pub(super) fn was_there_at_start(&self, began_at: Option<Timestamp>) -> bool {
        let began_before = |start| began_at.is_none_or(|began_at| began_at <= start);
        self.world.config.daemon.waiting_at_start == WaitingAtStart::Ignore
            && self.here.followed_since.is_none_or(began_before)
    }

    /// Where an attended transfer led, the other channel names the person; it may be gone when `leaving` is told.
    pub(super) fn note_transfer_target(&mut self, hash: AttemptHash, data: ChannelData<'_>) {
        let Some(live) = self.attempt(hash) else { return };
        let Some(mark) = data.header(h::TRANSFER_SOURCE) else { return };
        let Some(TransferMark::Attended(uuid)) = live.transfer_mark_in(&mark) else { return };
        let person = self.here.channels.get(uuid).and_then(|channel| channel.person.as_deref().map(str::to_owned));
        self.note_transferred_to(hash, person);
    }
}

/// When the member joined, as callcenter events tell it, in whole seconds.
fn joined_time(event: &Event) -> Option<Timestamp> {
    Timestamp::from_second(event.header(h::CC_MEMBER_JOINED_TIME)?.parse().ok()?).ok()
}

/// The number called, of a channel whose creation was not seen.
fn destination(data: ChannelData<'_>) -> Option<String> {
    [h::SIP_REQ_USER, h::SIP_TO_USER, h::CALLER_RDNIS, h::CALLER_DESTINATION_NUMBER]
        .into_iter()
        .find_map(|name| data.header(name))
        .map(Cow::into_owned)
}

fn stay(member: &MemberRef<'_>) -> Stay {
    Stay { queue: (&*member.queue).into(), member: (&*member.member).into(), session: (&*member.session).into() }
}
