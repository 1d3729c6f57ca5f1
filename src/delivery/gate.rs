//! A gate: lets so many in at once, and those of the higher priority first.
//!
//! Nobody waits for ever: every [`FAIR_TURN`]th place that becomes free goes to whoever has waited the longest, whatever the
//! priority.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::priority::Priority;

/// How many places are given by priority before one is given by time: under a lasting load of what is urgent, the rest still
/// has an eighth of the places.
const FAIR_TURN: u32 = 8;

/// The gate. Its clones are the same one.
#[derive(Clone, Debug)]
pub struct Gate(Arc<Mutex<State>>);

/// A place behind the gate; dropped, it is free for the next.
#[derive(Debug)]
pub struct Place {
    gate: Gate,
}

#[derive(Debug)]
struct State {
    free: usize,
    /// Those who wait, in the order in which they are let in. One who has gone away meanwhile is found when it is its turn.
    waiting: BTreeMap<Turn, oneshot::Sender<Place>>,
    /// How many have waited since the start.
    waited: u64,
    /// How many were let in by priority since one was let in by time.
    by_priority: u32,
}

/// Whose turn it is: of the higher priority, and of these who has waited the longest.
type Turn = (Priority, u64);

impl Gate {
    /// A gate that lets in so many at once.
    pub fn new(places: usize) -> Self {
        Self(Arc::new(Mutex::new(State { free: places, waiting: BTreeMap::new(), waited: 0, by_priority: 0 })))
    }

    /// Waits for a place.
    pub async fn enter(&self, priority: Priority) -> Place {
        let let_in = {
            let mut state = self.state();
            if state.free > 0 {
                state.free -= 1;
                return Place { gate: self.clone() };
            }
            let (sender, let_in) = oneshot::channel();
            let turn = (priority, state.waited);
            state.waited += 1;
            state.waiting.insert(turn, sender);
            let_in
        };
        let_in.await.expect("who waits is let in before the gate is gone")
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing in between leaves it halfway.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Takes the next who waits out of the row.
    fn next(&mut self) -> Option<oneshot::Sender<Place>> {
        if self.by_priority + 1 < FAIR_TURN {
            self.by_priority += 1;
            return self.waiting.pop_first().map(|(_, sender)| sender);
        }
        self.by_priority = 0;
        // The first of each priority has waited the longest of it.
        let first_of = |priority| self.waiting.range((priority, 0)..=(priority, u64::MAX)).next();
        let first = Priority::ALL.into_iter().filter_map(first_of).map(|(turn, _)| *turn);
        let longest = first.min_by_key(|(_, number)| *number)?;
        self.waiting.remove(&longest)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.gate.state();
        let next = loop {
            match state.next() {
                Some(sender) if sender.is_closed() => {}
                next => break next,
            }
        };
        match next {
            None => state.free += 1,
            Some(sender) => {
                drop(state);
                // Who has gone away in this instant gives the place back, which lets the next one in.
                drop(sender.send(Place { gate: self.gate.clone() }));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    type Entering<'a> = Pin<Box<dyn Future<Output = Place> + 'a>>;

    fn enter(gate: &Gate, priority: Priority) -> Entering<'_> {
        let mut entering: Entering<'_> = Box::pin(gate.enter(priority));
        assert!(poll(&mut entering).is_none(), "there is a place");
        entering
    }

    fn poll(entering: &mut Entering<'_>) -> Option<Place> {
        match entering.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(place) => Some(place),
            Poll::Pending => None,
        }
    }

    fn only_place(gate: &Gate) -> Place {
        let mut entering: Entering<'_> = Box::pin(gate.enter(Priority::Normal));
        poll(&mut entering).expect("a place")
    }

    #[test]
    fn the_higher_goes_first_and_the_earlier_of_the_same() {
        let gate = Gate::new(1);
        let mut place = only_place(&gate);
        let priorities = [Priority::Low, Priority::Normal, Priority::High, Priority::Normal, Priority::High];
        let mut row: Vec<_> = priorities.into_iter().map(|priority| enter(&gate, priority)).collect();
        for expected in [2, 4, 1, 3, 0] {
            drop(place);
            let others = row.iter_mut().enumerate().filter(|(number, _)| *number != expected);
            assert_eq!(others.filter_map(|(_, entering)| poll(entering)).count(), 0, "only {expected} is let in");
            place = poll(&mut row[expected]).expect("its turn");
            row[expected] = Box::pin(std::future::pending());
        }
        drop(place);
        drop(only_place(&gate));
    }

    #[test]
    fn the_low_are_let_in_while_the_high_keep_coming() {
        let gate = Gate::new(1);
        let mut place = only_place(&gate);
        let mut low = enter(&gate, Priority::Low);
        let mut high = enter(&gate, Priority::High);
        for turn in 1..=FAIR_TURN {
            drop(place);
            if let Some(let_in) = poll(&mut low) {
                assert!(turn > 1, "by priority at first");
                drop(let_in);
                drop(poll(&mut high).expect("the place that was given back"));
                return;
            }
            place = poll(&mut high).expect("its turn");
            high = enter(&gate, Priority::High);
        }
        panic!("the low one waits for ever");
    }

    #[test]
    fn who_goes_away_takes_no_place() {
        for is_let_in in [false, true] {
            let gate = Gate::new(1);
            let place = only_place(&gate);
            let gone = enter(&gate, Priority::High);
            let mut stays = enter(&gate, Priority::Normal);
            if is_let_in {
                drop(place);
                drop(gone);
            } else {
                drop(gone);
                drop(place);
            }
            drop(poll(&mut stays).expect("its turn"));
            drop(only_place(&gate));
        }
    }

    proptest::proptest! {
        /// Whoever comes, waits, goes away or leaves, in whatever order: there are never more inside than there are places,
        /// and nobody waits while one is free.
        #[test]
        fn no_place_is_given_twice_or_lost(
            places in 1_usize..4,
            steps in proptest::collection::vec((0_u8..4, proptest::sample::select(Priority::ALL.to_vec()), 0_usize..8), 0..60),
        ) {
            let gate = Gate::new(places);
            let (mut waiting, mut inside): (Vec<Entering<'_>>, Vec<Place>) = (Vec::new(), Vec::new());
            for (step, priority, which) in steps {
                match step {
                    0 | 1 => waiting.push(Box::pin(gate.enter(priority))),
                    2 if which < waiting.len() => drop(waiting.remove(which)),
                    3 if which < inside.len() => drop(inside.remove(which)),
                    _ => {}
                }
                // Some are let in and have not noticed it when they go away.
                if which % 2 == 0 {
                    waiting.retain_mut(|entering| poll(entering).map(|place| inside.push(place)).is_none());
                    proptest::prop_assert!(inside.len() == places.min(inside.len() + waiting.len()));
                }
            }
            drop((waiting, inside));
            let all: Vec<Place> = (0..places).map(|_| only_place(&gate)).collect();
            drop(enter(&gate, Priority::High));
            drop(all);
        }
    }
}
