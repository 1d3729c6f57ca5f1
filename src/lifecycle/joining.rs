//! How attempts are opened: by a member who joins, or for a later fact whose attempt nobody saw begin.

use jiff::Timestamp;

use super::anomaly::Anomaly;
use super::attempt::{Attempt, Call, Loss, Member};
use super::input::Input;
use super::machine::{Effects, LOSS_GRACE, Lifecycle};
use super::memory::Stay;
use super::subscriber::{Named, Subscriber};
use super::variables;
use crate::config::queue::QueueSource;
use crate::esl::Event;
use crate::freeswitch::channel::ChannelData;
use crate::freeswitch::fact::{MemberRef, MemberStep};
use crate::freeswitch::header as h;
use crate::id::{AttemptHash, AttemptKey, ChannelUuid};

/// A member for whom an attempt is to be opened.
pub(super) struct Newcomer<'a> {
    pub(super) member: &'a MemberRef<'a>,
    pub(super) source: QueueSource,
    /// Whether the data are those of a leg on which a dialer calls the member.
    pub(super) brings_call: bool,
    /// How the subscriber is named beside the channel.
    pub(super) named: Named<'a>,
    pub(super) data: ChannelData<'a>,
    pub(super) joined_at: Timestamp,
    /// When the channel had been connected before, where that is known.
    pub(super) bridged_before: Option<Timestamp>,
    pub(super) resumed: bool,
    pub(super) synthetic: bool,
}

impl<'a> Newcomer<'a> {
    fn of_event(member: &'a MemberRef<'a>, data: ChannelData<'a>, joined_at: Timestamp, synthetic: bool) -> Self {
        let named = Named::by_callcenter(data);
        let resumed = data.header(h::CC_ACTION).is_some_and(|action| action == "member-queue-resume");
        // What is made up of a later event may have been connected since.
        let bridged_before = data.bridged_at().filter(|_| !synthetic);
        let (source, brings_call) = (QueueSource::Callcenter, false);
        Self { member, source, brings_call, named, data, joined_at, bridged_before, resumed, synthetic }
    }

    /// The member's channel data, where it has them.
    fn members_data(&self) -> Option<ChannelData<'a>> {
        let is_members = self.brings_call || self.data.uuid().is_some_and(|uuid| uuid == self.member.session);
        is_members.then_some(self.data)
    }
}

impl Lifecycle {
    /// A member entered a queue, or came back to it.
    pub(super) fn member_joined(
        &mut self,
        input: &Input<'_>,
        step: MemberStep,
        member: &MemberRef<'_>,
        data: ChannelData<'_>,
        effects: &mut Effects,
    ) {
        let before = self.attempts.find(&member.queue, &member.member, &member.session);
        if let Some((hash, attempt)) = before.and_then(|hash| Some((hash, self.attempt(hash)?)))
            && attempt.left_at().is_none()
        {
            if step != MemberStep::Resume || input.at <= attempt.joined_at {
                self.anomalies.count(Anomaly::RepeatedJoin);
                return;
            }
            // Nobody resumes who has not left: the end is on its way, or is lost.
            self.with_attempt(hash, input.at, &input.source, effects, |attempt, occasion| {
                attempt.lose(Loss::new(occasion.at, occasion.now + LOSS_GRACE));
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
                attempt.lose(Loss::new(hung_up_at, occasion.now + LOSS_GRACE));
            });
        }
    }

    /// When the latest stay with the same UUIDs ended.
    fn left_before(&self, member: &MemberRef<'_>) -> Option<Timestamp> {
        let live =
            self.attempts.find(&member.queue, &member.member, &member.session).and_then(|hash| self.attempt(hash));
        live.and_then(Attempt::left_at).or(self.settled(&Stay::named_by(member)).map(|settled| settled.left_at))
    }

    /// The attempt that an event is about. Where there is none, the event waits for it; after that, it is made up if it
    /// must have begun since the connection did.
    pub(super) fn attempt_of(
        &mut self,
        input: &Input<'_>,
        member: &MemberRef<'_>,
        effects: &mut Effects,
    ) -> Option<AttemptHash> {
        if let Some(hash) = self.attempts.find(&member.queue, &member.member, &member.session) {
            return Some(hash);
        }
        let settled = self.settled(&Stay::named_by(member));
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
        let opened = if self.on(&home).may_make_up(input.event, joined_at) {
            let data = ChannelData(input.event);
            let joined_at = not_before_the_call(joined_at, data, &member.session);
            self.open(input, Newcomer::of_event(member, data, joined_at, true), effects)
        } else {
            self.anomalies.count(Anomaly::BeganBefore);
            None
        };
        self.on(&here);
        opened
    }

    /// Whether the attempt of a member who joined then may be made up for an event: it began since the connection did, or
    /// it lasted until then, and no survey found it before it was over.
    fn may_make_up(&self, event: &Event, joined_at: Timestamp) -> bool {
        let began_since = self.here.connected_at.is_some_and(|connected_at| connected_at < joined_at);
        let lasted = self.here.early.is_surveyed() && ends_a_stay(event);
        began_since || (lasted && !self.was_there_at_start(Some(joined_at)))
    }

    /// Opens an attempt, and tells that the member joined.
    pub(super) fn open(
        &mut self,
        input: &Input<'_>,
        newcomer: Newcomer<'_>,
        effects: &mut Effects,
    ) -> Option<AttemptHash> {
        if !self.has_room() {
            return None;
        }
        let mut attempt = self.new_attempt(&newcomer)?;
        attempt.introduce_subscriber(self.subscriber(&newcomer, &attempt));
        let of_member = newcomer.members_data();
        let Newcomer { member, data, resumed, synthetic, .. } = newcomer;
        if newcomer.brings_call {
            attempt.take_call(data);
        } else if let Some(data) = of_member {
            attempt.absorb(data);
            attempt.call.transfer_mark_at_join = attempt.call.transfer_mark.take();
            attempt.call.bridged_before = newcomer.bridged_before;
        }
        attempt.call.bridged_before = attempt.call.bridged_before.max(self.bridged_on(&member.session));
        if let Some(channel) = attempt.channel()
            && let Some(channel) = self.here.channels.entry(channel.as_str(), &mut self.anomalies)
        {
            channel.latest_attempt_id = Some(attempt.attempt_id);
        }
        if !self.attempts.have_bytes() && attempt.leave_out_variables() {
            self.anomalies.count(Anomaly::TooManyBytes);
        }
        let hash = self.attempts.insert(attempt);
        self.with_attempt(hash, input.at, &input.source, effects, |attempt, occasion| {
            attempt.join(occasion, resumed, synthetic);
        });
        Some(hash)
    }

    /// When a channel was last connected with an agent, in stays that are known.
    fn bridged_on(&self, session: &str) -> Option<Timestamp> {
        let stays =
            self.attempts.on_session(session).into_iter().filter_map(|hash| self.attempt(hash)?.bridge.as_ref());
        let over = self.here.channels.get(session).and_then(|channel| channel.bridged_at);
        stays.map(|bridge| bridge.at).chain(over).max()
    }

    /// Who the subscriber of a new attempt is. A dialer's may be called later only.
    fn subscriber(&self, newcomer: &Newcomer<'_>, attempt: &Attempt) -> Subscriber {
        let data = newcomer.members_data();
        if newcomer.source == QueueSource::Channel && data.is_none() {
            return Subscriber::default();
        }
        let session = data.and_then(ChannelData::uuid).unwrap_or_else(|| newcomer.member.session.clone());
        let subscriber = Subscriber::of(self.here.channels.get(&session), data, &newcomer.named);
        let calls_members = attempt.settings.queue_type.calls_members();
        if calls_members { subscriber.without_presumed_names() } else { subscriber }
    }

    fn new_attempt(&self, newcomer: &Newcomer<'_>) -> Option<Attempt> {
        let Newcomer { member, data, joined_at, .. } = newcomer;
        let earlier =
            self.attempts.find(&member.queue, &member.member, &member.session).and_then(|hash| self.attempt(hash));
        let settled = self.settled(&Stay::named_by(member)).map(|settled| settled.ordinal);
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
        let begun = Attempt::begin(key, self.here.name.clone(), newcomer.source, settings, *joined_at);
        Some(Attempt {
            attempt_id: dialers.unwrap_or(begun.attempt_id),
            member: Member {
                attempt_seq: integer(h::CC_ATTEMPT_SEQ)
                    .unwrap_or_else(|| before.as_ref().map_or(1, |b| b.attempts + 1)),
                first_joined_at: before.as_ref().map(|before| before.first_joined_at),
                previous_attempt_id: before.map(|before| before.attempt_id).or(on_channel),
                ..Member::default()
            },
            call: Call { variables: variables::of_queue(&begun.settings), ..Call::default() },
            ..begun
        })
    }
}

/// When the member joined, as callcenter events tell it, in whole seconds.
pub(super) fn joined_time(event: &Event) -> Option<Timestamp> {
    Timestamp::from_second(event.header(h::CC_MEMBER_JOINED_TIME)?.parse().ok()?).ok()
}

/// Whether the event tells that a member has left a queue.
pub(super) fn ends_a_stay(event: &Event) -> bool {
    event.header(h::CC_ACTION).is_some_and(|action| action == "member-queue-end")
}

/// When a member joined of whom only the second is known: not before the member's call began.
pub(super) fn not_before_the_call(joined_at: Timestamp, data: ChannelData<'_>, session: &str) -> Timestamp {
    let is_members = data.uuid().is_some_and(|uuid| uuid == session);
    let created_at = data.created_at().filter(|at| is_members && at.as_second() == joined_at.as_second());
    created_at.map_or(joined_at, |created_at| created_at.max(joined_at))
}
