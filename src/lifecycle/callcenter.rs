//! mod_callcenter as a source: what its events, and those of the channels, mean for attempts.

use super::anomaly::Anomaly;
use super::attempt::Attempt;
use super::input::Input;
use super::machine::{Effects, Lifecycle};
use super::memory::Stay;
use super::result::TransferMark;
use super::wrap_up::AgentMove;
use crate::config::queue::QueueSource;
use crate::freeswitch::channel::ChannelData;
use crate::freeswitch::fact::{ChannelStep, FactKind, MemberRef, MemberStep, OfferStep};
use crate::freeswitch::header as h;
use crate::id::{AttemptHash, ChannelUuid};

impl Lifecycle {
    pub(super) fn apply(&mut self, input: &Input<'_>, kind: FactKind<'_>, effects: &mut Effects) {
        match kind {
            FactKind::Member(_, member, _) | FactKind::Offer(_, member, _, _)
                if !self.is_callcenters(&member.queue) =>
            {
                self.anomalies.count(Anomaly::OtherSource);
            }
            FactKind::Channel(step, data) => self.channel_step(input, step, data, effects),
            FactKind::Member(step @ (MemberStep::Start | MemberStep::Resume), member, data) => {
                self.member_joined(input, step, &member, data, effects);
            }
            FactKind::Member(MemberStep::End, member, data) => {
                let ending = self.attempts.find_ending(&member, input.at);
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
            FactKind::Told(told, data) => self.tell_by_event(input, &told, data, effects),
            FactKind::Other => {}
        }
    }

    /// Whether mod_callcenter's events are what tells of the queue: each has one source.
    pub(super) fn is_callcenters(&self, queue: &str) -> bool {
        self.world.config.source(queue) == QueueSource::Callcenter
    }

    fn channel_step(&mut self, input: &Input<'_>, step: ChannelStep, data: ChannelData<'_>, effects: &mut Effects) {
        let Some(uuid) = data.uuid() else { return };
        if step == ChannelStep::Create && !input.again {
            self.here.channels.create(&uuid, data, &mut self.anomalies);
        } else if step != ChannelStep::HangupComplete {
            self.here.channels.recognize(&uuid, data, &mut self.anomalies);
        }
        if let Some(session) = self.awaited_member(input, step, &uuid, data)
            && self.keep(input, &session)
        {
            return;
        }
        if let Some(hash) = self.marked_leg(input, step, &uuid, data, effects) {
            self.leg_step(input, hash, step, &uuid, data, effects);
        }
        match step {
            ChannelStep::Create => {
                self.agent_leg(input, &uuid, data, effects);
            }
            ChannelStep::Ring => {
                if let Some(hash) = self.here.channels.get(&uuid).and_then(|channel| channel.serves) {
                    self.with_attempt(hash, input.at, &input.source, effects, |attempt, _| {
                        attempt.ring_leg(&uuid, data.rang_at().unwrap_or(input.at));
                    });
                }
            }
            ChannelStep::Judge | ChannelStep::Beep => {}
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
                        ChannelStep::Unbridge => {
                            attempt.note_hangup(&uuid, input.at, data);
                            attempt.disconnect(&uuid, other.as_deref(), input.at);
                        }
                        _ => attempt.hold(occasion, &uuid, step == ChannelStep::Hold),
                    });
                }
            }
            ChannelStep::HangupComplete => self.hung_up(input, &uuid, data, effects),
        }
    }

    /// The member's channel, where the attempt that the step matters to is not known yet: events about it wait already, or it
    /// is connected with an agent, so that a survey will find it.
    fn awaited_member(
        &self,
        input: &Input<'_>,
        step: ChannelStep,
        uuid: &str,
        data: ChannelData<'_>,
    ) -> Option<Box<str>> {
        use ChannelStep::{Bridge, HangupComplete, Hold, Unbridge, Unhold};
        if input.waited || !matches!(step, Bridge | Unbridge | Hold | Unhold | HangupComplete) {
            return None;
        }
        let is_unknown = |session: &str| self.attempts.on_session(session).is_empty();
        let waits = |session: &str| self.nodes().any(|node| node.early.has(session)) && is_unknown(session);
        let others = || [data.other_uuid(), data.header(h::CC_MEMBER_SESSION_UUID_VARIABLE)].into_iter().flatten();
        if waits(uuid) {
            return Some(uuid.into());
        }
        if let Some(session) = others().find(|session| waits(session)) {
            return Some((&*session).into());
        }
        if step != Bridge || !self.here.early.is_surveyed() {
            return None;
        }
        let member = member_of(uuid, data)?;
        let is_new = self.settled(&Stay::named_by(&member)).is_none() && self.is_callcenters(&member.queue);
        (is_new && is_unknown(&member.session)).then(|| (&*member.session).into())
    }

    /// The attempts that a channel matters to: its member's, and the one whose agent is on it.
    fn about(&self, uuid: &str) -> Vec<AttemptHash> {
        let mut hashes = self.attempts.on_session(uuid);
        hashes.extend(self.here.channels.get(uuid).and_then(|channel| channel.serves));
        hashes
    }

    fn bridged(&mut self, input: &Input<'_>, uuid: &str, data: ChannelData<'_>, effects: &mut Effects) {
        let Some(other) = data.other_uuid() else { return };
        for (session, leg) in [(uuid, &*other), (&*other, uuid)] {
            for hash in self.attempts.on_session(session) {
                self.with_attempt(hash, input.at, &input.source, effects, |attempt, occasion| {
                    if session == uuid {
                        attempt.absorb(data);
                    }
                    attempt.connect(occasion, leg, data);
                });
            }
        }
    }

    fn hung_up(&mut self, input: &Input<'_>, uuid: &str, data: ChannelData<'_>, effects: &mut Effects) {
        let on_session = self.attempts.on_session(uuid);
        if on_session.is_empty() && data.is_member_leg() {
            // Its start may be on its way yet.
            self.here.memory.hang_up(self.here.now, ChannelUuid::new(uuid), input.at);
        }
        for hash in on_session.into_iter().filter(|hash| self.attempts.is_latest(*hash)).collect::<Vec<_>>() {
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
            _ => self.attempts.find_offered(member, agent, input.at),
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
            self.attempts.note_offer(agent, hash);
        }
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

/// The member whose leg this is, or whose agent's, as mod_callcenter has marked it.
fn member_of<'e>(uuid: &str, data: ChannelData<'e>) -> Option<MemberRef<'e>> {
    let session = match (data.is_member_leg(), data.is_agent_leg()) {
        (true, _) => uuid.to_owned().into(),
        (false, true) => data.header(h::CC_MEMBER_SESSION_UUID_VARIABLE)?,
        (false, false) => return None,
    };
    let (queue, member) = (data.header(h::CC_QUEUE_VARIABLE)?, data.header(h::CC_MEMBER_UUID_VARIABLE)?);
    Some(MemberRef { queue, member, session })
}
