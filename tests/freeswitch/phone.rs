//! SIPp's phones, and what they saw: one process for each, with the scenarios of `tests/sipp`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::place::{Place, free_media_port, free_udp_port};

/// A phone that ends with this value.
pub(crate) struct Phone {
    process: Child,
    log: PathBuf,
    messages: PathBuf,
    /// Whose it is: an agent's extension, or `caller`.
    pub(crate) who: String,
}

/// A call, as a phone saw it. Times are seconds of the machine's clock.
#[derive(Debug, Default)]
pub(crate) struct Call {
    /// Its Call-ID. FreeSWITCH calls an agent under the identifier of its channel.
    pub(crate) id: String,
    /// When INVITE came or went.
    pub(crate) invited_at: f64,
    /// The INVITE's final status, and when it was given.
    pub(crate) status: Option<(u16, f64)>,
    /// Who said BYE first, and when.
    pub(crate) bye: Option<(Sender, f64)>,
    /// When CANCEL came.
    pub(crate) cancelled_at: Option<f64>,
}

/// Who sent a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sender {
    /// This phone.
    Phone,
    /// FreeSWITCH.
    Switch,
}

impl Phone {
    /// Starts SIPp with a scenario of `tests/sipp` on a port, with further arguments.
    pub(crate) fn start(place: &Place, who: &str, scenario: &str, port: u16, more: &[&str]) -> Self {
        Self::start_file(place, who, &scenario_file(scenario), port, more)
    }

    /// Starts a phone that refuses with a status, such as `486 Busy Here`.
    pub(crate) fn start_refusing(place: &Place, who: &str, status: &str, port: u16, more: &[&str]) -> Self {
        Self::start_file(place, who, &changed(place, "refuses", "486 Busy Here", status), port, more)
    }

    /// Starts many callers, one after the other, whose numbers are a prefix and [`Call::ordinal`].
    pub(crate) fn start_crowd(place: &Place, prefix: &str, more: &[&str]) -> Self {
        let scenario = changed(place, "caller", "[number]", &format!("{prefix}[call_number]"));
        Self::start_file(place, prefix, &scenario, free_udp_port(), more)
    }

    fn start_file(place: &Place, who: &str, scenario: &Path, port: u16, more: &[&str]) -> Self {
        let directory = place.directory().join("phones");
        let name = format!("{:03} {who} {}", place.count_phone(), scenario.file_stem().unwrap_or_default().display());
        let file = |kind: &str| directory.join(format!("{name}.{kind}"));
        let ports = [port, free_media_port(), free_udp_port()].map(|port| port.to_string());
        let process = Command::new("sipp")
            .arg("-sf")
            .arg(scenario)
            .args(["-i", "127.0.0.1", "-p", &ports[0], "-mi", "127.0.0.1", "-mp", &ports[1], "-cp", &ports[2]])
            .args(["-nostdin", "-trace_shortmsg", "-shortmessage_file"])
            .arg(file("log"))
            .args(["-trace_err", "-error_file"])
            .arg(file("err"))
            .arg("-message_file")
            .arg(file("messages"))
            .args(more)
            .current_dir(&directory)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(file("out")).expect("a log"))
            .spawn()
            .expect("SIPp can be run (Debian: sip-tester)");
        Self { process, log: file("log"), messages: file("messages"), who: who.to_owned() }
    }

    /// Waits until its calls are over.
    pub(crate) fn over(&mut self, limit: Duration) -> bool {
        let begun = Instant::now();
        while begun.elapsed() < limit {
            if self.process.try_wait().expect("a child").is_some() {
                return true;
            }
            sleep(Duration::from_millis(20));
        }
        false
    }

    /// Ends it; what it saw stays.
    pub(crate) fn end(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }

    /// The messages so far, whole, if it was started with `-trace_msg`.
    pub(crate) fn messages(&self) -> Vec<String> {
        let messages = fs::read(&self.messages).unwrap_or_default();
        // SIPp writes a line of dashes before each.
        String::from_utf8_lossy(&messages).split("-----------------------").map(str::to_owned).collect()
    }

    /// What it saw so far.
    pub(crate) fn calls(&self) -> Vec<Call> {
        let mut calls: Vec<Call> = Vec::new();
        for line in fs::read_to_string(&self.log).unwrap_or_default().lines() {
            let Some(message) = Message::read(line) else { continue };
            let place = calls.iter().position(|call| call.id == message.call).unwrap_or_else(|| {
                calls.push(Call { id: message.call.to_owned(), invited_at: message.at, ..Call::default() });
                calls.len() - 1
            });
            calls[place].take(&message);
        }
        calls
    }
}

impl Drop for Phone {
    fn drop(&mut self) {
        self.end();
    }
}

/// A copy of a scenario, for what SIPp wants to stand in it.
fn changed(place: &Place, scenario: &str, from: &str, to: &str) -> PathBuf {
    let text = fs::read_to_string(scenario_file(scenario)).expect("a scenario");
    let copy = place.directory().join("phones").join(format!("{scenario} {to}.xml"));
    fs::write(&copy, text.replace(from, to)).expect("writes");
    copy
}

fn scenario_file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sipp").join(name).with_extension("xml")
}

impl Call {
    /// Which of its phone's calls it is, from 1: SIPp begins a Call-ID with it.
    pub(crate) fn ordinal(&self) -> &str {
        self.id.split('-').next().unwrap_or_default()
    }

    /// When it was answered. An answer that crosses CANCEL comes too late: FreeSWITCH has given up.
    pub(crate) fn answered_at(&self) -> Option<f64> {
        self.status.filter(|(status, _)| *status == 200 && self.cancelled_at.is_none()).map(|(_, at)| at)
    }

    /// When this phone hung up.
    pub(crate) fn hung_up_at(&self) -> Option<f64> {
        self.bye.filter(|(sender, _)| *sender == Sender::Phone).map(|(_, at)| at)
    }

    fn take(&mut self, message: &Message<'_>) {
        let status = message.first.strip_prefix("SIP/2.0 ").and_then(|rest| rest.get(..3)?.parse::<u16>().ok());
        match (status, message.method) {
            (Some(status), "INVITE") if status >= 200 => self.status = self.status.or(Some((status, message.at))),
            (None, "BYE") => self.bye = self.bye.or(Some((message.sender, message.at))),
            (None, "CANCEL") => self.cancelled_at = self.cancelled_at.or(Some(message.at)),
            _ => {}
        }
    }
}

/// A line of `-trace_shortmsg`: date, time, seconds, `S` or `R`, Call-ID, CSeq, the message's first line.
struct Message<'a> {
    at: f64,
    sender: Sender,
    call: &'a str,
    method: &'a str,
    first: &'a str,
}

impl<'a> Message<'a> {
    fn read(line: &'a str) -> Option<Self> {
        let [_, _, at, sender, call, cseq, first] = line.split('\t').collect::<Vec<_>>().try_into().ok()?;
        let sender = if sender == "S" { Sender::Phone } else { Sender::Switch };
        Some(Self { at: at.parse().ok()?, sender, call, method: cseq.rsplit(' ').next()?, first })
    }
}
