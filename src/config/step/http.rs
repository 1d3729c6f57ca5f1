//! `http = { … }`: a step that sends a request.

use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderName};

use crate::config::delivery::{retry, status_rules, timeout};
use crate::config::document::Kind;
use crate::config::fault::Fault;
use crate::config::flow::Reading;
use crate::config::redaction;
use crate::config::section::Section;
use crate::config::value::{Name, Value};
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
    let url = section.required("url", |value| value.compiled(|text| UrlTemplate::compile_among(text, &hosts, names)));
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
    let headers = value.entries()?.map(|(name, value)| {
        let template = header(value, reading);
        let name = header_name(name)?;
        let is_secret = redaction::is_secret(name.as_str());
        template.map(|template| (name, if is_secret { template.hidden() } else { template }))
    });
    headers.collect::<Vec<_>>().into_iter().collect()
}

/// Reads a header's value: a template, or a secret that stands elsewhere.
fn header(value: Value<'_>, reading: &Reading<'_>) -> Option<HeaderTemplate> {
    if !value.is_table() {
        return value.compiled(|text| HeaderTemplate::compile(text, &reading.names));
    }
    let secret = reading.lookup.secret(value)?;
    let header = HeaderTemplate::secret(secret.expose());
    if header.is_err() {
        value.refuse(Fault::HeaderSecret);
    }
    header.ok()
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
