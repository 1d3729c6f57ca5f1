//! `http = { … }`: a step that sends a request.

use reqwest::Method;
use reqwest::header::HeaderName;

use crate::config::delivery::{retry, timeout};
use crate::config::document::Kind;
use crate::config::fault::Fault;
use crate::config::flow::Reading;
use crate::config::redaction;
use crate::config::section::Section;
use crate::config::value::{Name, Value};
use crate::flow::SavedNames;
use crate::flow::action::{HttpBody, HttpStep};
use crate::flow::template::{HeaderTemplate, JsonTemplate, UrlTemplate};

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
    let url = section.required("url", |value| value.compiled(|text| UrlTemplate::compile(text, names)));
    let headers = match section.has("headers") {
        true => section.optional("headers", |value| headers(value, reading)),
        false => Some(Vec::new()),
    };
    let body = body(section, method, names);
    let timeout = section.optional("timeout", timeout).unwrap_or(defaults.timeout);
    let retry = section.optional("retry", retry).unwrap_or_else(|| defaults.retry.clone());
    let keys = section.optional("secrets", |value| lookup.signing_keys(value));
    Some(HttpStep {
        method: method.clone(),
        url: url?,
        headers: headers?,
        body: body?,
        timeout,
        retry,
        keys: keys.unwrap_or_else(|| defaults.keys.clone()),
    })
}

fn body(section: &mut Section<'_>, method: &Method, names: &SavedNames) -> Option<HttpBody> {
    let bodiless = matches!(*method, Method::GET | Method::HEAD);
    let (has_json, has_format) = (section.has("json"), section.has("format"));
    if has_json && has_format {
        section.refuse(Fault::TwoBodies);
    } else if bodiless && (has_json || has_format) {
        section.refuse(Fault::Bodiless(method.to_string()));
    }
    let json = section.optional("json", |value| document(value, names));
    let format = section.optional("format", |value| value.word("format", &[("standard", ())]));
    match (has_json, has_format) {
        (true, _) => json.map(HttpBody::Json),
        (false, true) => format.map(|()| HttpBody::Standard),
        (false, false) if bodiless || *method == Method::DELETE => Some(HttpBody::Empty),
        (false, false) => Some(HttpBody::Standard),
    }
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
