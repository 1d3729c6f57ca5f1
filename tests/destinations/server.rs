//! A server as a process of its own, which can be frozen, killed and started again.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// How long a server may take to start; RabbitMQ takes half a minute on a busy machine.
const START: Duration = Duration::from_secs(120);

/// A running server; it ends with this.
pub(crate) struct Server {
    command: Command,
    child: Child,
}

/// A port that nobody listens at just now.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port").port()
}

impl Server {
    /// Starts it. What it says goes into a file in the directory.
    pub(crate) fn start(mut command: Command, directory: &Path) -> Self {
        let log = fs::File::options().create(true).append(true).open(directory.join("server.log")).expect("a log");
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("a log")).stderr(log);
        let child = command.spawn().expect("starts; `tests/run` installs what is missing");
        Self { command, child }
    }

    /// Stops it and all its processes in the middle of whatever they do.
    pub(crate) fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    /// Has them go on.
    pub(crate) fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    /// Ends it and all its processes without warning.
    pub(crate) fn kill(&mut self) {
        self.signal(Signal::KILL);
        self.child.wait().expect("is ours");
    }

    /// Starts it again, as it was started first.
    pub(crate) fn restart(&mut self) {
        self.child = self.command.spawn().expect("starts");
    }

    fn signal(&self, signal: Signal) {
        for id in tree(self.child.id()) {
            if let Some(pid) = i32::try_from(id).ok().and_then(Pid::from_raw) {
                // It may have ended by itself meanwhile.
                let _ = kill_process(pid, signal);
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.thaw();
        self.kill();
    }
}

/// A process and all that it started, itself first.
fn tree(id: u32) -> Vec<u32> {
    let mut found = vec![id];
    let mut next = 0;
    while let Some(parent) = found.get(next) {
        for task in fs::read_dir(format!("/proc/{parent}/task")).into_iter().flatten().flatten() {
            let children = fs::read_to_string(task.path().join("children")).unwrap_or_default();
            found.extend(children.split_whitespace().filter_map(|id| id.parse::<u32>().ok()));
        }
        next += 1;
    }
    found
}

/// Waits until the server answers what it is asked.
pub(crate) async fn ready<T, F: Future<Output = Option<T>>>(mut ask: impl FnMut() -> F) -> T {
    let started = Instant::now();
    while started.elapsed() < START {
        if let Some(answer) = ask().await {
            return answer;
        }
        sleep(Duration::from_millis(100));
    }
    panic!("the server has not started within {START:?}");
}
