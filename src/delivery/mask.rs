//! Masking of secrets in what is recorded, logged and shown: by the name of a header or query parameter, by the place in a
//! URL, and by the value of every secret that is configured.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, PoisonError, RwLock};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use reqwest::header::{HeaderMap, HeaderName};
use serde_json::Value as Json;
use url::Url;

/// What stands in the place of a secret.
pub const MASK: &str = "***";

/// The shortest secret that is masked by its value: a shorter one is a part of common words and numbers.
pub(super) const SHORTEST_VALUE: usize = 6;

/// The shortest beginning of a value that is masked where a text was cut within it.
const SHORTEST_PART: usize = 4;

/// How many values are kept: more than any configuration has, and than its changes while the daemon runs come to.
const MOST_VALUES: usize = 100_000;

/// Parts of names of headers, query parameters and keys whose values are secrets.
const SECRET_PARTS: [&str; 14] = [
    "authorization",
    "authentication",
    "bearer",
    "cookie",
    "credential",
    "passwd",
    "passphrase",
    "password",
    "pwd",
    "secret",
    "signature",
    "token",
    "x-auth",
    "apikey",
];

/// Names of usual headers that hold no secret.
const PUBLIC_HEADERS: [&str; 7] =
    ["accept", "accept-encoding", "content-length", "content-type", "user-agent", "webhook-id", "webhook-timestamp"];

/// Whole words of such names.
const SECRET_WORDS: [&str; 7] = ["auth", "hmac", "jwt", "pass", "pw", "sas", "sig"];

/// What stands before `key` in names of keys that are no secrets.
const PUBLIC_KEYS: [&str; 9] =
    ["dedup", "deduplication", "exit", "foreign", "idempotency", "partition", "primary", "routing", "sort"];

/// Words that begin like `auth` and mean something else.
const AUTHORS: [&str; 4] = ["author", "authored", "authority", "authors"];

/// The hosts of webhooks whose path is the secret, behind its first segment.
const HOOK_HOSTS: [&str; 6] = [
    "hooks.slack.com",
    "hooks.slack-gov.com",
    "outlook.office.com",
    "outlook.office365.com",
    "webhook.office.com",
    "hooks.zapier.com",
];

/// The hosts of webhooks whose whole path is the secret.
const WHOLE_HOSTS: [&str; 3] = ["make.com", "integromat.com", "webhook.site"];

/// Segments behind which a path has a secret, whatever it looks like.
const SECRET_SEGMENTS: [&str; 9] =
    ["key", "token", "secret", "apikey", "api_key", "api-key", "access_token", "password", "sig"];

/// Segments behind which a path has a secret, where it looks like one.
const HOOK_SEGMENTS: [&str; 8] =
    ["hook", "hooks", "webhook", "webhooks", "webhookb2", "services", "integration", "incoming"];

/// What a URL has percent-encoded in a component.
pub(crate) const COMPONENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The same behind the authority, where a secret may have several segments of a path.
pub(crate) const BEHIND_AUTHORITY: &AsciiSet = &COMPONENT.remove(b'/').remove(b':').remove(b'@');

/// What the URL library percent-encodes in a path.
const PATH: &AsciiSet = &percent_encoding::CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'`')
    .add(b'{')
    .add(b'}');

/// The values of secrets, to be masked wherever they appear. Clones share them.
#[derive(Clone, Default)]
pub struct SecretValues(Arc<RwLock<BTreeSet<Value>>>);

/// The longest first: one may be a part of another.
type Value = (Reverse<usize>, Arc<str>);

impl SecretValues {
    /// Takes note of a secret, as it is and as it is written within URLs and JSON. One that is too short is only masked by
    /// the name or place that it has.
    pub fn note(&self, secret: &str) {
        let secret = secret.trim();
        if secret.chars().count() < SHORTEST_VALUE {
            return;
        }
        let json = serde_json::Value::from(secret).to_string();
        let variants = [
            Cow::Borrowed(secret),
            utf8_percent_encode(secret, COMPONENT).into(),
            utf8_percent_encode(secret, PATH).into(),
            utf8_percent_encode(secret, BEHIND_AUTHORITY).into(),
            url::form_urlencoded::byte_serialize(secret.as_bytes()).collect::<String>().into(),
            json[1..json.len() - 1].into(),
            // As some write JSON.
            json[1..json.len() - 1].replace('/', "\\/").into(),
        ];
        let lower = variants.clone().into_iter().filter_map(|variant| with_lower_escapes(&variant)).map(Cow::Owned);
        let variants = variants.into_iter().chain(lower.collect::<Vec<_>>());
        self.add(variants.map(|variant| (Reverse(variant.len()), variant.as_ref().into())));
    }

    /// Takes note of the secret parts of a URL.
    pub fn note_url(&self, url: &str) {
        self.note_parts(url, secret_ranges(url));
    }

    /// Takes note of the secret parts of a URL, which are these.
    fn note_parts(&self, url: &str, ranges: Vec<Range<usize>>) {
        if ranges.is_empty() {
            return;
        }
        if let Ok(url) = Url::parse(url)
            && (!url.username().is_empty() || url.password().is_some())
        {
            // As it goes into the header `authorization`, or a proxy's.
            let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
            let pair = format!("{}:{}", decoded(url.username()), decoded(url.password().unwrap_or_default()));
            self.note(&BASE64_STANDARD.encode(pair));
        }
        for range in ranges {
            let part = &url[range];
            // Who signs in with a password is no secret.
            let part =
                part.split_once(':').map_or(part, |(name, secret)| if secret.is_empty() { name } else { secret });
            if !is_placeholder(part) {
                self.note(part);
                self.note(&percent_decode_str(part).decode_utf8_lossy());
            }
        }
    }

    /// Takes note of the value of a header: with and without the scheme before it.
    pub fn note_header(&self, value: &str) {
        self.note(value);
        if let Some((_, credentials)) = value.trim().split_once(' ') {
            self.note(credentials);
        }
    }

    /// The secrets of a request itself, a token that was just given to us among them.
    pub(crate) fn of_request(url: &Url, headers: &HeaderMap) -> Self {
        let values = Self::default();
        // What signs a request is of that request alone, and no secret elsewhere.
        let is_own = |name: &HeaderName| name.as_str().starts_with("webhook-");
        for (name, value) in headers.iter().filter(|(name, _)| !is_own(name)) {
            if value.is_sensitive() || is_secret_name(name.as_str()) {
                values.note_header(&String::from_utf8_lossy(value.as_bytes()));
            }
        }
        values.note_url(url.as_str());
        values
    }

    /// Takes note of what a body names as secrets.
    pub(crate) fn note_body(&self, body: &[u8]) {
        if let Ok(json) = serde_json::from_slice(body) {
            self.note_members(&json, false);
        } else if let Ok(text) = std::str::from_utf8(body) {
            url::form_urlencoded::parse(text.as_bytes())
                .filter(|(name, _)| is_secret_member(name))
                .for_each(|(_, value)| self.note(&value));
        }
    }

    fn note_members(&self, json: &Json, is_secret: bool) {
        match json {
            Json::Object(members) => {
                members.iter().for_each(|(name, value)| self.note_members(value, is_secret || is_secret_member(name)));
            }
            Json::Array(elements) => elements.iter().for_each(|element| self.note_members(element, is_secret)),
            Json::String(text) if is_secret => self.note(text),
            _ => {}
        }
    }

    /// Takes note of all those of others.
    pub fn extend(&self, others: &Self) {
        if !Arc::ptr_eq(&self.0, &others.0) {
            let others = others.0.read().unwrap_or_else(PoisonError::into_inner).clone();
            self.add(others);
        }
    }

    /// The text without these values, and without the secrets of URLs in it.
    pub fn mask<'a>(&self, text: &'a str) -> Cow<'a, str> {
        match self.mask_values(text) {
            Cow::Borrowed(text) => mask_urls(text),
            Cow::Owned(text) => Cow::Owned(mask_urls(&text).into_owned()),
        }
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.read().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// The text without these values.
    fn mask_values<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let values = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let mut masked = Cow::Borrowed(text);
        for (_, value) in values.iter().filter(|(Reverse(length), _)| *length <= text.len()) {
            if masked.contains(&**value) {
                masked = masked.replace(&**value, MASK).into();
            }
        }
        masked
    }

    /// The text, which was cut off at its end, without these values, and without the part of one that is left there.
    pub(crate) fn mask_cut(&self, text: &mut String) {
        self.mask_in_place(text);
        let values = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let parts = values.iter().flat_map(|(_, value)| {
            let lengths = value.char_indices().map(|(length, _)| length).filter(|length| *length >= SHORTEST_PART);
            lengths.map(|length| &value[..length])
        });
        if let Some(part) = parts.filter(|part| text.ends_with(part)).max_by_key(|part| part.len()) {
            text.truncate(text.len() - part.len());
            text.push_str(MASK);
        }
    }

    /// Whether any of these values is in the text.
    pub(crate) fn are_in(&self, text: &str) -> bool {
        let values = self.0.read().unwrap_or_else(PoisonError::into_inner);
        values.iter().any(|(_, value)| text.contains(&**value))
    }

    /// Masks these values, and nothing else, in a text in its place.
    pub(super) fn mask_values_in_place(&self, text: &mut String) {
        if let Cow::Owned(masked) = self.mask_values(text) {
            *text = masked;
        }
    }

    /// Masks a text in its place.
    pub(crate) fn mask_in_place(&self, text: &mut String) {
        if let Cow::Owned(masked) = self.mask(text) {
            *text = masked;
        }
    }

    fn add(&self, values: impl IntoIterator<Item = Value>) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        known.extend(values);
        while known.len() > MOST_VALUES {
            known.pop_last();
        }
    }
}

/// A text with `%2f` where it has `%2F`, if it has any such.
fn with_lower_escapes(text: &str) -> Option<String> {
    let mut parts = text.split('%');
    let mut lower = parts.next()?.to_owned();
    for part in parts {
        lower.push('%');
        lower.extend(part.chars().enumerate().map(|(at, c)| if at < 2 { c.to_ascii_lowercase() } else { c }));
    }
    (lower != text).then_some(lower)
}

impl fmt::Debug for SecretValues {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretValues(hidden)")
    }
}

/// Whether a header, a query parameter or a key of this name holds a secret.
pub(crate) fn is_secret_name(name: &str) -> bool {
    // Asked for every header of every request, so the usual ones cost little.
    if PUBLIC_HEADERS.contains(&name) {
        return false;
    }
    let lower = name.to_ascii_lowercase();
    if lower == "code" || SECRET_PARTS.iter().any(|part| lower.contains(part)) {
        return true;
    }
    let words = words(name);
    let is_key = |(i, word): (usize, &String)| {
        let is_public = || i > 0 && PUBLIC_KEYS.contains(&words[i - 1].as_str());
        (word.ends_with("key") || word == "keys") && !is_public()
    };
    let is_auth = |word: &String| word.starts_with("auth") && !AUTHORS.contains(&word.as_str());
    words.iter().any(|word| SECRET_WORDS.contains(&word.as_str()) || is_auth(word))
        || words.iter().enumerate().any(is_key)
}

/// Whether a member of a body of this name holds a secret. Countries and errors have codes there, and maps have keys.
pub(crate) fn is_secret_member(name: &str) -> bool {
    is_secret_name(name) && !["code", "key", "keys"].contains(&&*name.to_ascii_lowercase())
}

/// A body as a text, without what it names as secrets.
pub(crate) fn without_secret_members(body: &[u8]) -> String {
    let own = SecretValues::default();
    own.note_body(body);
    let text = String::from_utf8_lossy(body);
    own.mask_values(&text).into_owned()
}

/// The words of a name, in lower case: `X-ApiKey` has `x`, `api` and `key`.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut after_lower = false;
    for c in name.chars() {
        let starts = c.is_uppercase() && after_lower;
        after_lower = c.is_lowercase() || c.is_ascii_digit();
        if !c.is_alphanumeric() || starts {
            words.push(String::new());
        }
        if c.is_alphanumeric()
            && let Some(word) = words.last_mut()
        {
            word.extend(c.to_lowercase());
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// Where a URL, or the template of one, has secrets: user and password, values of parameters that are named so, and
/// segments of the path. What a template fills in is none.
pub(crate) fn secret_ranges(url: &str) -> Vec<Range<usize>> {
    let Some(start) = url.find("://").map(|at| at + 3) else { return Vec::new() };
    let end_of = |from: usize, marks: &[char]| url[from..].find(marks).map_or(url.len(), |at| from + at);
    let authority = start..end_of(start, &['/', '?', '#', '\\']);
    let path = authority.end..end_of(authority.end, &['?', '#']);
    let query = path.end..end_of(path.end, &['#']);
    let mut ranges = Vec::new();
    let host = match url[authority.clone()].rfind('@') {
        None => authority,
        Some(at) => {
            let info = start..start + at;
            let (name, password) = url[info.clone()].split_once(':').unwrap_or((&url[info.clone()], ""));
            // A name alone is a token where HTTP is spoken, and says who signs in elsewhere.
            let is_token = password.is_empty() && url.starts_with("http") && !is_placeholder(name);
            if is_token || !is_placeholder(password) {
                ranges.push(info);
            }
            start + at + 1..authority.end
        }
    };
    let (path_start, path_end) = (path.start, path.end);
    ranges.extend(secret_segments(&url[host], path, url));
    // Parameters of the path, of the query, and of the fragment, which is where a browser gets a token.
    let within = url[path_start..path_end].find(';').map_or(path_end, |at| path_start + at);
    for (start, end, mark) in
        [(within, path_end, &[';', '/'][..]), (query.start, query.end, &['&', ';']), (query.end, url.len(), &['&'])]
    {
        let named = secret_parameters(url, start..end, mark);
        // A segment may be a secret as a whole.
        ranges
            .extend(named.filter(|named| !ranges.iter().any(|range| range.contains(&named.start))).collect::<Vec<_>>());
    }
    ranges.sort_unstable_by_key(|range| range.start);
    ranges
}

/// The values of parameters that are named as secrets.
fn secret_parameters(url: &str, within: Range<usize>, marks: &[char]) -> impl Iterator<Item = Range<usize>> {
    let mut at = within.start;
    url[within].split(marks).filter_map(move |pair| {
        let end = at + pair.len();
        at = end + 1;
        let (name, value) = pair.trim_start_matches(['?', '#']).split_once('=')?;
        let name = name.replace('+', " ");
        let is_secret = is_secret_name(&percent_decode_str(&name).decode_utf8_lossy()) && !is_placeholder(value);
        is_secret.then(|| end - value.len()..end)
    })
}

/// The segments of a path that are secrets.
fn secret_segments(host: &str, path: Range<usize>, url: &str) -> Vec<Range<usize>> {
    // Every request's address is read here, so nothing is allocated for one without secrets.
    let host = host.split(':').next().unwrap_or_default().trim_end_matches('.');
    let is_of = |known: &str| {
        let Some(start) = host.len().checked_sub(known.len()) else { return false };
        let ends = host.get(start..).is_some_and(|end| end.eq_ignore_ascii_case(known));
        ends && (start == 0 || host[..start].ends_with('.'))
    };
    let is_among = |known: &[&str], text: &str| known.iter().any(|known| known.eq_ignore_ascii_case(text));
    let first = match (WHOLE_HOSTS.iter().any(|known| is_of(known)), HOOK_HOSTS.iter().any(|known| is_of(known))) {
        (true, _) => 1,
        (false, true) => 2,
        (false, false) => usize::MAX,
    };
    let mut ranges = Vec::new();
    let (mut at, mut former, mut number, mut is_discord) = (path.start, Cow::Borrowed(""), 0_usize, false);
    for segment in url[path].split('/') {
        let plain = percent_decode_str(segment).decode_utf8_lossy();
        let is_secret = (number >= first && !is_placeholder(segment))
            || (is_discord && is_opaque(&plain, 20))
            || (is_among(&SECRET_SEGMENTS, &former) && !is_placeholder(segment))
            || (is_among(&HOOK_SEGMENTS, &former) && is_opaque(&plain, 16))
            || is_bot(&plain)
            || is_random(&plain);
        if is_secret {
            ranges.push(at..at + segment.len());
        }
        is_discord |= former.eq_ignore_ascii_case("webhooks");
        at += segment.len() + 1;
        if !segment.is_empty() {
            number += 1;
            former = plain;
        }
        number = number.max(1);
    }
    ranges
}

/// Whether this is nothing, a mask, or one place that a template fills in.
fn is_placeholder(text: &str) -> bool {
    let text = text.trim();
    let is_tag = text.starts_with("{{") && text.ends_with("}}") && text.matches("{{").count() == 1;
    text.is_empty() || text == MASK || is_tag
}

/// Telegram's `bot123456:AAE…`.
fn is_bot(segment: &str) -> bool {
    let number = segment.strip_prefix("bot").and_then(|rest| rest.split_once(':'));
    number.is_some_and(|(id, token)| !id.is_empty() && id.bytes().all(|b| b.is_ascii_digit()) && token.len() >= 10)
}

/// Whether letters and digits stand together in a word of this length or more, as in what is made by chance.
fn is_opaque(text: &str, shortest: usize) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || "-_.~=:@".contains(c);
    text.len() >= shortest
        && text.chars().all(is_part)
        && text.contains(|c: char| c.is_ascii_digit())
        && text.contains(|c: char| c.is_ascii_alphabetic())
}

/// Whether a segment was made by chance and is no UUID, which names calls and channels.
fn is_random(text: &str) -> bool {
    let mixed = text.contains(|c: char| c.is_ascii_lowercase()) && text.contains(|c: char| c.is_ascii_uppercase());
    let is_plain = text.chars().all(|c| c.is_ascii_alphanumeric());
    is_opaque(text, 20) && !text.contains(['.', '@', ':']) && (mixed || (is_plain && text.len() >= 24))
}

/// The URL without its secrets.
pub(crate) fn mask_url(url: &str) -> Cow<'_, str> {
    replace(url, secret_ranges(url))
}

/// Whether a URL, or the template of one, has a secret in it.
pub(crate) fn has_secret(url: &str) -> bool {
    !secret_ranges(url).is_empty()
}

/// A text without the secrets of the URLs in it.
pub(crate) fn mask_urls(text: &str) -> Cow<'_, str> {
    let is_end = |c: char| c.is_whitespace() || "\"'<>`(),".contains(c);
    let mut ranges = Vec::new();
    let mut from = 0;
    while let Some(at) = text[from..].find("://").map(|at| from + at) {
        let start = text[..at]
            .rfind(|c: char| !c.is_ascii_alphanumeric() && !"+-.".contains(c))
            .map_or(0, |i| i + text[i..].chars().next().map_or(1, char::len_utf8));
        let end = text[at..].find(is_end).map_or(text.len(), |i| at + i);
        let start = start.max(from);
        ranges.extend(secret_ranges(&text[start..end]).into_iter().map(|range| start + range.start..start + range.end));
        from = end.max(at + 3);
    }
    replace(text, ranges)
}

/// The text with a mask in the place of each range, which come one after the other.
fn replace(text: &str, ranges: Vec<Range<usize>>) -> Cow<'_, str> {
    if ranges.is_empty() {
        return Cow::Borrowed(text);
    }
    let mut masked = String::with_capacity(text.len());
    let mut at = 0;
    for range in ranges {
        masked.push_str(&text[at..range.start]);
        masked.push_str(MASK);
        at = range.end;
    }
    masked.push_str(&text[at..]);
    Cow::Owned(masked)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn parameters_of_paths_and_fragments_are_secrets_by_their_names() {
        for (url, masked) in [
            ("https://a.example/x#n=1&access_token=geheim", "https://a.example/x#n=1&access_token=***"),
            ("https://a.example/x#access_token=geheim", "https://a.example/x#access_token=***"),
            (
                "https://a.example/x;token=geheim;n=1/y?sig=geheim;n=2",
                "https://a.example/x;token=***;n=1/y?sig=***;n=2",
            ),
            ("https://a.example/x;n=1?n=2#n=3", "https://a.example/x;n=1?n=2#n=3"),
            ("https://a.example/token/a;token=geheim?n=1", "https://a.example/token/***?n=1"),
        ] {
            assert_eq!(mask_url(url), masked);
        }
    }

    #[test]
    fn a_value_is_masked_however_an_answer_writes_it_and_where_it_is_cut() {
        let values = SecretValues::default();
        values.note("gehe/im?17");
        for written in [r"gehe\/im?17", "gehe%2fim%3f17", "gehe%2Fim%3F17"] {
            assert_eq!(values.mask(&format!("a {written} b")), "a *** b", "{written}");
        }
        for (cut, masked) in [("a gehe/im?1", "a ***"), ("a gehe%2", "a ***"), ("a gehe", "a ***"), ("a geh", "a geh")]
        {
            let mut text = cut.to_owned();
            values.mask_cut(&mut text);
            assert_eq!(text, masked, "{cut}");
        }
        values.note_url("http://me:ge%40heim@proxy.example:3128");
        assert_eq!(values.mask("Basic bWU6Z2VAaGVpbQ=="), "Basic ***");
    }

    #[test]
    fn a_body_is_told_without_what_it_names_as_secrets() {
        for (body, told) in [
            (
                r#"{"login":{"password":"geheim"},"api_keys":["geheim/2"],"code":"gold-1"}"#,
                r#"{"login":{"password":"***"},"api_keys":["***"],"code":"gold-1"}"#,
            ),
            ("password=geheim%2F2&room=blue+1", "password=***&room=blue+1"),
            ("no secret is in here", "no secret is in here"),
        ] {
            assert_eq!(without_secret_members(body.as_bytes()), told);
        }
    }

    #[test]
    fn names_of_secrets_are_known_and_others_are_not() {
        for name in [
            "sig",
            "Sig",
            "key",
            "code",
            "token",
            "access_token",
            "X-Functions-Key",
            "x-signature",
            "X-Hub-Signature-256",
            "x-auth",
            "X-Auth-User",
            "private-key",
            "api-key",
            "apiKey",
            "api_key",
            "APIKEY",
            "Ocp-Apim-Subscription-Key",
            "cookie",
            "set-cookie",
            "authorization",
            "Proxy-Authorization",
            "client_secret",
            "clientSecret",
            "passwd",
            "pwd",
            "pass",
            "user_password",
            "jwt",
            "hmac",
            "authkey",
            "auth",
            "x-gitlab-token",
            "accessKeyId",
            "credentials",
        ] {
            assert!(is_secret_name(name), "{name}");
        }
        for name in [
            "phone",
            "author",
            "cause_code",
            "exit_key",
            "routing_key",
            "Idempotency-Key",
            "keyword",
            "design",
            "x-agent",
            "content-type",
            "webhook-id",
            "passenger",
            "compass",
            "signal",
            "monkeys",
            "user-agent",
            "encode",
            "assign",
        ] {
            assert!(!is_secret_name(name), "{name}");
        }
    }

    #[test]
    fn secrets_of_a_url_are_masked_wherever_they_stand() {
        for (url, masked) in [
            ("https://me:hidden@crm.example/a", "https://***@crm.example/a"),
            ("https://hidden@crm.example", "https://***@crm.example"),
            ("https://h:@crm.example", "https://***@crm.example"),
            ("https://crm.example/p?phone=1&sig=hid%2Fden&x=2#f", "https://crm.example/p?phone=1&sig=***&x=2#f"),
            ("https://crm.example/p?Access%5FToken=hidden", "https://crm.example/p?Access%5FToken=***"),
            ("https://hooks.slack.com/services/T01/B02/hid", "https://hooks.slack.com/services/***/***/***"),
            (
                "https://api.telegram.org/bot123:AAEhidden_hidden/sendMessage",
                "https://api.telegram.org/***/sendMessage",
            ),
            ("https://api.telegram.org/bot123%3AAAEhidden_hidden/x", "https://api.telegram.org/***/x"),
            (
                "https://discord.com/api/webhooks/1234567890/hidden_HIDDEN-1234567890/slack",
                "https://discord.com/api/webhooks/1234567890/***/slack",
            ),
            (
                "https://x.webhook.office.com/webhookb2/a@b/Incoming/1/2",
                "https://x.webhook.office.com/webhookb2/***/***/***/***",
            ),
            ("https://chat.example/hooks/h1dd3nh1dd3nh1dd3n", "https://chat.example/hooks/***"),
            ("https://maker.ifttt.com/trigger/x/with/key/hidden", "https://maker.ifttt.com/trigger/x/with/key/***"),
            ("nats://me:hidden@nats.example:4222", "nats://***@nats.example:4222"),
        ] {
            assert_eq!(mask_url(url), masked);
        }
        for url in [
            "https://crm.example/calls/1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed?phone=40712345001",
            "https://crm.example/hooks/calls",
            "https://crm.example/t?token={{ variables.t }}",
            "https://me:{{ secret.crm }}@crm.example/",
            "postgres://me@db.example/calls",
            "https://crm.example/queue/support@default",
            "no url at all",
        ] {
            assert_eq!(mask_url(url), url);
        }
        assert_eq!(
            mask_urls("it leads to https://a.example/?key=hidden (302), not 'http://b.example/x?y=1'"),
            "it leads to https://a.example/?key=*** (302), not 'http://b.example/x?y=1'"
        );
    }

    #[test]
    fn a_value_is_masked_wherever_and_however_it_is_written() {
        let secrets = SecretValues::default();
        secrets.note("hid/den 1\"");
        secrets.note("hid/den 1\" and more");
        secrets.note("short");
        for text in
            ["a hid/den 1\" b", "a hid%2Fden%201%22 b", "a hid/den%201%22 b", "a hid%2Fden+1%22 b", "a hid/den 1\\\" b"]
        {
            assert_eq!(secrets.mask(text), "a *** b", "{text}");
        }
        assert_eq!(secrets.mask("hid/den 1\" and more, short"), "***, short");
        assert_eq!(format!("{secrets:?}"), "SecretValues(hidden)");
    }

    proptest! {
        #[test]
        fn any_text_can_be_masked(text in any::<String>(), rest in "[a-z:/?&=@#ü{}%.]{0,40}") {
            mask_url(&text);
            mask_urls(&text);
            let url = format!("https://{rest}");
            mask_url(&url);
            prop_assert_eq!(mask_urls(&format!("{text} {url}")).is_empty(), false);
        }
    }
}
