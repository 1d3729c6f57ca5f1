//! Which events have come: a process and a number name one event for every listener, so a repeat can be told.

use std::collections::{HashSet, VecDeque};

/// How many of the latest events are remembered: minutes of a busy FreeSWITCH, at 24 bytes each.
const SEEN_LIMIT: usize = 8_192;

/// The numbers of the latest events.
#[derive(Debug, Default)]
pub struct Seen {
    numbers: HashSet<u64>,
    order: VecDeque<u64>,
}

impl Seen {
    /// Notes an event; false if it has come before.
    pub fn note(&mut self, sequence: u64) -> bool {
        if !self.numbers.insert(sequence) {
            return false;
        }
        self.order.push_back(sequence);
        if self.order.len() > SEEN_LIMIT
            && let Some(oldest) = self.order.pop_front()
        {
            self.numbers.remove(&oldest);
        }
        true
    }

    /// Forgets them all: another process counts anew.
    pub fn clear(&mut self) {
        self.numbers.clear();
        self.order.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeat_is_told_as_long_as_it_is_near() {
        let mut seen = Seen::default();
        assert!(seen.note(7));
        assert!(!seen.note(7));
        for sequence in 100..(100 + SEEN_LIMIT as u64) {
            assert!(seen.note(sequence));
        }
        assert!(seen.note(7), "forgotten");
        assert!(seen.numbers.len() <= SEEN_LIMIT && seen.order.len() <= SEEN_LIMIT);
    }
}
