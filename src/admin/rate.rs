//! How many requests a second one caller may make.

use std::time::{Duration, Instant};

use dashmap::DashMap;

/// How much may come at once: what a second allows.
const BURST: Duration = Duration::from_secs(1);

/// How many callers are remembered before those are forgotten who may make a burst again: a sweep of addresses must not
/// fill the memory.
const CALLERS: usize = 10_000;

/// When each caller will have made up for all its requests (GCRA: a leaky bucket that needs one time for each).
///
/// Keys are independent and many tasks look, which is what a dashmap is for; no guard of it lives longer than one expression.
#[derive(Debug, Default)]
pub struct Rates(DashMap<String, Instant>);

impl Rates {
    /// Takes one request; where it comes too soon, says after what time it would not.
    pub fn take(&self, caller: &str, per_second: u32, now: Instant) -> Result<(), Duration> {
        if self.0.len() >= CALLERS {
            self.0.retain(|_, made_up_at| *made_up_at > now);
        }
        let price = Duration::from_secs(1) / per_second.max(1);
        let mut made_up_at = self.0.entry(caller.to_owned()).or_insert(now);
        let next = (*made_up_at).max(now) + price;
        let excess = next.saturating_duration_since(now).saturating_sub(BURST.max(price));
        if excess.is_zero() {
            *made_up_at = next;
            return Ok(());
        }
        Err(excess)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_allows_so_many_however_they_come() {
        let (rates, start) = (Rates::default(), Instant::now());
        let taken = (0..30).filter(|_| rates.take("a", 10, start).is_ok()).count();
        assert_eq!(taken, 10);
        assert!(rates.take("b", 10, start).is_ok(), "others have their own");
        let later = start + Duration::from_millis(500);
        let taken = (0..30).filter(|_| rates.take("a", 10, later).is_ok()).count();
        assert_eq!(taken, 5);
        assert!(rates.take("a", 10, later).is_err_and(|wait| wait <= Duration::from_millis(100)));
        assert!(rates.take("c", 1, start).is_ok() && rates.take("c", 1, start).is_err());
    }

    #[test]
    fn those_who_come_no_more_are_forgotten() {
        let (rates, start) = (Rates::default(), Instant::now());
        for caller in 0..CALLERS {
            rates.take(&caller.to_string(), 10, start).expect("the first");
        }
        rates.take("one more", 10, start + Duration::from_secs(10)).expect("the first");
        assert_eq!(rates.0.len(), 1);
    }
}
