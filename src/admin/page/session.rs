//! Sessions: a sign-in that lasts until somebody signs out, or for half a day.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::admin::role::Role;
use crate::config::secret::Secret;
use crate::config::{HttpSettings, HttpUser};

/// How long a session lasts: a shift and its overtime.
pub const LASTS: Duration = Duration::from_hours(12);

/// How many there may be: the oldest gives its place to one more.
const MOST: usize = 10_000;

/// The sessions, and what forms carry where nobody signs in. All of it is gone when the daemon ends.
#[derive(Debug)]
pub struct Sessions {
    open: Mutex<HashMap<String, Session>>,
    /// The CSRF token of whoever has no session.
    pub csrf: String,
}

#[derive(Clone, Debug)]
struct Session {
    name: String,
    /// What was given: a session ends when that is not right any more.
    proof: Proof,
    csrf: String,
    began: Instant,
}

/// What somebody has signed in by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proof {
    /// The password of a user, with this hash.
    Password(Secret),
    /// A token.
    Token(Secret),
}

/// Somebody with a session.
#[derive(Clone, Debug)]
pub struct SignedIn {
    /// The name.
    pub name: String,
    /// What the configuration permits now.
    pub role: Role,
    /// What the session's forms carry.
    pub csrf: String,
}

impl Default for Sessions {
    fn default() -> Self {
        Self { open: Mutex::default(), csrf: random() }
    }
}

impl Sessions {
    /// Begins one, and gives its name for a cookie.
    pub fn begin(&self, name: &str, proof: Proof) -> String {
        let id = random();
        let session = Session { name: name.to_owned(), proof, csrf: random(), began: Instant::now() };
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|_, session| session.began.elapsed() < LASTS);
        if open.len() >= MOST
            && let Some(oldest) = open.iter().min_by_key(|(_, session)| session.began).map(|(id, _)| id.clone())
        {
            open.remove(&oldest);
        }
        open.insert(id.clone(), session);
        id
    }

    /// Whose session this is, if it holds.
    pub fn find(&self, id: &str, settings: &HttpSettings) -> Option<SignedIn> {
        let session = self.open.lock().unwrap_or_else(PoisonError::into_inner).get(id).cloned()?;
        let role = match &session.proof {
            Proof::Password(hash) => {
                let is_user = |user: &&HttpUser| user.name == session.name && user.password == *hash;
                settings.users.iter().find(is_user)?.role
            }
            Proof::Token(token) => {
                settings.tokens.iter().find(|known| known.name == session.name && known.token == *token)?.role
            }
        };
        let Session { name, csrf, .. } = session;
        (session.began.elapsed() < LASTS).then_some(SignedIn { name, role, csrf })
    }

    /// Ends one.
    pub fn end(&self, id: &str) {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
    }
}

/// A text that nobody can guess.
fn random() -> String {
    let mut bytes = [0; 32];
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    provider.secure_random.fill(&mut bytes).expect("the system has randomness");
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
