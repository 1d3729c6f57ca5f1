//! `email = { … }`: a step that sends a mail.

use lettre::message::Mailbox;

use super::http::media_type;
use crate::config::delivery::{retry, timeout};
use crate::config::fault::Fault;
use crate::config::flow::Reading;
use crate::config::section::Section;
use crate::config::value::Value;
use crate::delivery::Destination;
use crate::flow::action::EmailStep;
use crate::flow::template::{BodyTemplate, MailAddressTemplate, MediaType, TextTemplate};

/// What a mail is, unless the step says otherwise.
const PLAIN: &str = "text/plain; charset=utf-8";

pub(super) fn read(section: &mut Section<'_>, reading: &Reading<'_>) -> Option<EmailStep> {
    let Reading { names, defaults, destinations, .. } = reading;
    let server = section.required("destination", |value| {
        destinations.find(value, "a mail server", |found| match found {
            Destination::Smtp(server) => Some(server.clone()),
            Destination::Postgres(_) | Destination::Nats(_) | Destination::Rabbitmq(_) => None,
        })
    });
    let from = section.required("from", |value| {
        let text = value.text()?;
        text.parse::<Mailbox>().map_err(|_| value.refuse(Fault::MailAddress(text.to_owned()))).ok()
    });
    let to = section.required("to", |value| value.list(|_, element| address(element, reading)));
    if to.as_ref().is_some_and(Vec::is_empty) {
        section.refuse(Fault::NoRecipients);
    }
    let subject = section.required("subject", |value| value.compiled(|text| TextTemplate::compile(text, names)));
    let media_type = match section.has("content_type") {
        true => section.optional("content_type", media_type),
        false => MediaType::parse(PLAIN).ok(),
    };
    let body = section.required("body", |value| {
        // Without its media type, the text is still read, so that its own faults are told as well.
        let media_type = media_type.clone().or_else(|| MediaType::parse(PLAIN).ok())?;
        value.compiled(|text| BodyTemplate::compile(media_type, text, names))
    });
    let timeout = section.optional("timeout", timeout).unwrap_or(defaults.timeout);
    let retry = section.optional("retry", retry).unwrap_or_else(|| defaults.retry.clone());
    media_type?;
    let to = to.filter(|to| !to.is_empty());
    Some(EmailStep { server: server?, from: from?, to: to?, subject: subject?, body: body?, timeout, retry })
}

fn address(value: Value<'_>, reading: &Reading<'_>) -> Option<MailAddressTemplate> {
    let template = value.compiled(|text| MailAddressTemplate::compile(text, &reading.names))?;
    match template.literal() {
        Some(text) if text.parse::<lettre::Address>().is_err() => {
            value.refuse(Fault::MailAddress(text.to_owned()));
            None
        }
        _ => Some(template),
    }
}
