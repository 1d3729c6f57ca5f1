//! Every draw of the simulation, from one seed.

use std::time::Duration;

use jiff::SignedDuration;
use serde::Deserialize;

/// A span that varies from one time to the next: any length between two bounds, short ones more often than long ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spread {
    /// The shortest.
    pub from: SignedDuration,
    /// The longest.
    pub to: SignedDuration,
}

impl Spread {
    /// Between so many seconds and so many.
    pub const fn seconds(from: i64, to: i64) -> Self {
        Self { from: SignedDuration::from_secs(from), to: SignedDuration::from_secs(to) }
    }

    /// The longest that is drawn: nobody waits or talks for a week.
    pub const LONGEST: SignedDuration = SignedDuration::from_hours(7 * 24);

    /// Whether the bounds are in their order, not below zero, and of this world.
    pub fn is_sound(self) -> bool {
        !self.from.is_negative() && self.from <= self.to && self.to <= Self::LONGEST
    }
}

/// A source of draws: the same seed gives the same draws in the same order.
#[derive(Clone, Debug)]
pub struct Chance(fastrand::Rng);

impl Chance {
    /// From a seed.
    pub fn new(seed: u64) -> Self {
        Self(fastrand::Rng::with_seed(seed))
    }

    /// Whether something happens that happens in `share` of all cases (0 to 1).
    pub fn happens(&mut self, share: f64) -> bool {
        self.0.f64() < share
    }

    /// A length within `spread`. The square of an even draw is skewed to the short end, as talks and patience are.
    pub fn span(&mut self, spread: Spread) -> Duration {
        let from = spread.from.as_secs_f64();
        let width = spread.to.as_secs_f64() - from;
        Duration::from_secs_f64((from + width * self.0.f64().powi(2)).max(0.0))
    }

    /// A length between two numbers of milliseconds, evenly.
    pub fn millis(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_millis(self.0.u64(from..=to))
    }

    /// The time to the next of independent occurrences that come `per_second` times a second on average.
    pub fn gap(&mut self, per_second: f64) -> Duration {
        // One minus the draw is never zero, so its logarithm is finite; an hour bounds a rate near zero.
        let seconds = -(1.0 - self.0.f64()).ln() / per_second;
        Duration::from_secs_f64(seconds.clamp(0.0, 3_600.0))
    }

    /// A number between `from` and `to`, both included.
    pub fn number(&mut self, from: u64, to: u64) -> u64 {
        self.0.u64(from..=to)
    }

    /// One of `items`.
    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        self.0.choice(items)
    }

    /// Puts `items` into a random order.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        self.0.shuffle(items);
    }

    /// A random UUID (version 4).
    pub fn uuid(&mut self) -> String {
        let bits = self.0.u128(..);
        let hex = format!("{:032x}", bits & !(0xf << 76) & !(0x3 << 62) | 0x4 << 76 | 0x2 << 62);
        [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_is_of_version_4() {
        let uuid = Chance::new(1).uuid();
        assert_eq!(uuid.len(), 36);
        assert_eq!(&uuid[14..15], "4");
        assert!("89ab".contains(&uuid[19..20]));
    }

    #[test]
    fn a_span_stays_within_its_bounds() {
        let mut chance = Chance::new(2);
        for _ in 0..1_000 {
            let span = chance.span(Spread::seconds(3, 9));
            assert!((3.0..=9.0).contains(&span.as_secs_f64()));
        }
    }
}
