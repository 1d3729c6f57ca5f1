//! The way to a receiver: how it is connected to, who we say we are, and how fast it is gone.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use url::{Host, Origin, Url};

use super::connections::{ConnectionSettings, Connections, ConnectionsError};
use super::credentials::{Credentials, TokenSource};
use super::gate::{Gate, Place};
use super::priority::Priority;
use super::statuses::{StatusRules, Statuses};
use super::tls::TlsSettings;
use crate::config::secret::Secret;

/// The ways to receivers that are not gone to like all others, by scheme, host and port.
#[derive(Clone, Debug, Default)]
pub struct Ways(Arc<BTreeMap<String, Way>>);

/// The way to one receiver.
#[derive(Debug)]
pub struct Way {
    pub(super) connections: Arc<Connections>,
    /// To where it redirects: without what is meant for the receiver alone.
    pub(super) elsewhere: Option<Arc<Connections>>,
    pub(super) redirects: usize,
    pub(super) credentials: Credentials,
    pub(super) rules: StatusRules,
    pub(super) hold_on: Statuses,
    places: Option<Gate>,
    pace: Option<Pace>,
}

/// What is configured of a way.
#[derive(Clone, Debug, Default)]
pub struct WaySettings {
    /// How it is connected to.
    pub connections: ConnectionSettings,
    /// How many redirects are followed.
    pub redirects: usize,
    /// How many requests may be under way.
    pub concurrency: Option<usize>,
    /// How many requests a second may begin.
    pub rate: Option<u32>,
    /// What its statuses mean.
    pub rules: StatusRules,
    /// With which statuses its `Retry-After` holds for all that goes to it.
    pub hold_on: Statuses,
}

/// Who we say we are, as it is configured.
#[derive(Debug)]
pub enum Known {
    /// Nobody, or always the same.
    Fixed(Credentials),
    /// The bearer of a token that is asked for first.
    OAuth2 {
        /// Where to ask.
        url: Url,
        /// Who asks.
        client_id: String,
        /// The client's secret.
        client_secret: Secret,
        /// What the token is for.
        scope: Option<String>,
    },
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
    /// A way as it is configured, to the receiver at that scheme, host and port.
    pub fn new(receiver: &Origin, settings: WaySettings, known: Known) -> Result<Self, ConnectionsError> {
        let new = |settings: ConnectionSettings| Connections::new(settings).map(Arc::new);
        let connections = new(settings.connections.clone())?;
        let foreign = || {
            let tls = TlsSettings { ca: settings.connections.tls.ca.clone(), ..TlsSettings::default() };
            new(ConnectionSettings { tls, ..settings.connections.clone() })
        };
        let elsewhere = if settings.redirects > 0 { Some(foreign()?) } else { None };
        let credentials = match known {
            Known::Fixed(credentials) => credentials,
            Known::OAuth2 { url, client_id, client_secret, scope } => {
                // The receiver's own certificate is not to be expected where tokens come from.
                let is_pinned = !settings.connections.tls.pinned.is_empty();
                let connections = match is_pinned && url.origin() != *receiver {
                    true => new(settings.connections.without_pins())?,
                    false => connections.clone(),
                };
                Credentials::OAuth2(Arc::new(TokenSource::new(connections, url, client_id, client_secret, scope)))
            }
        };
        let distance = |rate: u32| Duration::from_secs(1) / rate.max(1);
        Ok(Self {
            connections,
            elsewhere,
            redirects: settings.redirects,
            credentials,
            rules: settings.rules,
            hold_on: settings.hold_on,
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
