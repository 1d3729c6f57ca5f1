//! The FreeSWITCH process that is simulated: what stands on each of its events.

use jiff::Timestamp;

use crate::simulator::chance::Chance;
use crate::simulator::event::SimulatedEvent;

/// The source line that an event says it was fired from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Origin(pub(super) &'static str, pub(super) &'static str, pub(super) u16);

/// The subclass of mod_callcenter's events.
pub(super) const CALLCENTER: &str = "callcenter::info";

/// What FreeSWITCH calls its version.
const VERSION: &str = "1.10.12-release~64bit";

/// The process.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) core_uuid: String,
    started: Timestamp,
    sequence: u64,
    /// How many sessions there have been.
    pub(super) sessions: u64,
    peak: usize,
}

impl Node {
    pub(super) fn new(started: Timestamp, chance: &mut Chance) -> Self {
        // A FreeSWITCH has sent some 480 events before its first call.
        Self { core_uuid: chance.uuid(), started, sequence: 480, sessions: 0, peak: 0 }
    }

    /// How long the process has been up, in microseconds.
    pub(super) fn up_us(&self, now: Timestamp) -> i64 {
        now.as_microsecond() - self.started.as_microsecond()
    }

    /// An event with the headers that every event has. Its sequence number leaves gaps: events that nobody subscribes to
    /// take numbers too.
    pub(super) fn event(
        &mut self,
        name: &'static str,
        subclass: Option<&'static str>,
        origin: Origin,
        now: Timestamp,
        chance: &mut Chance,
    ) -> SimulatedEvent {
        self.sequence += chance.number(1, 4);
        let mut event = SimulatedEvent::new(name, subclass);
        event.push("Core-UUID", self.core_uuid.clone());
        event.push("FreeSWITCH-Hostname", "simulated");
        event.push("FreeSWITCH-Switchname", "simulated");
        event.push("FreeSWITCH-IPv4", "127.0.0.1");
        event.push("FreeSWITCH-IPv6", "::1");
        event.push("Event-Date-Local", now.strftime("%Y-%m-%d %H:%M:%S").to_string());
        event.push("Event-Date-GMT", now.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string());
        event.push("Event-Date-Timestamp", now.as_microsecond().to_string());
        event.push("Event-Calling-File", origin.0);
        event.push("Event-Calling-Function", origin.1);
        event.push("Event-Calling-Line-Number", origin.2.to_string());
        event.push("Event-Sequence", self.sequence.to_string());
        event
    }

    /// What `HEARTBEAT` tells, with so many sessions alive.
    pub(super) fn heartbeat(&mut self, event: &mut SimulatedEvent, alive: usize, now: Timestamp) {
        self.peak = self.peak.max(alive);
        let up = self.up_us(now);
        event.push("Event-Info", "System Ready");
        event.push("Up-Time", up_time(up));
        event.push("FreeSWITCH-Version", VERSION);
        event.push("Uptime-msec", (up / 1_000).to_string());
        event.push("Session-Count", alive.to_string());
        event.push("Max-Sessions", "5000");
        event.push("Session-Per-Sec", "500");
        event.push("Session-Per-Sec-Last", "0");
        event.push("Session-Per-Sec-Max", "2");
        event.push("Session-Per-Sec-FiveMin", "2");
        event.push("Session-Since-Startup", self.sessions.to_string());
        event.push("Session-Peak-Max", self.peak.to_string());
        event.push("Session-Peak-FiveMin", self.peak.to_string());
        event.push("Idle-CPU", "96.566667");
    }

    /// The answer to `version`.
    pub(super) fn version() -> String {
        format!("FreeSWITCH Version {VERSION} (simulated)\n")
    }
}

/// A span as FreeSWITCH tells it.
pub(super) fn up_time(micros: i64) -> String {
    let (seconds, micros) = (micros / 1_000_000, micros % 1_000_000);
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    format!(
        "0 years, {days} days, {hours} hours, {minutes} minutes, {} seconds, {} milliseconds, {} microseconds",
        seconds % 60,
        micros / 1_000,
        micros % 1_000
    )
}
