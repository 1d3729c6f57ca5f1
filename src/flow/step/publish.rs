//! The step `publish`: publishes a message by NATS JetStream or RabbitMQ, and waits until it is stored.

use serde_json::json;

use super::http::webhook_id;
use super::parcel::{Errand, Parcel, give};
use super::{Outcome, StepEnd, Surroundings};
use crate::delivery::destination::rabbitmq::Message;
use crate::delivery::destination::{Door, Refusal};
use crate::flow::action::{PublishStep, Route};
use crate::flow::context::Context;
use crate::flow::template::RenderError;

/// A message, filled in.
struct RenderedMessage {
    subject: String,
    content_type: String,
    body: Vec<u8>,
}

pub(super) async fn perform(step: &PublishStep, path: &str, save: Option<&str>, around: Surroundings<'_>) -> StepEnd {
    let message = match step.render(around.context) {
        Ok(message) => message,
        Err(error) => return StepEnd::failed(error),
    };
    let errand = Errand { door: step.route.door(), line: step.route.line(&message), path, limit: step.timeout };
    let work = step.publish(message, webhook_id(around.run, path), save);
    give(errand, around, work).await
}

impl PublishStep {
    fn render(&self, context: &Context) -> Result<RenderedMessage, RenderError> {
        let subject = match &self.route {
            Route::Nats { subject, .. } => subject,
            Route::Rabbitmq { routing_key, .. } => routing_key,
        };
        let content_type = self.body.content_type();
        let content_type = content_type.as_ref().and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
        Ok(RenderedMessage {
            subject: subject.render(context.fields())?,
            content_type,
            body: self.body.render(context)?,
        })
    }

    async fn publish(
        &self,
        message: RenderedMessage,
        message_id: String,
        save: Option<&str>,
    ) -> Result<(String, Outcome), Refusal> {
        let RenderedMessage { subject, content_type, body } = message;
        match &self.route {
            Route::Nats { server, .. } => {
                let stored = server.publish(subject, &message_id, &content_type, body, self.timeout).await?;
                let known = if stored.is_duplicate { ", which it had already" } else { "" };
                let said = format!("stream {}, message {}{known}", stored.stream, stored.sequence);
                let result =
                    || json!({ "message_id": message_id, "stream": stored.stream, "sequence": stored.sequence });
                Ok((said, Outcome::done(save, result)))
            }
            Route::Rabbitmq { broker, exchange, .. } => {
                let (message_id, body) = (&*message_id, &*body);
                let (routing_key, content_type) = (&*subject, &*content_type);
                broker.publish(&Message { exchange, routing_key, message_id, content_type, body }).await?;
                Ok(("confirmed".to_owned(), Outcome::done(save, || json!({ "message_id": message_id }))))
            }
        }
    }

    /// What is about to be published.
    pub(super) fn parcel(&self, context: &Context) -> Result<Parcel, RenderError> {
        let message = self.render(context)?;
        Ok(Parcel {
            destination: self.route.door().name().to_owned(),
            line: self.route.line(&message),
            body: String::from_utf8_lossy(&message.body).into_owned(),
        })
    }
}

impl Route {
    fn door(&self) -> &Door {
        match self {
            Self::Nats { server, .. } => &server.door,
            Self::Rabbitmq { broker, .. } => &broker.door,
        }
    }

    /// Where the message goes, for people.
    fn line(&self, message: &RenderedMessage) -> String {
        match self {
            Self::Nats { .. } => message.subject.clone(),
            Self::Rabbitmq { exchange, .. } => format!("{exchange}: {}", message.subject),
        }
    }
}
