//! Hangup causes, and how SIP tells them.

/// Why a leg ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HangupCause {
    /// One of the two hung up.
    NormalClearing,
    /// Nobody answered in time.
    AllottedTimeout,
    /// 486.
    UserBusy,
    /// 603.
    CallRejected,
    /// 480.
    NoUserResponse,
    /// The member is no longer there to be connected.
    OriginatorCancel,
    /// Another agent was faster.
    LoseRace,
    /// FreeSWITCH is going down.
    SystemShutdown,
}

impl HangupCause {
    /// FreeSWITCH's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NormalClearing => "NORMAL_CLEARING",
            Self::AllottedTimeout => "ALLOTTED_TIMEOUT",
            Self::UserBusy => "USER_BUSY",
            Self::CallRejected => "CALL_REJECTED",
            Self::NoUserResponse => "NO_USER_RESPONSE",
            Self::OriginatorCancel => "ORIGINATOR_CANCEL",
            Self::LoseRace => "LOSE_RACE",
            Self::SystemShutdown => "SYSTEM_SHUTDOWN",
        }
    }

    /// The Q.850 code; 16 for every cause of FreeSWITCH's own.
    pub const fn q850(self) -> u16 {
        match self {
            Self::UserBusy => 17,
            Self::NoUserResponse => 18,
            Self::CallRejected => 21,
            Self::NormalClearing
            | Self::AllottedTimeout
            | Self::OriginatorCancel
            | Self::LoseRace
            | Self::SystemShutdown => 16,
        }
    }

    /// What the far end answered when it refused the call: status and phrase.
    const fn refusal(self) -> Option<(u16, &'static str)> {
        match self {
            Self::UserBusy => Some((486, "Busy Here")),
            Self::NoUserResponse => Some((480, "Temporarily Unavailable")),
            Self::CallRejected => Some((603, "Decline")),
            Self::NormalClearing
            | Self::AllottedTimeout
            | Self::OriginatorCancel
            | Self::LoseRace
            | Self::SystemShutdown => None,
        }
    }
}

/// Which SIP message ended a leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// The far end hung up.
    RecvBye,
    /// The far end refused.
    RecvRefuse,
    /// FreeSWITCH hung up.
    SendBye,
    /// FreeSWITCH took the call back before it was answered.
    SendCancel,
}

impl Disposition {
    /// FreeSWITCH's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RecvBye => "recv_bye",
            Self::RecvRefuse => "recv_refuse",
            Self::SendBye => "send_bye",
            Self::SendCancel => "send_cancel",
        }
    }

    /// The variables that a leg ended so has, in FreeSWITCH's order.
    pub fn variables(self, cause: HangupCause) -> Vec<(&'static str, String)> {
        let disposition = ("sip_hangup_disposition", self.as_str().to_owned());
        let terminated = |status: u16| {
            [
                ("sip_term_status", status.to_string()),
                ("proto_specific_hangup_cause", format!("sip:{status}")),
                ("sip_term_cause", cause.q850().to_string()),
            ]
        };
        let failed = |status: u16, phrase: &str| {
            [("sip_invite_failure_status", status.to_string()), ("sip_invite_failure_phrase", phrase.to_owned())]
        };
        match self {
            Self::RecvBye => [&terminated(200)[..], &[disposition]].concat(),
            Self::SendBye => vec![disposition],
            Self::SendCancel => [&[disposition][..], &failed(487, "CANCEL")].concat(),
            Self::RecvRefuse => {
                let (status, phrase) = cause.refusal().unwrap_or((500, "Server Internal Error"));
                [&[disposition][..], &failed(status, phrase), &terminated(status)].concat()
            }
        }
    }
}
