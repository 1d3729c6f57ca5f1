//! The private FreeSWITCH.

use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::place::Place;
use crate::socket::Socket;

/// FreeSWITCH starts in two seconds; a loaded machine may take many times that.
const START_LIMIT: Duration = Duration::from_secs(60);
/// How long it may take to end its calls and itself.
const END_LIMIT: Duration = Duration::from_secs(30);

/// A FreeSWITCH that ends with this value.
pub(crate) struct Switch {
    process: Child,
    socket: Socket,
}

impl Switch {
    /// Starts it, waits until calls can be made, and records the events of those names.
    pub(crate) fn start(place: &Place, recorded: &str) -> Self {
        let directory = place.directory();
        let output = || std::fs::File::options().create(true).append(true).open(directory.join("freeswitch.out"));
        let mut process = Command::new(&place.program)
            .args(["-nonat", "-nc", "-nf"])
            .args(
                ["conf", "log", "db", "run"]
                    .into_iter()
                    .flat_map(|name| [format!("-{name}").into(), directory.join(name).into_os_string()]),
            )
            .current_dir(directory)
            .stdin(Stdio::null())
            .stdout(output().expect("a log"))
            .stderr(output().expect("a log"))
            .spawn()
            .expect("HOOKSWITCH_FREESWITCH can be run");
        let begun = Instant::now();
        let socket = loop {
            if let Some(status) = process.try_wait().expect("a child") {
                panic!("FreeSWITCH ended ({status}): see {}", directory.join("freeswitch.out").display());
            }
            if let Some(socket) = ready(place) {
                break socket;
            }
            if begun.elapsed() > START_LIMIT {
                let _ = process.kill();
                panic!("FreeSWITCH did not start: see {}", directory.join("log/freeswitch.log").display());
            }
            sleep(Duration::from_millis(100));
        };
        Socket::record(place.event_socket, &directory.join("events.esl"), recorded).expect("it can be listened to");
        Self { process, socket }
    }

    /// Does a command on the Event Socket.
    pub(crate) fn api(&mut self, command: &str) -> String {
        self.socket.api(command).unwrap_or_else(|error| panic!("{command}: {error}"))
    }

    /// Its process.
    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// Ends it as an operator does: calls are hung up.
    pub(crate) fn terminate(&mut self) {
        self.end(Signal::TERM);
    }

    /// Ends it as a crash does: nobody is told.
    pub(crate) fn crash(&mut self) {
        self.end(Signal::KILL);
    }

    fn end(&mut self, signal: Signal) {
        let _ = kill_process(Pid::from_child(&self.process), signal);
        let begun = Instant::now();
        while begun.elapsed() < END_LIMIT {
            if self.process.try_wait().is_ok_and(|status| status.is_some()) {
                return;
            }
            sleep(Duration::from_millis(50));
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Drop for Switch {
    fn drop(&mut self) {
        self.end(Signal::TERM);
    }
}

/// A connection, once the modules that calls need are there.
fn ready(place: &Place) -> Option<Socket> {
    let mut socket = Socket::connect(place.event_socket).ok()?;
    let phones = socket.api("sofia status profile internal").ok()?;
    let queues = socket.api("callcenter_config queue list").ok()?;
    (phones.contains("RTP-IP") && queues.contains("support@default")).then_some(socket)
}
