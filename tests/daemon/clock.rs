//! The machine's clock is set, by libfaketime: what waits for a time waits as long as it was meant to.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tempfile::TempDir;

use crate::process::{Process, program};

/// How long the runs wait at least, of the 4 s that are configured: chance shortens the waits of retries a little.
const WAIT: Duration = Duration::from_secs(3);

const HOUR: i64 = 3_600;
const DAYS: i64 = 3 * 24 * HOUR;

/// A directory with a configuration, and a clock that can be set.
struct Clocked {
    directory: TempDir,
    library: PathBuf,
    port: u16,
    receiver: TcpListener,
}

impl Clocked {
    /// None where libfaketime is not there, which is said.
    fn new() -> Option<Self> {
        let directories = ["/usr/lib", "/usr/lib64"].into_iter().filter_map(|path| fs::read_dir(path).ok()).flatten();
        let directories = directories.flatten().map(|entry| entry.path()).chain(["/usr/lib".into()]);
        let Some(library) =
            directories.map(|path| path.join("faketime/libfaketime.so.1")).find(|library| library.exists())
        else {
            writeln!(std::io::stderr(), "LEFT OUT: setting the clock needs libfaketime (Debian: faketime)")
                .expect("is written");
            return None;
        };
        let free = || TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = free().local_addr().expect("a port").port();
        let clocked = Self { directory: TempDir::new().expect("a directory"), library, port, receiver: free() };
        let receiver = clocked.receiver.local_addr().expect("an address");
        let text = format!(
            "[[freeswitch]]\nname = \"fs1\"\naddress = \"127.0.0.1:1\"\npassword = \"x\"\n[outbox]\npath = {:?}\n\
             [http]\nlisten = \"127.0.0.1:{port}\"\n[queues.chat]\nsource = \"api\"\nttl = \"8s\"\n\
             hooks = [{{ name = \"a\", event = \"joined\", flow = \"rest\" }}, \
             {{ name = \"b\", event = \"joined\", flow = \"try\" }}, \
             {{ name = \"c\", event = \"leaving\", flow = \"leave\" }}]\n\
             [flows.rest]\nexpires_after = \"10 min\"\nsteps = [{{ wait = \"4s\" }}, {{ log = {{ message = \"{{{{ member_number }}}} has rested\" }} }}]\n\
             [flows.try]\nexpires_after = \"10 min\"\nsteps = [{{ http = {{ url = \"http://{receiver}/\", retry = [\"4s\"] }} }}]\n\
             [flows.leave]\nsteps = [{{ log = {{ message = \"{{{{ member_number }}}} has left\" }} }}]\n",
            clocked.outbox(),
        );
        fs::write(clocked.path("hookswitch.toml"), text).expect("writes");
        clocked.set(0);
        Some(clocked)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn outbox(&self) -> PathBuf {
        self.path("outbox.db")
    }

    /// Sets the clock to so many seconds from the right time.
    fn set(&self, seconds: i64) {
        fs::write(self.path("draft"), format!("{seconds:+}")).expect("writes");
        fs::rename(self.path("draft"), self.path("clock")).expect("renames");
    }

    fn run(&self) -> Process {
        let mut command = program();
        command.arg("run").arg("--config").arg(self.path("hookswitch.toml"));
        command.env("LD_PRELOAD", &self.library).env("FAKETIME_TIMESTAMP_FILE", self.path("clock"));
        command.env("FAKETIME_NO_CACHE", "1").env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        Process::start(command)
    }

    async fn join(&self, key: &str) {
        let attempt = format!("http://127.0.0.1:{}/api/queues/chat/attempts/{key}", self.port);
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        let request = client.put(attempt).json(&serde_json::json!({ "member_number": key }));
        assert_eq!(request.send().await.expect("answers").status(), 201);
    }

    /// Waits for a request; `meanwhile` is done before it is answered.
    fn answer(&self, status: u16, meanwhile: impl FnOnce()) {
        let (mut stream, _) = self.receiver.accept().expect("accepts");
        let mut head = Vec::<u8>::new();
        while !head.windows(4).any(|end| end == b"\r\n\r\n") {
            let mut bytes = [0; 4_096];
            let read = stream.read(&mut bytes).expect("reads");
            assert!(read > 0, "the request has no end");
            head.extend(&bytes[..read]);
        }
        meanwhile();
        let answer = format!("HTTP/1.1 {status} Says\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        stream.write_all(answer.as_bytes()).expect("writes");
    }
}

fn moved(path: &Path) -> PathBuf {
    path.with_extension("moved")
}

/// While runs wait, a step `wait` and a retry among them; the other way while the daemon is down; and the attempt's time to
/// live all the while.
async fn set_while_runs_wait(step: i64) {
    let Some(clocked) = Clocked::new() else { return };
    let mut daemon = clocked.run();
    daemon.says("the HTTP interface listens");
    let joined = Instant::now();
    clocked.join("k1").await;
    clocked.answer(503, || {});
    daemon.says("will be tried again");
    clocked.set(step);
    daemon.says("the clock was set");
    clocked.answer(204, || {});
    assert!(joined.elapsed() >= WAIT, "tried again after {:?}, set by {step}", joined.elapsed());
    daemon.has_said(&["k1 has rested"]);
    assert!(joined.elapsed() >= WAIT, "rested for {:?}, set by {step}", joined.elapsed());
    daemon.has_said(&["k1 has left"]);
    assert!(joined.elapsed() >= 2 * WAIT, "left after {:?}, set by {step}", joined.elapsed());

    let joined = Instant::now();
    clocked.join("k2").await;
    clocked.answer(503, || {});
    daemon.says("will be tried again");
    daemon.signal(Signal::KILL);
    daemon.ends();
    clocked.set(0);
    let mut daemon = clocked.run();
    daemon.says("the clock was set while no daemon ran");
    clocked.answer(204, || {});
    daemon.has_said(&["k2 has rested"]);
    assert!(joined.elapsed() >= WAIT, "after {:?}, set by {step} at a restart", joined.elapsed());
}

/// What a run has come to, and an attempt that has come, wait for the file while the clock is set.
async fn set_while_nothing_can_be_written(step: i64) {
    let Some(clocked) = Clocked::new() else { return };
    let mut daemon = clocked.run();
    daemon.says("the HTTP interface listens");
    clocked.join("k1").await;
    let outbox = clocked.outbox();
    clocked.answer(503, || fs::rename(&outbox, moved(&outbox)).expect("moves"));
    let answered = Instant::now();
    daemon.says("the outbox can't write");
    let put_back = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        clocked.set(step);
        tokio::time::sleep(Duration::from_secs(1)).await;
        fs::rename(moved(&outbox), &outbox).expect("moves back");
    };
    tokio::join!(put_back, clocked.join("k2"));
    // One is the first try of the second, the other the second try of the first; either way comes first.
    clocked.answer(204, || {});
    clocked.answer(204, || {});
    assert!(answered.elapsed() >= WAIT, "tried again after {:?}, set by {step}", answered.elapsed());
    daemon.has_said(&["k1 has rested", "k2 has rested"]);
    assert!(!daemon.said().contains("expired"), "set by {step}: {}", daemon.said());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_set_back_by_an_hour_moves_nothing() {
    set_while_runs_wait(-HOUR).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_set_ahead_by_an_hour_moves_nothing() {
    set_while_runs_wait(HOUR).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_set_back_by_days_moves_nothing() {
    set_while_runs_wait(-DAYS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_set_ahead_by_days_moves_nothing() {
    set_while_runs_wait(DAYS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_set_back_while_nothing_can_be_written_moves_nothing() {
    set_while_nothing_can_be_written(-HOUR).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_set_ahead_while_nothing_can_be_written_moves_nothing() {
    set_while_nothing_can_be_written(HOUR).await;
}
