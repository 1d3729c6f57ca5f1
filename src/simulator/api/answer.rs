//! Which command is which.

use super::{callcenter, channels};
use crate::simulator::simulation::Simulation;

/// The answer to `api LINE`.
pub fn answer(simulation: &mut Simulation, line: &str) -> String {
    let (command, arguments) = line.split_once(' ').unwrap_or((line, ""));
    let arguments = arguments.trim();
    match command {
        "status" => status(simulation),
        "version" => Simulation::version(),
        "show" => channels::show(simulation, arguments),
        "uuid_dump" => channels::dump(simulation, arguments),
        "uuid_setvar" => channels::set_variable(simulation, arguments),
        "uuid_kill" => channels::kill(simulation, arguments),
        "uuid_exists" => simulation.channels().any(|leg| leg.uuid == arguments).to_string(),
        "uuid_transfer" => channels::transfer(simulation, arguments),
        "callcenter_config" => callcenter::config(simulation, arguments),
        "json" => callcenter::json(simulation, arguments),
        "strmicroepoch" if arguments.is_empty() => simulation.now().as_microsecond().to_string(),
        "global_getvar" if arguments == "core_uuid" => simulation.core_uuid().to_owned(),
        _ => format!("-ERR {command} Command not found!\n"),
    }
}

fn status(simulation: &Simulation) -> String {
    format!(
        "UP {}\nFreeSWITCH (simulated) is ready\n{} session(s) since startup\n{} session(s) - peak 0, last 5min 0 \n\
         0 session(s) per Sec out of max 500, peak 0, last 5min 0 \n5000 session(s) max\nmin idle cpu 0.00/96.56\n",
        simulation.up_time(),
        simulation.sessions(),
        simulation.channels().count()
    )
}
