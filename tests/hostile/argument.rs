//! The arguments of commands to FreeSWITCH in which a name can stand, each a flow of its own, and the command it makes.

use serde_json::json;

/// An argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Argument {
    Value,
    ChannelOfSetting,
    ChannelOfAsking,
    ChannelOfTransfer,
    Destination,
    ChannelOfBroadcast,
    File,
    ChannelOfKill,
    AgentOfStatus,
    Status,
    AgentOfState,
    State,
    Queue,
}

/// The most bytes of a command, and of its arguments.
const MAX_COMMAND: usize = 64 * 1024;

impl Argument {
    pub(crate) const ALL: [Self; 13] = [
        Self::Value,
        Self::ChannelOfSetting,
        Self::ChannelOfAsking,
        Self::ChannelOfTransfer,
        Self::Destination,
        Self::ChannelOfBroadcast,
        Self::File,
        Self::ChannelOfKill,
        Self::AgentOfStatus,
        Self::Status,
        Self::AgentOfState,
        Self::State,
        Self::Queue,
    ];

    /// The flow's name.
    pub(crate) fn flow(self) -> String {
        format!("{self:?}")
    }

    /// The argument whose flow has that name.
    pub(crate) fn of_flow(name: &str) -> Self {
        Self::ALL.into_iter().find(|argument| argument.flow() == name).expect("an argument")
    }

    /// The flow's steps. The recorded call is long over, so the command is meant for after a wait.
    pub(crate) fn steps(self) -> String {
        let command = match self {
            Self::Value => "uuid_setvar = ['c', 'note', '{{ member_name|safe }}']",
            Self::ChannelOfSetting => "uuid_setvar = ['{{ member_name }}', 'note', 'x']",
            Self::ChannelOfAsking => "uuid_getvar = ['{{ member_name }}', 'note']",
            Self::ChannelOfTransfer => "uuid_transfer = ['{{ member_name }}', '4000']",
            Self::Destination => "uuid_transfer = ['c', '{{ member_name|safe }}', 'default']",
            Self::ChannelOfBroadcast => "uuid_broadcast = ['{{ member_name }}', '/x.wav']",
            Self::File => "uuid_broadcast = ['c', '/sounds/{{ member_name|safe }}.wav', 'both']",
            Self::ChannelOfKill => "uuid_kill = ['{{ member_name }}', 'CALL_REJECTED']",
            Self::AgentOfStatus => "agent_status = ['{{ member_name }}', 'On Break']",
            Self::Status => "agent_status = ['a', '{{ member_name|safe }}']",
            Self::AgentOfState => "agent_state = ['{{ member_name }}', 'Waiting']",
            Self::State => "agent_state = ['a', '{{ member_name }}']",
            Self::Queue => {
                return "{ wait = '1ms' }, { queue_info = { queue = '{{ member_name }}', retry = [] } }".into();
            }
        };
        format!("{{ wait = '1ms' }}, {{ freeswitch = {{ {command}, retry = [] }} }}")
    }

    /// The commands that a name makes; none where it would be more than this argument.
    pub(crate) fn commands(self, name: &str) -> Vec<String> {
        let word = is_word(name).then_some(name);
        let quoted = (!name.contains(['\'', '\\'])).then_some(name);
        let command = match self {
            Self::Value => Some(format!("uuid_setvar c note {}", escaped(name))),
            Self::ChannelOfSetting => word.map(|name| format!("uuid_setvar {name} note x")),
            Self::ChannelOfAsking => word.map(|name| format!("uuid_getvar {name} note")),
            Self::ChannelOfTransfer => word.map(|name| format!("uuid_transfer {name} 4000 XML default")),
            Self::Destination => word.map(|name| format!("uuid_transfer c {name} XML default")),
            Self::ChannelOfBroadcast => word.map(|name| format!("uuid_broadcast {name} /x.wav aleg")),
            Self::File => is_plain(name).then(|| format!("uuid_broadcast c /sounds/{name}.wav both")),
            Self::ChannelOfKill => word.map(|name| format!("uuid_kill {name} CALL_REJECTED")),
            Self::AgentOfStatus => word.map(|name| format!("callcenter_config agent set status {name} 'On Break'")),
            Self::Status => quoted.map(|name| format!("callcenter_config agent set status a '{name}'")),
            Self::AgentOfState => word.map(|name| format!("callcenter_config agent set state {name} 'Waiting'")),
            Self::State => quoted.map(|name| format!("callcenter_config agent set state a '{name}'")),
            Self::Queue if expands(name) => None,
            Self::Queue => return ["members", "agents"].map(|list| listing(list, name)).into(),
        };
        let fits = |line: &String| line.len() + "api ".len() <= MAX_COMMAND;
        let is_one = |line: &String| !expands(name) && !line.chars().any(|c| c.is_ascii_control());
        command.filter(fits).filter(is_one).into_iter().collect()
    }
}

/// What FreeSWITCH reads as one argument among others.
fn is_word(name: &str) -> bool {
    let splits = |c: char| c.is_whitespace() || "'\"\\".contains(c);
    !name.is_empty() && !name.starts_with('-') && !name.starts_with("^^") && !name.contains(splits)
}

fn is_plain(name: &str) -> bool {
    name.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c))
}

/// Whether FreeSWITCH would put something else there.
fn expands(name: &str) -> bool {
    name.contains('$') && name.replace('\\', "").contains("${")
}

/// What FreeSWITCH reads as the text, at the end of the line.
fn escaped(text: &str) -> String {
    let (last, mut escaped) = (text.chars().count(), String::new());
    for (at, c) in text.chars().enumerate() {
        match c {
            // The only name with spaces at its ends has one at each.
            ' ' if at == 0 || at + 1 == last => escaped.push_str("\\s"),
            '\'' | '\\' => escaped.extend(['\\', c]),
            c => escaped.push(c),
        }
    }
    escaped
}

fn listing(list: &str, queue: &str) -> String {
    let data = json!({ "arguments": format!("queue list {list}"), "queue_name": queue });
    let request = json!({ "command": "callcenter_config", "data": data });
    format!("json {request}").replace('\u{7f}', "\\u007f")
}
