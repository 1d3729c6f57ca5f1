//! The task that follows a cluster of nodes: the only owner of their lifecycle.
//!
//! Everything the lifecycle brings forth goes to the outbox before the next event is looked at. When the outbox is slow,
//! this task waits, the events behind it are dropped and counted at the connections, and the nodes are surveyed again.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::post::{Happening, Post};
use super::surroundings::Surroundings;
use crate::esl::feed::EventItem;
use crate::esl::link::{Intake, NodeAddress};
use crate::freeswitch::fact::Stamp;
use crate::id::{AttemptHash, NodeName};
use crate::lifecycle::kept::Kept;
use crate::lifecycle::survey::Known;
use crate::lifecycle::{Effects, Lifecycle};
use crate::outbox::Closed;
use crate::recording::{Mark, Tap};

/// How long the task sleeps where nothing is to be decided; whatever comes wakes it.
const IDLE: Duration = Duration::from_secs(3_600);

/// The most by which an event can be late; an older one has the time of a clock that was never set.
const BELIEVABLE_LAG: SignedDuration = SignedDuration::from_hours(24 * 365);

/// The most by which a node's clock can be ahead of ours.
const BELIEVABLE_LEAD: SignedDuration = SignedDuration::from_hours(24);

/// What a follower is told to do.
#[derive(Debug)]
pub enum Order {
    /// To follow a node, with what was kept of its attempts; or to connect anew to one that it follows, whose
    /// address or password has changed.
    Follow(Box<NodeAddress>, Vec<Kept>),
    /// To follow a node no more, and to hand over its attempts.
    Leave(NodeName, oneshot::Sender<Vec<Kept>>),
}

/// Why a follower cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum FollowError {
    /// What is told can be kept nowhere.
    #[error(transparent)]
    Outbox(#[from] Closed),
    /// A node's connections are kept up no more, though nobody told them to end.
    #[error("the link to node `{0}` has ended by itself")]
    Link(NodeName),
}

/// Follows a cluster.
#[derive(Debug)]
pub struct Follower {
    orders: mpsc::Receiver<Order>,
    posts: Vec<Post>,
    lifecycle: Lifecycle,
    around: Surroundings,
    /// All that the lifecycle is fed is recorded there, where that is wanted.
    tap: Tap,
}

impl Follower {
    /// A follower of the cluster of a node, which waits for its orders.
    pub fn new(node: NodeName, orders: mpsc::Receiver<Order>, around: Surroundings, tap: Tap) -> Self {
        let lifecycle = Lifecycle::new(node, around.config.borrow().clone());
        Self { orders, posts: Vec::new(), lifecycle, around, tap }
    }

    /// Follows until it is told to end, or nobody can give it orders any more.
    pub async fn run(mut self, end: CancellationToken) -> Result<(), FollowError> {
        let mut items = Vec::new();
        loop {
            // Each post is looked at first in turn, so that a busy node leaves the others their time.
            let turn = self.posts.len().min(1);
            self.posts.rotate_left(turn);
            let due = self.until_due();
            tokio::select! {
                biased;
                () = end.cancelled() => break,
                order = self.orders.recv() => match order {
                    Some(order) => self.obey(order).await?,
                    None => break,
                },
                Ok(()) = self.around.config.changed() => {
                    let config = self.around.config.borrow_and_update().clone();
                    self.tap.mark_all(&Mark::Configured);
                    self.lifecycle.configure(config);
                }
                (place, happening) = happening(&mut self.posts, &mut items) => match happening {
                    Happening::Surveyed => self.surveyed(place).await?,
                    Happening::Items => self.take(place, &mut items).await?,
                    Happening::Ended => return Err(FollowError::Link(self.posts[place].name.clone())),
                },
                () = tokio::time::sleep(due) => self.pass_time().await?,
            }
        }
        for post in self.posts {
            post.link.tasks.shut_down().await;
        }
        Ok(())
    }

    async fn obey(&mut self, order: Order) -> Result<(), Closed> {
        match order {
            Order::Follow(address, kept) => {
                info!(node = %address.name, address = address.address, "following FreeSWITCH");
                self.close(&address.name).await?;
                for kept in kept {
                    if let Some(attempt) = kept.open() {
                        self.around.live.show(attempt);
                    }
                    self.tap.mark(&address.name, || Mark::Restored(Cow::Borrowed(&kept)));
                    self.lifecycle.restore(kept);
                }
                let shown = self.lifecycle.on(&address.name).now();
                let intake = Intake { capacity: self.around.event_capacity, asides: self.tap.is_wanted() };
                let post = Post::connect(*address, shown, intake);
                self.around.nodes.insert(post.name.clone(), &post.link);
                self.posts.push(post);
            }
            Order::Leave(node, reply) => {
                self.close(&node).await?;
                self.tap.mark(&node, || Mark::Left);
                let kept = self.lifecycle.remove(&node);
                let open: Vec<_> = kept.iter().filter_map(Kept::open).collect();
                info!(%node, open_attempts = open.len(), "FreeSWITCH is not followed any more");
                for attempt in open {
                    self.around.live.remove(attempt.hash());
                }
                // If nobody takes it, it is in the outbox still.
                let _ = reply.send(kept);
            }
        }
        Ok(())
    }

    /// Closes the connection to a node, if there is one, once all is read that came.
    async fn close(&mut self, node: &NodeName) -> Result<(), Closed> {
        let Some(place) = self.posts.iter().position(|post| post.name == *node) else { return Ok(()) };
        self.take_waiting(place).await?;
        let mut post = self.posts.remove(place);
        self.around.nodes.remove(node);
        let heard_until = post.lost(false);
        let mut effects = Effects::default();
        self.tap.mark(node, || Mark::Clock { now: heard_until });
        self.lifecycle.on(node).advance(heard_until, &mut effects);
        self.tap.mark(node, || Mark::Lost { at: Timestamp::now(), reason: "it is left".into(), heard_until });
        self.lifecycle.end_connection(heard_until);
        post.link.tasks.shut_down().await;
        self.commit(effects).await
    }

    async fn take(&mut self, place: usize, items: &mut Vec<EventItem>) -> Result<(), Closed> {
        let Self { posts, tap, .. } = self;
        tap.mark(&posts[place].name, || Mark::Arrived { at: Timestamp::now() });
        let latest = latest_time(items);
        for item in items.drain(..) {
            let effects = self.take_item(place, item);
            self.commit(effects).await?;
        }
        let post = &mut self.posts[place];
        if let Some(latest) = latest {
            post.link.tally.set_lag(latest.and_then(|at| lag(at, Timestamp::now())));
        }
        if post.is_between_surveys() && self.lifecycle.take_stale_roster() {
            post.survey_soon();
        }
        let is_wanted = self.lifecycle.on(&post.name).wants_survey();
        post.want_survey(is_wanted);
        Ok(())
    }

    fn take_item(&mut self, place: usize, item: EventItem) -> Effects {
        let Self { posts, lifecycle, tap, .. } = self;
        let post = &mut posts[place];
        let lifecycle = lifecycle.on(&post.name);
        let mut effects = Effects::default();
        match item {
            EventItem::Event(event) => {
                tap.event(&post.name, &event);
                lifecycle.handle_event(&event, &mut effects);
                post.heard(lifecycle.now());
            }
            EventItem::Connected => {
                tap.mark(&post.name, || Mark::Connected { at: Timestamp::now() });
                lifecycle.begin_connection();
                info!(node = %post.name, open_attempts = lifecycle.open_attempts().len(), "FreeSWITCH is connected");
                begin_survey(post, lifecycle, tap, Post::begin_surveys);
            }
            EventItem::Dirty { dropped } => {
                warn!(node = %post.name, dropped, "events were dropped; the calls are compared with what FreeSWITCH has");
                tap.mark(&post.name, || Mark::Dirty { dropped });
                lifecycle.begin_gap();
                begin_survey(post, lifecycle, tap, Post::begin_surveys);
            }
            EventItem::Lost(exit) => {
                let fell_silent = exit.hides_events();
                let heard_until = post.lost(fell_silent);
                if !fell_silent {
                    // So long everything was still there.
                    tap.mark(&post.name, || Mark::Clock { now: heard_until });
                    lifecycle.advance(heard_until, &mut effects);
                }
                let (at, reason) = (Timestamp::now(), exit.to_string());
                tap.mark(&post.name, || Mark::Lost { at, reason, heard_until });
                lifecycle.end_connection(heard_until);
            }
            EventItem::Aside(frame) => tap.frame(&post.name, &frame),
        }
        effects
    }

    /// Takes what waits now, but nothing that comes meanwhile: that could go on for ever.
    async fn take_waiting(&mut self, place: usize) -> Result<(), Closed> {
        let mut items = Vec::new();
        let waiting = self.posts[place].link.events.waiting();
        if waiting > 0 {
            self.posts[place].link.events.next_many(&mut items, waiting).await;
        }
        self.take(place, &mut items).await
    }

    async fn pass_time(&mut self) -> Result<(), Closed> {
        for place in 0..self.posts.len() {
            let effects = self.advance(place);
            let Self { posts, lifecycle, tap, .. } = self;
            let post = &mut posts[place];
            let lifecycle = lifecycle.on(&post.name);
            post.want_survey(lifecycle.wants_survey());
            if post.is_survey_due() {
                begin_survey(post, lifecycle, tap, Post::begin_survey);
            }
            self.commit(effects).await?;
        }
        Ok(())
    }

    /// Lets the lifecycle know how late it is on a node.
    fn advance(&mut self, place: usize) -> Effects {
        let post = &self.posts[place];
        let (now, mut effects) = (post.shown(), Effects::default());
        self.tap.mark(&post.name, || Mark::Clock { now });
        self.lifecycle.on(&post.name).advance(now, &mut effects);
        effects
    }

    /// How long it is until something is to be decided.
    fn until_due(&mut self) -> Duration {
        let Self { posts, lifecycle, .. } = self;
        let due = posts.iter().filter_map(|post| post.until_due(lifecycle.on(&post.name).next_deadline()));
        due.min().unwrap_or(IDLE)
    }

    /// A survey is done. The events that have come before its answers are older than they are, so they go first.
    async fn surveyed(&mut self, place: usize) -> Result<(), Closed> {
        self.take_waiting(place).await?;
        let Some((open, result)) = self.posts[place].take_survey() else { return Ok(()) };
        let snapshot = match result {
            Ok(snapshot) => snapshot,
            Err(error) => {
                let Self { posts, lifecycle, tap, .. } = self;
                let post = &mut posts[place];
                warn!(node = %post.name, %error, "what FreeSWITCH has could not be read; trying again");
                begin_survey(post, lifecycle.on(&post.name), tap, Post::retry_survey);
                return Ok(());
            }
        };
        let mut effects = self.advance(place);
        let Self { posts, lifecycle, tap, .. } = self;
        let post = &mut posts[place];
        tap.snapshot(&post.name, &snapshot);
        let lifecycle = lifecycle.on(&post.name);
        let differences = lifecycle.reconcile(&snapshot, &open, &mut effects);
        post.note_survey(differences);
        post.want_survey(lifecycle.wants_survey());
        post.set_clock(lifecycle.now());
        info!(
            node = %post.name,
            channels = snapshot.channels.len(),
            members = snapshot.members.len(),
            agents = snapshot.agents.len(),
            open_attempts = open.len(),
            gone = differences.gone,
            new = differences.new,
            "compared with what FreeSWITCH has",
        );
        self.commit(effects).await
    }

    /// Gives what one input brought forth to the outbox, as one entry.
    async fn commit(&self, effects: Effects) -> Result<(), Closed> {
        if effects.is_empty() {
            return Ok(());
        }
        let entry = self.around.entry(&self.lifecycle, effects);
        match &self.around.outbox {
            Some(outbox) => outbox.submit(entry).await.map(drop),
            None => Ok(()),
        }
    }
}

/// Begins a survey, now or after a pause: what it finds is compared with the attempts that are open now.
fn begin_survey(
    post: &mut Post,
    lifecycle: &mut Lifecycle,
    tap: &mut Tap,
    begin: impl FnOnce(&mut Post, BTreeSet<AttemptHash>, Known),
) {
    tap.mark(&post.name, || Mark::Survey);
    begin(post, lifecycle.begin_survey(), lifecycle.known());
}

/// When the latest of these events happened; that it is not known, where the connection has ended or begun since, or none
/// came; nothing where it is still the one before these.
fn latest_time(items: &[EventItem]) -> Option<Option<Timestamp>> {
    items.iter().rev().find_map(|item| match item {
        EventItem::Event(event) => Stamp::read(event).at.map(Some),
        EventItem::Connected | EventItem::Lost(_) => Some(None),
        EventItem::Dirty { .. } | EventItem::Aside(_) => None,
    })
}

/// How long ago something happened, by two machines' clocks, which can disagree; none if that can't be.
fn lag(at: Timestamp, now: Timestamp) -> Option<Duration> {
    let lag = now.duration_since(at);
    (-BELIEVABLE_LEAD..=BELIEVABLE_LAG).contains(&lag).then(|| Duration::try_from(lag).unwrap_or_default())
}

/// What happens next at any of the posts, and at which.
async fn happening(posts: &mut [Post], items: &mut Vec<EventItem>) -> (usize, Happening) {
    poll_fn(|cx| {
        let ready = posts.iter_mut().enumerate().find_map(|(place, post)| match post.poll(cx, items) {
            Poll::Ready(happening) => Some((place, happening)),
            Poll::Pending => None,
        });
        ready.map_or(Poll::Pending, Poll::Ready)
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::esl::{Event, Exit};

    fn event(at: &str) -> EventItem {
        EventItem::Event(Event::from_plain(
            format!("Event-Name: X\nEvent-Date-Timestamp: {at}\n\n").into_bytes().into(),
        ))
    }

    #[test]
    fn a_lag_is_that_of_the_latest_event_of_this_connection() {
        let time = |micros| Timestamp::from_microsecond(micros).expect("in range");
        assert_eq!(latest_time(&[]), None);
        assert_eq!(latest_time(&[EventItem::Dirty { dropped: 1 }]), None);
        assert_eq!(latest_time(&[event("7000000"), event("9000000")]), Some(Some(time(9_000_000))));
        for nonsense in ["-9000000", "0", "", "x", "9223372036854775807", "99999999999999999"] {
            assert_eq!(latest_time(&[event(nonsense)]), None, "{nonsense}");
            assert_eq!(latest_time(&[event("7000000"), event(nonsense)]), Some(Some(time(7_000_000))));
        }
        assert_eq!(latest_time(&[event("7000000"), EventItem::Lost(Exit::Refused)]), Some(None));
        assert_eq!(latest_time(&[event("7000000"), EventItem::Connected]), Some(None));
        let now: Timestamp = "2026-11-24T12:00:00Z".parse().expect("a time");
        let after = |span| lag(now - span, now);
        assert_eq!(after(SignedDuration::from_secs(3)), Some(Duration::from_secs(3)));
        assert_eq!(after(-SignedDuration::from_secs(3)), Some(Duration::ZERO));
        assert_eq!(after(-SignedDuration::from_hours(25)), None);
        assert_eq!(lag(Timestamp::UNIX_EPOCH, now), None);
    }
}
