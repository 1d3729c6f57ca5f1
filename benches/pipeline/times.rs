//! Latencies.

use std::time::Duration;

/// What half and what a hundredth of the latencies exceed, in seconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    pub(crate) p50: f64,
    pub(crate) p99: f64,
}

impl Times {
    pub(crate) fn of(mut latencies: Vec<Duration>) -> Self {
        assert!(!latencies.is_empty(), "nothing was measured");
        latencies.sort();
        let at = |percent: usize| latencies[latencies.len() * percent / 100].as_secs_f64();
        Self { p50: at(50), p99: at(99) }
    }

    /// The median round, of each figure by itself.
    pub(crate) fn median(rounds: Vec<Self>) -> Self {
        let median = |figure: fn(&Self) -> f64| {
            let mut figures: Vec<f64> = rounds.iter().map(figure).collect();
            figures.sort_by(f64::total_cmp);
            figures[figures.len() / 2]
        };
        Self { p50: median(|times| times.p50), p99: median(|times| times.p99) }
    }
}
