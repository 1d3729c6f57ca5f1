//! What went wrong between us and a receiver, in words.

use std::error::Error;
use std::fmt;
use std::io;

use url::Url;

use super::mask::mask_urls;
use super::tls;

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
        let kind = if error.is_timeout() { Self::Timeout } else { Self::Other };
        causes(error).into_iter().filter_map(Self::of_cause).last().unwrap_or(kind)
    }

    /// What one error of the chain says. The HTTP library's own kinds are told by their texts, because it keeps their types
    /// to itself.
    fn of_cause(error: &(dyn Error + 'static)) -> Option<Self> {
        if error.is::<rustls::Error>() {
            return Some(Self::Tls);
        }
        if let Some(error) = error.downcast_ref::<io::Error>() {
            return Self::of_io(error.kind());
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

/// The error and its causes, the innermost last.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> Vec<&'a (dyn Error + 'static)> {
    let mut causes = vec![error];
    let mut outer = error;
    loop {
        // An I/O error passes over the error that it wraps when it is asked for its source.
        let wrapped = outer.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        let wrapped = wrapped.map(|wrapped| -> &'a (dyn Error + 'static) { wrapped });
        let Some(inner) = wrapped.or_else(|| outer.source()) else { return causes };
        causes.push(inner);
        outer = inner;
    }
}

/// The innermost cause's text, which says most; never an address, which may hold secrets.
pub(crate) fn root_cause(error: &reqwest::Error) -> String {
    let causes = causes(error);
    if let Some(error) = causes.iter().find_map(|cause| cause.downcast_ref::<rustls::Error>()) {
        return tls::words(error);
    }
    let Some(cause) = causes.last().filter(|_| causes.len() > 1) else {
        // The HTTP library's own texts end with the address.
        let text = error.to_string();
        return text.split(" for url (").next().unwrap_or_default().to_owned();
    };
    mask_urls(&cause.to_string()).into_owned()
}

/// What went wrong, in words: the kind, the cause, and whether it was the proxy.
pub(crate) fn failure(error: &reqwest::Error, proxy: Option<&Url>) -> String {
    let words = format!("{}: {}", NetworkFailure::of(error), root_cause(error));
    let Some(proxy) = proxy else { return words };
    let causes = causes(error);
    let tls = causes.iter().find_map(|cause| cause.downcast_ref::<rustls::Error>());
    // A tunnel's and SOCKS's own errors are told by their texts, because the HTTP library keeps their types to itself.
    let says = |text: &str| says(error, text);
    let name = proxy_name(proxy);
    match tls {
        Some(error) if proxy.scheme() == "https" => match tls::refused_host(error) {
            Some(host) if Some(host.as_str()) == proxy.host_str() => format!("the proxy {name}: {words}"),
            Some(_) => format!("{words} (by the proxy {name})"),
            None => format!("the proxy {name}, or the receiver behind it: {words}"),
        },
        Some(_) => format!("{words} (by the proxy {name})"),
        None if says("proxy authorization required") => {
            format!("the proxy {name} wants to know who we are (407): check the user and password in `proxy`")
        }
        None if says("tunnel error: unsuccessful") => {
            format!("the proxy {name} did not connect us to the receiver: it refused the tunnel (CONNECT)")
        }
        // SOCKS keeps the cause to itself.
        None if says("SOCKS error: failed to create underlying connection") => {
            format!("the proxy {name} can't be reached")
        }
        None if error.is_connect() => format!("the proxy {name}: {words}"),
        None => format!("{words} (by the proxy {name})"),
    }
}

/// Whether the error or one of its causes says this.
pub(super) fn says(error: &reqwest::Error, text: &str) -> bool {
    causes(error).iter().any(|cause| cause.to_string().contains(text))
}

/// The proxy as people know it, without user and password.
pub(crate) fn proxy_name(proxy: &Url) -> String {
    let host = proxy.host_str().unwrap_or_default();
    let port = proxy.port_or_known_default().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{host}{port}", proxy.scheme())
}
