//! What steps do, each with its settings.

use std::sync::Arc;
use std::time::Duration;

use lettre::message::Mailbox;
use reqwest::Method;
use reqwest::header::HeaderName;

use super::template::{
    BodyTemplate, CommandTemplate, FileTemplate, FormTemplate, HeaderTemplate, JsonTemplate, MailAddressTemplate,
    SubjectTemplate, TextTemplate, UrlTemplate,
};
use crate::delivery::destination::{Nats, Postgres, Rabbitmq, Smtp};
use crate::delivery::retry::RetrySchedule;
use crate::delivery::signature::SigningKeys;
use crate::delivery::statuses::StatusRules;
use crate::delivery::way::Ways;
use crate::esl::command::Leg;
use crate::moment::Format;

/// The longest `wait`: a run that rests longer is forgotten by everybody but the outbox.
pub const LONGEST_WAIT: Duration = Duration::from_hours(30 * 24);

/// What a step does, but for those that only choose the next.
#[derive(Debug)]
pub enum Action {
    /// Sends an HTTP request.
    Http(HttpStep),
    /// Writes a log line.
    Log(LogStep),
    /// Saves values.
    Set(SetStep),
    /// Rests.
    Wait(WaitStep),
    /// Ends the run.
    Stop(StopStep),
    /// Gives a command to FreeSWITCH.
    Freeswitch(FreeswitchStep),
    /// Asks FreeSWITCH how a queue is.
    QueueInfo(QueueInfoStep),
    /// Executes a statement.
    Sql(SqlStep),
    /// Publishes a message.
    Publish(PublishStep),
    /// Sends a mail.
    Email(EmailStep),
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
    /// How long one try may take, from asking for an access token to the response's last byte.
    pub timeout: Duration,
    /// When failed tries are repeated.
    pub retry: RetrySchedule,
    /// What statuses mean.
    pub rules: StatusRules,
    /// The ways to receivers that are not gone to like all others.
    pub receivers: Ways,
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

/// Values for later steps, by their names.
#[derive(Debug)]
pub struct SetStep {
    /// The values.
    pub values: Vec<(String, JsonTemplate)>,
}

/// A durable timer.
#[derive(Debug)]
pub enum WaitStep {
    /// So long.
    For(Duration),
    /// As long as the text says.
    Text(TextTemplate),
}

/// The run's end.
#[derive(Debug)]
pub struct StopStep {
    /// Whether the run has failed, rather than being done.
    pub failed: bool,
    /// Why, for a person.
    pub reason: Option<TextTemplate>,
}

/// A command to the FreeSWITCH that the attempt is on.
#[derive(Debug)]
pub struct FreeswitchStep {
    /// The command.
    pub command: CommandPlan,
    /// How long after it was meant to be done the command is given at the latest.
    pub expires_after: Duration,
    /// How long one try may take.
    pub timeout: Duration,
    /// When failed tries are repeated.
    pub retry: RetrySchedule,
}

/// A command, to be filled in.
#[derive(Debug)]
pub enum CommandPlan {
    /// Sets a variable of a channel.
    SetVariable {
        /// The channel.
        channel: CommandTemplate,
        /// The variable's name, never of call data: some variables make FreeSWITCH run what they hold.
        name: String,
        /// The value.
        value: CommandTemplate,
    },
    /// Asks for a variable of a channel.
    GetVariable {
        /// The channel.
        channel: CommandTemplate,
        /// The variable's name.
        name: String,
    },
    /// Transfers a channel.
    Transfer {
        /// The channel.
        channel: CommandTemplate,
        /// The destination within the context.
        destination: CommandTemplate,
        /// The XML dialplan's context.
        context: String,
    },
    /// Plays a file to a channel.
    Broadcast {
        /// The channel.
        channel: CommandTemplate,
        /// The file.
        file: FileTemplate,
        /// Who hears it.
        leg: Leg,
    },
    /// Hangs a channel up.
    Kill {
        /// The channel.
        channel: CommandTemplate,
        /// The hangup cause.
        cause: Option<String>,
    },
    /// Sets an agent's status.
    AgentStatus {
        /// The agent.
        agent: CommandTemplate,
        /// The status.
        status: CommandTemplate,
    },
    /// Sets an agent's state.
    AgentState {
        /// The agent.
        agent: CommandTemplate,
        /// The state.
        state: CommandTemplate,
    },
}

/// A question how a queue is.
#[derive(Debug)]
pub struct QueueInfoStep {
    /// The queue; unset: the attempt's.
    pub queue: Option<CommandTemplate>,
    /// How long one try may take.
    pub timeout: Duration,
    /// When failed tries are repeated.
    pub retry: RetrySchedule,
}

/// A statement for a database.
#[derive(Debug)]
pub struct SqlStep {
    /// The database.
    pub database: Arc<Postgres>,
    /// The statement, which is literal.
    pub statement: String,
    /// What is bound to its parameters.
    pub values: Vec<JsonTemplate>,
    /// How long one try may take.
    pub timeout: Duration,
    /// When failed tries are repeated.
    pub retry: RetrySchedule,
}

/// A message for a broker.
#[derive(Debug)]
pub struct PublishStep {
    /// Where it goes.
    pub route: Route,
    /// What it carries.
    pub body: HttpBody,
    /// How long one try may take.
    pub timeout: Duration,
    /// When failed tries are repeated.
    pub retry: RetrySchedule,
}

/// A broker, and the way of a message in it.
#[derive(Debug)]
pub enum Route {
    /// Into the stream of JetStream that has the subject.
    Nats {
        /// The server.
        server: Arc<Nats>,
        /// The subject.
        subject: SubjectTemplate,
    },
    /// To the queues that are bound to the exchange.
    Rabbitmq {
        /// The broker.
        broker: Arc<Rabbitmq>,
        /// The exchange, which is literal.
        exchange: String,
        /// The routing key.
        routing_key: SubjectTemplate,
    },
}

/// A mail.
#[derive(Debug)]
pub struct EmailStep {
    /// The server that takes it.
    pub server: Arc<Smtp>,
    /// Who sends it.
    pub from: Mailbox,
    /// Who gets it.
    pub to: Vec<MailAddressTemplate>,
    /// What it is about.
    pub subject: TextTemplate,
    /// The body.
    pub body: BodyTemplate,
    /// How long one try may take.
    pub timeout: Duration,
    /// When failed tries are repeated.
    pub retry: RetrySchedule,
}

impl Action {
    /// The kind's name, as the configuration has it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Http(_) => "http",
            Self::Log(_) => "log",
            Self::Set(_) => "set",
            Self::Wait(_) => "wait",
            Self::Stop(_) => "stop",
            Self::Freeswitch(_) => "freeswitch",
            Self::QueueInfo(_) => "queue_info",
            Self::Sql(_) => "sql",
            Self::Publish(_) => "publish",
            Self::Email(_) => "email",
        }
    }

    /// When the step is tried again, where its kind is.
    pub fn retry(&self) -> Option<&RetrySchedule> {
        match self {
            Self::Http(step) => Some(&step.retry),
            Self::Freeswitch(step) => Some(&step.retry),
            Self::QueueInfo(step) => Some(&step.retry),
            Self::Sql(step) => Some(&step.retry),
            Self::Publish(step) => Some(&step.retry),
            Self::Email(step) => Some(&step.retry),
            Self::Log(_) | Self::Set(_) | Self::Wait(_) | Self::Stop(_) => None,
        }
    }
}
