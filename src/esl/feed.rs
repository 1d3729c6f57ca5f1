//! From the events connection to whoever follows the events, without ever holding up the connection.
//!
//! A client that stops reading makes FreeSWITCH queue 100,000 events (2.3 GB) and then stall every call, so what cannot be
//! handed on is dropped here, counted, and owned up to with [`EventItem::Dirty`].

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use tokio::sync::{Notify, mpsc};
use tokio_util::sync::DropGuard;
use tracing::warn;

use super::codec::Decoded;
use super::event::Event;
use super::exit::Exit;
use super::frame::Frame;
use super::link::{Intake, Tally};
use crate::id::NodeName;

/// How many events wait for whoever follows them: 40 MB of 5 kB each, and eight seconds at 1,000 a second, which is ten
/// times what one FreeSWITCH was seen to manage.
pub const EVENT_CAPACITY: usize = 8 * 1024;

/// How many bytes the events that wait may have together, which a FreeSWITCH with long events would else exceed by far:
/// [`EVENT_CAPACITY`] of 8 kB each.
pub const EVENT_BYTES: usize = 64 * 1024 * 1024;

/// What the events connection has to tell.
#[derive(Debug)]
pub enum EventItem {
    /// The connection is up and subscribed: take a snapshot, then apply what follows.
    Connected,
    /// An event. It keeps the buffer that it was read into: don't hold on to it.
    Event(Event),
    /// So many events were dropped since the last item: take a snapshot.
    Dirty {
        /// How many.
        dropped: u64,
    },
    /// The connection ended; it is being made anew.
    Lost(Exit),
    /// A frame that is no event: given only where they were asked for, as a recording does.
    Aside(Frame),
}

/// The events of one FreeSWITCH, in the order in which they came, and what became of the connection. The connection is
/// closed when it is dropped.
#[derive(Debug)]
pub struct EventStream {
    items: mpsc::Receiver<EventItem>,
    backlog: Arc<Backlog>,
    _alive: DropGuard,
}

impl EventStream {
    /// The next item; none once the link is shut down. Nothing is lost if the future is dropped.
    pub async fn next(&mut self) -> Option<EventItem> {
        let item = self.items.recv().await;
        self.backlog.take(item.as_slice());
        item
    }

    /// How many items wait.
    pub fn waiting(&self) -> usize {
        self.items.len()
    }

    /// Adds up to `limit` items, at least one, to `items`; 0 once the link is shut down. Nothing is lost if the future is
    /// dropped.
    pub async fn next_many(&mut self, items: &mut Vec<EventItem>, limit: usize) -> usize {
        poll_fn(|cx| self.poll_many(cx, items, limit)).await
    }

    /// As [`Self::next_many`], for whoever waits for several streams at once.
    pub fn poll_many(&mut self, cx: &mut Context<'_>, items: &mut Vec<EventItem>, limit: usize) -> Poll<usize> {
        let before = items.len();
        let taken = self.items.poll_recv_many(cx, items, limit);
        self.backlog.take(&items[before..]);
        taken
    }
}

/// The other end of an [`EventStream`].
#[derive(Debug)]
pub(super) struct Feed {
    node: NodeName,
    items: mpsc::Sender<EventItem>,
    backlog: Arc<Backlog>,
    debt: Debt,
    tally: Arc<Tally>,
    /// Whether frames that are no events are wanted.
    asides: bool,
}

/// How many bytes the events have that wait.
#[derive(Debug, Default)]
struct Backlog {
    bytes: AtomicUsize,
    taken: Notify,
}

impl Backlog {
    /// Whether an event may wait too, which is added then.
    fn add(&self, item: &EventItem) -> bool {
        let bytes = item.bytes();
        let has_room = self.bytes.load(Ordering::Acquire) + bytes <= EVENT_BYTES;
        if has_room {
            self.bytes.fetch_add(bytes, Ordering::AcqRel);
        }
        has_room
    }

    fn take(&self, items: &[EventItem]) {
        let bytes: usize = items.iter().map(EventItem::bytes).sum();
        if bytes > 0 {
            self.bytes.fetch_sub(bytes, Ordering::AcqRel);
            self.taken.notify_one();
        }
    }

    /// Waits until half of the room is free.
    async fn halved(&self) {
        while self.bytes.load(Ordering::Acquire) > EVENT_BYTES / 2 {
            self.taken.notified().await;
        }
    }
}

impl EventItem {
    fn bytes(&self) -> usize {
        match self {
            Self::Event(event) => event.size(),
            Self::Aside(frame) => frame.head.len() + frame.body.len(),
            Self::Connected | Self::Dirty { .. } | Self::Lost(_) => 0,
        }
    }
}

/// What could not be handed on. Marks fold into the last of their kind, so a debt never grows.
#[derive(Debug, Default)]
struct Debt {
    dropped: u64,
    lost: Option<Exit>,
    connected: bool,
}

impl Feed {
    pub(super) fn new(node: NodeName, intake: Intake, tally: Arc<Tally>, alive: DropGuard) -> (Self, EventStream) {
        let (items, receiver) = mpsc::channel(intake.capacity);
        let backlog = Arc::new(Backlog::default());
        (
            Self { node, items, backlog: Arc::clone(&backlog), debt: Debt::default(), tally, asides: intake.asides },
            EventStream { items: receiver, backlog, _alive: alive },
        )
    }

    /// Hands a frame on that is no event, where they are wanted.
    pub(super) fn give_aside(&mut self, decoded: &Decoded) {
        if let Decoded::Frame(frame) = decoded
            && self.asides
            && !frame.kind.is_event()
        {
            self.give(EventItem::Aside(frame.clone()));
        }
    }

    /// Hands an item on, or notes that it is owed; never waits.
    pub(super) fn give(&mut self, item: EventItem) {
        if matches!(item, EventItem::Event(_)) {
            Tally::add(&self.tally.events, 1);
        }
        if self.owes() || !self.backlog.add(&item) {
            return self.owe(item);
        }
        if let Err(mpsc::error::TrySendError::Full(item)) = self.items.try_send(item) {
            self.backlog.take(std::slice::from_ref(&item));
            self.owe(item);
        }
    }

    /// Whether something could not be handed on.
    pub(super) fn owes(&self) -> bool {
        self.debt.dropped > 0 || self.debt.lost.is_some() || self.debt.connected
    }

    /// Waits for room and hands on what is owed.
    ///
    /// Room is half of the capacity: with less, events would be dropped again at once, and one snapshot would follow the
    /// other.
    pub(super) async fn settle(&mut self) {
        self.backlog.halved().await;
        let room = self.items.max_capacity().div_ceil(2);
        let Ok(permits) = self.items.reserve_many(room).await else {
            // Nobody follows any more, and the link is about to be told so.
            return std::future::pending().await;
        };
        for permit in permits {
            let Some(item) = self.debt.next() else { break };
            permit.send(item);
        }
    }

    fn owe(&mut self, item: EventItem) {
        match item {
            EventItem::Connected => self.debt.connected = true,
            EventItem::Event(_) => {
                if self.debt.dropped == 0 {
                    warn!(node = %self.node, "events are dropped, because what is behind them is slow");
                }
                self.debt.dropped += 1;
                Tally::add(&self.tally.dropped, 1);
            }
            EventItem::Dirty { dropped } => self.debt.dropped += dropped,
            EventItem::Lost(exit) => {
                self.debt.connected = false;
                self.debt.lost = Some(exit);
            }
            // Nothing follows from it.
            EventItem::Aside(_) => {}
        }
    }
}

impl Debt {
    /// Takes what is to be told first.
    fn next(&mut self) -> Option<EventItem> {
        match self {
            Self { dropped: 1.., .. } => Some(EventItem::Dirty { dropped: std::mem::take(&mut self.dropped) }),
            Self { lost: Some(_), .. } => self.lost.take().map(EventItem::Lost),
            Self { connected: true, .. } => {
                self.connected = false;
                Some(EventItem::Connected)
            }
            Self { dropped: 0, lost: None, connected: false } => None,
        }
    }
}
