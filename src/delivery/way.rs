//! The way to a receiver: how it is connected to, who we say we are, and how fast it is gone.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::redirect::{Attempt, Policy};
use reqwest::{Certificate, ClientBuilder, Identity, Proxy, StatusCode};
use tokio::time::{Instant, sleep_until};
use url::{Host, Origin, Url};

use super::credentials::Credentials;
use super::gate::{Gate, Place};
use super::priority::Priority;

/// How long a connection may take to come about: a host that is there answers within a second or two, also from far.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The ways to receivers that are not gone to like all others, by scheme, host and port.
#[derive(Clone, Debug, Default)]
pub struct Ways(Arc<BTreeMap<String, Way>>);

/// The way to one receiver.
#[derive(Debug)]
pub struct Way {
    pub(super) http: reqwest::Client,
    pub(super) credentials: Credentials,
    places: Option<Gate>,
    pace: Option<Pace>,
}

/// What is configured of a way.
#[derive(Clone, Debug, Default)]
pub struct WaySettings {
    /// Certificates that count beside the system's, as PEM.
    pub ca: Option<String>,
    /// Our own certificate and its key, as PEM.
    pub identity: Option<String>,
    /// The proxy that everything goes by.
    pub proxy: Option<Url>,
    /// How many redirects are followed.
    pub redirects: usize,
    /// How long a connection may take to come about.
    pub connect_timeout: Option<Duration>,
    /// How many requests may be under way.
    pub concurrency: Option<usize>,
    /// How many requests a second may begin.
    pub rate: Option<u32>,
}

/// Requests at equal distances.
#[derive(Debug)]
struct Pace {
    distance: Duration,
    /// Who comes next is chosen when the one before has begun, so that what is urgent waits for one distance and no more.
    turnstile: Gate,
    next: Mutex<Option<Instant>>,
}

impl Ways {
    /// These ways.
    pub fn new(ways: impl IntoIterator<Item = (Origin, Way)>) -> Self {
        Self(Arc::new(ways.into_iter().map(|(origin, way)| (receiver(&origin), way)).collect()))
    }

    /// The way to the receiver, if it has one of its own.
    pub fn to(&self, receiver: &Origin) -> Option<&Way> {
        if self.0.is_empty() { None } else { self.0.get(&self::receiver(receiver)) }
    }

    /// The receivers, by scheme, host and port, to whom we say who we are.
    pub fn signing_in(&self) -> impl Iterator<Item = &str> {
        let signing_in = |(_, way): &(&String, &Way)| !matches!(way.credentials, Credentials::None);
        self.0.iter().filter(signing_in).map(|(receiver, _)| receiver.as_str())
    }
}

/// The receiver by scheme, host and port. A dot at the end of a host makes no other one.
pub(crate) fn receiver(origin: &Origin) -> String {
    match origin {
        Origin::Tuple(scheme, Host::Domain(host), port) if host.ends_with('.') => {
            let host = Host::Domain(host.trim_end_matches('.').to_owned());
            Origin::Tuple(scheme.clone(), host, *port).ascii_serialization()
        }
        origin => origin.ascii_serialization(),
    }
}

impl Way {
    /// A way as it is configured.
    pub fn new(
        settings: &WaySettings,
        credentials: impl FnOnce(reqwest::Client) -> Credentials,
    ) -> reqwest::Result<Self> {
        let mut builder = builder(settings.connect_timeout);
        if let Some(ca) = &settings.ca {
            builder = builder.tls_certs_merge(Certificate::from_pem_bundle(ca.as_bytes())?);
        }
        if let Some(identity) = &settings.identity {
            builder = builder.identity(Identity::from_pem(identity.as_bytes())?);
        }
        if let Some(proxy) = &settings.proxy {
            builder = builder.proxy(Proxy::all(proxy.clone())?);
        }
        let http = builder.redirect(redirects(settings.redirects)).build()?;
        let distance = |rate: u32| Duration::from_secs(1) / rate.max(1);
        Ok(Self {
            credentials: credentials(http.clone()),
            http,
            places: settings.concurrency.map(Gate::new),
            pace: settings.rate.map(|rate| Pace::new(distance(rate))),
        })
    }

    /// Waits until there is a place, and then until it is time for the next request.
    pub(super) async fn turn(&self, priority: Priority) -> Option<Place> {
        let place = match &self.places {
            Some(places) => Some(places.enter(priority).await),
            None => None,
        };
        if let Some(pace) = &self.pace {
            let _turnstile = pace.turnstile.enter(priority).await;
            sleep_until(pace.take(Instant::now())).await;
        }
        place
    }
}

impl Pace {
    fn new(distance: Duration) -> Self {
        Self { distance, turnstile: Gate::new(1), next: Mutex::default() }
    }

    /// Takes the next free instant.
    fn take(&self, now: Instant) -> Instant {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = next.map_or(now, |next| next.max(now));
        *next = Some(taken + self.distance);
        taken
    }
}

/// What every client is made with: no proxy but one that is configured, and no redirects.
pub(super) fn builder(connect_timeout: Option<Duration>) -> ClientBuilder {
    reqwest::Client::builder()
        .user_agent(concat!("hookswitch/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(connect_timeout.unwrap_or(CONNECT_TIMEOUT))
        .redirect(Policy::none())
        .no_proxy()
}

/// Follows so many redirects of those that leave the request as it is: after others it would come as a GET without a body.
fn redirects(most: usize) -> Policy {
    let follow = move |attempt: Attempt<'_>| match attempt.status() {
        StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT if attempt.previous().len() <= most => {
            attempt.follow()
        }
        _ => attempt.stop(),
    };
    if most == 0 { Policy::none() } else { Policy::custom(follow) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_begin_at_equal_distances_and_what_was_not_used_is_not_made_up_for() {
        let pace = Pace::new(Duration::from_millis(100));
        let now = Instant::now();
        let after = |millis| now + Duration::from_millis(millis);
        assert_eq!([pace.take(now), pace.take(now), pace.take(after(50))], [now, after(100), after(200)]);
        assert_eq!([pace.take(after(900)), pace.take(after(900))], [after(900), after(1_000)]);
    }
}
