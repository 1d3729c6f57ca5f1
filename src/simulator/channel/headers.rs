//! The headers that a leg puts on its events: channel data, caller profile, and the other side of a bridge.

use std::borrow::Cow;

use jiff::Timestamp;

use super::leg::{Caller, Direction, Leg, State};
use crate::simulator::event::Header;

/// The headers of a codec, once media flows.
const CODEC: [(&str, &str); 6] = [
    ("Channel-Read-Codec-Name", "PCMU"),
    ("Channel-Read-Codec-Rate", "8000"),
    ("Channel-Read-Codec-Bit-Rate", "64000"),
    ("Channel-Write-Codec-Name", "PCMU"),
    ("Channel-Write-Codec-Rate", "8000"),
    ("Channel-Write-Codec-Bit-Rate", "64000"),
];

/// The state number of a channel that is hung up and not yet reporting.
const HANGING_UP: u8 = 10;

impl Leg {
    /// The headers of channel data, without the variables.
    pub fn headers(&self) -> Vec<Header> {
        let mut headers = Vec::with_capacity(100);
        let mut push = |name: &'static str, value: String| headers.push((Cow::Borrowed(name), value));
        let (state, number) = self.state.name_and_number();
        let hanging_up = self.hangup.is_some() && self.state != State::Reporting;
        push("Channel-State", state.into());
        push("Channel-Call-State", self.call_state.into());
        push("Channel-State-Number", if hanging_up { HANGING_UP } else { number }.to_string());
        push("Channel-Name", self.name());
        push("Unique-ID", self.uuid.clone());
        push("Call-Direction", self.direction().into());
        push("Presence-Call-Direction", self.direction().into());
        let in_dialplan = self.direction == Direction::Inbound || self.redirected_from.is_some();
        push("Channel-HIT-Dialplan", in_dialplan.to_string());
        push("Channel-Call-UUID", self.uuid.clone());
        push("Answer-State", self.answer_state().into());
        if let Some(cause) = self.hangup {
            push("Hangup-Cause", cause.as_str().into());
        }
        if self.direction == Direction::Inbound || self.times.answered.is_some() {
            headers.extend(CODEC.map(|(name, value)| (Cow::Borrowed(name), value.to_owned())));
        }
        headers.extend(self.profile_headers("Caller", true, true));
        headers.extend(self.other.iter().cloned());
        headers
    }

    fn answer_state(&self) -> &'static str {
        match (self.hangup, self.times.answered) {
            (Some(_), _) => "hangup",
            (None, Some(_)) => "answered",
            (None, None) => "ringing",
        }
    }

    /// The headers of the caller profile, under `prefix`. The other side of a bridge has no profile index; seen from the
    /// leg that was called, it has no callee and no times either.
    fn profile_headers(&self, prefix: &str, own: bool, with_times: bool) -> Vec<Header> {
        let mut headers: Vec<Header> = Vec::with_capacity(32);
        let mut push = |name: &str, value: &str| headers.push((format!("{prefix}-{name}").into(), value.to_owned()));
        let Caller { name, number } = &self.caller;
        push("Direction", self.direction());
        push("Logical-Direction", if own { self.direction() } else { "inbound" });
        if self.direction == Direction::Inbound {
            push("Username", self.variables.get("sip_from_user").unwrap_or_default());
        }
        if self.direction == Direction::Inbound || self.redirected_from.is_some() {
            push("Dialplan", "XML");
        }
        push("Caller-ID-Name", name);
        push("Caller-ID-Number", number);
        push("Orig-Caller-ID-Name", name);
        push("Orig-Caller-ID-Number", number);
        if let Some(callee) = self.callee.as_ref().filter(|_| with_times) {
            push("Callee-ID-Name", &callee.name);
            push("Callee-ID-Number", &callee.number);
        }
        if self.direction == Direction::Inbound || self.times.progress.is_some() {
            push("Network-Addr", "127.0.0.1");
        }
        push("ANI", number);
        push("Destination-Number", &self.destination);
        push("Unique-ID", &self.uuid);
        push("Source", if self.direction == Direction::Inbound { "mod_sofia" } else { "src/switch_ivr_originate.c" });
        if let Some(source) = self.transfer_source.as_deref().filter(|_| own) {
            push("Transfer-Source", source);
        }
        push("Context", "default");
        if let Some(number) = &self.redirected_from {
            push("RDNIS", number);
        }
        push("Channel-Name", &self.name());
        if own {
            push("Profile-Index", &self.profile_index.to_string());
        }
        for (name, micros) in self.profile_times() {
            push(name, &(if with_times { micros } else { 0 }).to_string());
        }
        push("Screen-Bit", "true");
        push("Privacy-Hide-Name", "false");
        push("Privacy-Hide-Number", "false");
        headers
    }

    fn profile_times(&self) -> [(&'static str, i64); 11] {
        let times = &self.times;
        let micros = |time: Option<Timestamp>| time.map_or(0, Timestamp::as_microsecond);
        [
            ("Profile-Created-Time", times.profile.as_microsecond()),
            ("Channel-Created-Time", times.created.as_microsecond()),
            ("Channel-Answered-Time", micros(times.answered)),
            ("Channel-Progress-Time", micros(times.progress)),
            ("Channel-Progress-Media-Time", 0),
            ("Channel-Hangup-Time", micros(times.hangup)),
            ("Channel-Transfer-Time", 0),
            ("Channel-Resurrect-Time", 0),
            ("Channel-Bridged-Time", micros(times.bridged)),
            ("Channel-Last-Hold", micros(times.held)),
            ("Channel-Hold-Accum", times.hold_accum_us),
        ]
    }
}

/// What the other leg of a bridge is to this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OtherSide {
    /// It called: seen from the agent's leg.
    Originator,
    /// It was called: seen from the member's leg.
    Originatee,
}

impl OtherSide {
    pub(super) fn headers(self, other: &Leg) -> Vec<Header> {
        let (kind, with_times) = match self {
            Self::Originator => ("originator", false),
            Self::Originatee => ("originatee", true),
        };
        let mut headers = vec![(Cow::Borrowed("Other-Type"), kind.to_owned())];
        headers.extend(other.profile_headers("Other-Leg", false, with_times));
        headers
    }
}
