//! Where a run happens: its directory, its ports, its secrets.

use std::cell::Cell;
use std::fs;
use std::net::{TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use tempfile::TempDir;

/// The phones of agents and of a colleague, by their extensions.
const EXTENSIONS: [&str; 4] = ["1000", "1001", "1002", "1010"];

/// The Event Socket's password in this run: only this machine can connect, and only while the run lasts.
pub(crate) const PASSWORD: &str = "of-this-run-alone";

/// What [`Place::new`] found free, and where things lie.
pub(crate) struct Place {
    directory: TempDir,
    kept: Cell<bool>,
    phones_started: Cell<usize>,
    /// The FreeSWITCH to run.
    pub(crate) program: PathBuf,
    /// The Event Socket's port.
    pub(crate) event_socket: u16,
    /// FreeSWITCH's SIP port.
    pub(crate) sip: u16,
    phones: [u16; EXTENSIONS.len()],
}

impl Place {
    /// A new directory with FreeSWITCH's configuration in it, and free ports.
    pub(crate) fn new(program: PathBuf) -> Self {
        let directory = tempfile::Builder::new().prefix("hookswitch-").tempdir().expect("a temporary directory");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let event_socket = listener.local_addr().expect("bound").port();
        let place = Self {
            directory,
            kept: Cell::new(false),
            phones_started: Cell::new(0),
            program,
            event_socket,
            sip: free_udp_port(),
            phones: std::array::from_fn(|_| free_udp_port()),
        };
        place.write_configuration();
        place
    }

    /// The run's directory.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Lets the directory stay.
    pub(crate) fn keep(&self) -> &Path {
        self.kept.set(true);
        self.directory()
    }

    /// The SIP port of an extension's phone.
    pub(crate) fn phone(&self, extension: &str) -> u16 {
        let place = EXTENSIONS.iter().position(|known| *known == extension);
        self.phones[place.unwrap_or_else(|| panic!("no phone has the extension {extension}"))]
    }

    /// The number of the next phone, for the names of its logs.
    pub(crate) fn count_phone(&self) -> usize {
        self.phones_started.set(self.phones_started.get() + 1);
        self.phones_started.get()
    }

    /// Changes the Event Socket's access list to one on which no address of this machine is.
    pub(crate) fn let_nobody_in(&self) {
        let file = self.directory().join("conf/autoload_configs/event_socket.conf.xml");
        let text = fs::read_to_string(&file).expect("reads");
        fs::write(&file, text.replace("loopback.auto", "192.0.2.0/24")).expect("writes");
    }

    fn write_configuration(&self) {
        let (project, conf) = (Path::new(env!("CARGO_MANIFEST_DIR")), self.directory().join("conf"));
        for name in ["conf/autoload_configs", "conf/dialplan", "log", "db", "run", "phones"] {
            fs::create_dir_all(self.directory().join(name)).expect("a directory");
        }
        fs::copy(project.join("tests/freeswitch/freeswitch.xml"), conf.join("freeswitch.xml")).expect("copies");
        for (from, to) in [("conf/freeswitch", "autoload_configs"), ("dialplan", "dialplan")] {
            for entry in fs::read_dir(project.join(from)).expect("the project's files") {
                let path = entry.expect("an entry").path();
                let name = path.file_name().expect("a name");
                if path.extension().is_some_and(|kind| kind == "xml") && name != "vars.xml" {
                    fs::copy(&path, conf.join(to).join(name)).expect("copies");
                }
            }
        }
        fs::write(conf.join("vars.xml"), self.variables(&project.join("conf/freeswitch/vars.xml"))).expect("writes");
    }

    /// The project's variables with the values of this run: short times, because all of them are waited for.
    fn variables(&self, example: &Path) -> String {
        let media = 16_384 + u32::from(free_udp_port()) % 14_000;
        let mut values: Vec<(String, String)> = [
            ("event_socket_password", PASSWORD),
            ("domain", "127.0.0.1"),
            ("queue_moh", "tone_stream://%(2000,4000,440,480);loops=-1"),
            ("queue_short_wait_sec", "3"),
            ("queue_no_agent_sec", "2"),
            ("agent_ring_sec", "3"),
            ("agent_wrap_up_sec", "1"),
            ("agent_retry_sec", "1"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
        values.push(("event_socket_port".into(), self.event_socket.to_string()));
        values.push(("sip_port".into(), self.sip.to_string()));
        values.push(("rtp_start_port".into(), media.to_string()));
        values.push(("rtp_end_port".into(), (media + 2_000).to_string()));
        for (extension, port) in EXTENSIONS.iter().zip(self.phones) {
            values.push((format!("phone_{extension}"), format!("127.0.0.1:{port}")));
        }
        let set =
            |(name, value): &(String, String)| format!("  <X-PRE-PROCESS cmd=\"set\" data=\"{name}={value}\"/>\n");
        let ours: String = values.iter().map(set).collect();
        // What is set later wins.
        let example = fs::read_to_string(example).expect("the project's variables");
        example.replace("</include>", &format!("{ours}</include>"))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.kept.get() || std::thread::panicking() {
            self.directory.disable_cleanup(true);
        }
    }
}

/// A UDP port that is free now.
pub(crate) fn free_udp_port() -> u16 {
    UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a free port").port()
}

/// A UDP port that is free with the three after it, which SIPp's media take. It is none of those that the system gives to
/// whoever asks for any, so that nobody else is given it before SIPp has taken it.
pub(crate) fn free_media_port() -> u16 {
    static ASKED: AtomicU32 = AtomicU32::new(0);
    let is_free = |port: &u16| (*port..port + 4).all(|port| UdpSocket::bind(("127.0.0.1", port)).is_ok());
    let next = || std::process::id().wrapping_add(ASKED.fetch_add(1, Ordering::Relaxed)) % 1_500;
    let ports = std::iter::repeat_with(|| 10_000 + 4 * u16::try_from(next()).expect("is small"));
    ports.take(1_500).find(is_free).expect("a free port")
}
