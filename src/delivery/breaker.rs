//! The breaker of one receiver: after so many failures in a row nothing is sent for a while, then one request tries whether
//! it is back.
//!
//! ```text
//!            failures in a row                  pause is over: one probe
//!  closed ──────────────────────> open ───────────────────────────────────> probing
//!    ▲ ▲                           │  ▲                                       │  │
//!    │ └── an answer to a request  │  └───── it fails: twice the pause ───────┘  │
//!    │     that began before ──────┘                                             │
//!    └─────────────────────────── it is answered ────────────────────────────────┘
//! ```
//!
//! A request that somebody asked for does not wait for the end of the pause: it is the probe, unless one is under way.
//!
//! What opens it is that the receiver is not well: no answer at all, or a 5xx. An answer of any other kind is one, also a
//! refusal: 404 and 410 are about one address, and others of the same host may be fine.

use std::time::{Duration, Instant};

/// How often in a row a receiver fails before it is left alone: a burst of runs that meets a restart does not open it, and
/// one that is gone is known within the first second of a busy flow.
const FAILURES: u32 = 20;

/// The first pause: as long as the first retry's wait, which a run would have had anyway.
const FIRST_PAUSE: Duration = Duration::from_secs(5);

/// The longest pause, so that a receiver that is back is noticed within a minute.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// The breaker of one receiver.
#[derive(Debug, Default)]
pub struct Breaker {
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Closed {
        /// In a row.
        failures: u32,
    },
    Open {
        until: Instant,
        pause: Duration,
    },
    Probing {
        /// When the next probe goes out, should this one's end never be told.
        until: Instant,
        pause: Duration,
    },
}

/// What may be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leave {
    /// The request may be sent.
    Granted,
    /// The request may be sent: it is the probe, and others wait for its outcome.
    Probe,
    /// A probe is under way. Its outcome decides, or this time if it has none.
    Probing {
        /// When the next probe may go out.
        until: Instant,
    },
    /// Nothing is sent for so long.
    Held(Duration),
}

/// What an end says of the receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// It answers.
    Well,
    /// It does not answer, or says that it can't.
    Ill,
}

/// What has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Nothing is sent from now on, for so long at first.
    Opened(Duration),
    /// Requests are sent again.
    Closed,
}

impl Default for State {
    fn default() -> Self {
        Self::Closed { failures: 0 }
    }
}

impl Breaker {
    /// Whether a request may be sent now. Once the pause is over, one may; one that somebody asked for may before.
    pub fn ask(&mut self, is_asked: bool, now: Instant) -> Leave {
        match self.state {
            State::Closed { .. } => Leave::Granted,
            State::Open { until, pause } | State::Probing { until, pause } if until <= now => {
                self.state = State::Probing { until: now + pause, pause };
                Leave::Probe
            }
            State::Open { pause, .. } if is_asked => {
                self.state = State::Probing { until: now + pause, pause };
                Leave::Probe
            }
            State::Probing { until, .. } => Leave::Probing { until },
            State::Open { until, .. } => Leave::Held(until - now),
        }
    }

    /// Takes note of a probe that has ended without an outcome: the next request is the probe.
    pub fn release_probe(&mut self, now: Instant) {
        if let State::Probing { pause, .. } = self.state {
            self.state = State::Open { until: now, pause };
        }
    }

    /// Takes note of how a request has ended.
    pub fn note(&mut self, health: Health, now: Instant) -> Option<Change> {
        let open = |pause: Duration| State::Open { until: now + pause, pause };
        match (self.state, health) {
            (State::Closed { .. }, Health::Well) => self.state = State::default(),
            (State::Closed { failures }, Health::Ill) if failures + 1 < FAILURES => {
                self.state = State::Closed { failures: failures + 1 };
            }
            (State::Closed { .. }, Health::Ill) => {
                self.state = open(FIRST_PAUSE);
                return Some(Change::Opened(FIRST_PAUSE));
            }
            (State::Open { .. } | State::Probing { .. }, Health::Well) => {
                self.state = State::default();
                return Some(Change::Closed);
            }
            (State::Probing { pause, .. }, Health::Ill) => self.state = open((pause * 2).min(LONGEST_PAUSE)),
            // It was sent before the breaker opened, and says nothing new.
            (State::Open { .. }, Health::Ill) => {}
        }
        None
    }

    /// Whether nothing is sent but probes.
    pub fn is_open(&self) -> bool {
        !matches!(self.state, State::Closed { .. })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn opened(now: Instant) -> Breaker {
        let mut breaker = Breaker::default();
        let changes: Vec<_> = (0..FAILURES).map(|_| breaker.note(Health::Ill, now)).collect();
        assert_eq!(changes.iter().flatten().collect::<Vec<_>>(), [&Change::Opened(FIRST_PAUSE)]);
        breaker
    }

    #[test]
    fn failures_that_are_not_in_a_row_do_not_open_it() {
        let (mut breaker, now) = (Breaker::default(), Instant::now());
        for end in 0..10 * FAILURES {
            let health = if (end + 1) % FAILURES == 0 { Health::Well } else { Health::Ill };
            assert_eq!((breaker.note(health, now), breaker.ask(false, now)), (None, Leave::Granted));
        }
    }

    #[test]
    fn one_probe_goes_out_after_each_pause_and_pauses_grow_to_a_minute() {
        let mut now = Instant::now();
        let mut breaker = opened(now);
        for pause in [5, 10, 20, 40, 60, 60, 60] {
            let pause = Duration::from_secs(pause);
            assert_eq!(breaker.ask(false, now), Leave::Held(pause));
            now += pause;
            assert_eq!(breaker.ask(false, now), Leave::Probe);
            assert_eq!(breaker.ask(false, now), Leave::Probing { until: now + pause }, "and nothing beside it");
            assert_eq!(breaker.note(Health::Ill, now), None);
        }
        now += LONGEST_PAUSE;
        assert_eq!(breaker.ask(false, now), Leave::Probe);
        assert_eq!(breaker.note(Health::Well, now), Some(Change::Closed));
        assert_eq!((breaker.ask(false, now), breaker.is_open()), (Leave::Granted, false));
    }

    #[test]
    fn a_probe_whose_end_is_never_told_is_followed_by_another() {
        let now = Instant::now();
        let mut breaker = opened(now);
        let probe = now + FIRST_PAUSE;
        assert_eq!(breaker.ask(false, probe), Leave::Probe);
        assert_eq!(breaker.ask(false, probe), Leave::Probing { until: probe + FIRST_PAUSE });
        assert_eq!(breaker.ask(false, probe + FIRST_PAUSE), Leave::Probe);
        breaker.release_probe(probe + FIRST_PAUSE);
        assert_eq!(breaker.ask(false, probe + FIRST_PAUSE), Leave::Probe, "at once where the end is known");
    }

    #[test]
    fn a_request_that_somebody_asked_for_is_the_probe() {
        let now = Instant::now();
        let mut breaker = opened(now);
        assert_eq!(breaker.ask(true, now), Leave::Probe);
        assert_eq!(breaker.ask(true, now), Leave::Probing { until: now + FIRST_PAUSE }, "one at a time");
        assert_eq!(breaker.note(Health::Ill, now), None);
        assert_eq!(breaker.ask(false, now), Leave::Held(2 * FIRST_PAUSE));
        assert_eq!(breaker.ask(true, now), Leave::Probe);
        assert_eq!(breaker.note(Health::Well, now), Some(Change::Closed));
    }

    #[test]
    fn what_was_sent_before_it_opened_closes_it_by_an_answer_alone() {
        let now = Instant::now();
        let mut breaker = opened(now);
        assert_eq!(breaker.note(Health::Ill, now + Duration::from_secs(4)), None);
        assert_eq!(breaker.ask(false, now + FIRST_PAUSE), Leave::Probe, "the pause is as long as it was");
        let mut breaker = opened(now);
        assert_eq!(breaker.note(Health::Well, now), Some(Change::Closed));
    }

    proptest! {
        /// Whatever ends how and when: it is never held for longer than the longest pause, so nothing is held for ever.
        #[test]
        fn nobody_is_held_for_longer_than_the_longest_pause(
            ends in prop::collection::vec((prop::option::of(any::<bool>()), 0_u64..90_000), 0..200)
        ) {
            let (mut breaker, mut now) = (Breaker::default(), Instant::now());
            for (end, millis) in ends {
                now += Duration::from_millis(millis);
                if let Some(is_well) = end {
                    breaker.note(if is_well { Health::Well } else { Health::Ill }, now);
                }
                if let Leave::Held(pause) = breaker.ask(false, now) {
                    prop_assert!(breaker.is_open() && pause <= LONGEST_PAUSE && !pause.is_zero());
                }
            }
        }
    }
}
