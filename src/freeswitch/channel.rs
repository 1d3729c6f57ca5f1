//! What an event with channel data tells of one leg of a call.

use std::borrow::Cow;

use jiff::Timestamp;

use super::header as h;
use crate::esl::Event;

/// By how much a time that a channel has may be later than the event that tells it: they are read one after the other.
const LATER_MICROS: i64 = 250_000;

/// The channel data that an event carries, decoded as far as it is asked for.
#[derive(Clone, Copy, Debug)]
pub struct ChannelData<'e>(pub &'e Event);

impl<'e> ChannelData<'e> {
    /// A header or variable, by its full name.
    pub fn header(self, name: &str) -> Option<Cow<'e, str>> {
        self.0.header(name)
    }

    /// The channel's variables of whose name `wanted` approves.
    pub fn variables(
        self,
        wanted: impl Fn(&str) -> bool + 'e,
    ) -> impl Iterator<Item = (Cow<'e, str>, Cow<'e, str>)> + 'e {
        self.0.headers_with_prefix(h::VARIABLE_PREFIX, wanted)
    }

    /// The channel's UUID.
    pub fn uuid(self) -> Option<Cow<'e, str>> {
        self.0.header(h::UNIQUE_ID)
    }

    /// The UUID of the channel that it is, or was, connected with.
    pub fn other_uuid(self) -> Option<Cow<'e, str>> {
        self.0.header(h::OTHER_LEG_UNIQUE_ID)
    }

    /// Whether the far end called in (rather than was called).
    pub fn is_inbound(self) -> bool {
        self.0.header(h::CALL_DIRECTION).is_some_and(|direction| direction == "inbound")
    }

    /// Who made the leg, where the event has channel data.
    pub fn direction(self) -> Option<Direction> {
        match self.0.header(h::CALL_DIRECTION).as_deref() {
            Some("inbound") => Some(Direction::Inbound),
            Some("outbound") => Some(Direction::Outbound),
            _ => None,
        }
    }

    /// Whether they are those of a channel that was just made: no dialplan has changed them yet.
    pub fn is_creation(self) -> bool {
        self.0.header(h::EVENT_NAME).is_some_and(|name| name == "CHANNEL_CREATE")
    }

    /// Whether the leg is one that mod_callcenter called an agent on.
    pub fn is_agent_leg(self) -> bool {
        self.0.header(h::CC_SIDE).is_some_and(|side| side == "agent")
    }

    /// Whether the leg is, or was, a member's.
    pub fn is_member_leg(self) -> bool {
        self.0.header(h::CC_SIDE).is_some_and(|side| side == "member")
    }

    /// Whether the person must accept the call with a key, so that an answer is none yet.
    pub fn needs_confirmation(self) -> bool {
        self.0.header(h::GROUP_CONFIRM_KEY).is_some()
    }

    /// Whether the channel is up.
    pub fn answer_state(self) -> AnswerState {
        match self.0.header(h::ANSWER_STATE).as_deref() {
            Some("answered") => AnswerState::Answered,
            Some("hangup") => AnswerState::Hangup,
            _ => AnswerState::Other,
        }
    }

    /// When the channel was made.
    pub fn created_at(self) -> Option<Timestamp> {
        self.time(h::CHANNEL_CREATED_TIME)
    }

    /// When its far end began to ring, or to be heard before an answer.
    pub fn rang_at(self) -> Option<Timestamp> {
        let times = [h::CHANNEL_PROGRESS_TIME, h::CHANNEL_PROGRESS_MEDIA_TIME];
        times.into_iter().filter_map(|name| self.time(name)).min()
    }

    /// When it was answered.
    pub fn answered_at(self) -> Option<Timestamp> {
        self.time(h::CHANNEL_ANSWERED_TIME)
    }

    /// When a channel was made and answered, as far as these data tell: its own, or those of the channel that it is, or was,
    /// connected with.
    pub fn times_of(self, channel: &str) -> ChannelTimes {
        let is = |uuid: Option<Cow<'_, str>>| uuid.is_some_and(|uuid| uuid == channel);
        let (created, answered) = match (is(self.uuid()), is(self.other_uuid())) {
            (true, _) => (h::CHANNEL_CREATED_TIME, h::CHANNEL_ANSWERED_TIME),
            (false, true) => (h::OTHER_LEG_CREATED_TIME, h::OTHER_LEG_ANSWERED_TIME),
            (false, false) => return ChannelTimes::default(),
        };
        ChannelTimes { created_at: self.time(created), answered_at: self.time(answered) }
    }

    /// When it was last connected with another, as far as FreeSWITCH still knows: a transfer resets it.
    pub fn bridged_at(self) -> Option<Timestamp> {
        self.time(h::CHANNEL_BRIDGED_TIME)
    }

    /// When it was hung up.
    pub fn hung_up_at(self) -> Option<Timestamp> {
        self.time(h::CHANNEL_HANGUP_TIME)
    }

    /// The hangup cause.
    pub fn hangup_cause(self) -> Option<Cow<'e, str>> {
        self.0.header(h::HANGUP_CAUSE)
    }

    /// How the leg ended.
    pub fn hangup(self) -> Hangup {
        Hangup {
            disposition: self.disposition(),
            by_bridge: self.0.header(h::LAST_BRIDGE_HANGUP_CAUSE).is_some(),
            by_own_transfer: matches!(
                self.0.header(h::ENDPOINT_DISPOSITION).as_deref(),
                Some("BLIND_TRANSFER" | "ATTENDED_TRANSFER")
            ),
            sip_status: self.sip_status(),
        }
    }

    /// What the leg's endpoint says of who ended it: mod_sofia and mod_verto do, each in a variable of its own, in the same
    /// words.
    fn disposition(self) -> Disposition {
        let is_verto = self.0.header(h::CHANNEL_NAME).is_some_and(|name| name.starts_with("verto"));
        let (own, other) = match is_verto {
            true => (h::VERTO_HANGUP_DISPOSITION, h::SIP_HANGUP_DISPOSITION),
            false => (h::SIP_HANGUP_DISPOSITION, h::VERTO_HANGUP_DISPOSITION),
        };
        match self.0.header(own).or_else(|| self.0.header(other)).as_deref() {
            Some(said) if said.starts_with("recv_") => Disposition::ByFarEnd,
            Some("" | "_undef_") | None => Disposition::Unknown,
            Some(_) => Disposition::ByFreeSwitch,
        }
    }

    /// The final SIP status of the leg's INVITE, where FreeSWITCH tells it.
    fn sip_status(self) -> Option<u16> {
        let number = |name| self.0.header(name)?.parse().ok();
        number(h::SIP_TERM_STATUS)
            .or_else(|| number(h::SIP_INVITE_FAILURE_STATUS))
            .or_else(|| self.0.header(h::PROTO_SPECIFIC_HANGUP_CAUSE)?.strip_prefix("sip:")?.parse().ok())
    }

    /// A time of the channel. One that is later than the event is by a clock that was set back since: it was then at the latest.
    fn time(self, name: &str) -> Option<Timestamp> {
        let micros = self.micros(name).filter(|micros| *micros > 0)?;
        let told_at = self.micros(h::EVENT_DATE_TIMESTAMP).filter(|told_at| *told_at + LATER_MICROS < micros);
        Timestamp::from_microsecond(told_at.unwrap_or(micros)).ok()
    }

    fn micros(self, name: &str) -> Option<i64> {
        self.0.header(name)?.parse().ok()
    }
}

/// When a channel was made and answered, as far as that is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChannelTimes {
    /// When it was made.
    pub created_at: Option<Timestamp>,
    /// When it was answered.
    pub answered_at: Option<Timestamp>,
}

/// Who made a leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Its far end called in.
    Inbound,
    /// FreeSWITCH called its far end.
    Outbound,
}

/// Whether a channel is up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerState {
    /// It is.
    Answered,
    /// It is ending.
    Hangup,
    /// It rings, or the event does not say.
    Other,
}

/// Who ended a leg, as its endpoint says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Disposition {
    /// The phone or the network behind it.
    ByFarEnd,
    /// FreeSWITCH.
    ByFreeSwitch,
    /// The endpoint does not say.
    #[default]
    Unknown,
}

/// How a leg ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Hangup {
    /// Who ended it.
    pub disposition: Disposition,
    /// The leg ended because the leg that it was connected with did.
    pub by_bridge: bool,
    /// Its own far end transferred the other leg away.
    pub by_own_transfer: bool,
    /// The final SIP status of its INVITE.
    pub sip_status: Option<u16>,
}
