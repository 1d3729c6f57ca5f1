//! The webhooks that arrived, in the order of their arrival.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};

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
    desk: Arc<Mutex<Desk>>,
    taken: Arrivals,
}

/// What answers, and what it answered.
struct Desk {
    key: Webhook,
    chance: fastrand::Rng,
    accepted: HashSet<String>,
    forged: usize,
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
    /// Webhooks that were accepted, once or more often.
    pub(crate) accepted: HashSet<String>,
    /// How many requests had a wrong signature.
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
        let chance = fastrand::Rng::with_seed(seed);
        let desk = Arc::new(Mutex::new(Desk { key, chance, accepted: HashSet::new(), forged: 0 }));
        let answering = desk.clone();
        let receiver = Receiver::start(move |received| answering.lock().expect("no answer panics").answer(received));
        Self { receiver: receiver.await, desk, taken: Arrivals::default() }
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
        let desk = self.desk.lock().expect("no answer panics");
        self.taken.forged = desk.forged;
        self.taken.accepted.clone_from(&desk.accepted);
        &self.taken
    }
}

impl Desk {
    fn answer(&mut self, received: &Received) -> Answer {
        self.forged += usize::from(self.key.verify(&received.body, &received.headers).is_err());
        let drawn = self.chance.f64();
        if drawn < FAILING {
            return Answer::Status("500 Internal Server Error", String::new());
        }
        if drawn < FAILING + BREAKING_OFF {
            return Answer::Reset;
        }
        self.accepted.insert(received.header("webhook-id").to_owned());
        Answer::ok()
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
