//! Every way in which a connection ends.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::codec::FrameError;

/// Why a connection ended, or never came to be.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Exit {
    /// The host's name has no address.
    #[error("the host name cannot be resolved")]
    Unresolved(#[source] Arc<io::Error>),
    /// Nothing listens at the address.
    #[error("the connection was refused")]
    Refused,
    /// The connection could not be made for any other reason.
    #[error("the connection could not be made")]
    Unreachable(#[source] Arc<io::Error>),
    /// The connection was not made, or not signed in, in time.
    #[error("no connection within {} s", .0.as_secs())]
    ConnectTimeout(Duration),
    /// FreeSWITCH's access list does not let this host in.
    #[error("FreeSWITCH does not let this host in")]
    AclRefused,
    /// The password is wrong.
    #[error("FreeSWITCH refused the password")]
    WrongPassword,
    /// FreeSWITCH refused to send events.
    #[error("FreeSWITCH refused to send events: {0}")]
    SubscriptionRefused(String),
    /// The connection broke, or was closed without a word.
    #[error("the connection was lost")]
    Lost(#[source] Arc<io::Error>),
    /// FreeSWITCH said that it is closing the connection.
    #[error("FreeSWITCH closed the connection: {0}")]
    Disconnected(String),
    /// What came in is not the Event Socket's protocol, or its frames and bytes no longer agree.
    #[error("the connection cannot be understood")]
    Protocol(#[source] Arc<FrameError>),
    /// A reply came that nobody waited for, so replies could go to the wrong caller.
    #[error("FreeSWITCH sent a reply that nobody asked for")]
    UnexpectedReply,
    /// Nothing at all came for this long, not even a heartbeat.
    #[error("nothing was heard for {} s", .0.as_secs())]
    HeartbeatMissed(Duration),
    /// Bytes came, but no event was complete for this long, not even a heartbeat: a length was wrong, and they are taken for
    /// the body of something else.
    #[error("bytes came, but no event for {} s", .0.as_secs())]
    EventsMissed(Duration),
    /// Far more frames came than FreeSWITCH ever sends unasked, and no event or reply among them.
    #[error("only frames came that nobody asked for")]
    UselessFrames,
    /// A command got no answer in time; a late one must not be taken for the next one's.
    #[error("FreeSWITCH did not answer `{0}` in time")]
    CommandTimeout(String),
    /// The program ended the connection.
    #[error("the connection was closed by us")]
    Stopped,
}

impl Exit {
    /// What a person can do about it, in one line.
    pub const fn advice(&self) -> &'static str {
        match self {
            Self::Unresolved(_) => "check the host in `address`, and this machine's DNS",
            Self::Refused => {
                "check that FreeSWITCH runs, that mod_event_socket is loaded, and host and port in `address`"
            }
            Self::Unreachable(_) | Self::ConnectTimeout(_) => {
                "check the network and firewalls between here and FreeSWITCH, and `listen-ip` in event_socket.conf.xml"
            }
            Self::AclRefused => {
                "add this host to `apply-inbound-acl` in event_socket.conf.xml and reload mod_event_socket"
            }
            Self::WrongPassword => "make `password` the same here and in event_socket.conf.xml",
            Self::SubscriptionRefused(_) => {
                "check that mod_callcenter is loaded and that the user may listen to events"
            }
            Self::Lost(_) => "FreeSWITCH went away or the network broke; it is tried again",
            Self::Disconnected(_) => "FreeSWITCH shuts down or reloads mod_event_socket; it is tried again",
            Self::Protocol(_) => "check that `address` is FreeSWITCH's Event Socket; if it is, please report this",
            Self::UnexpectedReply => "it is connected anew; if this comes back, please report it",
            Self::HeartbeatMissed(_) => "FreeSWITCH hangs or the network swallows packets; it is tried again",
            Self::EventsMissed(_) | Self::UselessFrames => {
                "what comes makes no sense; it is connected anew, and if this comes back, please report it"
            }
            Self::CommandTimeout(_) => "FreeSWITCH is overloaded or the command has no answer; it is connected anew",
            Self::Stopped => "nothing to do",
        }
    }

    /// Whether FreeSWITCH answered, and a person must change something there or here before a new try can succeed. The
    /// access list's refusal is none: it costs nothing, and is mended at any time.
    pub const fn is_refusal(&self) -> bool {
        matches!(self, Self::WrongPassword | Self::SubscriptionRefused(_))
    }

    /// Whether events may have gone unheard for a while before the connection ended.
    pub const fn hides_events(&self) -> bool {
        matches!(self, Self::HeartbeatMissed(_)) || self.is_desync()
    }

    /// Whether what came made no sense, or was taken for something else than it was.
    pub const fn is_desync(&self) -> bool {
        matches!(self, Self::Protocol(_) | Self::EventsMissed(_) | Self::UselessFrames)
    }

    pub(super) fn lost(error: io::Error) -> Self {
        Self::Lost(Arc::new(error))
    }
}

impl From<FrameError> for Exit {
    fn from(error: FrameError) -> Self {
        match error {
            FrameError::Io(error) => Self::lost(error),
            FrameError::Truncated => Self::lost(io::Error::new(io::ErrorKind::UnexpectedEof, error)),
            FrameError::HeadTooLong
            | FrameError::MalformedHead(_)
            | FrameError::LengthUnbelievable(_)
            | FrameError::WrongLength(_)
            | FrameError::TooManyBlankLines => Self::Protocol(Arc::new(error)),
        }
    }
}
