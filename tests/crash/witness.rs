//! A second client of the simulator, whose connection lasts: what was sent, in which order, and when at the latest.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::thread::JoinHandle;

use hookswitch::esl::Event;
use hookswitch::esl::recording::{self, Item};
use jiff::Timestamp;

/// A member's stay in a queue, by queue and member's channel: the scenario leads nobody into the same queue twice.
pub(crate) type StayName = (String, String);

/// Everything that the witness saw.
#[derive(Default)]
pub(crate) struct Sightings {
    /// The stays.
    pub(crate) stays: BTreeMap<StayName, Stay>,
    /// Where each event stood in the stream, by its `Event-Sequence`.
    pub(crate) events: BTreeMap<u64, Sight>,
}

/// One event.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sight {
    /// Its place in the stream, which is the same for every client.
    pub(crate) place: usize,
    /// When it had certainly been sent.
    pub(crate) seen_at: Timestamp,
    /// The simulated time of it.
    pub(crate) at: Timestamp,
}

/// The first and the last event of a stay: from `member-queue-start` to whatever names it last.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stay {
    pub(crate) first: Sight,
    pub(crate) last: Sight,
}

/// The witness at work. It ends with the simulator.
pub(crate) struct Witness(JoinHandle<Sightings>);

impl Witness {
    /// Connects, and records everything into the file.
    pub(crate) fn start(address: &str, password: &str, file: &Path) -> Self {
        let mut stream = TcpStream::connect(address).expect("the simulator listens");
        let file = File::create(file).expect("a file");
        write!(stream, "auth {password}\n\nevent plain all\n\n").expect("it reads");
        Self(std::thread::spawn(move || watch(Tee { stream, file })))
    }

    /// What it saw, once the simulator has ended.
    pub(crate) fn sightings(self) -> Sightings {
        self.0.join().expect("it reads to the end")
    }
}

/// Reads from the stream and keeps what was read in the file.
struct Tee {
    stream: TcpStream,
    file: File,
}

impl Read for Tee {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.stream.read(buffer)?;
        self.file.write_all(&buffer[..length])?;
        Ok(length)
    }
}

fn watch(stream: impl Read) -> Sightings {
    let mut sightings = Sightings::default();
    for (place, item) in recording::events(stream).enumerate() {
        if let Item::Event(event) = item.expect("the simulator sends frames") {
            sightings.note(&event, place);
        }
    }
    sightings
}

impl Sightings {
    fn note(&mut self, event: &Event, place: usize) {
        let number = |name| event.header(name)?.parse::<i64>().ok();
        let at = number("Event-Date-Timestamp").and_then(|micros| Timestamp::from_microsecond(micros).ok());
        let sight = Sight { place, seen_at: Timestamp::now(), at: at.expect("a time") };
        let sequence = number("Event-Sequence").and_then(|sequence| sequence.try_into().ok());
        self.events.insert(sequence.expect("a number"), sight);
        let Some(stay) = stay_name(event) else { return };
        if event.header("CC-Action").as_deref() == Some("member-queue-start") {
            self.stays.insert(stay, Stay { first: sight, last: sight });
        } else if let Some(stay) = self.stays.get_mut(&stay) {
            stay.last = sight;
        }
    }
}

/// The stay that an event belongs to: one of the queue's, of the member's leg, or of an agent's.
fn stay_name(event: &Event) -> Option<StayName> {
    let header = |names: &[&str]| names.iter().find_map(|name| event.header(name)).map(String::from);
    let queue = header(&["CC-Queue", "variable_cc_queue"])?;
    let session = header(&["CC-Member-Session-UUID", "variable_cc_member_session_uuid", "Unique-ID"])?;
    Some((queue, session))
}
