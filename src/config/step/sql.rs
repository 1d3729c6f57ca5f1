//! `sql = { … }`: a step that executes a statement.

use super::http::document;
use crate::config::delivery::{retry, timeout};
use crate::config::flow::Reading;
use crate::config::section::Section;
use crate::config::value::Value;
use crate::delivery::Destination;
use crate::flow::action::SqlStep;

pub(super) fn read(section: &mut Section<'_>, reading: &Reading<'_>) -> Option<SqlStep> {
    let Reading { names, defaults, destinations, .. } = reading;
    let database = section.required("destination", |value| {
        destinations.find(value, "a PostgreSQL database", |found| match found {
            Destination::Postgres(database) => Some(database.clone()),
            Destination::Nats(_) | Destination::Rabbitmq(_) | Destination::Smtp(_) => None,
        })
    });
    let statement = section.required("statement", Value::text);
    let values = match section.has("values") {
        true => section.optional("values", |value| value.list(|_, element| document(element, names))),
        false => Some(Vec::new()),
    };
    let timeout = section.optional("timeout", timeout).unwrap_or(defaults.timeout);
    let retry = section.optional("retry", retry).unwrap_or_else(|| defaults.retry.clone());
    Some(SqlStep { database: database?, statement: statement?.to_owned(), values: values?, timeout, retry })
}
