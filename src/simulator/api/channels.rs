//! `show channels`, `uuid_dump`, and the commands that change a channel.

use jiff::Timestamp;
use serde_json::json;

use super::table::Table;
use crate::simulator::channel::Leg;
use crate::simulator::event::WireFormat;
use crate::simulator::simulation::Simulation;

const NO_SUCH_CHANNEL: &str = "-ERR No such channel!\n";
const OK: &str = "+OK\n";

const COLUMNS: [&str; 36] = [
    "uuid",
    "direction",
    "created",
    "created_epoch",
    "name",
    "state",
    "cid_name",
    "cid_num",
    "ip_addr",
    "dest",
    "application",
    "application_data",
    "dialplan",
    "context",
    "read_codec",
    "read_rate",
    "read_bit_rate",
    "write_codec",
    "write_rate",
    "write_bit_rate",
    "secure",
    "hostname",
    "presence_id",
    "presence_data",
    "accountcode",
    "callstate",
    "callee_name",
    "callee_num",
    "callee_direction",
    "call_uuid",
    "sent_callee_name",
    "sent_callee_num",
    "initial_cid_name",
    "initial_cid_num",
    "initial_ip_addr",
    "initial_dest",
];

/// `api show channels [count] [as json]`.
pub(super) fn show(simulation: &Simulation, arguments: &str) -> String {
    let count = simulation.channels().count();
    match arguments {
        "channels count" => format!("\n{count} total.\n"),
        "channels count as json" => json!({ "row_count": count }).to_string(),
        "channels as json" if count == 0 => "{\"row_count\": 0}\n".into(),
        "channels as json" => json!({ "row_count": count, "rows": channels(simulation).to_json() }).to_string(),
        "channels" => {
            let table = channels(simulation);
            let rows = table.rows.iter().map(|row| row.join(",") + "\n").collect::<String>();
            format!("{}\n{rows}\n{count} total.\n", table.columns.join(","))
        }
        _ => "-USAGE: show channels [count] [as json]\n".into(),
    }
}

fn channels(simulation: &Simulation) -> Table<36> {
    Table { columns: COLUMNS, rows: simulation.channels().map(row).collect() }
}

fn row(leg: &Leg) -> [String; 36] {
    let variable = |name| leg.variables.get(name).unwrap_or_default();
    let created: Timestamp = leg.times.created;
    let (state, call_state) = leg.states();
    let codec = |text: &str| if leg.times.answered.is_some() { text.to_owned() } else { String::new() };
    [
        leg.uuid.clone(),
        leg.direction().into(),
        created.strftime("%Y-%m-%d %H:%M:%S").to_string(),
        created.as_second().to_string(),
        leg.name(),
        state.into(),
        leg.caller.name.clone(),
        leg.caller.number.clone(),
        "127.0.0.1".into(),
        leg.destination.clone(),
        variable("current_application").into(),
        variable("current_application_data").into(),
        "XML".into(),
        "default".into(),
        codec("PCMU"),
        codec("8000"),
        codec("64000"),
        codec("PCMU"),
        codec("8000"),
        codec("64000"),
        String::new(),
        "simulated".into(),
        String::new(),
        String::new(),
        String::new(),
        call_state.into(),
        String::new(),
        String::new(),
        String::new(),
        leg.uuid.clone(),
        String::new(),
        String::new(),
        leg.caller.name.clone(),
        leg.caller.number.clone(),
        "127.0.0.1".into(),
        leg.destination.clone(),
    ]
}

/// `api uuid_dump UUID [json|plain]`.
pub(super) fn dump(simulation: &mut Simulation, arguments: &str) -> String {
    let (uuid, format) = arguments.split_once(' ').unwrap_or((arguments, "txt"));
    if uuid.is_empty() {
        return "-USAGE: <uuid> [format]\n".into();
    }
    let Ok(event) = simulation.dump(uuid) else { return NO_SUCH_CHANNEL.into() };
    match format {
        "json" => event.to_json(),
        "plain" => event.to_text(WireFormat::Plain),
        _ => event.headers().map(|(name, value)| format!("{name}: {value}\n")).collect(),
    }
}

/// `api uuid_setvar UUID NAME [VALUE]`.
pub(super) fn set_variable(simulation: &mut Simulation, arguments: &str) -> String {
    let mut words = arguments.splitn(3, ' ');
    let (Some(uuid), Some(name)) = (words.next(), words.next().filter(|name| !name.is_empty())) else {
        return "-USAGE: <uuid> <var> [value]\n".into();
    };
    match simulation.set_variable(uuid, name, words.next()) {
        Ok(()) => OK.into(),
        Err(_) => NO_SUCH_CHANNEL.into(),
    }
}

/// `api uuid_kill UUID`.
pub(super) fn kill(simulation: &mut Simulation, arguments: &str) -> String {
    let uuid = arguments.split(' ').next().unwrap_or_default();
    match simulation.kill(uuid) {
        Ok(()) => OK.into(),
        Err(_) => NO_SUCH_CHANNEL.into(),
    }
}

/// `api uuid_transfer UUID EXTENSION …`.
pub(super) fn transfer(simulation: &mut Simulation, arguments: &str) -> String {
    let mut words = arguments.split(' ');
    let (Some(uuid), Some(extension)) = (words.next(), words.next()) else {
        return "-USAGE: <uuid> <dest-exten>\n".into();
    };
    match simulation.transfer_waiting(uuid, extension) {
        Ok(()) => OK.into(),
        Err(_) => NO_SUCH_CHANNEL.into(),
    }
}
