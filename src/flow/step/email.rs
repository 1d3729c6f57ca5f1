//! The step `email`: sends a mail.
//!
//! SMTP tells no repeats by a name, so a mail whose answer was lost is sent again, with the same `Message-ID`.

use lettre::Address;
use lettre::message::header::ContentType;

use super::http::webhook_id;
use super::parcel::{Errand, Parcel, give};
use super::{Outcome, StepEnd, Surroundings};
use crate::delivery::destination::smtp::Mail;
use crate::flow::action::EmailStep;
use crate::flow::context::Context;
use crate::flow::template::RenderError;

pub(super) async fn perform(step: &EmailStep, path: &str, around: Surroundings<'_>) -> StepEnd {
    let mail = match step.render(around.context) {
        Ok(mail) => mail,
        Err(error) => return StepEnd::failed(error),
    };
    let errand = Errand { door: &step.server.door, line: line(&mail), path, limit: step.timeout };
    let message_id = webhook_id(around.run, path);
    let work = async {
        let said = step.server.send(&mail, &message_id, step.timeout).await?;
        Ok((said, Outcome::done(None, Default::default)))
    };
    give(errand, around, work).await
}

impl EmailStep {
    fn render(&self, context: &Context) -> Result<Mail, RenderError> {
        let fields = context.fields();
        let content_type = self.body.content_type().to_str().unwrap_or_default();
        let is_labelled = content_type.to_ascii_lowercase().contains("charset=");
        // Without a charset, a mail is in ASCII.
        let content_type = if is_labelled { content_type.to_owned() } else { format!("{content_type}; charset=utf-8") };
        let body = self.body.render(fields)?;
        Ok(Mail {
            from: self.from.clone(),
            to: self.to.iter().map(|address| address.render(fields)).collect::<Result<_, _>>()?,
            subject: self.subject.render(fields)?,
            content_type: ContentType::parse(&content_type).unwrap_or(ContentType::TEXT_PLAIN),
            encoded: self.body.encode(&body)?,
            body,
        })
    }

    /// What is about to be sent.
    pub(super) fn parcel(&self, context: &Context) -> Result<Parcel, RenderError> {
        let mail = self.render(context)?;
        let destination = self.server.door.name().to_owned();
        Ok(Parcel { destination, line: line(&mail), body: format!("{}\n\n{}", mail.subject, mail.body) })
    }
}

/// Who gets the mail.
fn line(mail: &Mail) -> String {
    mail.to.iter().map(Address::to_string).collect::<Vec<_>>().join(", ")
}
