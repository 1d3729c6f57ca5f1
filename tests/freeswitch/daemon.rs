//! `hookswitch run`, as a process.

use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::place::{PASSWORD, Place};
use crate::receiver::{Receiver, SECRET};

/// Connecting takes milliseconds, after a restart of FreeSWITCH some seconds.
const CONNECT_LIMIT: Duration = Duration::from_secs(60);

/// A daemon that ends with this value.
pub(crate) struct Daemon {
    process: Child,
    log: PathBuf,
}

impl Daemon {
    /// Starts it.
    pub(crate) fn start(place: &Place, receiver: &Receiver) -> Self {
        Self::start_as("hookswitch", place, place.event_socket, receiver)
    }

    /// Starts it under a name that its files have, for a FreeSWITCH behind a port.
    pub(crate) fn start_as(name: &str, place: &Place, port: u16, receiver: &Receiver) -> Self {
        let config = write_configuration(name, place, port, &receiver.url());
        let log = place.directory().join(format!("{name}.log"));
        let process = Command::new(program())
            .args(["run", "--config"])
            .arg(&config)
            .current_dir(place.directory())
            .env("ESL_PASSWORD", PASSWORD)
            .env("WEBHOOK_SECRET", SECRET)
            .stdin(Stdio::null())
            .stdout(File::create(&log).expect("a log"))
            .stderr(File::options().append(true).open(&log).expect("a log"))
            .spawn()
            .expect("hookswitch can be run");
        Self { process, log }
    }

    /// Waits until it has connected as many times.
    pub(crate) fn connected(&mut self, times: usize) {
        let begun = Instant::now();
        loop {
            let log = fs::read_to_string(&self.log).expect("a log");
            if log.matches("FreeSWITCH is connected").count() >= times {
                return;
            }
            let ended = self.process.try_wait().expect("a child");
            assert!(ended.is_none() && begun.elapsed() < CONNECT_LIMIT, "hookswitch is not connected:\n{log}");
            sleep(Duration::from_millis(50));
        }
    }

    /// Its process.
    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// What it warned of: events that fit no story or were dropped, webhooks that failed.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let log = fs::read_to_string(&self.log).expect("a log");
        log.lines().filter(|line| line.contains(" WARN ") || line.contains(" ERROR ")).map(str::to_owned).collect()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The program to run: the one that `HOOKSWITCH_BIN` names, such as a release build, else that of this build.
pub(crate) fn program() -> OsString {
    std::env::var_os("HOOKSWITCH_BIN").unwrap_or_else(|| env!("CARGO_BIN_EXE_hookswitch").into())
}

/// Adds the flows of the scenarios, and an example whose effects they judge, to every configuration in the place.
pub(crate) fn write_flows(place: &Place, receiver: &Receiver) {
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |name: &str| fs::read_to_string(project.join(name)).expect("the project's files");
    let flows = read("tests/freeswitch/flows.toml").replace("URL", &receiver.root());
    let example = read("conf/examples/crm-lookup.toml")
        .replace("https://crm.example", &receiver.root())
        .replace("{ env = \"CRM_AUTHORIZATION\" }", "\"Bearer of-this-run\"");
    let mut example: toml::Table = example.parse().expect("the example is TOML");
    for place in ["freeswitch", "outbox"] {
        example.remove(place).expect("the example is whole");
    }
    let directory = place.directory().join("conf.d");
    fs::create_dir_all(&directory).expect("a directory");
    for (name, text) in [("flows.toml", flows), ("example.toml", example.to_string())] {
        fs::write(directory.join(name), text).expect("writes");
    }
}

/// Writes the daemon's configuration: all queues of the FreeSWITCH behind a port, all events to one receiver.
pub(crate) fn write_configuration(name: &str, place: &Place, port: u16, url: &str) -> PathBuf {
    let file = place.directory().join(format!("{name}.toml"));
    fs::write(&file, configuration(name, port, url)).expect("writes");
    file
}

fn configuration(name: &str, port: u16, url: &str) -> String {
    let events = ["joined", "offering", "answered", "bridged", "missed", "processing", "leaving"];
    let hooks: String = events.map(|event| format!("  {{ event = \"{event}\", flow = \"tell\" }},\n")).concat();
    format!(
        r#"[[freeswitch]]
name = "fs1"
address = "127.0.0.1:{port}"
password = {{ env = "ESL_PASSWORD" }}

[outbox]
path = "{name}.db"

[delivery]
secrets = [{{ env = "WEBHOOK_SECRET" }}]

[queues."*"]
hooks = [
{hooks}]

# What mod_callcenter does not carry.
[queues.outbound]
type = "progressive"
source = "channel"

[queues.predicted]
type = "predictive"
source = "channel"

[queues.previewed]
type = "preview"
source = "channel"

[queues.listed]
type = "offline"
source = "channel"

[queues.survey]
type = "outbound_ivr"
source = "channel"

[queues.desk]
source = "fifo"
processing = true

[flows.tell]
steps = [{{ http = {{ url = "{url}" }} }}]
"#
    )
}
