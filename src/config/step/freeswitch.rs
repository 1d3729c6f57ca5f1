//! `freeswitch = { … }`: a step that gives a command to FreeSWITCH.

use std::time::Duration;

use crate::config::delivery::{retry, timeout};
use crate::config::fault::Fault;
use crate::config::flow::Reading;
use crate::config::section::Section;
use crate::config::value::Value;
use crate::delivery::RetrySchedule;
use crate::esl::Command;
use crate::esl::command::Leg;
use crate::flow::action::{CommandPlan, FreeswitchStep};
use crate::flow::template::{CommandTemplate, FileTemplate};

/// The keys that name the command.
const COMMANDS: [&str; 7] =
    ["agent_state", "agent_status", "uuid_broadcast", "uuid_getvar", "uuid_kill", "uuid_setvar", "uuid_transfer"];

/// The same in words.
const CHOICES: &str = "`agent_state`, `agent_status`, `uuid_broadcast`, `uuid_getvar`, `uuid_kill`, `uuid_setvar` and \
                       `uuid_transfer`";

/// How long after it was meant to be given a command is given at the latest: a caller waits that long, and does not expect
/// later what was then to happen.
const EXPIRES_AFTER: Duration = Duration::from_secs(30);

/// The longest that a command can be of use: no call lasts longer.
const LONGEST_USE: Duration = Duration::from_hours(24);

/// How long FreeSWITCH may take to answer.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The waits between tries, which fill the time until a command expires.
const WAITS: [Duration; 4] =
    [Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(5), Duration::from_secs(10)];

/// The dialplan's context where a transfer names none.
const CONTEXT: &str = "default";

/// Parts of the names of variables that make FreeSWITCH run what they hold: `execute_on_answer`, `api_hangup_hook`,
/// `exec_after_bridge_app`, `bridge_pre_execute_aleg_app`.
const RUNS: [&str; 3] = ["exec", "api_", "_app"];

pub(super) fn read(section: &mut Section<'_>, reading: &Reading<'_>) -> Option<FreeswitchStep> {
    let found = COMMANDS.into_iter().filter(|command| section.has(command)).count();
    if found != 1 {
        section.refuse(Fault::NotOne { what: "a command", choices: CHOICES, found });
    }
    let command = command(section, reading);
    let expires_after = section.optional("expires_after", |value| {
        value.duration_within("a command's `expires_after`", Duration::from_millis(1), LONGEST_USE)
    });
    let timeout = section.optional("timeout", timeout).unwrap_or(TIMEOUT);
    let retry = section.optional("retry", retry).unwrap_or_else(|| RetrySchedule { waits: WAITS.to_vec() });
    let expires_after = expires_after.unwrap_or(EXPIRES_AFTER);
    Some(FreeswitchStep { command: command?, expires_after, timeout, retry })
}

/// Reads the command. Each is tried, so that all are known; one step has one.
fn command(section: &mut Section<'_>, reading: &Reading<'_>) -> Option<CommandPlan> {
    let readers: [(&'static str, Reader); 7] = [
        ("agent_state", agent_state),
        ("agent_status", agent_status),
        ("uuid_broadcast", broadcast),
        ("uuid_getvar", get_variable),
        ("uuid_kill", kill),
        ("uuid_setvar", set_variable),
        ("uuid_transfer", transfer),
    ];
    let read = |(key, read): (_, Reader)| section.optional(key, |value| read(value, reading));
    readers.map(read).into_iter().flatten().next()
}

/// Reads one command from the list of its arguments.
type Reader = fn(Value<'_>, &Reading<'_>) -> Option<CommandPlan>;

fn set_variable(value: Value<'_>, reading: &Reading<'_>) -> Option<CommandPlan> {
    let [channel, of, value] = arguments(value, "[CHANNEL, NAME, VALUE]", 3)?[..] else { return None };
    let (channel, name, value) = (argument(channel, reading), literal(of, reading), argument(value, reading));
    let (channel, name, value) = (channel?, name?, value?);
    let runs = RUNS.iter().any(|part| name.to_ascii_lowercase().contains(part));
    if runs && value.literal().is_none() {
        of.refuse(Fault::RunsValue(name));
        return None;
    }
    Some(CommandPlan::SetVariable { channel, name, value })
}

fn get_variable(value: Value<'_>, reading: &Reading<'_>) -> Option<CommandPlan> {
    let [channel, name] = arguments(value, "[CHANNEL, NAME]", 2)?[..] else { return None };
    let (channel, name) = (argument(channel, reading), literal(name, reading));
    Some(CommandPlan::GetVariable { channel: channel?, name: name? })
}

fn transfer(value: Value<'_>, reading: &Reading<'_>) -> Option<CommandPlan> {
    let usage = "[CHANNEL, DESTINATION] or [CHANNEL, DESTINATION, CONTEXT]";
    let arguments = arguments_between(value, usage, 2, 3)?;
    let [channel, destination, ref context @ ..] = arguments[..] else { return None };
    let (channel, destination) = (argument(channel, reading), argument(destination, reading));
    let context = context.first().map_or_else(|| Some(CONTEXT.to_owned()), |context| literal(*context, reading));
    Some(CommandPlan::Transfer { channel: channel?, destination: destination?, context: context? })
}

fn broadcast(value: Value<'_>, reading: &Reading<'_>) -> Option<CommandPlan> {
    let arguments = arguments_between(value, "[CHANNEL, FILE] or [CHANNEL, FILE, LEG]", 2, 3)?;
    let [channel, file, ref leg @ ..] = arguments[..] else { return None };
    let file = file.compiled(|text| FileTemplate::compile(text, &reading.names));
    let (channel, leg) = (argument(channel, reading), leg.first().map_or(Some(Leg::A), |leg| leg_of(*leg)));
    Some(CommandPlan::Broadcast { channel: channel?, file: file?, leg: leg? })
}

fn kill(value: Value<'_>, reading: &Reading<'_>) -> Option<CommandPlan> {
    let arguments = arguments_between(value, "[CHANNEL] or [CHANNEL, CAUSE]", 1, 2)?;
    let [channel, ref cause @ ..] = arguments[..] else { return None };
    let channel = argument(channel, reading);
    let cause = match cause.first() {
        Some(cause) => Some(literal(*cause, reading)?),
        None => None,
    };
    Some(CommandPlan::Kill { channel: channel?, cause })
}

fn agent_status(value: Value<'_>, reading: &Reading<'_>) -> Option<CommandPlan> {
    let [agent, status] = arguments(value, "[AGENT, STATUS]", 2)?[..] else { return None };
    let (agent, status) = (argument(agent, reading), argument(status, reading));
    Some(CommandPlan::AgentStatus { agent: agent?, status: status? })
}

fn agent_state(value: Value<'_>, reading: &Reading<'_>) -> Option<CommandPlan> {
    let [agent, state] = arguments(value, "[AGENT, STATE]", 2)?[..] else { return None };
    let (agent, state) = (argument(agent, reading), argument(state, reading));
    Some(CommandPlan::AgentState { agent: agent?, state: state? })
}

/// The command's arguments, of which there are so many.
fn arguments<'a>(value: Value<'a>, usage: &'static str, count: usize) -> Option<Vec<Value<'a>>> {
    arguments_between(value, usage, count, count)
}

fn arguments_between<'a>(value: Value<'a>, usage: &'static str, least: usize, most: usize) -> Option<Vec<Value<'a>>> {
    let arguments = value.list(|_, argument| Some(argument))?;
    if (least..=most).contains(&arguments.len()) {
        return Some(arguments);
    }
    value.refuse(Fault::Arguments(usage));
    None
}

fn argument(value: Value<'_>, reading: &Reading<'_>) -> Option<CommandTemplate> {
    value.compiled(|text| CommandTemplate::compile(text, &reading.names))
}

/// Reads an argument that is one word and holds no call data.
fn literal(value: Value<'_>, reading: &Reading<'_>) -> Option<String> {
    let template = argument(value, reading)?;
    let word = template.literal().filter(|word| Command::uuid_getvar(&"channel".into(), word).is_ok());
    if word.is_none() {
        value.refuse(Fault::NotAWord);
    }
    word.map(ToOwned::to_owned)
}

fn leg_of(value: Value<'_>) -> Option<Leg> {
    value.word("leg", &[("aleg", Leg::A), ("bleg", Leg::B), ("both", Leg::Both)])
}
