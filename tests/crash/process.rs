//! A child process of the program under test.

use std::ffi::OsStr;
use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use rustix::process::{Pid, Signal, kill_process};

/// No process that is well needs so long, on however slow a machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);

/// How often something is looked at that is waited for.
const GLANCE: Duration = Duration::from_millis(20);

/// A process that ends with its owner, also when a test panics.
pub(crate) struct Process {
    child: Child,
    log: PathBuf,
    /// Where this process's lines begin in the log, which it shares with those before it.
    log_start: u64,
    /// A time before which it did not live.
    pub(crate) started_at: Timestamp,
}

impl Process {
    /// Starts `hookswitch`. What it says is appended to the log.
    pub(crate) fn start<S: AsRef<OsStr>>(arguments: &[S], fail_points: &str, log: &Path) -> Self {
        let file = OpenOptions::new().create(true).append(true).open(log).expect("a log");
        let log_start = file.metadata().expect("a file").len();
        let started_at = Timestamp::now();
        let child = program(arguments)
            .env("FAILPOINTS", fail_points)
            .stdin(Stdio::null())
            .stdout(file.try_clone().expect("a second handle"))
            .stderr(file)
            .spawn()
            .expect("starts");
        Self { child, log: log.to_owned(), log_start, started_at }
    }

    /// Runs `hookswitch` to its end.
    pub(crate) fn output<S: AsRef<OsStr>>(arguments: &[S]) -> Output {
        program(arguments).output().expect("runs")
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it has said so far.
    pub(crate) fn said(&self) -> String {
        let log = std::fs::read(&self.log).expect("a log");
        String::from_utf8_lossy(&log[self.log_start as usize..]).into_owned()
    }

    /// Waits until it has said so.
    pub(crate) async fn says(&mut self, what: &str) {
        let began = Instant::now();
        while !self.said().contains(what) {
            let ended = self.child.try_wait().expect("can be asked");
            assert!(ended.is_none() && began.elapsed() < PATIENCE, "no {what:?}, {ended:?}: {}", self.said());
            tokio::time::sleep(GLANCE).await;
        }
    }

    /// Waits until it ends.
    pub(crate) async fn ends(&mut self) -> ExitStatus {
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("can be asked") {
                return status;
            }
            assert!(began.elapsed() < PATIENCE, "it does not end: {}", self.said());
            tokio::time::sleep(GLANCE).await;
        }
    }

    /// Ends it at once, wherever it is.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("can be killed");
        self.child.wait().expect("has ended");
    }

    /// Asks it to end, and waits until it has, in good order.
    pub(crate) async fn stop(mut self) {
        kill_process(Pid::from_child(&self.child), Signal::TERM).expect("can be signalled");
        let status = self.ends().await;
        assert!(status.success(), "{status}: {}", self.said());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // One that has ended already cannot be killed, which is as well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn program<S: AsRef<OsStr>>(arguments: &[S]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hookswitch"));
    command.args(arguments).env_remove("RUST_LOG").env_remove("FAILPOINTS");
    command
}
