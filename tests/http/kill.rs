//! A daemon that is killed between the acceptance of what is told and the flows that it starts loses nothing.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use hookswitch::outbox::Filter;
use hookswitch::outbox::{Deliveries, RunState};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::signals::chat;
use crate::stage::{PATIENCE, TOKENS, token};

/// A daemon as a process; killed when it is dropped.
struct Process {
    child: Child,
    address: String,
}

impl Process {
    fn start(directory: &Path, paused: bool) -> Self {
        let text = format!(
            "[http]\nlisten = \"127.0.0.1:0\"\n{TOKENS}{}paused = {paused}\n[[freeswitch]]\nname = \"fs1\"\n\
             address = \"127.0.0.1:1\"\npassword = \"none\"\n[outbox]\npath = {:?}\n",
            chat(""),
            directory.join("outbox.db"),
        );
        let config = directory.join("hookswitch.toml");
        fs::write(&config, text).expect("writes");
        let mut command = Command::new(env!("CARGO_BIN_EXE_hookswitch"));
        command.args(["run", "--config"]).arg(config).env_remove("RUST_LOG").stderr(Stdio::piped());
        let mut child = command.spawn().expect("starts");
        let mut lines = BufReader::new(child.stderr.take().expect("is piped")).lines();
        let listens =
            lines.find_map(|line| Some(line.ok()?.split_once("the HTTP interface listens address=")?.1.to_owned()));
        let address = listens.expect("it says where it listens");
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, address }
    }

    /// Tells something; none if the daemon is killed meanwhile.
    fn tell(&self, method: &str, path: &str, body: &Value) -> Option<u16> {
        use std::io::Write as _;
        let mut stream = std::net::TcpStream::connect(&self.address).ok()?;
        let body = body.to_string();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
            self.address,
            token("ingest"),
            body.len()
        )
        .ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        answer.split(' ').nth(1)?.parse().ok()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // SIGKILL; it may be gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The steps of a story: path and body.
fn steps(key: usize) -> Vec<(&'static str, String, Value)> {
    let path = format!("/api/queues/chat/attempts/k{key}");
    let agent = |step: &str| json!({ "id": step, "signal": { step: { "agent": "anna" } } });
    let mut steps = vec![("PUT", path.clone(), json!({ "variables": { "story": key } }))];
    let signals =
        [agent("offering"), agent("answered"), agent("bridged"), json!({ "id": "end", "signal": { "leaving": {} } })];
    steps.extend(signals.map(|signal| ("POST", format!("{path}/signals"), signal)));
    steps
}

/// Every run of the outbox, oldest first, once there are so many and all are delivered.
fn delivered(directory: &Path, count: usize) -> Vec<(String, Value)> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let log = Deliveries::open(&directory.join("outbox.db")).expect("opens");
        let mut runs = log.list(&Filter::default(), u32::MAX).expect("lists");
        runs.reverse();
        if runs.len() >= count && runs.iter().all(|run| run.state == RunState::Delivered) {
            let payload = |id| log.show(id).expect("shows").expect("is there").payload;
            let told = |run: &hookswitch::outbox::deliveries::Delivery| {
                (run.event.clone(), serde_json::from_str(payload(run.id).get()).expect("JSON"))
            };
            return runs.iter().map(told).collect();
        }
        assert!(Instant::now() < deadline, "{runs:#?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn what_was_accepted_is_delivered_after_a_kill() {
    let directory = TempDir::new().expect("a directory");
    let daemon = Process::start(directory.path(), true);
    for (method, path, body) in steps(1) {
        assert!(matches!(daemon.tell(method, &path, &body), Some(200 | 201)));
    }
    drop(daemon);
    let _daemon = Process::start(directory.path(), false);
    let told: Vec<_> = delivered(directory.path(), 5).into_iter().map(|(event, _)| event).collect();
    assert_eq!(told, ["joined", "offering", "answered", "bridged", "leaving"]);
}

#[test]
fn whoever_tells_again_what_was_not_answered_tells_one_story() {
    const STORIES: usize = 40;
    let directory = TempDir::new().expect("a directory");
    let mut daemon = Process::start(directory.path(), false);
    let mut kills = Vec::new();
    for key in 0..STORIES {
        for (method, path, body) in steps(key) {
            loop {
                if fastrand::u8(..16) == 0 {
                    // Somewhere in the midst of the next request, or after it.
                    let (pid, wait) = (daemon.child.id(), Duration::from_micros(fastrand::u64(..3_000)));
                    kills.push(std::thread::spawn(move || {
                        std::thread::sleep(wait);
                        let pid = rustix::process::Pid::from_raw(pid.try_into().expect("a process id"));
                        let _ =
                            rustix::process::kill_process(pid.expect("a process id"), rustix::process::Signal::KILL);
                    }));
                }
                match daemon.tell(method, &path, &body) {
                    Some(status) => break assert!(matches!(status, 200 | 201), "{method} {path}: {status}"),
                    None => daemon = Process::start(directory.path(), false),
                }
            }
        }
    }
    assert!(!kills.is_empty());
    // The last request may be followed by a kill that nobody has met.
    kills.into_iter().for_each(|kill| kill.join().expect("ends"));
    drop(daemon);
    let _daemon = Process::start(directory.path(), false);
    let told = delivered(directory.path(), STORIES * 5);
    assert_eq!(told.len(), STORIES * 5, "nothing twice");
    for key in 0..STORIES {
        let story: Vec<_> = told.iter().filter(|(_, payload)| payload["variables"]["story"] == key).collect();
        let sequence: Vec<_> =
            story.iter().map(|(_, payload)| payload["sequence"].as_u64().expect("a number")).collect();
        assert_eq!(sequence, [1, 2, 3, 4, 5], "{key}");
    }
}
