//! The receiver: checks each webhook's signature and keeps what it says. It is the customer database too, which flows ask who
//! calls and what to do, and tell what they have found.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use serde_json::Value;
use standardwebhooks::{HEADER_WEBHOOK_ID, Webhook};
use tokio::runtime::Runtime;

/// What webhooks of this test are signed with.
pub(crate) const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// A receiver that listens until it is dropped.
pub(crate) struct Receiver {
    _runtime: Runtime,
    address: SocketAddr,
    shelf: Arc<Shelf>,
}

/// What arrived.
struct Shelf {
    key: Webhook,
    /// By `webhook-id`: a repeat is the same webhook.
    moments: Mutex<BTreeMap<String, Value>>,
    refused: Mutex<Vec<String>>,
    /// By the caller's number and, of what is to be done, the event.
    answers: Mutex<BTreeMap<String, Answer>>,
    notes: Mutex<Vec<Value>>,
}

/// What the customer database says.
#[derive(Clone)]
pub(crate) struct Answer {
    /// The answer's body.
    pub(crate) body: Value,
    /// How long it thinks.
    pub(crate) after: Duration,
}

impl Receiver {
    /// Listens on a free port.
    pub(crate) fn start() -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let shelf = Arc::new(Shelf {
            key: Webhook::new(SECRET).expect("a secret"),
            moments: Mutex::default(),
            refused: Mutex::default(),
            answers: Mutex::default(),
            notes: Mutex::default(),
        });
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).expect("a free port");
        let address = listener.local_addr().expect("bound");
        let router = Router::new()
            .route("/hooks", post(take))
            .route("/contacts", get(answer))
            .route("/wishes", get(answer))
            .route("/notes", post(note))
            .with_state(Arc::clone(&shelf));
        runtime.spawn(async move { axum::serve(listener, router).await });
        Self { _runtime: runtime, address, shelf }
    }

    /// Where webhooks go to.
    pub(crate) fn url(&self) -> String {
        format!("{}/hooks", self.root())
    }

    /// Where flows ask and tell.
    pub(crate) fn root(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Answers a question from now on; to all others it knows nothing.
    pub(crate) fn answer(&self, query: &str, answer: Answer) {
        lock(&self.shelf.answers).insert(query.to_owned(), answer);
    }

    /// What flows have told of a caller.
    pub(crate) fn notes(&self, number: &str) -> Vec<Value> {
        lock(&self.shelf.notes).iter().filter(|note| note["phone"] == number).cloned().collect()
    }

    /// The moments of one caller, each once.
    pub(crate) fn of(&self, number: &str) -> Vec<Value> {
        let moments = lock(&self.shelf.moments);
        let of_member = of_members(&moments, &[number]);
        moments.values().filter(|moment| of_member.contains(&stay(moment))).cloned().collect()
    }

    /// All moments, each once.
    pub(crate) fn all(&self) -> Vec<Value> {
        lock(&self.shelf.moments).values().cloned().collect()
    }

    /// Why webhooks were refused, and those of callers who never called.
    pub(crate) fn unexpected(&self, numbers: &[&str]) -> Vec<String> {
        let mut found = lock(&self.shelf.refused).clone();
        let moments = lock(&self.shelf.moments);
        let known = of_members(&moments, numbers);
        found.extend(moments.values().filter(|moment| !known.contains(&stay(moment))).map(Value::to_string));
        found
    }
}

/// What tells attempts apart: their numbers, and when they joined, because a dialer's number may come again.
fn stay(moment: &Value) -> (Option<u64>, String) {
    (moment["attempt_id"].as_u64(), moment["joined_at"].to_string())
}

/// The attempts of members with those numbers, also before the member was called, when nobody has his number.
fn of_members(moments: &BTreeMap<String, Value>, numbers: &[&str]) -> BTreeSet<(Option<u64>, String)> {
    let known = |moment: &&Value| moment["member_number"].as_str().is_some_and(|number| numbers.contains(&number));
    moments.values().filter(known).map(stay).collect()
}

async fn take(State(shelf): State<Arc<Shelf>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    if let Err(error) = shelf.key.verify(&body, &headers) {
        lock(&shelf.refused).push(error.to_string());
        return StatusCode::UNAUTHORIZED;
    }
    let id = headers.get(HEADER_WEBHOOK_ID).and_then(|id| id.to_str().ok()).unwrap_or_default().to_owned();
    match serde_json::from_slice::<Value>(&body) {
        Ok(mut body) => lock(&shelf.moments).insert(id, body["data"].take()),
        Err(error) => {
            lock(&shelf.refused).push(error.to_string());
            return StatusCode::UNPROCESSABLE_ENTITY;
        }
    };
    StatusCode::NO_CONTENT
}

async fn answer(State(shelf): State<Arc<Shelf>>, RawQuery(query): RawQuery) -> String {
    let answer = lock(&shelf.answers).get(&query.unwrap_or_default()).cloned();
    let Some(Answer { body, after }) = answer else { return "{}".into() };
    tokio::time::sleep(after).await;
    body.to_string()
}

async fn note(State(shelf): State<Arc<Shelf>>, body: Bytes) -> StatusCode {
    lock(&shelf.notes).extend(serde_json::from_slice::<Value>(&body));
    StatusCode::NO_CONTENT
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("nobody panics while holding it")
}
