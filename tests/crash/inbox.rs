//! The webhooks that arrived, in the order of their arrival.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hookswitch::moment::Payload;
use serde::Deserialize;
use standardwebhooks::Webhook;

use crate::receiver::{Answer, Received, Receiver};

/// The signing secret.
pub(crate) const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// The share of requests answered with 500, and of those whose connection breaks off unanswered.
const FAILING: f64 = 0.06;
const BREAKING_OFF: f64 = 0.04;

/// A receiver, and what it got.
pub(crate) struct Inbox {
    receiver: Receiver,
    forged: Arc<AtomicUsize>,
    taken: Arrivals,
}

/// What arrived.
#[derive(Default)]
pub(crate) struct Arrivals {
    /// The webhooks, each in the place of its first arrival.
    pub(crate) webhooks: Vec<Arrived>,
    /// How many requests repeated an earlier one.
    pub(crate) repeats: usize,
    /// Webhooks whose body was another one when they came again.
    pub(crate) changed: Vec<String>,
    /// Requests whose signature was wrong.
    pub(crate) forged: usize,
    by_id: HashMap<String, usize>,
}

/// A webhook.
pub(crate) struct Arrived {
    /// Its `webhook-id`.
    pub(crate) id: String,
    /// The path that it was sent to: each flow has its own.
    pub(crate) path: String,
    /// Its moment.
    pub(crate) moment: Payload,
    body: Vec<u8>,
}

/// The body, in the format `standard`.
#[derive(Deserialize)]
struct Body {
    data: Payload,
}

impl Inbox {
    /// Listens on a free port. A request with a good signature is refused now and then all the same.
    pub(crate) async fn open(seed: u64) -> Self {
        let key = Webhook::new(SECRET).expect("a secret");
        let forged = Arc::new(AtomicUsize::new(0));
        let (count, chance) = (forged.clone(), std::sync::Mutex::new(fastrand::Rng::with_seed(seed)));
        let receiver = Receiver::start(move |received| {
            if key.verify(&received.body, &received.headers).is_err() {
                count.fetch_add(1, Ordering::Relaxed);
            }
            let drawn = chance.lock().expect("no draw panics").f64();
            match drawn {
                _ if drawn < FAILING => Answer::Status("500 Internal Server Error", String::new()),
                _ if drawn < FAILING + BREAKING_OFF => Answer::Reset,
                _ => Answer::ok(),
            }
        });
        Self { receiver: receiver.await, forged, taken: Arrivals::default() }
    }

    /// Where a flow sends to.
    pub(crate) fn url(&self, flow: &str) -> String {
        format!("http://{}/{flow}", self.receiver.address)
    }

    /// What has arrived so far.
    pub(crate) fn arrivals(&mut self) -> &Arrivals {
        while let Ok(received) = self.receiver.requests.try_recv() {
            self.taken.take(received);
        }
        self.taken.forged = self.forged.load(Ordering::Relaxed);
        &self.taken
    }
}

impl Arrivals {
    fn take(&mut self, received: Received) {
        let id = received.header("webhook-id").to_owned();
        let Some(known) = self.by_id.get(&id) else {
            let Body { data: moment } = serde_json::from_slice(&received.body).expect("the standard format");
            self.by_id.insert(id.clone(), self.webhooks.len());
            return self.webhooks.push(Arrived { id, path: received.path, moment, body: received.body });
        };
        self.repeats += 1;
        let first = &self.webhooks[*known];
        if (&first.path, &first.body) != (&received.path, &received.body) {
            self.changed.push(id);
        }
    }
}
