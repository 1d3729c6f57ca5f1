//! Who we say we are to a receiver.

use std::time::Duration;

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use serde::Deserialize;
use tokio::sync::Mutex;
use tokio::time::Instant;
use url::Url;

use super::network::{NetworkFailure, root_cause};
use crate::config::secret::Secret;

/// How long before its end a token is renewed: so long a request may take to arrive.
const MARGIN: Duration = Duration::from_secs(30);

/// How long a token is used of which nobody says how long it holds.
const UNKNOWN: Duration = Duration::from_secs(300);

/// How long asking for a token may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The longest answer with a token that is read.
const LONGEST_ANSWER: usize = 64 * 1_024;

/// Who we say we are.
#[derive(Debug, Default)]
pub enum Credentials {
    /// Nobody.
    #[default]
    None,
    /// Always this header.
    Fixed(HeaderValue),
    /// The bearer of a token that is asked for first, and again when it ends.
    OAuth2(Box<TokenSource>),
}

/// Where tokens come from: OAuth 2.0's client credentials grant.
#[derive(Debug)]
pub struct TokenSource {
    http: reqwest::Client,
    url: Url,
    client_id: String,
    client_secret: Secret,
    scope: Option<String>,
    token: Mutex<Option<Token>>,
}

#[derive(Clone, Debug)]
struct Token {
    header: HeaderValue,
    until: Instant,
}

/// What is answered to who asks for a token.
#[derive(Deserialize)]
struct Grant {
    access_token: String,
    expires_in: Option<u64>,
}

/// A text that can't stand in a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("user, password and token are of one line, and hold no control characters")]
pub struct NotAHeader;

impl Credentials {
    /// A user and a password.
    pub fn basic(user: &str, password: &Secret) -> Result<Self, NotAHeader> {
        let mut plain = reqwest::Client::new()
            .get("http://localhost/")
            .basic_auth(user, Some(password.expose()))
            .build()
            .map_err(|_| NotAHeader)?;
        let mut header = plain.headers_mut().remove(AUTHORIZATION).ok_or(NotAHeader)?;
        header.set_sensitive(true);
        Ok(Self::Fixed(header))
    }

    /// The bearer of this token.
    pub fn bearer(token: &Secret) -> Result<Self, NotAHeader> {
        bearer(token.expose()).map(Self::Fixed)
    }

    /// Puts into the header who we are; says why that can't be done now.
    pub(super) async fn authorize(&self, headers: &mut HeaderMap) -> Result<(), String> {
        let value = match self {
            Self::None => return Ok(()),
            Self::Fixed(value) => value.clone(),
            Self::OAuth2(source) => source.current().await?,
        };
        headers.insert(AUTHORIZATION, value);
        Ok(())
    }

    /// Takes note of a token that was refused: the next request has another one. Says whether there can be one.
    pub(super) async fn renew(&self) -> bool {
        let Self::OAuth2(source) = self else { return false };
        *source.token.lock().await = None;
        true
    }
}

impl TokenSource {
    /// Tokens from this address, asked for over the receiver's own way.
    pub fn new(
        http: reqwest::Client,
        url: Url,
        client_id: String,
        client_secret: Secret,
        scope: Option<String>,
    ) -> Self {
        Self { http, url, client_id, client_secret, scope, token: Mutex::default() }
    }

    /// The token that holds now; all who need a new one wait for the same.
    async fn current(&self) -> Result<HeaderValue, String> {
        let mut kept = self.token.lock().await;
        if let Some(token) = kept.as_ref().filter(|token| token.until > Instant::now()) {
            return Ok(token.header.clone());
        }
        let host = self.url.host_str().unwrap_or_default();
        let token = self.ask().await.map_err(|reason| format!("no access token from {host}: {reason}"))?;
        Ok(kept.insert(token).header.clone())
    }

    async fn ask(&self) -> Result<Token, String> {
        let network = |error: reqwest::Error| format!("{}: {}", NetworkFailure::of(&error), root_cause(&error));
        let scope = self.scope.iter().map(|scope| ("scope", scope.as_str()));
        let form: Vec<_> = [("grant_type", "client_credentials")].into_iter().chain(scope).collect();
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let request = self.http.post(self.url.clone()).timeout(TIMEOUT);
        let request = request.basic_auth(&self.client_id, Some(self.client_secret.expose()));
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        let mut response = request.header("accept", "application/json").body(body).send().await.map_err(network)?;
        if !response.status().is_success() {
            return Err(response.status().to_string());
        }
        let mut answer = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(network)? {
            answer.extend_from_slice(&chunk);
            if answer.len() > LONGEST_ANSWER {
                return Err("the answer is too long".into());
            }
        }
        // What is wrong with the answer is not told in its words, because it may hold a token.
        let grant: Grant = serde_json::from_slice(&answer).map_err(|_| "the answer has no `access_token`")?;
        let lasts = grant.expires_in.map_or(UNKNOWN, Duration::from_secs);
        // One that ends sooner than it could be renewed is used once.
        let until = Instant::now() + lasts.saturating_sub(MARGIN).min(Duration::from_hours(24));
        let header = bearer(&grant.access_token).map_err(|error| error.to_string())?;
        Ok(Token { header, until })
    }
}

fn bearer(token: &str) -> Result<HeaderValue, NotAHeader> {
    let mut header = HeaderValue::try_from(format!("Bearer {token}")).map_err(|_| NotAHeader)?;
    header.set_sensitive(true);
    Ok(header)
}
