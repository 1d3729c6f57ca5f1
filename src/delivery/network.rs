//! What went wrong between us and a receiver, in words.

use std::error::Error;
use std::fmt;
use std::io;

use super::mask::{mask_url, mask_urls};

/// Why there was no answer. All of them may pass with time, a name that is not found as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NetworkFailure {
    /// The host's name could not be resolved.
    Dns,
    /// The host is there and nothing listens on the port.
    Refused,
    /// There is no way to the host.
    Unreachable,
    /// The connection was broken off.
    Reset,
    /// The connection was closed before an answer had come.
    Closed,
    /// No secure connection could be agreed upon.
    Tls,
    /// It took too long.
    Timeout,
    /// What was answered is not HTTP.
    Protocol,
    /// Anything else.
    Other,
}

impl NetworkFailure {
    /// Reads the kind of failure from the error and its causes.
    pub fn of(error: &reqwest::Error) -> Self {
        let mut cause: Option<&(dyn Error + 'static)> = Some(error);
        let mut kind = if error.is_timeout() { Self::Timeout } else { Self::Other };
        while let Some(error) = cause {
            if let Some(found) = Self::of_cause(error) {
                kind = found;
            }
            cause = error.source();
        }
        kind
    }

    /// What one error of the chain says. The HTTP library's own kinds are told by their texts, because it keeps their types
    /// to itself.
    fn of_cause(error: &(dyn Error + 'static)) -> Option<Self> {
        if error.is::<rustls::Error>() {
            return Some(Self::Tls);
        }
        if let Some(error) = error.downcast_ref::<io::Error>() {
            // An I/O error passes over the error that it wraps when it is asked for its source.
            let wrapped = error.get_ref().and_then(|wrapped| Self::of_cause(wrapped));
            return wrapped.or_else(|| Self::of_io(error.kind()));
        }
        let text = error.to_string();
        match () {
            () if text.starts_with("dns error") => Some(Self::Dns),
            () if text.contains("before message completed") => Some(Self::Closed),
            () if text.contains("invalid HTTP") => Some(Self::Protocol),
            () => None,
        }
    }

    fn of_io(kind: io::ErrorKind) -> Option<Self> {
        match kind {
            io::ErrorKind::ConnectionRefused => Some(Self::Refused),
            io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => Some(Self::Unreachable),
            io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted | io::ErrorKind::BrokenPipe => {
                Some(Self::Reset)
            }
            io::ErrorKind::UnexpectedEof => Some(Self::Closed),
            io::ErrorKind::TimedOut => Some(Self::Timeout),
            _ => None,
        }
    }
}

impl fmt::Display for NetworkFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Dns => "the host's name can't be resolved",
            Self::Refused => "the connection was refused",
            Self::Unreachable => "the host can't be reached",
            Self::Reset => "the connection was reset",
            Self::Closed => "the connection was closed before an answer",
            Self::Tls => "no secure connection (TLS)",
            Self::Timeout => "it took too long",
            Self::Protocol => "the answer is not HTTP",
            Self::Other => "the request could not be sent",
        })
    }
}

/// The innermost cause's text, which says most.
pub(crate) fn root_cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    let text = cause.to_string();
    // The HTTP library's own errors end with the URL.
    let without = match error.url() {
        Some(url) => text.replace(url.as_str(), &mask_url(url.as_str())),
        None => text,
    };
    mask_urls(&without).into_owned()
}
