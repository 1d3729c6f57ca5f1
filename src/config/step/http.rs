//! `http = { … }`: a step that sends a request.

use std::borrow::Cow;
use std::collections::BTreeSet;

use reqwest::Method;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName};

use crate::config::delivery::{retry, status_rules, timeout};
use crate::config::document::Kind;
use crate::config::fault::Fault;
use crate::config::flow::Reading;
use crate::config::redaction;
use crate::config::secret::{Standing, UNKNOWN_URL};
use crate::config::section::Section;
use crate::config::value::{Name, Value};
use crate::delivery::mask;
use crate::flow::SavedNames;
use crate::flow::action::{HttpBody, HttpStep};
use crate::flow::template::{
    AllowedHost, BodyTemplate, FormField, FormTemplate, HeaderTemplate, JsonTemplate, MediaType, MediaTypeError,
    UrlTemplate, other_charset,
};
use crate::moment::Format;

/// The methods that a step can use.
const METHODS: [(&str, &Method); 6] = [
    ("GET", &Method::GET),
    ("HEAD", &Method::HEAD),
    ("POST", &Method::POST),
    ("PUT", &Method::PUT),
    ("PATCH", &Method::PATCH),
    ("DELETE", &Method::DELETE),
];

/// The longest scheme of credentials: `AWS4-HMAC-SHA256`.
const LONGEST_SCHEME: usize = 16;

/// Headers that frame or sign the request, or route it: a flow does not set them.
const RESERVED: [&str; 8] = [
    "connection",
    "content-length",
    "host",
    "te",
    "transfer-encoding",
    "webhook-id",
    "webhook-signature",
    "webhook-timestamp",
];

/// Reads the step; what it leaves out is as `[delivery]` has it.
pub(super) fn read(section: &mut Section<'_>, reading: &Reading<'_>) -> Option<HttpStep> {
    let Reading { names, defaults, lookup, .. } = reading;
    let method = section.optional("method", |value| value.word("HTTP method", &METHODS)).unwrap_or(&Method::POST);
    let hosts = section.optional("allowed_hosts", |value| value.list(|_, host| allowed_host(host))).unwrap_or_default();
    let url = section.required("url", |value| url(value, &hosts, reading));
    let headers = match section.has("headers") {
        true => section.optional("headers", |value| headers(value, reading)),
        false => Some(Vec::new()),
    };
    let body = body(section, method, names);
    if let (Some(HttpBody::Text(_)), Some(headers)) = (&body, &headers)
        && headers.iter().any(|(name, _)| *name == CONTENT_TYPE)
    {
        // The text is encoded for its own media type, so it goes under no other.
        section.refuse(Fault::ReservedHeader(CONTENT_TYPE.to_string()));
    }
    if let (Some(url), Some(headers), false) = (&url, &headers, reading.is_checked_before()) {
        check_credentials(section, url, headers, reading);
    }
    let said = headers.iter().flatten().find(|(name, _)| *name == CONTENT_TYPE).and_then(|(_, value)| value.literal());
    if let Some(charset) = said.and_then(other_charset) {
        section.refuse(Fault::OtherCharset(charset));
    }
    let timeout = section.optional("timeout", timeout).unwrap_or(defaults.timeout);
    let retry = section.optional("retry", retry).unwrap_or_else(|| defaults.retry.clone());
    let rules = status_rules(section);
    let keys = section.optional("secrets", |value| lookup.signing_keys(value));
    Some(HttpStep {
        method: method.clone(),
        url: url?,
        headers: headers?,
        body: body?,
        timeout,
        retry,
        rules: rules?,
        receivers: defaults.receivers.clone(),
        keys: keys.unwrap_or_else(|| defaults.keys.clone()),
    })
}

/// Reads the address: a template, which may name secrets, or a secret as a whole.
fn url(value: Value<'_>, hosts: &[AllowedHost], reading: &Reading<'_>) -> Option<UrlTemplate> {
    let Reading { names, lookup, .. } = reading;
    if value.is_table() {
        let url = lookup.url(value, UNKNOWN_URL)?.text;
        // What is wrong with it is not told in words that may hold it.
        return UrlTemplate::secret(&url, if url == UNKNOWN_URL { &[] } else { hosts })
            .map_err(|_| value.refuse(Fault::SecretUrl("an address to which this step may send")))
            .ok();
    }
    let text = value.text()?;
    if mask::has_secret(text) {
        value.note_secret();
        lookup.values().note_url(text);
    }
    let filled = lookup.filled(value, text, Standing::Url, &reading.saved())?;
    let url = value.compiled_from(&filled, |text| UrlTemplate::compile_among(text, hosts, names))?;
    Some(if matches!(filled, Cow::Owned(_)) { url.with_secret() } else { url })
}

/// Refuses a request that says twice who sends it: one of the two would be left out, and nobody be told.
fn check_credentials(
    section: &Section<'_>,
    url: &UrlTemplate,
    headers: &[(HeaderName, HeaderTemplate)],
    reading: &Reading<'_>,
) {
    let receiver = reading.defaults.receivers.signing_in().find(|receiver| url.may_reach(receiver));
    let table = receiver.map(|receiver| format!("`[delivery.receivers.\"{receiver}\"]`"));
    let header = headers.iter().any(|(name, _)| *name == AUTHORIZATION).then_some("the header `authorization`");
    let user = url.signs_in().then_some("the user of the URL");
    let said = [table, user.map(str::to_owned)].into_iter().flatten().next();
    if let (Some(first), Some(second)) = (said, header.or(user))
        && first != second
    {
        section.refuse(Fault::TwoCredentials { first, second });
    }
}

/// The keys that give a request a body.
const BODIES: [&str; 4] = ["format", "json", "form", "body"];

pub(super) fn body(section: &mut Section<'_>, method: &Method, names: &SavedNames) -> Option<HttpBody> {
    let bodiless = matches!(*method, Method::GET | Method::HEAD);
    let given = BODIES.into_iter().filter(|key| section.has(key)).count();
    if given > 1 {
        section.refuse(Fault::TwoBodies);
    } else if bodiless && given > 0 {
        section.refuse(Fault::Bodiless(method.to_string()));
    }
    let format = section.optional("format", |value| value.word("format", &Format::NAMES));
    let json = section.optional("json", |value| document(value, names));
    let form = section.optional("form", |value| form(value, names));
    let text = if section.has("body") { text(section, names) } else { None };
    let none = || match bodiless || *method == Method::DELETE {
        true => HttpBody::Empty,
        false => HttpBody::Format(Format::default()),
    };
    let body = format.map(HttpBody::Format).or(json.map(HttpBody::Json)).or(form.map(HttpBody::Form));
    body.or(text.map(HttpBody::Text)).or_else(|| (given == 0).then(none))
}

/// Reads a text and its media type, which says how values are inserted.
fn text(section: &mut Section<'_>, names: &SavedNames) -> Option<BodyTemplate> {
    let media_type = section.required("content_type", media_type);
    // Without its media type, the text is still read, so that its own faults are told as well.
    let media_or_plain = media_type.clone().or_else(|| MediaType::parse("text/plain").ok())?;
    let text =
        section.optional("body", |value| value.compiled(|text| BodyTemplate::compile(media_or_plain, text, names)));
    media_type.and(text)
}

/// Reads a media type of texts.
pub(super) fn media_type(value: Value<'_>) -> Option<MediaType> {
    let text = value.text()?;
    let refused = |error| match error {
        MediaTypeError::Unknown => value.refuse(Fault::MediaType(text.to_owned())),
        MediaTypeError::Charset(charset) => value.refuse(Fault::Charset(charset)),
    };
    MediaType::parse(text).map_err(refused).ok()
}

fn form(value: Value<'_>, names: &SavedNames) -> Option<FormTemplate> {
    let fields = value
        .entries()?
        .map(|(name, value)| Some((name.text.to_owned(), value.compiled(|text| FormField::compile(text, names))?)));
    fields.collect::<Vec<_>>().into_iter().collect::<Option<_>>().map(FormTemplate::new)
}

fn allowed_host(value: Value<'_>) -> Option<AllowedHost> {
    let text = value.text()?;
    let host = AllowedHost::parse(text);
    if host.is_none() {
        value.refuse(Fault::Host(text.to_owned()));
    }
    host
}

/// Reads a JSON document, each of whose texts is a template.
pub(super) fn document(value: Value<'_>, names: &SavedNames) -> Option<JsonTemplate> {
    match &value.node().kind {
        Kind::Text(_) => value.compiled(|text| JsonTemplate::text(text, names)),
        Kind::List(_) => value.list(|_, element| document(element, names)).map(JsonTemplate::Array),
        Kind::Table(_) => {
            let members = value.entries()?.map(|(name, member)| Some((name.text.to_owned(), document(member, names)?)));
            members.collect::<Vec<_>>().into_iter().collect::<Option<_>>().map(JsonTemplate::Object)
        }
        Kind::Integer(_) | Kind::Float(_) | Kind::Boolean(_) | Kind::Datetime(_) => {
            value.json().map(JsonTemplate::Literal)
        }
    }
}

fn headers(value: Value<'_>, reading: &Reading<'_>) -> Option<Vec<(HeaderName, HeaderTemplate)>> {
    let mut given = BTreeSet::new();
    let headers = value.entries()?.map(|(name, value)| {
        let is_secret = redaction::is_secret(name.text);
        let template = header(value, is_secret, reading);
        let place = name;
        let name = header_name(name)?;
        if !given.insert(name.to_string()) && !reading.is_checked_before() {
            place.refuse(Fault::HeaderTwice(name.to_string()));
        }
        template.map(|template| (name, if is_secret { template.hidden() } else { template }))
    });
    headers.collect::<Vec<_>>().into_iter().collect()
}

/// Reads a header's value: a template, which may name secrets, or a secret that stands elsewhere.
fn header(value: Value<'_>, is_secret: bool, reading: &Reading<'_>) -> Option<HeaderTemplate> {
    let Reading { names, lookup, .. } = reading;
    if value.is_table() {
        let secret = lookup.line(value)?;
        let header = HeaderTemplate::secret(secret.expose());
        if header.is_err() {
            value.refuse(Fault::HeaderSecret);
        }
        return header.ok();
    }
    let text = value.text()?;
    if mask::has_secret(text) || (is_secret && has_literal(text)) {
        value.note_secret();
        if !text.contains("{{") {
            lookup.values().note_header(text);
        }
    }
    let filled = lookup.filled(value, text, Standing::Header, &reading.saved())?;
    let header = value.compiled_from(&filled, |text| HeaderTemplate::compile(text, names))?;
    Some(if matches!(filled, Cow::Owned(_)) { header.hidden() } else { header })
}

/// Whether more than a scheme (`Bearer`) stands there beside what a template fills in.
fn has_literal(text: &str) -> bool {
    let mut pieces = text.split("{{");
    let first = pieces.next().unwrap_or_default().trim();
    let behind = pieces.any(|piece| piece.split_once("}}").is_none_or(|(_, rest)| !rest.trim().is_empty()));
    let is_scheme = text.contains("{{") && !first.contains(char::is_whitespace) && first.len() <= LONGEST_SCHEME;
    behind || !(first.is_empty() || is_scheme)
}

fn header_name(name: Name<'_>) -> Option<HeaderName> {
    let Ok(header) = name.text.parse::<HeaderName>() else {
        name.refuse(Fault::HeaderName(name.text.to_owned()));
        return None;
    };
    if RESERVED.contains(&header.as_str()) {
        name.refuse(Fault::ReservedHeader(header.to_string()));
        return None;
    }
    Some(header)
}
