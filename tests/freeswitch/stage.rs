//! What scenarios are played on: FreeSWITCH, hookswitch, the receiver, and the phones of the scenario under way.

use std::fs;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::daemon::{Daemon, write_flows};
use crate::phone::{Call, Phone};
use crate::place::{Place, free_udp_port};
use crate::receiver::{Answer, Receiver};
use crate::scenario::Scenario;
use crate::story::Story;
use crate::switch::Switch;
use crate::table::Row;
use crate::witness::Witness;

/// The agents who may be logged in.
const AGENTS: [&str; 4] = ["1000", "1001", "1002", "1004"];
/// How long something may take that the scenario waits for. The longest thing is a ringing phone of three seconds.
const LIMIT: Duration = Duration::from_secs(30);
/// An answer's wait that no scenario reaches: who has it hangs up only when the other side does.
const STAYS: Duration = Duration::from_secs(120);

/// The agents' wrap-up time of one second, as mod_callcenter counts: in whole seconds of the clock.
const POST_PROCESSING: Duration = Duration::from_secs(2);
/// How far a time that hookswitch tells may be from that of a phone's message. FreeSWITCH's event clock ticks in 20 ms steps;
/// the rest is for a busy machine.
const TOLERANCE: Duration = Duration::from_secs(1);
/// SIPp says nowhere that it listens, and FreeSWITCH gives up at once where nobody does.
const PHONE_STARTS: Duration = Duration::from_millis(300);

/// Everything that runs. The order of the fields is that in which they end.
pub(crate) struct Stage<'a> {
    phones: Vec<Phone>,
    daemon: Daemon,
    switch: Switch,
    receiver: Receiver,
    place: &'a Place,
    starts: usize,
    played: usize,
    /// How many attempts a dialer has made.
    dialled: usize,
    remarks: Vec<String>,
}

/// What became of a scenario.
pub(crate) struct Play {
    /// The caller's number.
    pub(crate) number: String,
    phones: Vec<Phone>,
    remarks: Vec<String>,
    took: Duration,
}

impl<'a> Stage<'a> {
    /// Starts everything.
    pub(crate) fn open(place: &'a Place) -> Self {
        let switch = Switch::start(place, "ALL");
        let receiver = Receiver::start();
        write_flows(place, &receiver);
        let mut daemon = Daemon::start(place, &receiver);
        daemon.connected(1);
        Self { phones: vec![], daemon, switch, receiver, place, starts: 1, played: 0, dialled: 0, remarks: vec![] }
    }

    /// Plays a scenario, and waits until its story is told, or will not be.
    pub(crate) fn play(&mut self, scenario: &Scenario) -> Play {
        let begun = Instant::now();
        self.played += 1;
        (scenario.play)(self);
        let told = || self.stories().iter().map(Story::line).eq(scenario.expected.iter().copied());
        let limit = Instant::now() + LIMIT / 2;
        while !scenario.expected.is_empty() && !told() && Instant::now() < limit {
            sleep(Duration::from_millis(50));
        }
        // A phone that was never called would take the next scenario's call.
        self.phones.iter_mut().for_each(Phone::end);
        if self.stories().iter().any(|story| story.line().contains("processing")) {
            sleep(POST_PROCESSING);
        }
        let play = Play {
            number: self.number(),
            phones: std::mem::take(&mut self.phones),
            remarks: std::mem::take(&mut self.remarks),
            took: begun.elapsed(),
        };
        for agent in AGENTS {
            self.api(&format!("callcenter_config agent set status {agent}@default 'Logged Out'"));
        }
        play
    }

    /// What has arrived.
    pub(crate) fn receiver(&self) -> &Receiver {
        &self.receiver
    }

    /// What flows are to do when an event of this scenario happens, by the cases of `flows.toml`.
    pub(crate) fn wish(&self, event: &str, body: Value) {
        let query = format!("event={event}&phone={}", self.number());
        self.receiver.answer(&query, Answer { body, after: Duration::ZERO });
    }

    /// What the customer database says of this scenario's caller, after so long.
    pub(crate) fn contact(&self, body: Value, after: Duration) {
        self.receiver.answer(&format!("phone={}", self.number()), Answer { body, after });
    }

    /// Waits until flows have told so many things of this scenario's caller, and gives the last one.
    pub(crate) fn until_noted(&mut self, count: usize) -> Value {
        self.eventually("too few notes came", |stage| {
            let mut notes = stage.receiver.notes(&stage.number());
            if notes.len() < count { None } else { notes.pop() }
        })
    }

    /// Waits until FreeSWITCH answers a command so.
    pub(crate) fn until_said(&mut self, command: &str, wanted: &str) {
        self.eventually(&format!("`{command}` is not {wanted}"), |stage| {
            (stage.api(command) == wanted).then_some(Value::Null)
        });
    }

    /// Waits until FreeSWITCH has told of something of this scenario, in the events that only listen.
    pub(crate) fn until_event(&mut self, name: &str, parts: &[&str]) {
        let (file, name) = (self.place.directory().join("events.esl"), format!("Event-Name: {name}\n"));
        self.eventually(&format!("no {name:?} with {parts:?}"), |_| {
            let events = fs::read(&file).expect("is recorded");
            let events = String::from_utf8_lossy(&events);
            let is_it = |event: &str| event.contains(&name) && parts.iter().all(|part| event.contains(part));
            events.split("\n\n").any(is_it).then_some(Value::Null)
        });
    }

    /// Whether an agent's phone has got all of this in one message, such as an INVITE; it must log its messages.
    pub(crate) fn heard(&self, extension: &str, parts: &[&str]) -> bool {
        let phones = self.phones.iter().filter(|phone| phone.who == extension);
        phones.flat_map(Phone::messages).any(|message| parts.iter().all(|part| message.contains(part)))
    }

    fn eventually(&mut self, otherwise: &str, mut found: impl FnMut(&mut Self) -> Option<Value>) -> Value {
        let begun = Instant::now();
        loop {
            if let Some(found) = found(self) {
                return found;
            }
            if begun.elapsed() > LIMIT {
                self.remark(otherwise.to_owned());
                return Value::Null;
            }
            sleep(Duration::from_millis(20));
        }
    }

    /// The caller's number in this scenario.
    pub(crate) fn number(&self) -> String {
        format!("407123500{:02}", self.played)
    }

    /// A caller who calls an extension and stays on the line so long, if nobody ends the call before.
    pub(crate) fn caller(&mut self, extension: &str, stays: Duration) {
        self.calling("caller", extension, "caller", Some(stays), &[]);
    }

    /// A caller with no intention to hang up.
    pub(crate) fn patient_caller(&mut self, extension: &str) {
        self.calling("caller", extension, "caller", None, &[]);
    }

    /// A caller who presses a key after so long, and then stays.
    pub(crate) fn caller_who_presses(
        &mut self,
        extension: &str,
        digit: &str,
        after: Duration,
        stays: Option<Duration>,
    ) {
        let after = after.as_millis().to_string();
        self.calling("caller", extension, "caller_presses", stays, &["-d", &after, "-key", "digit", digit]);
    }

    /// A phone that calls an extension, as an agent calls one to log in.
    pub(crate) fn calling(
        &mut self,
        who: &str,
        extension: &str,
        scenario: &str,
        stays: Option<Duration>,
        more: &[&str],
    ) {
        let number = if who == "caller" { self.number() } else { who.split(' ').next().unwrap_or(who).to_owned() };
        let stays = stays.unwrap_or(STAYS).as_millis().to_string();
        let switch = self.sip_address();
        let mut arguments =
            vec!["-m", "1", "-recv_timeout", &stays, "-key", "number", &number, "-key", "name", "Zoë Müller"];
        arguments.extend(["-s", extension, &switch]);
        arguments.extend(more);
        self.phones.push(Phone::start(self.place, who, scenario, free_udp_port(), &arguments));
    }

    /// An agent who is logged in, answers after a second and never hangs up.
    pub(crate) fn agent(&mut self, extension: &str) {
        self.agent_who("agent", extension, None, &[]);
    }

    /// An agent who is logged in, with a phone of another scenario, who hangs up after so long a talk.
    pub(crate) fn agent_who(&mut self, scenario: &str, extension: &str, talks: Option<Duration>, more: &[&str]) {
        self.phone(scenario, extension, talks, more);
        self.log_in(extension);
    }

    /// A phone that waits for calls.
    pub(crate) fn phone(&mut self, scenario: &str, extension: &str, talks: Option<Duration>, more: &[&str]) {
        self.phone_of(extension, scenario, extension, talks, more);
    }

    fn phone_of(&mut self, who: &str, scenario: &str, extension: &str, talks: Option<Duration>, more: &[&str]) {
        let talks = talks.unwrap_or(STAYS).as_millis().to_string();
        let mut arguments = vec!["-recv_timeout", &talks];
        arguments.extend(if more.contains(&"-m") { &[][..] } else { &["-m", "1"] });
        arguments.extend(more);
        self.phones.push(Phone::start(self.place, who, scenario, self.place.phone(extension), &arguments));
        sleep(PHONE_STARTS);
    }

    /// A phone that refuses a call with a status, such as `486 Busy Here`.
    pub(crate) fn refusing_phone(&mut self, extension: &str, status: &str) {
        self.refusing_phone_of(extension, extension, status);
    }

    fn refusing_phone_of(&mut self, who: &str, extension: &str, status: &str) {
        let port = self.place.phone(extension);
        self.phones.push(Phone::start_refusing(self.place, who, status, port, &["-m", "1"]));
        sleep(PHONE_STARTS);
    }

    /// A member whom a dialer calls, with a phone of a scenario, who hangs up after so long a talk.
    pub(crate) fn member(&mut self, scenario: &str, talks: Option<Duration>) {
        self.phone_of("caller", scenario, "1010", talks, &[]);
    }

    /// A member whose phone refuses a dialer's call.
    pub(crate) fn refusing_member(&mut self, status: &str) {
        self.refusing_phone_of("caller", "1010", status);
    }

    /// A name for an attempt that a dialer makes.
    pub(crate) fn attempt(&mut self) -> String {
        self.dialled += 1;
        format!("A-{}", self.dialled)
    }

    /// Logs an agent in.
    pub(crate) fn log_in(&mut self, extension: &str) {
        self.api(&format!("callcenter_config agent set status {extension}@default Available"));
    }

    /// Logs an agent out.
    pub(crate) fn log_out(&mut self, extension: &str) {
        self.api(&format!("callcenter_config agent set status {extension}@default 'Logged Out'"));
    }

    /// Does a command of FreeSWITCH.
    pub(crate) fn api(&mut self, command: &str) -> String {
        self.switch.api(command)
    }

    /// Waits for a webhook of this scenario, and gives it.
    pub(crate) fn until(&mut self, event: &str) -> Value {
        self.eventually(&format!("no `{event}` came"), |stage| {
            stage.receiver.of(&stage.number()).into_iter().find(|moment| moment["event"] == event)
        })
    }

    /// Waits for so many webhooks of an event in this scenario.
    pub(crate) fn until_count(&mut self, event: &str, count: usize) {
        self.eventually(&format!("too few `{event}` came"), |stage| {
            let moments = stage.receiver.of(&stage.number());
            (moments.iter().filter(|moment| moment["event"] == event).count() >= count).then_some(Value::Null)
        });
    }

    /// Waits until all calls of a phone are over.
    pub(crate) fn until_over(&mut self, who: &str) {
        let late = self.phones.iter_mut().filter(|phone| phone.who == who).any(|phone| !phone.over(LIMIT));
        if late {
            self.remark(format!("{who} is still in a call"));
        }
    }

    /// FreeSWITCH's SIP address.
    pub(crate) fn sip_address(&self) -> String {
        format!("127.0.0.1:{}", self.place.sip)
    }

    /// The SIP address of an extension's phone.
    pub(crate) fn phone_address(&self, extension: &str) -> String {
        format!("127.0.0.1:{}", self.place.phone(extension))
    }

    /// Something that must not be.
    pub(crate) fn remark(&mut self, remark: String) {
        self.remarks.push(remark);
    }

    /// The stories told of this scenario's caller so far.
    pub(crate) fn stories(&self) -> Vec<Story> {
        Story::of(self.receiver.of(&self.number()))
    }

    /// Ends FreeSWITCH as an operator does, and starts it again.
    pub(crate) fn shut_down(&mut self) {
        self.switch.terminate();
        self.start_again();
    }

    /// Kills FreeSWITCH, and starts it again.
    pub(crate) fn crash(&mut self) {
        self.switch.crash();
        self.start_again();
    }

    fn start_again(&mut self) {
        self.switch = Switch::start(self.place, "ALL");
        self.starts += 1;
        self.daemon.connected(self.starts);
    }
}

impl Play {
    /// Compares what was told in the end with what was expected and with what the phones saw.
    pub(crate) fn judge(self, scenario: &Scenario, receiver: &Receiver) -> Row {
        let stories = Story::of(receiver.of(&self.number));
        let seen: Vec<String> = stories.iter().map(Story::line).collect();
        let mut differences = self.remarks;
        if seen != scenario.expected {
            differences.push("the story differs".into());
        }
        let witness = Witness::of(&self.phones, TOLERANCE);
        let mut callers: Vec<Call> =
            self.phones.iter().filter(|phone| phone.who == "caller").flat_map(Phone::calls).collect();
        callers.sort_by(|left, right| left.invited_at.total_cmp(&right.invited_at));
        for (place, story) in stories.iter().enumerate() {
            // One caller through two queues has one call, two callers have one each.
            let caller = callers.get(place).or(callers.last()).filter(|call| !scenario.crashes || call.bye.is_some());
            differences.extend(story.breaches());
            differences.extend(witness.contradictions(story, caller));
        }
        differences.extend((scenario.also)(&stories));
        Row { name: scenario.name, expected: scenario.expected, seen, differences, took: self.took }
    }
}
