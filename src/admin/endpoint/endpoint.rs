//! What an endpoint says of itself: its route, its guard and its description are made from this alone.

use axum::handler::Handler;
use axum::http::{Method, StatusCode};
use axum::routing::{MethodFilter, MethodRouter, on};
use schemars::{JsonSchema, Schema, SchemaGenerator};

use crate::admin::app::App;
use crate::admin::gate::Access;
use crate::admin::role::Role;

/// Makes the schema of something that a request or an answer holds.
pub type Shape = fn(&mut SchemaGenerator) -> Schema;

/// An endpoint.
#[derive(Debug)]
pub struct Endpoint {
    /// Its method.
    pub method: Method,
    /// Its path; names in braces stand for anything without a slash.
    pub path: &'static str,
    /// Its name, for programs that are made from the description.
    pub name: &'static str,
    /// What it does, in a sentence.
    pub summary: &'static str,
    /// Who may use it.
    pub access: Access,
    /// What follows `?`: a record whose fields are parameters.
    pub query: Option<Shape>,
    /// The request's body.
    pub body: Option<Shape>,
    /// What it answers, beside what every endpoint may.
    pub answers: Vec<Answer>,
    handler: MethodRouter<App>,
}

/// An answer.
#[derive(Clone, Copy, Debug)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// What it means.
    pub meaning: &'static str,
    /// Its media type.
    pub media: &'static str,
    /// Its body.
    pub shape: Shape,
}

impl Endpoint {
    /// An endpoint that everybody may use until it says otherwise.
    pub(super) fn new<T: 'static, H: Handler<T, App>>(
        method: Method,
        path: &'static str,
        name: &'static str,
        handler: H,
    ) -> Self {
        let filter = MethodFilter::try_from(method.clone()).expect("one of HTTP's own methods");
        let handler = on(filter, handler);
        let (query, body, access) = (None, None, Access::Public);
        Self { method, path, name, summary: "", access, query, body, answers: Vec::new(), handler }
    }

    pub(super) fn get<T: 'static, H: Handler<T, App>>(path: &'static str, name: &'static str, handler: H) -> Self {
        Self::new(Method::GET, path, name, handler)
    }

    pub(super) fn needs(self, role: Role) -> Self {
        Self { access: Access::Needs(role), ..self }
    }

    /// It answers everybody, whatever others do.
    pub(super) fn always(self) -> Self {
        Self { access: Access::Probe, ..self }
    }

    pub(super) fn summary(self, summary: &'static str) -> Self {
        Self { summary, ..self }
    }

    pub(super) fn query<Q: JsonSchema>(self) -> Self {
        Self { query: Some(Q::json_schema), ..self }
    }

    pub(super) fn body<B: JsonSchema>(self) -> Self {
        Self { body: Some(|generator| generator.subschema_for::<B>()), ..self }
    }

    pub(super) fn answers<A: JsonSchema>(self, status: StatusCode, meaning: &'static str) -> Self {
        self.answers_as::<A>(status, meaning, "application/json")
    }

    pub(super) fn answers_as<A: JsonSchema>(
        mut self,
        status: StatusCode,
        meaning: &'static str,
        media: &'static str,
    ) -> Self {
        let shape: Shape = |generator| generator.subschema_for::<A>();
        self.answers.push(Answer { status, meaning, media, shape });
        self
    }

    /// Its problems, by their status.
    pub(super) fn fails(self, status: StatusCode, meaning: &'static str) -> Self {
        use crate::admin::problem::{CONTENT_TYPE, Problem};
        self.answers_as::<Problem>(status, meaning, CONTENT_TYPE)
    }

    /// What does it.
    pub(in crate::admin) fn into_handler(self) -> MethodRouter<App> {
        self.handler
    }
}
