//! `publish = { … }`: a step that publishes a message.

use reqwest::Method;

use super::http::body;
use crate::config::delivery::{retry, timeout};
use crate::config::flow::Reading;
use crate::config::section::Section;
use crate::config::value::Value;
use crate::delivery::Destination;
use crate::flow::action::{PublishStep, Route};
use crate::flow::template::SubjectTemplate;

pub(super) fn read(section: &mut Section<'_>, reading: &Reading<'_>) -> Option<PublishStep> {
    let Reading { names, defaults, destinations, .. } = reading;
    let broker = section.required("destination", |value| {
        destinations.find(value, "a broker", |found| match found {
            Destination::Nats(_) | Destination::Rabbitmq(_) => Some(found.clone()),
            Destination::Postgres(_) | Destination::Smtp(_) => None,
        })
    });
    let compile = |value: Value<'_>| value.compiled(|text| SubjectTemplate::compile(text, names));
    let route = match broker {
        Some(Destination::Nats(server)) => {
            section.required("subject", compile).map(|subject| Route::Nats { server, subject })
        }
        Some(Destination::Rabbitmq(broker)) => {
            // The exchange without a name brings a message to the queue that its routing key names.
            let exchange = section.optional("exchange", Value::text).unwrap_or_default().to_owned();
            let routing_key = section.required("routing_key", compile);
            routing_key.map(|routing_key| Route::Rabbitmq { broker, exchange, routing_key })
        }
        Some(Destination::Postgres(_) | Destination::Smtp(_)) | None => {
            // The rest is read all the same, so that its own faults are told as well.
            let _ = (section.optional("subject", compile), section.optional("routing_key", compile));
            let _ = section.has("exchange");
            None
        }
    };
    let body = body(section, &Method::POST, names);
    let timeout = section.optional("timeout", timeout).unwrap_or(defaults.timeout);
    let retry = section.optional("retry", retry).unwrap_or_else(|| defaults.retry.clone());
    Some(PublishStep { route: route?, body: body?, timeout, retry })
}
