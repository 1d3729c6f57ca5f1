//! A leg and its headers.

use std::borrow::Cow;

use jiff::Timestamp;

use super::cause::{Disposition, HangupCause};
use super::headers::OtherSide;
use super::record;
use super::variables::Variables;
use crate::simulator::chance::Chance;
use crate::simulator::event::Header;

const MEMBER_CREATED: &str = include_str!("member_created.txt");
const MEMBER_ANSWERED: &str = include_str!("member_answered.txt");
const CALLEE_CREATED_HEAD: &str = include_str!("callee_created_head.txt");
const CALLEE_CREATED_TAIL: &str = include_str!("callee_created_tail.txt");
const CALLEE_PROGRESS: &str = include_str!("callee_progress.txt");
const CALLEE_ANSWERED: &str = include_str!("callee_answered.txt");

/// Who a call is from: what telephones show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The name.
    pub name: String,
    /// The number.
    pub number: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    Inbound,
    Outbound,
}

/// Where a channel is in FreeSWITCH's state machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Init,
    SoftExecute,
    Execute,
    ExchangeMedia,
    ConsumeMedia,
    Reporting,
}

impl State {
    pub(super) const fn name_and_number(self) -> (&'static str, u8) {
        match self {
            Self::Init => ("CS_INIT", 2),
            Self::SoftExecute => ("CS_SOFT_EXECUTE", 3),
            Self::Execute => ("CS_EXECUTE", 4),
            Self::ExchangeMedia => ("CS_EXCHANGE_MEDIA", 5),
            Self::ConsumeMedia => ("CS_CONSUME_MEDIA", 7),
            Self::Reporting => ("CS_REPORTING", 11),
        }
    }
}

/// When what happened to a leg.
#[derive(Clone, Debug)]
pub struct Times {
    /// Its creation.
    pub created: Timestamp,
    /// Its present profile: a new one for each transfer and bridge.
    pub profile: Timestamp,
    /// The far end's ringing.
    pub progress: Option<Timestamp>,
    /// Its answering.
    pub answered: Option<Timestamp>,
    /// The bridge.
    pub bridged: Option<Timestamp>,
    /// The last hold.
    pub held: Option<Timestamp>,
    /// All holds that ended, in microseconds.
    pub hold_accum_us: i64,
    /// Its end.
    pub hangup: Option<Timestamp>,
}

/// One leg of a call.
#[derive(Clone, Debug)]
pub struct Leg {
    /// `Unique-ID`.
    pub uuid: String,
    /// What its events carry as `variable_*`.
    pub variables: Variables,
    /// When what happened to it.
    pub times: Times,
    /// Who it is from.
    pub caller: Caller,
    /// The number that it was dialled at last.
    pub destination: String,
    pub(super) direction: Direction,
    pub(super) state: State,
    pub(super) call_state: &'static str,
    pub(super) hangup: Option<HangupCause>,
    session: u64,
    port: u64,
    tag: String,
    /// The number that it was dialled before a transfer.
    pub(super) redirected_from: Option<String>,
    pub(super) transfer_source: Option<String>,
    pub(super) callee: Option<Caller>,
    pub(super) profile_index: u32,
    /// The other side of its bridge, as it was when they were bridged.
    pub(super) other: Vec<Header>,
}

impl Leg {
    /// Somebody calls `destination`.
    pub fn inbound(session: u64, caller: Caller, destination: &str, now: Timestamp, chance: &mut Chance) -> Self {
        let mut leg = Self::new(Direction::Inbound, session, caller, destination, now, chance);
        leg.fill(MEMBER_CREATED);
        leg
    }

    /// FreeSWITCH calls `callee`; `own` are the variables that whoever ordered the call gave it.
    pub fn outbound(
        session: u64,
        caller: Caller,
        callee: &str,
        own: impl IntoIterator<Item = (Cow<'static, str>, String)>,
        now: Timestamp,
        chance: &mut Chance,
    ) -> Self {
        let mut leg = Self::new(Direction::Outbound, session, caller, callee, now, chance);
        leg.callee = Some(Caller { name: "Outbound Call".into(), number: callee.into() });
        leg.fill(CALLEE_CREATED_HEAD);
        for (name, value) in own {
            leg.variables.set(name, value);
        }
        leg.fill(CALLEE_CREATED_TAIL);
        leg
    }

    fn new(
        direction: Direction,
        session: u64,
        caller: Caller,
        destination: &str,
        now: Timestamp,
        chance: &mut Chance,
    ) -> Self {
        Self {
            uuid: chance.uuid(),
            variables: Variables::default(),
            times: Times {
                created: now,
                profile: now,
                progress: None,
                answered: None,
                bridged: None,
                held: None,
                hold_accum_us: 0,
                hangup: None,
            },
            caller,
            destination: destination.into(),
            direction,
            state: State::Init,
            call_state: "DOWN",
            hangup: None,
            session,
            port: chance.number(5_600, 7_999),
            tag: format!("{:010x}", chance.number(0, (1 << 40) - 1)),
            redirected_from: None,
            transfer_source: None,
            callee: None,
            profile_index: 1,
            other: Vec::new(),
        }
    }

    /// The far end rings.
    pub fn ring(&mut self, now: Timestamp) {
        self.times.progress = Some(now);
        self.state = State::ConsumeMedia;
        self.fill(CALLEE_PROGRESS);
    }

    /// The far end answers, or the dialplan answers the caller. Dialplan variables come in with `own`.
    pub fn answer(&mut self, now: Timestamp, own: impl IntoIterator<Item = (Cow<'static, str>, String)>) {
        self.times.answered = Some(now);
        self.call_state = "RINGING";
        if self.direction == Direction::Inbound {
            self.state = State::Execute;
            let extension = self.destination.clone();
            self.variables.set("DP_MATCH", format!("ARRAY::{extension}|:{extension}"));
        }
        for (name, value) in own {
            self.variables.set(name, value);
        }
        self.fill(match self.direction {
            Direction::Inbound => MEMBER_ANSWERED,
            Direction::Outbound => CALLEE_ANSWERED,
        });
    }

    /// The dialplan or mod_callcenter takes the answered leg over.
    pub fn activate(&mut self) {
        self.call_state = "ACTIVE";
        self.variables.set("endpoint_disposition", "ANSWER");
    }

    /// The dialplan sends the leg elsewhere. A dialled party becomes the caller from here on.
    pub fn transfer(&mut self, destination: &str, now: Timestamp, chance: &mut Chance) {
        if let Some(callee) = self.callee.take_if(|_| self.direction == Direction::Outbound && self.profile_index == 1)
        {
            self.variables.set("pre_transfer_caller_id_name", self.caller.name.clone());
            self.variables.set("pre_transfer_caller_id_number", self.caller.number.clone());
            self.callee = Some(std::mem::replace(&mut self.caller, callee));
        }
        self.redirected_from = Some(std::mem::replace(&mut self.destination, destination.into()));
        self.state = State::Execute;
        self.next_profile(&format!("bl_xfer:{destination}/default/XML"), now, chance);
        self.times.bridged = None;
    }

    /// Takes the leg's headers of its other side, and marks it bridged.
    pub fn bridge(&mut self, other: &Self, other_side: OtherSide, now: Timestamp, chance: &mut Chance) {
        self.other = other_side.headers(other);
        if let OtherSide::Originatee = other_side {
            self.callee = other.callee.clone();
            self.state = State::SoftExecute;
        } else {
            self.state = State::ExchangeMedia;
        }
        self.next_profile(&format!("uuid_br:{}", other.uuid), now, chance);
        self.times.bridged = Some(now);
        for name in ["last_bridge_to", "bridge_uuid", "signal_bond"] {
            self.variables.set(name, other.uuid.clone());
        }
        self.variables.set("bridge_channel", other.name());
        self.variables.set("cc_agent_bridged", "true");
    }

    fn next_profile(&mut self, way: &str, now: Timestamp, chance: &mut Chance) {
        let source = format!("{}:{}:{way}", now.as_second(), chance.uuid());
        let history = match self.variables.get("transfer_history") {
            None => source.clone(),
            Some(before) => format!("ARRAY::{}|:{source}", before.trim_start_matches("ARRAY::")),
        };
        self.variables.set("transfer_history", history);
        self.variables.set("transfer_source", source.clone());
        self.transfer_source = Some(source);
        self.profile_index += 1;
        self.times.profile = now;
    }

    /// The other side leaves and the leg goes on.
    pub fn unbridge(&mut self) {
        self.variables.unset("signal_bond");
        self.other.clear();
    }

    /// The far end puts the call on hold.
    pub fn hold(&mut self, now: Timestamp) {
        self.call_state = "HELD";
        self.times.held = Some(now);
        self.variables.set("remote_audio_media_flow", "sendonly");
        self.variables.set("audio_media_flow", "recvonly");
    }

    /// The far end takes it back.
    pub fn unhold(&mut self, now: Timestamp) {
        self.call_state = "UNHELD";
        if let Some(since) = self.times.held {
            self.times.hold_accum_us += now.as_microsecond() - since.as_microsecond();
        }
        self.variables.set("remote_audio_media_flow", "sendrecv");
        self.variables.set("audio_media_flow", "sendrecv");
    }

    /// The leg ends; its last report is still to come.
    pub fn hang_up(&mut self, cause: HangupCause, disposition: Disposition, now: Timestamp) {
        self.hangup = Some(cause);
        self.times.hangup = Some(now);
        for (name, value) in disposition.variables(cause) {
            self.variables.set(name, value);
        }
    }

    /// The leg is reported: `CHANNEL_HANGUP_COMPLETE`.
    pub fn report(&mut self) {
        self.state = State::Reporting;
        self.call_state = "HANGUP";
        record::complete(self);
    }

    /// Why the leg ended; none while it lives.
    pub fn hangup_cause(&self) -> Option<HangupCause> {
        self.hangup
    }

    /// The number that it was dialled before a transfer (`RDNIS`).
    pub fn redirected_from(&self) -> Option<&str> {
        self.redirected_from.as_deref()
    }

    /// `Channel-Name`.
    pub fn name(&self) -> String {
        let user = match self.direction {
            Direction::Inbound => self.variables.get("sip_from_user"),
            Direction::Outbound => self.callee_user(),
        };
        format!("sofia/internal/{}@127.0.0.1:{}", user.unwrap_or_default(), self.port)
    }

    /// `inbound` or `outbound`.
    pub fn direction(&self) -> &'static str {
        match self.direction {
            Direction::Inbound => "inbound",
            Direction::Outbound => "outbound",
        }
    }

    /// `Channel-State` and `Channel-Call-State`.
    pub fn states(&self) -> (&'static str, &'static str) {
        (self.state.name_and_number().0, self.call_state)
    }

    /// The user that FreeSWITCH called; none before the first template named it.
    fn callee_user(&self) -> Option<&str> {
        let url = self.variables.get("sip_destination_url")?;
        url.strip_prefix("sip:")?.rsplit_once("@127.0.0.1").map(|(user, _)| user)
    }

    fn fill(&mut self, template: &'static str) {
        let (session, port, created) =
            (self.session.to_string(), self.port.to_string(), self.times.created.as_microsecond().to_string());
        let media_port = (10_000 + self.session * 2 % 20_000).to_string();
        let local_port = (30_000 + self.session * 2 % 20_000).to_string();
        let call_id = format!("{}-{}@127.0.0.1", self.tag, self.session);
        let ssrc = u64::from_str_radix(&self.tag, 16).unwrap_or_default() % (1 << 32);
        let callee = self.callee_user().unwrap_or(&self.destination).to_owned();
        let places = [
            ("uuid", self.uuid.as_str()),
            ("session", &session),
            ("name", &self.caller.name),
            ("number", &self.caller.number),
            ("destination", &self.destination),
            ("callee", &callee),
            ("port", &port),
            ("created", &created),
            ("tag", &self.tag),
            ("call_id", &call_id),
            ("cseq", &session),
            ("media_port", &media_port),
            ("local_port", &local_port),
            ("ssrc", &ssrc.to_string()),
        ];
        self.variables.fill(template, &places);
    }
}
