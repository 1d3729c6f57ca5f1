//! A mail server.

use std::time::{Duration, SystemTime};

use lettre::address::Envelope;
use lettre::message::header::ContentType;
use lettre::message::{Mailbox, MessageBuilder};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::transport::smtp::{AsyncSmtpTransportBuilder, Error};
use lettre::{Address, AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};

use super::door::Door;
use super::refusal::Refusal;
use super::site::Site;

/// When a connection is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encryption {
    /// From its beginning.
    Implicit,
    /// Once the server has been greeted, and before anything else is said.
    StartTls,
}

/// A server. Each mail has a connection of its own: there are few, and servers end idle ones soon.
#[derive(Debug)]
pub struct Smtp {
    /// The way in.
    pub door: Door,
    transport: AsyncSmtpTransportBuilder,
}

/// Why there can be no such server.
#[derive(Debug, thiserror::Error)]
#[error("the certificates can't be used: {0}")]
pub struct SmtpError(#[from] Error);

/// A mail, to be named when it is sent.
#[derive(Clone, Debug)]
pub struct Mail {
    /// Who sends it.
    pub from: Mailbox,
    /// Who gets it.
    pub to: Vec<Address>,
    /// What it is about.
    pub subject: String,
    /// The body's media type.
    pub content_type: ContentType,
    /// The body.
    pub body: String,
    /// The same, in the charset that the media type says.
    pub encoded: Vec<u8>,
}

impl Smtp {
    /// A server to which nobody is connected yet.
    pub fn new(site: &Site, encryption: Encryption) -> Result<Self, SmtpError> {
        let tls = match &site.trust {
            None => Tls::None,
            Some(trust) => {
                let mut parameters = TlsParameters::builder(site.host.clone());
                if let Some(ca) = trust.ca() {
                    parameters = parameters.add_root_certificate(Certificate::from_pem(ca.as_bytes())?);
                }
                let parameters = parameters.build_rustls()?;
                match encryption {
                    Encryption::Implicit => Tls::Wrapper(parameters),
                    Encryption::StartTls => Tls::Required(parameters),
                }
            }
        };
        let builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&site.host).port(site.port).tls(tls);
        let transport = match &site.user {
            Some(user) => {
                let password = site.password().unwrap_or_default();
                builder.credentials(Credentials::new(user.clone(), password.to_owned()))
            }
            None => builder,
        };
        Ok(Self { door: Door::new(&site.name, site.concurrency), transport })
    }

    /// Connects and signs in.
    pub async fn connect(&self, timeout: Duration) -> Result<String, Refusal> {
        match self.within(timeout).test_connection().await.map_err(|error| refusal(&error))? {
            true => Ok("it takes mail".into()),
            false => Err(Refusal::MayPass("it does not answer".into())),
        }
    }

    /// Sends a mail, and waits until the server has taken it. Gives what the server said.
    pub async fn send(&self, mail: &Mail, message_id: &str, timeout: Duration) -> Result<String, Refusal> {
        let message = mail.message(message_id).map_err(|error| Refusal::lasting(&error))?;
        let response = self.within(timeout).send(message).await.map_err(|error| refusal(&error))?;
        Ok(response.message().collect::<Vec<_>>().join(" "))
    }

    /// A way there on which nothing takes longer.
    fn within(&self, timeout: Duration) -> AsyncSmtpTransport<Tokio1Executor> {
        self.transport.clone().timeout(Some(timeout)).build()
    }
}

impl Mail {
    /// The mail as it is sent. Receivers and archives tell a repeat by its name.
    fn message(&self, message_id: &str) -> Result<Message, lettre::error::Error> {
        let named = |builder: MessageBuilder, to: &Address| builder.to(Mailbox::new(None, to.clone()));
        let name = format!("<{message_id}@{}>", self.from.email.domain());
        let builder = Message::builder().message_id(Some(name)).date(SystemTime::now()).from(self.from.clone());
        let builder = self
            .to
            .iter()
            .fold(builder, named)
            .subject(self.subject.clone())
            .header(self.content_type.clone())
            .envelope(Envelope::new(Some(self.from.email.clone()), self.to.clone())?);
        // What is a text stays readable in transit.
        match self.encoded == self.body.as_bytes() {
            true => builder.body(self.body.clone()),
            false => builder.body(self.encoded.clone()),
        }
    }
}

/// A server that can't be reached, or that says so itself, may take the mail later; so may one that does not know who
/// signs in (530, 534, 535).
fn refusal(error: &Error) -> Refusal {
    let is_sign_in = error.status().is_some_and(|code| [530, 534, 535].contains(&u16::from(code)));
    if error.is_permanent() && !is_sign_in { Refusal::lasting(error) } else { Refusal::may_pass(error) }
}
