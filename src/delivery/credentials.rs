//! Who we say we are to a receiver.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use serde_json::Value as Json;
use tokio::sync::watch;
use tokio::time::Instant;
use url::Url;

use super::answer::Answer;
use super::connections::Connections;
use super::json;
use super::network;
use crate::config::secret::Secret;

/// How long before its end a token is renewed: so long a request may take to arrive.
const MARGIN: Duration = Duration::from_secs(30);

/// How long a token is used of which nobody says how long it holds.
const UNKNOWN: Duration = Duration::from_secs(300);

/// How long one request for a token may take, however long those wait who want it.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Who we say we are.
#[derive(Debug, Default)]
pub enum Credentials {
    /// Nobody.
    #[default]
    None,
    /// Always this header.
    Fixed(HeaderValue),
    /// The bearer of a token that is asked for first, and again when it ends.
    OAuth2(Arc<TokenSource>),
}

/// Where tokens come from: OAuth 2.0's client credentials grant.
#[derive(Debug)]
pub struct TokenSource {
    connections: Arc<Connections>,
    url: Url,
    client_id: String,
    client_secret: Secret,
    scope: Option<String>,
    state: Mutex<TokenState>,
}

/// The token as it is known now.
#[derive(Debug, Default)]
enum TokenState {
    /// There is none.
    #[default]
    None,
    /// It was asked for, once for all who want it; the request goes on if they go away.
    Requested(watch::Receiver<Option<TokenOutcome>>),
    /// There is one.
    Known(Token),
}

/// A token's header, or why there is none.
type TokenOutcome = Result<HeaderValue, String>;

#[derive(Clone, Debug)]
struct Token {
    header: HeaderValue,
    until: Instant,
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

    /// Takes note that the token in these headers was refused: the next request has another one. Says whether there can be
    /// one.
    pub(super) fn renew(&self, headers: &HeaderMap) -> bool {
        let Self::OAuth2(source) = self else { return false };
        // Where a redirect has led to, nobody has got one.
        if !headers.contains_key(AUTHORIZATION) {
            return false;
        }
        let mut state = source.state();
        if matches!(&*state, TokenState::Known(token) if headers.get(AUTHORIZATION) == Some(&token.header)) {
            *state = TokenState::None;
        }
        true
    }
}

impl TokenSource {
    /// Tokens from this address, asked for over these connections.
    pub(super) fn new(
        connections: Arc<Connections>,
        url: Url,
        client_id: String,
        client_secret: Secret,
        scope: Option<String>,
    ) -> Self {
        Self { connections, url, client_id, client_secret, scope, state: Mutex::default() }
    }

    /// The token that holds now; all who need a new one wait for the outcome of the same request.
    async fn current(self: &Arc<Self>) -> TokenOutcome {
        let mut requested = match &mut *self.state() {
            TokenState::Known(token) if token.until > Instant::now() => return Ok(token.header.clone()),
            TokenState::Requested(outcome) if outcome.has_changed().is_ok() => outcome.clone(),
            state => {
                let (sender, outcome) = watch::channel(None);
                *state = TokenState::Requested(outcome.clone());
                tokio::spawn(Arc::clone(self).request(sender));
                outcome
            }
        };
        let outcome = requested.wait_for(Option::is_some).await.map(|outcome| outcome.clone());
        outcome.ok().flatten().unwrap_or_else(|| Err("the request for an access token was given up".into()))
    }

    /// Asks for a token, and tells all who wait.
    async fn request(self: Arc<Self>, sender: watch::Sender<Option<TokenOutcome>>) {
        let asked = tokio::time::timeout(TIMEOUT, self.ask()).await;
        let asked = asked.unwrap_or_else(|_| Err(format!("it took too long: no answer within {TIMEOUT:?}")));
        let host = self.url.host_str().unwrap_or_default();
        let asked = asked.map_err(|reason| format!("no access token from {host}: {reason}"));
        let outcome = asked.as_ref().map(|token| token.header.clone()).map_err(Clone::clone);
        *self.state() = asked.map_or(TokenState::None, TokenState::Known);
        // Those who have gone away need none.
        let _ = sender.send(Some(outcome));
    }

    fn state(&self) -> MutexGuard<'_, TokenState> {
        // It is replaced as a whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn ask(&self) -> Result<Token, String> {
        let network = |error: reqwest::Error| network::failure(&error, self.connections.proxy());
        let scope = self.scope.iter().map(|scope| ("scope", scope.as_str()));
        let form: Vec<_> = [("grant_type", "client_credentials")].into_iter().chain(scope).collect();
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let request = self.connections.kept().post(self.url.clone());
        let request = request.basic_auth(&self.client_id, Some(self.client_secret.expose()));
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        let deadline = Instant::now() + TIMEOUT;
        let request = request.header("accept", "application/json").header("accept-encoding", "identity");
        let response = request.body(body).send().await.map_err(network)?;
        if !response.status().is_success() {
            return Err(response.status().to_string());
        }
        let (answer, end) = Answer::read(response, true, TIMEOUT, deadline).await;
        let text = end.and_then(|()| answer.text()).map_err(|error| error.to_string())?;
        // What is wrong with the answer is not told in its words, because it may hold a token.
        let grant = json::parse(&text).unwrap_or_default();
        let token = grant["access_token"].as_str().filter(|token| !token.is_empty());
        let header = bearer(token.ok_or("the answer has no `access_token`")?).map_err(|error| error.to_string())?;
        // One that ends sooner than it could be renewed is used once.
        let until =
            Instant::now() + lifetime(&grant["expires_in"]).saturating_sub(MARGIN).min(Duration::from_hours(24));
        Ok(Token { header, until })
    }
}

/// How long a token holds: a number of seconds, which some servers write as a text, or with a fraction.
fn lifetime(expires_in: &Json) -> Duration {
    let seconds = expires_in.as_f64().or_else(|| expires_in.as_str()?.trim().parse().ok());
    match seconds.filter(|seconds| !seconds.is_nan()) {
        Some(seconds) => Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX),
        None => UNKNOWN,
    }
}

fn bearer(token: &str) -> Result<HeaderValue, NotAHeader> {
    let header = Some(token).filter(|token| token.bytes().all(|byte| byte.is_ascii_graphic()));
    let mut header = HeaderValue::try_from(format!("Bearer {}", header.ok_or(NotAHeader)?)).map_err(|_| NotAHeader)?;
    header.set_sensitive(true);
    Ok(header)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_lifetime_is_a_number_or_a_text_of_one() {
        for (written, seconds) in [
            (json!(3600), 3600),
            (json!("3600"), 3600),
            (json!(" 3600.0 "), 3600),
            (json!(0), 0),
            (json!(-1), 0),
            (json!("soon"), UNKNOWN.as_secs()),
            (json!("NaN"), UNKNOWN.as_secs()),
            (json!(null), UNKNOWN.as_secs()),
        ] {
            assert_eq!(lifetime(&written), Duration::from_secs(seconds), "{written}");
        }
        assert_eq!(lifetime(&json!("99999999999999999999999")), Duration::MAX);
    }

    #[test]
    fn a_token_is_of_visible_characters() {
        assert!(bearer("abc.DEF-1/+=").is_ok());
        for other in ["a b", "a\tb", "ä", "a\r\nb"] {
            assert_eq!(bearer(other), Err(NotAHeader), "{other:?}");
        }
    }
}
