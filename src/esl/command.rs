//! Commands to FreeSWITCH, built so that no argument can start a second one or become another argument.
//!
//! Arguments come from call data. Every command with an argument is a `Line` in the making, and `Line::finish` is the one
//! door to [`Command`]: a control byte never gets through it.

use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};

use crate::freeswitch::directory::DirectoryUser;
use crate::id::{AgentName, ChannelUuid, QueueName};

/// The longest command. FreeSWITCH reads a command into one growing buffer; nothing of ours comes near this.
pub const MAX_COMMAND: usize = 64 * 1024;

/// The events that the events connection always asks for: enough for the story of every call through a mod_callcenter
/// queue.
const EVENTS: &str = "CHANNEL_CREATE CHANNEL_PROGRESS CHANNEL_ANSWER CHANNEL_BRIDGE CHANNEL_UNBRIDGE \
     CHANNEL_HANGUP_COMPLETE CHANNEL_HOLD CHANNEL_UNHOLD HEARTBEAT SHUTDOWN";

/// What the events connection asks for beside that: each source of queues costs FreeSWITCH further events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Subscription {
    /// What a dialer's channels tell by no other event: that a phone rings with early media, and what a detector of
    /// answering machines found.
    pub dialer: bool,
    /// mod_fifo's events.
    pub fifo: bool,
    /// What is told of queues outside FreeSWITCH.
    pub signals: bool,
}

/// One command, without its end.
#[derive(Clone, PartialEq, Eq)]
pub struct Command {
    line: Box<str>,
}

/// Arguments that cannot be sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidCommand {
    /// A newline would end the command and start another; other control bytes have no business there either.
    #[error("a command cannot hold the control character {0:?}")]
    ControlCharacter(char),
    /// An argument that FreeSWITCH would read as none, as two, or as an option.
    #[error(
        "{0:?} cannot be one argument: it is empty, begins with `-` or `^^`, or holds a space, a quote or a backslash"
    )]
    NotOneWord(String),
    /// A value that is quoted on the wire and holds the quote.
    #[error("{0:?} cannot be quoted: it holds a quote or a backslash")]
    NotQuotable(String),
    /// An argument that FreeSWITCH would run as an application.
    #[error("{0:?} would run an application")]
    RunsApplication(String),
    /// Longer than [`MAX_COMMAND`].
    #[error("a command of {0} bytes is too long")]
    TooLong(usize),
}

/// The password of the Event Socket, fit to be sent and never shown.
#[derive(Clone)]
pub struct Password(Command);

impl Password {
    /// Takes the password, if it can be sent at all.
    pub fn new(text: &str) -> Result<Self, InvalidCommand> {
        Line::new("auth").rest(text).finish().map(Self)
    }

    /// The command that signs in.
    pub(super) fn sign_in(&self) -> &Command {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

impl Command {
    /// Any `api` command, as a person wrote it (`status`, `sofia status`). Not for call data.
    pub fn api(text: &str) -> Result<Self, InvalidCommand> {
        Line::new("api").rest(text).finish()
    }

    /// Asks for the events that the lifecycle needs. `CUSTOM` comes last, because all that follows it is read as
    /// subclasses.
    pub fn subscribe(subscription: Subscription) -> Self {
        let early_media = if subscription.dialer { " CHANNEL_PROGRESS_MEDIA" } else { "" };
        let detectors = if subscription.dialer { " avmd::beep hookswitch::amd" } else { "" };
        let fifo = if subscription.fifo { " fifo::info" } else { "" };
        let signals = if subscription.signals { " hookswitch::signal" } else { "" };
        let line = format!("event plain {EVENTS}{early_media} CUSTOM callcenter::info{detectors}{fifo}{signals}");
        Self { line: line.into() }
    }

    /// FreeSWITCH's state in words.
    pub fn status() -> Self {
        Self { line: "api status".into() }
    }

    /// The running process's `Core-UUID`.
    pub fn core_uuid() -> Self {
        Self { line: "api global_getvar core_uuid".into() }
    }

    /// The time, in microseconds since 1970.
    pub fn clock() -> Self {
        Self { line: "api strmicroepoch".into() }
    }

    /// All channels, as JSON. The list may lag behind.
    pub fn show_channels() -> Self {
        Self { line: "api show channels as json".into() }
    }

    /// All queues.
    pub fn queue_list() -> Self {
        Self::callcenter(json!({ "arguments": "queue list" }))
    }

    /// The members that wait in a queue.
    pub fn queue_members(queue: &QueueName) -> Self {
        Self::callcenter(json!({ "arguments": "queue list members", "queue_name": queue.as_str() }))
    }

    /// The agents of a queue.
    pub fn queue_agents(queue: &QueueName) -> Self {
        Self::callcenter(json!({ "arguments": "queue list agents", "queue_name": queue.as_str() }))
    }

    /// The tiers of a queue.
    pub fn queue_tiers(queue: &QueueName) -> Self {
        Self::callcenter(json!({ "arguments": "queue list tiers", "queue_name": queue.as_str() }))
    }

    /// All agents.
    pub fn agent_list() -> Self {
        Self::callcenter(json!({ "arguments": "agent list" }))
    }

    /// FreeSWITCH's version, in a line.
    pub fn version() -> Self {
        Self { line: "api version".into() }
    }

    /// All tiers: which agents serve which queue.
    pub fn tier_list() -> Self {
        Self::callcenter(json!({ "arguments": "tier list" }))
    }

    /// JSON escapes control characters itself, so there is nothing that could be refused.
    fn callcenter(data: Value) -> Self {
        let request = json!({ "command": "callcenter_config", "data": data });
        // DEL is the one control character that JSON leaves as it is.
        Self { line: format!("api json {request}").replace('\u{7f}', "\\u007f").into() }
    }

    /// One channel with all its variables, as JSON.
    pub fn uuid_dump(channel: &ChannelUuid) -> Result<Self, InvalidCommand> {
        Line::new("api uuid_dump").word(channel.as_str())?.word("json")?.finish()
    }

    /// Asks for a variable (`var`) or parameter (`param`) of a user in the directory: the answer is its value, or nothing.
    pub fn user_data(user: &DirectoryUser, kind: &str, name: &str) -> Result<Self, InvalidCommand> {
        Line::new("api user_data").word(&user.to_string())?.word(kind)?.word(name)?.finish()
    }

    /// Whether a channel is there: the answer is `true` or `false`.
    pub fn uuid_exists(channel: &ChannelUuid) -> Result<Self, InvalidCommand> {
        Line::new("api uuid_exists").word(channel.as_str())?.finish()
    }

    /// Sets a variable of a channel, to exactly that value; an empty one unsets it.
    ///
    /// Some variables make FreeSWITCH run what they hold (`api_hangup_hook`, `execute_on_answer`): the name must never
    /// come from call data.
    pub fn uuid_setvar(channel: &ChannelUuid, name: &str, value: &str) -> Result<Self, InvalidCommand> {
        Line::new("api uuid_setvar").word(channel.as_str())?.word(name)?.value(value).finish()
    }

    /// Asks for a variable of a channel: the answer is its value, or `_undef_`.
    pub fn uuid_getvar(channel: &ChannelUuid, name: &str) -> Result<Self, InvalidCommand> {
        Line::new("api uuid_getvar").word(channel.as_str())?.word(name)?.finish()
    }

    /// Hangs a channel up, with a cause if one is given.
    pub fn uuid_kill(channel: &ChannelUuid, cause: Option<&str>) -> Result<Self, InvalidCommand> {
        let line = Line::new("api uuid_kill").word(channel.as_str())?;
        cause.map_or(Ok(line.clone()), |cause| line.word(cause))?.finish()
    }

    /// Transfers a channel to a destination of an XML dialplan's context. The inline dialplan, whose destinations are
    /// applications, cannot be had.
    pub fn uuid_transfer(channel: &ChannelUuid, destination: &str, context: &str) -> Result<Self, InvalidCommand> {
        Line::new("api uuid_transfer").word(channel.as_str())?.word(destination)?.word("XML")?.word(context)?.finish()
    }

    /// Plays a file to a channel. `application::argument`, which FreeSWITCH would run, is refused.
    pub fn uuid_broadcast(channel: &ChannelUuid, file: &str, leg: Leg) -> Result<Self, InvalidCommand> {
        if file.contains("::") {
            return Err(InvalidCommand::RunsApplication(file.to_owned()));
        }
        Line::new("api uuid_broadcast").word(channel.as_str())?.word(file)?.word(leg.as_str())?.finish()
    }

    /// Sets an agent's status (`On Break`).
    pub fn agent_set_status(agent: &AgentName, status: &str) -> Result<Self, InvalidCommand> {
        Line::new("api callcenter_config agent set status").word(agent.as_str())?.quoted(status)?.finish()
    }

    /// Sets an agent's state (`Waiting`).
    pub fn agent_set_state(agent: &AgentName, state: &str) -> Result<Self, InvalidCommand> {
        Line::new("api callcenter_config agent set state").word(agent.as_str())?.quoted(state)?.finish()
    }

    /// How long to wait for the answer, unless the caller knows better: the longest lists take seconds to print.
    pub const USUAL_TIMEOUT: Duration = Duration::from_secs(10);

    /// The command as it stands on the wire: one line and a blank one.
    pub fn write_to(&self, wire: &mut bytes::BytesMut) {
        wire.extend_from_slice(self.line.as_bytes());
        wire.extend_from_slice(b"\n\n");
    }

    /// The whole command, which may hold a call's data: for the delivery log.
    pub fn line(&self) -> &str {
        &self.line
    }

    /// The command's first words, which hold no argument: for logs.
    pub fn name(&self) -> &str {
        let end = self.line.match_indices(' ').nth(1).map_or(self.line.len(), |(at, _)| at);
        if self.line.starts_with("auth ") { "auth" } else { &self.line[..end] }
    }
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Command").field(&self.name()).finish()
    }
}

/// Which side of a call hears something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leg {
    /// The channel itself.
    A,
    /// The channel that it is bridged to.
    B,
    /// Both.
    Both,
}

impl Leg {
    const fn as_str(self) -> &'static str {
        match self {
            Self::A => "aleg",
            Self::B => "bleg",
            Self::Both => "both",
        }
    }
}

/// A command in the making.
#[derive(Clone)]
struct Line(String);

impl Line {
    fn new(verb: &str) -> Self {
        Self(verb.to_owned())
    }

    /// One argument that FreeSWITCH reads as one. A first argument that begins with `^^` would say what separates the others.
    fn word(self, word: &str) -> Result<Self, InvalidCommand> {
        let splits = |c: char| c.is_whitespace() || matches!(c, '\'' | '"' | '\\');
        if word.is_empty() || word.starts_with('-') || word.starts_with("^^") || word.contains(splits) {
            return Err(InvalidCommand::NotOneWord(word.to_owned()));
        }
        Ok(self.rest(word))
    }

    /// One argument in single quotes.
    fn quoted(self, value: &str) -> Result<Self, InvalidCommand> {
        if value.contains(['\'', '\\']) {
            return Err(InvalidCommand::NotQuotable(value.to_owned()));
        }
        Ok(self.rest(&format!("'{value}'")))
    }

    /// The last argument, which FreeSWITCH reads to the end of the line: it takes quotes away, makes control characters of
    /// `\\n` and its like, and drops spaces at either end, unless they are escaped.
    fn value(self, text: &str) -> Self {
        let inner = text.trim_matches(' ');
        let spaces = |count: usize| "\\s".repeat(count);
        let leading = text.len() - text.trim_start_matches(' ').len();
        let trailing = text.len() - inner.len() - leading;
        let escaped = inner.replace('\\', "\\\\").replace('\'', "\\'");
        self.rest(&format!("{}{escaped}{}", spaces(leading), spaces(trailing)))
    }

    /// The last argument, as it is.
    fn rest(mut self, text: &str) -> Self {
        self.0.push(' ');
        self.0.push_str(text);
        self
    }

    fn finish(self) -> Result<Command, InvalidCommand> {
        match self.0.chars().find(char::is_ascii_control) {
            Some(control) => Err(InvalidCommand::ControlCharacter(control)),
            None if self.0.len() > MAX_COMMAND => Err(InvalidCommand::TooLong(self.0.len())),
            None => Ok(Command { line: self.0.into() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use proptest::prelude::*;

    use super::*;

    fn wire(command: &Command) -> String {
        let mut wire = BytesMut::new();
        command.write_to(&mut wire);
        String::from_utf8(wire.to_vec()).expect("commands are text")
    }

    fn every_command(text: &str) -> Vec<Result<Command, InvalidCommand>> {
        let (channel, agent, queue) = (ChannelUuid::from(text), AgentName::from(text), QueueName::from(text));
        let fine = ChannelUuid::from("u-1");
        vec![
            Command::api(text),
            Password::new(text).map(|password| password.sign_in().clone()),
            Ok(Command::queue_members(&queue)),
            Ok(Command::queue_agents(&queue)),
            Ok(Command::queue_tiers(&queue)),
            Command::uuid_dump(&channel),
            Command::uuid_exists(&channel),
            Command::uuid_setvar(&channel, text, text),
            Command::uuid_setvar(&fine, "name", text),
            Command::uuid_getvar(&channel, text),
            Command::uuid_kill(&channel, Some(text)),
            Command::uuid_kill(&fine, Some(text)),
            Command::uuid_transfer(&fine, text, text),
            Command::uuid_broadcast(&fine, text, Leg::Both),
            Command::agent_set_status(&agent, text),
            Command::agent_set_status(&AgentName::from("a"), text),
            Command::agent_set_state(&AgentName::from("a"), text),
        ]
    }

    /// What FreeSWITCH makes of the last of arguments that spaces separate.
    fn as_freeswitch_reads(argument: &str) -> String {
        let (mut read, mut end, mut quoted) = (String::new(), 0, false);
        let mut rest = argument.trim_start_matches(' ').chars().peekable();
        while let Some(c) = rest.next() {
            let escaped = match (c, rest.peek()) {
                ('\\', Some('n')) => Some('\n'),
                ('\\', Some('r')) => Some('\r'),
                ('\\', Some('t')) => Some('\t'),
                ('\\', Some('s')) => Some(' '),
                ('\\', Some(c @ ('\'' | '"' | '\\'))) => Some(*c),
                _ => None,
            };
            if escaped.is_some() {
                rest.next();
            } else if c == '\'' && (quoted || rest.clone().any(|c| c == '\'')) {
                quoted = !quoted;
                continue;
            }
            read.push(escaped.unwrap_or(c));
            if escaped.is_some() || c != ' ' || quoted {
                end = read.len();
            }
        }
        read.truncate(end);
        read
    }

    proptest! {
        #[test]
        fn whatever_the_arguments_exactly_one_command_goes_out(text in "(?s).{0,40}|[\\x00-\\x20'\"a\\x7f]{0,8}") {
            for command in every_command(&text).into_iter().flatten() {
                let wire = wire(&command);
                prop_assert!(!wire[..wire.len() - 2].contains(|c: char| c.is_ascii_control()), "{wire:?}");
                prop_assert!(wire.ends_with("\n\n"));
            }
        }

        #[test]
        fn a_variables_value_is_read_back_as_it_was(value in "(?s).{0,40}|[ '\"\\\\nrst]{0,12}") {
            if let Ok(command) = Command::uuid_setvar(&"u-1".into(), "name", &value) {
                let wire = wire(&command);
                let argument = wire.strip_prefix("api uuid_setvar u-1 name ").expect("the value is last");
                prop_assert_eq!(as_freeswitch_reads(argument.trim_end()), value);
            }
        }

        #[test]
        fn an_argument_stays_one_argument(text in "[ -~]{0,12}") {
            let fine = ChannelUuid::from("u-1");
            if let Ok(command) = Command::uuid_transfer(&fine, &text, "default") {
                prop_assert_eq!(wire(&command).split_whitespace().count(), 6);
            }
        }
    }

    #[test]
    fn commands_are_spelt_as_freeswitch_reads_them() {
        let channel = ChannelUuid::from("u-1");
        assert_eq!(wire(&Command::show_channels()), "api show channels as json\n\n");
        assert_eq!(
            wire(&Command::queue_members(&"support@default".into())),
            "api json {\"command\":\"callcenter_config\",\"data\":{\"arguments\":\"queue list members\",\
             \"queue_name\":\"support@default\"}}\n\n"
        );
        let spelt = |command: Result<Command, InvalidCommand>| wire(&command.expect("can be sent"));
        assert_eq!(spelt(Command::uuid_dump(&channel)), "api uuid_dump u-1 json\n\n");
        assert_eq!(spelt(Command::uuid_setvar(&channel, "n", "a b")), "api uuid_setvar u-1 n a b\n\n");
        assert_eq!(
            spelt(Command::uuid_setvar(&channel, "n", r" O'B\n ")),
            "api uuid_setvar u-1 n \\sO\\'B\\\\n\\s\n\n"
        );
        assert_eq!(spelt(Command::uuid_kill(&channel, None)), "api uuid_kill u-1\n\n");
        assert_eq!(
            spelt(Command::agent_set_status(&"1000@default".into(), "On Break")),
            "api callcenter_config agent set status 1000@default 'On Break'\n\n"
        );
    }

    #[test]
    fn what_would_run_or_break_out_is_refused() {
        let channel = ChannelUuid::from("u-1");
        assert_eq!(Command::uuid_setvar(&channel, "n", "a\napi shutdown"), Err(InvalidCommand::ControlCharacter('\n')));
        assert!(matches!(
            Command::uuid_broadcast(&channel, "system::reboot", Leg::A),
            Err(InvalidCommand::RunsApplication(_))
        ));
        for word in ["-both", "^^;a;b", "a b", ""] {
            assert!(matches!(Command::uuid_transfer(&channel, word, "c"), Err(InvalidCommand::NotOneWord(_))));
            assert!(matches!(Command::uuid_setvar(&word.into(), "n", "v"), Err(InvalidCommand::NotOneWord(_))));
        }
        assert!(matches!(Command::agent_set_status(&"a".into(), "it's"), Err(InvalidCommand::NotQuotable(_))));
        assert!(matches!(Command::api(&"x".repeat(MAX_COMMAND)), Err(InvalidCommand::TooLong(_))));
    }

    #[test]
    fn a_source_is_subscribed_to_only_where_it_is_wanted() {
        let all = Subscription { dialer: true, fifo: true, signals: true };
        let (callcenters, all) = (wire(&Command::subscribe(Subscription::default())), wire(&Command::subscribe(all)));
        assert!(callcenters.ends_with(" SHUTDOWN CUSTOM callcenter::info\n\n"));
        let ending = " SHUTDOWN CHANNEL_PROGRESS_MEDIA CUSTOM callcenter::info avmd::beep hookswitch::amd fifo::info hookswitch::signal\n\n";
        assert!(all.ends_with(ending), "{all}");
    }

    #[test]
    fn a_password_is_never_shown() {
        let password = Password::new("ClueCon").expect("can be sent");
        assert!(!format!("{password:?} {:?} {}", password.sign_in(), password.sign_in().name()).contains("ClueCon"));
    }
}
