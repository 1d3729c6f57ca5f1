//! What a flow is, once the configuration has been read and everything in it was checked.

use std::time::Duration;

use reqwest::Method;
use reqwest::header::HeaderName;

use super::template::{BodyTemplate, FormTemplate, HeaderTemplate, JsonTemplate, TextTemplate, UrlTemplate};
use crate::delivery::retry::RetrySchedule;
use crate::delivery::signature::SigningKeys;
use crate::id::FlowName;
use crate::moment::Format;

/// A named list of steps, made once, started by any hook.
#[derive(Debug)]
pub struct Flow {
    /// The flow's name.
    pub name: FlowName,
    /// Its steps, done one after the other.
    pub steps: Vec<Step>,
    /// Whether runs of this flow for one attempt are done one after the other.
    pub ordered: bool,
}

/// One step of a flow.
#[derive(Debug)]
pub struct Step {
    /// The step's path within the flow (`0`, later `2/then/0`): its name in webhook ids, tries and log lines.
    pub path: String,
    /// What it does.
    pub kind: StepKind,
}

/// What a step does.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "nearly every step is an HTTP request, and there are few steps")]
pub enum StepKind {
    /// Sends an HTTP request.
    Http(HttpStep),
    /// Writes a log line.
    Log(LogStep),
}

/// An HTTP request.
#[derive(Debug)]
pub struct HttpStep {
    /// The method; POST unless configured.
    pub method: Method,
    /// The address.
    pub url: UrlTemplate,
    /// Further headers.
    pub headers: Vec<(HeaderName, HeaderTemplate)>,
    /// The body.
    pub body: HttpBody,
    /// How long one try may take, from connecting to the response's last byte.
    pub timeout: Duration,
    /// When failed tries are repeated.
    pub retry: RetrySchedule,
    /// The keys that sign the request; empty: unsigned.
    pub keys: SigningKeys,
}

/// What an HTTP request carries.
#[derive(Debug)]
pub enum HttpBody {
    /// Nothing: GET and HEAD have no body.
    Empty,
    /// The payload, in one of its formats.
    Format(Format),
    /// A JSON document made from a template.
    Json(JsonTemplate),
    /// A form, each of whose values is made from a template.
    Form(FormTemplate),
    /// A text made from a template.
    Text(BodyTemplate),
}

/// A log line.
#[derive(Debug)]
pub struct LogStep {
    /// Its level.
    pub level: tracing::Level,
    /// Its text.
    pub message: TextTemplate,
}
