//! The channels of a story.

use std::collections::BTreeMap;

use super::wire::Draft;

/// A channel, by its place in the story.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Leg(pub(super) usize);

/// Who ended a leg, as its SIP dialogue tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// Its phone.
    ByPhone,
    /// FreeSWITCH.
    ByFreeSwitch,
    /// It is no SIP leg.
    Untold,
}

/// What FreeSWITCH knows of a channel.
#[derive(Clone, Debug, Default)]
pub(super) struct Channel {
    pub(super) uuid: String,
    pub(super) inbound: bool,
    pub(super) caller: String,
    pub(super) dialled: String,
    pub(super) created_at: i64,
    pub(super) answered_at: i64,
    pub(super) bridged_at: i64,
    pub(super) hung_up_at: i64,
    pub(super) other: Option<String>,
    /// When the other channel was made and answered: only the data of the one that was connected first tell.
    pub(super) others_times: (i64, i64),
    pub(super) cause: Option<String>,
    pub(super) variables: BTreeMap<String, String>,
}

impl Channel {
    pub(super) fn set(&mut self, variable: &str, value: impl ToString) {
        self.variables.insert(variable.to_owned(), value.to_string());
    }

    /// Ends the channel.
    pub(super) fn end(&mut self, at: i64, cause: &str, by: Ended) {
        self.hung_up_at = at;
        self.cause = Some(cause.to_owned());
        let answered = self.answered_at > 0;
        match by {
            Ended::ByPhone if answered => self.set("sip_hangup_disposition", "recv_bye"),
            Ended::ByPhone if self.inbound => self.set("sip_hangup_disposition", "recv_cancel"),
            Ended::ByPhone => self.set("sip_hangup_disposition", "recv_refuse"),
            Ended::ByFreeSwitch if answered => self.set("sip_hangup_disposition", "send_bye"),
            Ended::ByFreeSwitch => self.set("sip_hangup_disposition", "send_cancel"),
            Ended::Untold => {}
        }
    }

    /// The headers that every event with channel data has.
    pub(super) fn write(&self, draft: &mut Draft) {
        draft.header("Unique-ID", &self.uuid);
        draft.header("Call-Direction", if self.inbound { "inbound" } else { "outbound" });
        draft.header("Answer-State", self.answer_state());
        if let Some(cause) = &self.cause {
            draft.header("Hangup-Cause", cause);
        }
        draft.header("Caller-Caller-ID-Name", "Zoë Müller");
        draft.header("Caller-Caller-ID-Number", &self.caller);
        draft.header("Caller-Destination-Number", &self.dialled);
        draft.header("Caller-Channel-Created-Time", self.created_at);
        draft.header("Caller-Channel-Answered-Time", self.answered_at);
        draft.header("Caller-Channel-Hangup-Time", self.hung_up_at);
        draft.header("Caller-Channel-Bridged-Time", self.bridged_at);
        if let Some(other) = &self.other {
            draft.header("Other-Leg-Unique-ID", other);
            draft.header("Other-Leg-Channel-Created-Time", self.others_times.0);
            draft.header("Other-Leg-Channel-Answered-Time", self.others_times.1);
        }
        for (name, value) in &self.variables {
            draft.header(&format!("variable_{name}"), value);
        }
    }

    fn answer_state(&self) -> &'static str {
        match (self.hung_up_at, self.answered_at) {
            (1.., _) => "hangup",
            (_, 1..) => "answered",
            _ => "ringing",
        }
    }
}
