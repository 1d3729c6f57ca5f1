//! Durations that are measured: how many there were, up to which bounds, and their sum.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The bounds in seconds: from a flush of a fast disk to a receiver that uses all of its time.
pub const BOUNDS: [f64; 13] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];

/// A histogram of durations, which many tasks may write at once.
#[derive(Debug, Default)]
pub struct Histogram {
    /// How many fell between each bound and the one before; the last counts what is above all of them.
    counts: [AtomicU64; BOUNDS.len() + 1],
    sum_micros: AtomicU64,
}

/// A histogram as it was when it was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    /// How many were at most so long, by the bounds.
    pub up_to: [u64; BOUNDS.len()],
    /// How many there were in all.
    pub count: u64,
    /// How long they took together.
    pub sum: Duration,
}

impl Histogram {
    /// Takes one.
    pub fn observe(&self, duration: Duration) {
        let seconds = duration.as_secs_f64();
        let place = BOUNDS.iter().position(|bound| seconds <= *bound).unwrap_or(BOUNDS.len());
        self.counts[place].fetch_add(1, Ordering::Relaxed);
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        self.sum_micros.fetch_add(micros, Ordering::Relaxed);
    }

    /// Reads it. What comes meanwhile may be in the sum and not in the counts, or the other way round.
    pub fn read(&self) -> Measured {
        let mut count = 0;
        let mut up_to = [0; BOUNDS.len()];
        for (counted, total) in self.counts.iter().zip(up_to.iter_mut().map(Some).chain([None])) {
            count += counted.load(Ordering::Relaxed);
            if let Some(total) = total {
                *total = count;
            }
        }
        Measured { up_to, count, sum: Duration::from_micros(self.sum_micros.load(Ordering::Relaxed)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_counts_for_its_bound_and_all_above() {
        let histogram = Histogram::default();
        for millis in [1, 2, 60_000] {
            histogram.observe(Duration::from_millis(millis));
        }
        let measured = histogram.read();
        assert_eq!(measured.up_to[..4], [0, 1, 2, 2]);
        assert_eq!((measured.up_to[BOUNDS.len() - 1], measured.count), (2, 3));
        assert_eq!(measured.sum, Duration::from_millis(60_003));
    }
}
