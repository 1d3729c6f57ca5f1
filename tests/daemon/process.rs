//! The program as a child process, with a simulated FreeSWITCH to follow.

use std::fs;
use std::io::{BufRead, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use hookswitch::simulator::server::DEFAULT_PASSWORD;
use hookswitch::simulator::{Server, ServerOptions};
use rustix::process::{Pid, Signal};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

/// Far longer than anything takes; only a test that fails waits so long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// How many simulated seconds pass in one: joins come several a second.
const SPEED: f64 = 50.0;

/// A directory with a configuration.
pub(crate) struct Place {
    pub(crate) directory: TempDir,
    simulator: std::net::SocketAddr,
    shutdown: CancellationToken,
}

/// The program at work; killed when it is dropped.
pub(crate) struct Process {
    child: Child,
    /// Its standard error, line by line.
    lines: Receiver<String>,
    /// The lines that were read.
    seen: Vec<String>,
}

impl Place {
    /// A directory, and a simulated FreeSWITCH that runs until this is dropped.
    pub(crate) async fn new() -> Self {
        let server = Server::bind("127.0.0.1:0").await.expect("a free port");
        let (simulator, shutdown) = (server.local_addr(), CancellationToken::new());
        tokio::spawn(server.run(ServerOptions { speed: SPEED, ..ServerOptions::default() }, shutdown.clone()));
        Self { directory: TempDir::new().expect("a directory"), simulator, shutdown }
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.directory.path().join("hookswitch.toml")
    }

    pub(crate) fn outbox(&self) -> PathBuf {
        self.directory.path().join("state/outbox.db")
    }

    /// Writes a configuration that follows the simulation, and `rest`.
    pub(crate) fn write(&self, rest: &str) {
        fs::create_dir_all(self.directory.path().join("state")).expect("a directory");
        let text = format!(
            "{rest}\n[[freeswitch]]\nname = \"fs1\"\naddress = \"{}\"\npassword = \"{DEFAULT_PASSWORD}\"\n\
             [outbox]\npath = {:?}\n",
            self.simulator,
            self.outbox(),
        );
        fs::write(self.config(), text).expect("writes");
    }

    /// The program with these arguments and this configuration.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = program();
        command.args(arguments).arg("--config").arg(self.config());
        command
    }

    /// The same, as a user to whom no file is open that is closed to all. None where root can't become one who reaches the
    /// program, which is said.
    pub(crate) fn without_privileges(&self, arguments: &[&str]) -> Option<Command> {
        let command = self.command(arguments);
        if !rustix::process::geteuid().is_root() {
            return Some(command);
        }
        fs::set_permissions(self.directory.path(), fs::Permissions::from_mode(0o755)).expect("sets");
        let nobody = || {
            let mut nobody = Command::new("setpriv");
            nobody.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]).arg(command.get_program());
            nobody
        };
        let reaches = nobody().arg("--version").output().is_ok_and(|output| output.status.success());
        if !reaches {
            writeln!(std::io::stderr(), "LEFT OUT: running without privileges needs setpriv, and a way to the program")
                .expect("is written");
            return None;
        }
        let mut unprivileged = nobody();
        unprivileged.args(command.get_args());
        Some(unprivileged)
    }

    /// Starts the daemon.
    pub(crate) fn run(&self) -> Process {
        Process::start(self.command(&["run"]))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

/// The program, with nothing of this process's environment that changes what it does.
pub(crate) fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hookswitch"));
    for name in ["RUST_LOG", "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "JOURNAL_STREAM"] {
        command.env_remove(name);
    }
    command
}

/// A configuration that says `text` for each member that joins.
pub(crate) fn tells(text: &str) -> String {
    format!(
        "[queues.\"*\"]\nhooks = [{{ name = \"tell\", event = \"joined\", flow = \"tell\" }}]\n\
         [flows.tell]\nsteps = [{{ log = {{ message = \"{text}\" }} }}]\n"
    )
}

impl Process {
    /// Starts a program and listens to what it says.
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().expect("starts");
        let stderr = BufReader::new(child.stderr.take().expect("is piped"));
        let (tell, lines) = mpsc::channel();
        std::thread::spawn(move || stderr.lines().map_while(Result::ok).try_for_each(|line| tell.send(line)));
        Self { child, lines, seen: Vec::new() }
    }

    /// Waits until it says a line with this text in it, and gives the line.
    pub(crate) fn says(&mut self, text: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    self.seen.push(line.clone());
                    if line.contains(text) {
                        return line;
                    }
                }
                Err(_) => panic!("it does not say {text:?}:\n{}", self.seen.join("\n")),
            }
        }
    }

    /// Waits until it has said lines with all these texts in them, in whatever order.
    pub(crate) fn has_said(&mut self, texts: &[&str]) {
        let deadline = Instant::now() + PATIENCE;
        while let said = self.said()
            && let Some(text) = texts.iter().find(|text| !said.contains(**text))
        {
            assert!(Instant::now() < deadline, "it does not say {text:?}:\n{said}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Everything that it said until now.
    pub(crate) fn said(&mut self) -> String {
        self.seen.extend(self.lines.try_iter());
        self.seen.join("\n")
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id().try_into().expect("a process id")).expect("a process id");
        rustix::process::kill_process(pid, signal).expect("it is there");
    }

    /// Waits for its end and gives the exit code, and all that it said.
    pub(crate) fn ends(mut self) -> (Option<i32>, String) {
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            match self.child.try_wait().expect("can be waited for") {
                Some(status) => break status,
                None if Instant::now() > deadline => panic!("it does not end:\n{}", self.said()),
                None => std::thread::sleep(Duration::from_millis(20)),
            }
        };
        self.seen.extend(self.lines.iter());
        (status.code(), self.seen.join("\n"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
