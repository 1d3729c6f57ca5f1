//! Many callers and agents at once, each with a plan of its own.

use std::ops::Range;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::phone::{Call, Phone};
use crate::place::{Place, free_udp_port};
use crate::receiver::Receiver;
use crate::story::Story;
use crate::switch::Switch;
use crate::table::Row;
use crate::witness::Witness;

/// What hookswitch itself listens to, and loading of modules.
const RECORDED: &str = "MODULE_LOAD MODULE_UNLOAD CHANNEL_CREATE CHANNEL_PROGRESS CHANNEL_ANSWER CHANNEL_BRIDGE CHANNEL_UNBRIDGE \
     CHANNEL_HANGUP_COMPLETE CHANNEL_HOLD CHANNEL_UNHOLD HEARTBEAT SHUTDOWN CUSTOM callcenter::info";
/// The agents who may come to work.
const AGENTS: Range<usize> = 2000..2010;
const COLLEAGUE: &str = "1010";
/// How long something may take that is waited for.
const LIMIT: Duration = Duration::from_secs(60);
/// Nothing came for so long after all calls are over: nothing will.
const SILENCE: Duration = Duration::from_secs(5);
/// SIPp says nowhere that it listens.
const PHONE_STARTS: Duration = Duration::from_millis(300);
/// How far told times may be from a phone's on a busy machine.
const TOLERANCE: Duration = Duration::from_secs(1);

/// A call, and what must be told of it.
pub(crate) struct Case {
    /// What it is about.
    pub(crate) name: &'static str,
    /// The caller's number.
    pub(crate) number: &'static str,
    /// A line for each attempt, as [`Story::line`] has it.
    pub(crate) expected: &'static [&'static str],
}

/// Everything but the daemons. The order of the fields is that in which they end.
pub(crate) struct Floor<'a> {
    callers: Vec<Phone>,
    agents: Vec<Phone>,
    switch: Switch,
    place: &'a Place,
    begun: Instant,
}

impl<'a> Floor<'a> {
    /// Starts FreeSWITCH, with agents who are not at work yet; the plan begins now.
    pub(crate) fn open(place: &'a Place) -> Self {
        let mut switch = Switch::start(place, RECORDED);
        for extension in AGENTS {
            let agent = format!("{extension}@default");
            switch.api(&format!("callcenter_config agent add {agent} callback"));
            // Nobody takes a second call.
            switch.api(&format!("callcenter_config agent set wrap_up_time {agent} 600"));
        }
        Self { callers: vec![], agents: vec![], switch, place, begun: Instant::now() }
    }

    /// Waits for that second of the plan.
    pub(crate) fn until_second(&self, second: u64) {
        let left = Duration::from_secs(second).checked_sub(self.begun.elapsed());
        sleep(left.unwrap_or_else(|| panic!("this machine is too slow: second {second} has passed")));
    }

    /// A caller who hangs up at a second of the plan.
    pub(crate) fn caller(&mut self, case: &Case, extension: &str, until: u64) {
        let switch = format!("127.0.0.1:{}", self.place.sip);
        let stays = self.milliseconds_to(until);
        let arguments = ["-m", "1", "-recv_timeout", &stays, "-key", "number", case.number, "-key", "name", "Ana"];
        let arguments = [&arguments[..], &["-s", extension, &switch]].concat();
        self.callers.push(Phone::start(self.place, case.number, "caller", free_udp_port(), &arguments));
    }

    /// The next agent comes to work for a queue, and hangs up at a second of the plan. The first one is 2000.
    pub(crate) fn agent(&mut self, queue: &str, scenario: &str, until: u64, more: &[&str]) {
        let at_work = self.agents.iter().filter(|phone| phone.who != COLLEAGUE).count();
        let (extension, port) = (AGENTS.start + at_work, free_udp_port());
        assert!(AGENTS.contains(&extension), "no agent is left");
        let talks = self.milliseconds_to(until);
        let arguments = [&["-m", "1", "-recv_timeout", &*talks], more].concat();
        self.agents.push(Phone::start(self.place, &extension.to_string(), scenario, port, &arguments));
        sleep(PHONE_STARTS);
        let agent = format!("{extension}@default");
        let contact = format!("[leg_timeout=60]sofia/internal/{extension}@127.0.0.1:{port}");
        self.api(&format!("callcenter_config agent set contact {agent} {contact}"));
        self.api(&format!("callcenter_config agent set status {agent} Available"));
        self.api(&format!("callcenter_config tier add {queue}@default {agent} 1 1"));
    }

    /// A phone of nobody's queue.
    pub(crate) fn colleague(&mut self) {
        let port = self.place.phone(COLLEAGUE);
        self.agents.push(Phone::start(self.place, COLLEAGUE, "agent", port, &["-m", "1", "-recv_timeout", "120000"]));
        sleep(PHONE_STARTS);
    }

    /// Does a command of FreeSWITCH.
    pub(crate) fn api(&mut self, command: &str) -> String {
        self.switch.api(command)
    }

    /// Waits until all callers have hung up and nothing more is told.
    pub(crate) fn until_over(&mut self, receiver: &Receiver) {
        for caller in &mut self.callers {
            assert!(caller.over(LIMIT), "{} is still calling", caller.who);
        }
        let (mut told, mut since) = (0, Instant::now());
        while since.elapsed() < SILENCE {
            let now = receiver.all().len();
            if now != told {
                (told, since) = (now, Instant::now());
            }
            sleep(Duration::from_millis(100));
        }
    }

    /// Compares what was told with what was expected, and with what the phones saw.
    pub(crate) fn judge(&self, case: &Case, receiver: &Receiver) -> Row {
        let stories = Story::of(receiver.of(case.number));
        let seen: Vec<String> = stories.iter().map(Story::line).collect();
        let call = self.callers.iter().filter(|phone| phone.who == case.number).flat_map(Phone::calls).next();
        let witness = Witness::of(&self.agents, TOLERANCE);
        let mut differences: Vec<String> = stories
            .iter()
            .flat_map(|story| [story.breaches(), witness.contradictions(story, call.as_ref())].concat())
            .collect();
        if seen != case.expected {
            differences.push("the story differs".into());
        }
        let took = call.as_ref().and_then(|call: &Call| Some(call.bye?.1 - call.invited_at)).unwrap_or_default();
        Row { name: case.name, expected: case.expected, seen, differences, took: Duration::from_secs_f64(took) }
    }

    fn milliseconds_to(&self, second: u64) -> String {
        Duration::from_secs(second).saturating_sub(self.begun.elapsed()).as_millis().to_string()
    }
}

/// Waits for a webhook of a caller, and gives it.
pub(crate) fn until(receiver: &Receiver, case: &Case, event: &str) -> Value {
    let begun = Instant::now();
    loop {
        if let Some(moment) = receiver.of(case.number).into_iter().find(|moment| moment["event"] == event) {
            return moment;
        }
        assert!(begun.elapsed() < LIMIT, "{}: no `{event}` came", case.name);
        sleep(Duration::from_millis(20));
    }
}
