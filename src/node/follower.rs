//! The task that follows a cluster of nodes: the only owner of their lifecycle.
//!
//! Everything the lifecycle brings forth goes to the outbox before the next event is looked at. When the outbox is slow,
//! this task waits, the events behind it are dropped and counted at the connections, and the nodes are surveyed again.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::live::LiveAttempts;
use super::post::{Happening, Post};
use crate::config::Config;
use crate::esl::exit::Exit;
use crate::esl::feed::EventItem;
use crate::esl::link::NodeAddress;
use crate::hook;
use crate::id::{AttemptHash, NodeName};
use crate::lifecycle::attempt::Attempt;
use crate::lifecycle::{Effects, Lifecycle};
use crate::outbox::{AttemptChange, Closed, Entry, Outbox};

/// How long the task sleeps where nothing is to be decided; whatever comes wakes it.
const IDLE: Duration = Duration::from_secs(3_600);

/// What a follower is told to do.
#[derive(Debug)]
pub enum Order {
    /// To follow a node, with the attempts that were left open on it; or to connect anew to one that it follows, whose
    /// address or password has changed.
    Follow(Box<NodeAddress>, Vec<Attempt>),
    /// To follow a node no more, and to hand over its attempts.
    Leave(NodeName, oneshot::Sender<Vec<Attempt>>),
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

/// What all followers share.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// The configuration in force.
    pub config: watch::Receiver<Arc<Config>>,
    /// Where moments and attempts go.
    pub outbox: Outbox,
    /// Where live attempts are shown.
    pub live: LiveAttempts,
}

/// Follows a cluster.
#[derive(Debug)]
pub struct Follower {
    orders: mpsc::Receiver<Order>,
    posts: Vec<Post>,
    lifecycle: Lifecycle,
    around: Surroundings,
}

impl Follower {
    /// A follower of the cluster of a node, which waits for its orders.
    pub fn new(node: NodeName, orders: mpsc::Receiver<Order>, around: Surroundings) -> Self {
        let lifecycle = Lifecycle::new(node, around.config.borrow().clone());
        Self { orders, posts: Vec::new(), lifecycle, around }
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
            Order::Follow(address, attempts) => {
                info!(node = %address.name, address = address.address, "following FreeSWITCH");
                self.close(&address.name).await?;
                for attempt in attempts {
                    if !attempt.left {
                        self.around.live.show(&attempt);
                    }
                    self.lifecycle.restore(attempt);
                }
                let shown = self.lifecycle.on(&address.name).now();
                self.posts.push(Post::connect(*address, shown));
            }
            Order::Leave(node, reply) => {
                self.close(&node).await?;
                let attempts = self.lifecycle.remove(&node);
                info!(%node, open_attempts = attempts.len(), "FreeSWITCH is not followed any more");
                for attempt in &attempts {
                    self.around.live.remove(attempt.hash());
                }
                // If nobody takes them, they are in the outbox still.
                let _ = reply.send(attempts);
            }
        }
        Ok(())
    }

    /// Closes the connection to a node, if there is one, once all is read that came.
    async fn close(&mut self, node: &NodeName) -> Result<(), Closed> {
        let Some(place) = self.posts.iter().position(|post| post.name == *node) else { return Ok(()) };
        self.take_waiting(place).await?;
        let mut post = self.posts.remove(place);
        let heard_until = post.lost(false);
        let mut effects = Effects::default();
        self.lifecycle.on(node).advance(heard_until, &mut effects);
        self.lifecycle.end_connection(heard_until);
        post.link.tasks.shut_down().await;
        self.commit(effects).await
    }

    async fn take(&mut self, place: usize, items: &mut Vec<EventItem>) -> Result<(), Closed> {
        for item in items.drain(..) {
            let post = &mut self.posts[place];
            let lifecycle = self.lifecycle.on(&post.name);
            let mut effects = Effects::default();
            match item {
                EventItem::Event(event) => {
                    lifecycle.handle_event(&event, &mut effects);
                    post.heard(lifecycle.now());
                }
                EventItem::Connected => {
                    lifecycle.begin_connection();
                    let open = lifecycle.open_attempts();
                    info!(node = %post.name, open_attempts = open.len(), "FreeSWITCH is connected");
                    post.begin_survey(open, lifecycle.open_stays());
                }
                EventItem::Dirty { dropped } => {
                    warn!(node = %post.name, dropped, "events were dropped; the calls are compared with what FreeSWITCH has");
                    lifecycle.begin_gap();
                    post.begin_survey(lifecycle.open_attempts(), lifecycle.open_stays());
                }
                EventItem::Lost(exit) => {
                    let fell_silent = matches!(exit, Exit::HeartbeatMissed(_));
                    let heard_until = post.lost(fell_silent);
                    if !fell_silent {
                        // So long everything was still there.
                        lifecycle.advance(heard_until, &mut effects);
                    }
                    lifecycle.end_connection(heard_until);
                }
            }
            self.commit(effects).await?;
        }
        let post = &mut self.posts[place];
        if post.is_between_surveys() && self.lifecycle.take_stale_roster() {
            post.survey_soon();
        }
        Ok(())
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
            let post = &mut self.posts[place];
            let lifecycle = self.lifecycle.on(&post.name);
            let mut effects = Effects::default();
            lifecycle.advance(post.clock.read(Instant::now()), &mut effects);
            if post.is_survey_due() {
                post.begin_survey(lifecycle.open_attempts(), lifecycle.open_stays());
            }
            self.commit(effects).await?;
        }
        Ok(())
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
        let post = &mut self.posts[place];
        let Some((open, result)) = post.take_survey() else { return Ok(()) };
        let lifecycle = self.lifecycle.on(&post.name);
        let snapshot = match result {
            Ok(snapshot) => snapshot,
            Err(error) => {
                warn!(node = %post.name, %error, "what FreeSWITCH has could not be read; trying again");
                post.retry_survey(lifecycle.open_attempts(), lifecycle.open_stays());
                return Ok(());
            }
        };
        let mut effects = Effects::default();
        lifecycle.advance(post.clock.read(Instant::now()), &mut effects);
        lifecycle.reconcile(&snapshot, &open, &mut effects);
        post.clock.set(lifecycle.now(), Instant::now());
        info!(
            node = %post.name,
            channels = snapshot.channels.len(),
            members = snapshot.members.len(),
            agents = snapshot.agents.len(),
            open_attempts = open.len(),
            "compared with what FreeSWITCH has",
        );
        self.commit(effects).await
    }

    /// Gives what one input brought forth to the outbox, as one entry.
    async fn commit(&self, effects: Effects) -> Result<(), Closed> {
        if effects.is_empty() {
            return Ok(());
        }
        let entry = self.entry(effects);
        self.around.outbox.submit(entry).await.map(drop)
    }

    fn entry(&self, effects: Effects) -> Entry {
        for moment in &effects.moments {
            let payload = &moment.payload;
            info!(
                node = %payload.node,
                queue = payload.queue_name.as_ref().map(display),
                agent = payload.agent_name.as_ref().map(display),
                attempt = payload.attempt_id,
                sequence = payload.sequence,
                synthetic = payload.synthetic,
                "{}", payload.event,
            );
        }
        let config = self.around.config.borrow();
        Entry {
            attempts: effects.changed.iter().map(|hash| self.change(*hash)).collect(),
            moments: effects.moments.into_iter().flat_map(|moment| hook::start(&config, moment)).collect(),
        }
    }

    /// What became of an attempt, shown to whoever looks.
    fn change(&self, hash: AttemptHash) -> AttemptChange {
        match self.lifecycle.attempt(hash) {
            Some(attempt) => self.around.live.show(attempt),
            None => self.around.live.remove(hash),
        }
        match self.lifecycle.state(hash) {
            Some((key, state)) => AttemptChange::Keep { key, state },
            None => AttemptChange::Forget(hash),
        }
    }
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
