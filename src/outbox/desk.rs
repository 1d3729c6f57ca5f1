//! Who may be in memory: for each flow a number of seats, and when its next run on disk is due.
//!
//! A flow has seats of its own so that a receiver that is dead or slow fills those of its own flows and no others. What
//! finds no seat stays on disk, and is taken as seats become free: in the order of its due time, or the latest first where
//! the flow says so. Where there is less room than there are seats, the flows of the higher priority come first.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::delivery::Priority;
use crate::id::FlowName;

/// What the configuration says of whose turn it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Turns {
    /// The flows of which no run is begun or gone on with.
    pub paused: BTreeSet<FlowName>,
    /// The flows of which the newest run goes first, so that a backlog does not hold up what happens now.
    pub newest_first: BTreeSet<FlowName>,
    /// Which flow goes before which.
    pub priorities: BTreeMap<FlowName, Priority>,
}

/// The seats of all flows. Cloned for each transaction, so that one that is rolled back leaves no trace.
#[derive(Clone, Debug)]
pub(super) struct Desk {
    flows: BTreeMap<FlowName, Seats>,
    seats_per_flow: u32,
    /// How many runs the channel to the runner takes now.
    room: u32,
    turns: Arc<Turns>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Seats {
    taken: u32,
    next_due_ms: Option<i64>,
}

impl Desk {
    pub(super) fn new(seats_per_flow: u32, turns: Arc<Turns>) -> Self {
        Self { flows: BTreeMap::new(), seats_per_flow, room: 0, turns }
    }

    /// Sets whose turn it is from now on.
    pub(super) fn set_turns(&mut self, turns: Arc<Turns>) {
        self.turns = turns;
    }

    /// Whether the flow's newest run goes first.
    pub(super) fn is_newest_first(&self, flow: &FlowName) -> bool {
        self.turns.newest_first.contains(flow)
    }

    /// Sets how many runs the channel to the runner takes now.
    pub(super) fn set_room(&mut self, room: u32) {
        self.room = room;
    }

    /// Takes a seat for a run that has just become ready. None is given while the flow has older runs on disk that are
    /// due and come first.
    pub(super) fn sit(&mut self, flow: &FlowName, now_ms: i64) -> bool {
        let (is_newest_first, is_paused) = (self.is_newest_first(flow), self.turns.paused.contains(flow));
        let seats = self.flows.entry(flow.clone()).or_default();
        let backlog = !is_newest_first && seats.next_due_ms.is_some_and(|due| due <= now_ms);
        if backlog || self.room == 0 || seats.taken >= self.seats_per_flow || is_paused {
            return false;
        }
        seats.taken += 1;
        self.room -= 1;
        true
    }

    /// Takes one of the flow's seats that are [`Desk::free`].
    pub(super) fn sit_from_disk(&mut self, flow: &FlowName) {
        self.flows.entry(flow.clone()).or_default().taken += 1;
        self.room -= 1;
    }

    /// Gives a seat back.
    pub(super) fn rise(&mut self, flow: &FlowName) {
        let seats = self.flows.entry(flow.clone()).or_default();
        seats.taken = seats.taken.saturating_sub(1);
    }

    /// Notes that a run on disk is due at the given time.
    pub(super) fn note_due(&mut self, flow: &FlowName, due_ms: i64) {
        let seats = self.flows.entry(flow.clone()).or_default();
        seats.next_due_ms = Some(seats.next_due_ms.map_or(due_ms, |known| known.min(due_ms)));
    }

    /// Sets when the flow's next run on disk is due.
    pub(super) fn set_next_due(&mut self, flow: &FlowName, next_due_ms: Option<i64>) {
        self.flows.entry(flow.clone()).or_default().next_due_ms = next_due_ms;
    }

    /// The flows of which runs can be taken from disk now, those of the higher priority first.
    pub(super) fn claimable(&self, now_ms: i64) -> Vec<FlowName> {
        let is_due = |seats: &Seats| seats.next_due_ms.is_some_and(|due| due <= now_ms);
        let may_go = |(flow, seats): &(&FlowName, &Seats)| {
            is_due(seats) && self.free(flow) > 0 && !self.turns.paused.contains(*flow)
        };
        let mut flows: Vec<_> = self.flows.iter().filter(may_go).map(|(flow, _)| flow.clone()).collect();
        flows.sort_by_key(|flow| self.turns.priorities.get(flow).copied().unwrap_or_default());
        flows
    }

    /// How many runs of the flow can be taken.
    pub(super) fn free(&self, flow: &FlowName) -> u32 {
        let taken = self.flows.get(flow).map_or(0, |seats| seats.taken);
        self.seats_per_flow.saturating_sub(taken).min(self.room)
    }

    /// When a flow with free seats has a run on disk that is due, at the earliest.
    pub(super) fn next_due_ms(&self) -> Option<i64> {
        let free = |(flow, seats): &(&FlowName, &Seats)| {
            seats.taken < self.seats_per_flow && !self.turns.paused.contains(*flow)
        };
        self.flows.iter().filter(free).filter_map(|(_, seats)| seats.next_due_ms).min()
    }
}
