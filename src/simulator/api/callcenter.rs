//! `callcenter_config`, as text and as JSON.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::table::Table;
use crate::simulator::scenario::QueueScenario;
use crate::simulator::simulation::{Agent, Simulation, Status};

const INVALID: &str = "-ERR Invalid!\n";
const OK: &str = "+OK\n";

const AGENT_COLUMNS: [&str; 21] = [
    "name",
    "instance_id",
    "uuid",
    "type",
    "contact",
    "status",
    "state",
    "max_no_answer",
    "wrap_up_time",
    "reject_delay_time",
    "busy_delay_time",
    "no_answer_delay_time",
    "last_bridge_start",
    "last_bridge_end",
    "last_offered_call",
    "last_status_change",
    "no_answer_count",
    "calls_answered",
    "talk_time",
    "ready_time",
    "external_calls_count",
];

const MEMBER_COLUMNS: [&str; 17] = [
    "queue",
    "instance_id",
    "uuid",
    "session_uuid",
    "cid_number",
    "cid_name",
    "system_epoch",
    "joined_epoch",
    "rejoined_epoch",
    "bridge_epoch",
    "abandoned_epoch",
    "base_score",
    "skill_score",
    "serving_agent",
    "serving_system",
    "state",
    "score",
];

const TIER_COLUMNS: [&str; 5] = ["queue", "agent", "state", "level", "position"];

const QUEUE_COLUMNS: [&str; 19] = [
    "name",
    "strategy",
    "moh_sound",
    "time_base_score",
    "tier_rules_apply",
    "tier_rule_wait_second",
    "tier_rule_wait_multiply_level",
    "tier_rule_no_agent_no_wait",
    "discard_abandoned_after",
    "abandoned_resume_allowed",
    "max_wait_time",
    "max_wait_time_with_no_agent",
    "max_wait_time_with_no_agent_time_reached",
    "record_template",
    "calls_answered",
    "calls_abandoned",
    "ring_progressively_delay",
    "skip_agents_with_external_calls",
    "agent_no_answer_status",
];

/// `api callcenter_config …`.
pub(super) fn config(simulation: &mut Simulation, arguments: &str) -> String {
    let words = words(arguments);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["queue", "list"] => queues(simulation).to_text(true),
        ["queue", "list", "agents", queue] => agents(simulation, Some(queue)).to_text(false),
        ["queue", "list", "members"] => members(simulation, None).to_text(false),
        ["queue", "list", "members", queue] => members(simulation, Some(queue)).to_text(false),
        ["queue", "list", "tiers", queue] => tiers(simulation, Some(queue)).to_text(false),
        ["queue", "count"] => format!("{}\n", simulation.queues().len()),
        ["queue", "count", "agents", queue] => format!("{}\n", agents(simulation, Some(queue)).rows.len()),
        ["queue", "count", "members", queue] => format!("{}\n", members(simulation, Some(queue)).rows.len()),
        ["queue", "count", "tiers", queue] => format!("{}\n", tiers(simulation, Some(queue)).rows.len()),
        ["tier", "list"] => tiers(simulation, None).to_text(false),
        ["agent", "list"] => agents(simulation, None).to_text(false),
        ["agent", "list", name] => {
            let mut table = agents(simulation, None);
            table.rows.retain(|row| row[0] == *name);
            table.to_text(false)
        }
        ["agent", "get", what, name] => get_agent(simulation, what, name),
        ["agent", "set", "status", name, status] => set_status(simulation, name, status),
        _ => INVALID.into(),
    }
}

fn get_agent(simulation: &Simulation, what: &str, name: &str) -> String {
    let Some(agent) = simulation.agents().iter().find(|agent| agent.name() == name) else {
        return "-ERR Agent not found!\n".into();
    };
    match what {
        "status" => agent.status.as_str().into(),
        "state" => agent.state.as_str().into(),
        _ => "-ERR Invalid Agent Update KEY!\n".into(),
    }
}

fn set_status(simulation: &mut Simulation, name: &str, status: &str) -> String {
    let Some(status) = Status::parse(status) else { return "-ERR Invalid Agent Status!\n".into() };
    match simulation.set_agent_status(name, status) {
        Ok(()) => OK.into(),
        Err(_) => "-ERR Agent not found!\n".into(),
    }
}

/// `api json {"command":"callcenter_config","data":{"arguments":…,"queue_name":…}}`: the request comes back with its answer.
pub(super) fn json(simulation: &Simulation, text: &str) -> String {
    let Ok(mut request) = serde_json::from_str::<Map<String, Value>>(text) else {
        return "-ERR Parse error.\n".into();
    };
    let data = request.get("data").filter(|_| request.get("command").is_some_and(|name| name == "callcenter_config"));
    let (status, message, response) = match data.map(|data| json_list(simulation, data)) {
        None => ("error", Some("Invalid request or non-existant command"), Value::Null),
        Some(Err(reason)) => ("error", Some("The command returned an error"), reason),
        Some(Ok(list)) => ("success", None, list),
    };
    request.insert("status".into(), status.into());
    if let Some(message) = message {
        request.insert("message".into(), message.into());
    }
    request.insert("response".into(), response);
    Value::Object(request).to_string() + "\n"
}

fn json_list(simulation: &Simulation, data: &Value) -> Result<Value, Value> {
    let missing = || json!({ "error": "Missing data attribute: queue_name" });
    let queue = || data["queue_name"].as_str().ok_or_else(missing);
    match data["arguments"].as_str().map(str::to_ascii_lowercase).as_deref() {
        Some("agent list") => Ok(agents(simulation, None).to_json()),
        Some("queue list") => Ok(queues_as_json(simulation)),
        Some("queue list agents") => Ok(agents(simulation, Some(queue()?)).to_json()),
        Some("queue list members") => Ok(members(simulation, Some(queue()?)).to_json()),
        Some("queue list tiers") => Ok(tiers(simulation, Some(queue()?)).to_json()),
        Some("member list") => Ok(members(simulation, None).to_json()),
        Some("tier list") => Ok(tiers(simulation, None).to_json()),
        _ => Err(Value::Null),
    }
}

fn epoch(time: Option<Timestamp>) -> String {
    time.map_or(0, Timestamp::as_second).to_string()
}

fn agents(simulation: &Simulation, queue: Option<&str>) -> Table<21> {
    let serves = |agent: &&Agent| match queue {
        None => true,
        Some(name) => queue_named(simulation, name).is_some_and(|queue| is_of(queue, agent.name())),
    };
    Table { columns: AGENT_COLUMNS, rows: simulation.agents().iter().filter(serves).map(agent_row).collect() }
}

fn queue_named<'a>(simulation: &'a Simulation, name: &str) -> Option<&'a QueueScenario> {
    simulation.queues().iter().find(|queue| queue.name == name)
}

fn is_of(queue: &QueueScenario, agent: &str) -> bool {
    queue.agents.iter().any(|name| name == agent)
}

fn agent_row(agent: &Agent) -> [String; 21] {
    let habits = &agent.habits;
    let delay = habits.delay_after_failure.as_secs().to_string();
    let seconds = |span: Duration| span.as_secs().to_string();
    [
        agent.name().into(),
        "single_box".into(),
        String::new(),
        "callback".into(),
        format!("[leg_timeout={}]sofia/internal/{}@127.0.0.1", habits.ring_timeout.as_secs(), agent.user()),
        agent.status.as_str().into(),
        agent.state.as_str().into(),
        habits.max_no_answer.to_string(),
        habits.wrap_up.as_secs().to_string(),
        delay.clone(),
        delay.clone(),
        delay,
        epoch(agent.last_bridge_start),
        epoch(agent.last_bridge_end),
        epoch(agent.last_offered),
        epoch(Some(agent.last_status_change)),
        agent.no_answer_count.to_string(),
        agent.calls_answered.to_string(),
        seconds(agent.talk_time),
        epoch(Some(agent.ready_at)),
        "0".into(),
    ]
}

fn members(simulation: &Simulation, queue: Option<&str>) -> Table<17> {
    let now = simulation.now().as_second();
    let rows = simulation.members().into_iter().filter(|member| queue.is_none_or(|queue| queue == member.queue));
    let row = |member: crate::simulator::simulation::MemberView<'_>| {
        let joined = member.joined.as_second();
        [
            member.queue.into(),
            "single_box".into(),
            member.uuid.into(),
            member.leg.into(),
            member.caller.1.into(),
            member.caller.0.into(),
            joined.to_string(),
            joined.to_string(),
            "0".into(),
            epoch(member.bridged),
            "0".into(),
            "0".into(),
            "0".into(),
            member.serving_agent.into(),
            if member.serving_agent.is_empty() { String::new() } else { "single_box".into() },
            member.state.into(),
            (now - joined).to_string(),
        ]
    };
    Table { columns: MEMBER_COLUMNS, rows: rows.map(row).collect() }
}

fn tiers(simulation: &Simulation, queue: Option<&str>) -> Table<5> {
    let queues = simulation.queues().iter().filter(|candidate| queue.is_none_or(|name| name == candidate.name));
    let rows = queues.flat_map(|queue| {
        queue.agents.iter().enumerate().map(|(place, agent)| {
            [queue.name.clone(), agent.clone(), "Ready".into(), "1".into(), (place + 1).to_string()]
        })
    });
    Table { columns: TIER_COLUMNS, rows: rows.collect() }
}

fn queues(simulation: &Simulation) -> Table<19> {
    let row = |queue: &QueueScenario| {
        let max_wait = queue.max_wait.map_or(0, |longest| longest.as_secs());
        [
            queue.name.as_str(),
            queue.strategy.as_str(),
            "local_stream://moh",
            "system",
            "false",
            "300",
            "true",
            "false",
            "60",
            "false",
            &max_wait.to_string(),
            "0",
            "5",
            "",
            "0",
            "0",
            "10",
            "false",
            "On Break",
        ]
        .map(str::to_owned)
    };
    Table { columns: QUEUE_COLUMNS, rows: simulation.queues().iter().map(row).collect() }
}

/// The JSON form has numbers where the text form has them, and leaves three columns out.
fn queues_as_json(simulation: &Simulation) -> Value {
    const NUMBERS: [&str; 5] = [
        "tier_rule_wait_second",
        "discard_abandoned_after",
        "max_wait_time",
        "max_wait_time_with_no_agent",
        "max_wait_time_with_no_agent_time_reached",
    ];
    let mut list = queues(simulation).to_json();
    for queue in list.as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut) {
        queue.retain(|name, _| {
            !["calls_answered", "calls_abandoned", "ring_progressively_delay"].contains(&name.as_str())
        });
        for name in NUMBERS {
            if let Some(value) = queue.get_mut(name) {
                *value = value.as_str().and_then(|text| text.parse::<i64>().ok()).unwrap_or_default().into();
            }
        }
    }
    list
}

/// The words of a command; a word with spaces stands in single quotes.
fn words(arguments: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = arguments.trim_start();
    while !rest.is_empty() {
        let quoted = rest.strip_prefix('\'').and_then(|inner| inner.split_once('\''));
        let (word, after) = quoted.or_else(|| rest.split_once(' ')).unwrap_or((rest, ""));
        words.push(word.to_owned());
        rest = after.trim_start();
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quoted_word_keeps_its_spaces() {
        assert_eq!(words("agent set status a@b 'On Break'"), ["agent", "set", "status", "a@b", "On Break"]);
        assert_eq!(words("queue  list 'x"), ["queue", "list", "'x"]);
    }
}
