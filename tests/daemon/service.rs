//! What a service manager hears, and how the daemon ends.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tokio::net::TcpListener;

use crate::process::{PATIENCE, Place, Process, tells};

/// The service manager's end of the socket.
struct Manager(UnixDatagram);

impl Manager {
    /// Waits until it hears this.
    fn hears(&self, text: &str) -> String {
        let mut message = [0; 4096];
        let mut heard = Vec::new();
        while let Ok(length) = self.0.recv(&mut message) {
            let message = String::from_utf8_lossy(&message[..length]).into_owned();
            if message.lines().any(|line| line == text) {
                return message;
            }
            heard.push(message);
        }
        panic!("{text} is not told: {heard:?}");
    }
}

/// The daemon under a service manager that wants to hear from it every second.
fn managed(place: &Place) -> (Manager, Process) {
    let path = place.directory.path().join("notify");
    let socket = UnixDatagram::bind(&path).expect("binds");
    socket.set_read_timeout(Some(PATIENCE)).expect("sets");
    let mut command = place.command(&["run"]);
    command.env("NOTIFY_SOCKET", path).env("WATCHDOG_USEC", "1000000");
    (Manager(socket), Process::start(command))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_manager_hears_of_readiness_life_reloading_and_the_end() {
    let place = Place::new().await;
    place.write(&tells("x"));
    let (manager, daemon) = managed(&place);
    manager.hears("READY=1");
    manager.hears("WATCHDOG=1");
    manager.hears("WATCHDOG=1");
    daemon.signal(Signal::HUP);
    assert!(manager.hears("RELOADING=1").contains("MONOTONIC_USEC="));
    manager.hears("READY=1");
    fs::write(place.config(), "x = 1").expect("writes");
    manager.hears("RELOADING=1");
    assert!(manager.hears("READY=1").contains("is refused"));
    daemon.signal(Signal::TERM);
    manager.hears("STOPPING=1");
    assert_eq!(daemon.ends().0, Some(0));
}

/// A receiver that takes requests and answers none.
async fn silent_receiver() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}/", listener.local_addr().expect("has one"));
    (listener, url)
}

fn sends(url: &str, drain: &str) -> String {
    format!(
        "[daemon]\ndrain = \"{drain}\"\n[queues.\"*\"]\nhooks = [{{ event = \"joined\", flow = \"send\" }}]\n\
         [flows.send]\nsteps = [{{ http = {{ url = \"{url}\", timeout = \"10 min\" }} }}]\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_ends_it_within_the_drain_however_slow_a_receiver_is() {
    let place = Place::new().await;
    let (receiver, url) = silent_receiver().await;
    place.write(&sends(&url, "200 ms"));
    let daemon = place.run();
    let _request = receiver.accept().await.expect("a request comes");
    let asked = Instant::now();
    daemon.signal(Signal::TERM);
    let (code, said) = daemon.ends();
    assert_eq!(code, Some(0), "{said}");
    assert!(asked.elapsed() < Duration::from_secs(30), "the request alone takes ten minutes");
    assert!(said.contains("begin again at the next start"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_ends_it_at_once() {
    let place = Place::new().await;
    let (receiver, url) = silent_receiver().await;
    place.write(&sends(&url, "1 min"));
    let mut daemon = place.run();
    let _request = receiver.accept().await.expect("a request comes");
    daemon.signal(Signal::TERM);
    daemon.says("ending");
    daemon.signal(Signal::INT);
    let (code, said) = daemon.ends();
    assert_eq!(code, Some(1), "{said}");
}
