//! The description of the interface, as OpenAPI 3.1: made from what the endpoints say of themselves.

use axum::http::StatusCode;
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};

use super::endpoint::{Answer, Endpoint};
use super::gate::Access;
use super::problem::{self, Problem};
use crate::signal::TellersKey;

/// What a client is told before all else.
const ABOUT: &str = "Figures, health, queues, attempts, nodes and deliveries of a hookswitch daemon, and signals for queues \
    outside FreeSWITCH. Where tokens are configured, each request carries one as `Authorization: Bearer TOKEN`; `x-role` of an \
    operation is the role that the token must have. Errors are problem details (RFC 9457).";

/// Describes the endpoints.
pub fn describe(endpoints: &[Endpoint]) -> Value {
    // OpenAPI 3.1 takes JSON Schema as it is.
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut generator = settings.into_generator();
    let mut paths = Map::new();
    for endpoint in endpoints {
        let path = paths.entry(endpoint.path).or_insert_with(|| json!({}));
        path[endpoint.method.as_str().to_lowercase()] = operation(endpoint, &mut generator);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "hookswitch",
            "version": env!("CARGO_PKG_VERSION"),
            "description": ABOUT,
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "paths": paths,
        "components": {
            "schemas": generator.take_definitions(true),
            "securitySchemes": { "token": { "type": "http", "scheme": "bearer" } },
        },
    })
}

fn operation(endpoint: &Endpoint, generator: &mut SchemaGenerator) -> Value {
    let mut operation = json!({ "operationId": endpoint.name, "summary": endpoint.summary });
    let mut parameters = path_parameters(endpoint.path);
    if let Some(query) = endpoint.query {
        parameters.extend(query_parameters(&query(generator)));
    }
    if !parameters.is_empty() {
        operation["parameters"] = parameters.into();
    }
    if let Some(body) = endpoint.body {
        let content = json!({ "application/json": { "schema": body(generator) } });
        operation["requestBody"] = json!({ "required": true, "content": content });
    }
    match endpoint.access {
        Access::Probe | Access::Public => operation["security"] = json!([]),
        Access::Needs(role) => {
            operation["security"] = json!([{ "token": [] }]);
            operation["x-role"] = role.as_str().into();
        }
    }
    let mut responses = Map::new();
    for answer in endpoint.answers.iter().copied().chain(answers_of_all(endpoint)) {
        let content = json!({ answer.media: { "schema": (answer.shape)(generator) } });
        let described = json!({ "description": answer.meaning, "content": content });
        // What the endpoint says itself comes first.
        responses.entry(answer.status.as_str()).or_insert(described);
    }
    operation["responses"] = responses.into();
    operation
}

/// What every endpoint may answer, as far as it does to this one.
fn answers_of_all(endpoint: &Endpoint) -> impl Iterator<Item = Answer> + use<> {
    let has_body = endpoint.body.is_some();
    let is_guarded = matches!(endpoint.access, Access::Needs(_));
    let all = [
        (StatusCode::BAD_REQUEST, "The request can't be read.", true),
        (StatusCode::UNAUTHORIZED, "A token is needed, or this one is not known.", is_guarded),
        (StatusCode::FORBIDDEN, "The token's role does not permit it, or a page of another site has asked.", true),
        (StatusCode::REQUEST_TIMEOUT, "The body did not come in time.", has_body),
        (StatusCode::PAYLOAD_TOO_LARGE, "The body is too large.", has_body),
        (StatusCode::UNSUPPORTED_MEDIA_TYPE, "The body is not JSON.", has_body),
        (StatusCode::MISDIRECTED_REQUEST, "The host is not this machine.", true),
        (StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "The request's head is larger than 32 KiB.", true),
        (StatusCode::UNPROCESSABLE_ENTITY, "The body does not say what it must.", has_body),
        (StatusCode::TOO_MANY_REQUESTS, "Too many requests; `Retry-After` says when.", true),
        (StatusCode::SERVICE_UNAVAILABLE, "Not now; `Retry-After` says when.", true),
    ];
    let shape = |generator: &mut SchemaGenerator| generator.subschema_for::<Problem>();
    all.into_iter().filter(|(_, _, applies)| *applies).map(move |(status, meaning, _)| Answer {
        status,
        meaning,
        media: problem::CONTENT_TYPE,
        shape,
    })
}

fn path_parameters(path: &str) -> Vec<Value> {
    let names = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    names
        .map(|name| {
            let (schema, meaning) = path_parameter(name);
            json!({ "name": name, "in": "path", "required": true, "description": meaning, "schema": schema })
        })
        .collect()
}

/// What may stand in a path's place of that name.
fn path_parameter(name: &str) -> (Schema, &'static str) {
    match name {
        "queue" => (json_schema!({ "type": "string", "minLength": 1 }), "The queue's name."),
        "key" => (TellersKey::json_schema(&mut SchemaGenerator::default()), "The teller's own name for the attempt."),
        _ => (json_schema!({ "type": "string", "pattern": "^[0-9a-f]{32}$" }), "Its identifier."),
    }
}

/// The fields of a record as parameters.
fn query_parameters(record: &Schema) -> Vec<Value> {
    let record = record.as_value();
    let is_required =
        |name: &String| record["required"].as_array().is_some_and(|required| required.contains(&json!(name)));
    let Some(fields) = record["properties"].as_object() else { return Vec::new() };
    let parameter = |(name, schema): (&String, &Value)| {
        let mut schema = schema.clone();
        let description = schema.as_object_mut().and_then(|schema| schema.remove("description"));
        json!({ "name": name, "in": "query", "required": is_required(name), "description": description, "schema": schema })
    };
    fields.iter().map(parameter).collect()
}

/// The schema of a text that is no JSON.
#[derive(Debug)]
pub struct PlainText;

impl JsonSchema for PlainText {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "PlainText".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string" })
    }
}

#[cfg(test)]
mod tests {
    use super::super::endpoint;
    use super::*;

    /// `HOOKSWITCH_BLESS=1 cargo test --lib admin::openapi` writes it anew.
    #[test]
    fn the_description_in_the_documents_is_what_the_endpoints_say() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/openapi.json");
        let described = format!("{:#}\n", describe(&endpoint::all()));
        if std::env::var_os("HOOKSWITCH_BLESS").is_some() {
            std::fs::write(path, &described).expect("written");
        }
        assert_eq!(std::fs::read_to_string(path).expect("the description"), described);
    }

    #[test]
    fn every_operation_has_a_name_of_its_own_and_says_what_it_does() {
        let endpoints = endpoint::all();
        let names: std::collections::BTreeSet<_> = endpoints.iter().map(|endpoint| endpoint.name).collect();
        assert_eq!(names.len(), endpoints.len());
        assert!(endpoints.iter().all(|endpoint| endpoint.summary.ends_with('.') && !endpoint.answers.is_empty()));
    }
}
