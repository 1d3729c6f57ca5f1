//! Many calls at once: every one must be told whole and true, and what it costs is measured.

use std::collections::BTreeMap;
use std::fs;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::daemon::Daemon;
use crate::phone::{Call, Phone};
use crate::place::{Place, free_udp_port};
use crate::receiver::Receiver;
use crate::story::{Story, text};
use crate::switch::Switch;
use crate::witness::{Witness, crossed};

/// What hookswitch itself listens to. `ALL` would have FreeSWITCH work for the recording more than for all else.
const RECORDED: &str = "CHANNEL_CREATE CHANNEL_PROGRESS CHANNEL_ANSWER CHANNEL_BRIDGE CHANNEL_UNBRIDGE \
     CHANNEL_HANGUP_COMPLETE CHANNEL_HOLD CHANNEL_UNHOLD HEARTBEAT SHUTDOWN CUSTOM callcenter::info";

/// Callers: their numbers' prefix, how many call in ten seconds, and how long each stays on the line. Together five a second.
const CALLERS: [(&str, u64, &str); 3] = [("407131", 15, "2500"), ("407132", 20, "9000"), ("407133", 15, "25000")];

/// Agents: how many, their phones' scenario or the status with which they refuse, and how long they talk at most. Together
/// twenty; a few too few for so many callers, so that some of these give up.
const AGENTS: [(usize, &str, &str); 6] = [
    (8, "agent", "3000"),
    (6, "agent", "60000"),
    (2, "agent_rings", "60000"),
    (2, "486 Busy Here", "60000"),
    (1, "480 Temporarily Unavailable", "60000"),
    (1, "603 Decline", "60000"),
];

/// How far times may be apart on a machine that has more to do than it can.
const TOLERANCE: Duration = Duration::from_secs(10);
/// How long the last calls, and the last webhooks after them, may take.
const LIMIT: Duration = Duration::from_secs(180);
/// Nothing came for so long after all calls have been told: nothing will.
const SILENCE: Duration = Duration::from_secs(5);

/// What runs. The order of the fields is that in which they end.
pub(crate) struct Load {
    agents: Vec<Phone>,
    daemon: Daemon,
    switch: Switch,
    receiver: Receiver,
}

/// What became of it.
pub(crate) struct Outcome {
    /// What must not be.
    pub(crate) differences: Vec<String>,
    counts: BTreeMap<String, usize>,
}

impl Load {
    /// Starts everything, with all agents logged in.
    pub(crate) fn begin(place: &Place) -> Self {
        let mut switch = Switch::start(place, RECORDED);
        // The log is a large part of its work, and a busy FreeSWITCH's is not that of a test.
        switch.api("fsctl loglevel warning");
        let agents = hire(place, &mut switch);
        let receiver = Receiver::start();
        let mut daemon = Daemon::start(place, &receiver);
        daemon.connected(1);
        Self { agents, daemon, switch, receiver }
    }

    /// Lets callers call for so many seconds, waits until all is told, and judges.
    pub(crate) fn play(mut self, place: &Place, seconds: u64) -> Outcome {
        let before = self.cpu_sec();
        let mut crowds = CALLERS.map(|(prefix, per_ten, stays)| {
            let (rate, count) = (per_ten.to_string(), (per_ten * seconds / 10).max(1).to_string());
            let switch = format!("127.0.0.1:{}", place.sip);
            let rate = ["-r", &rate, "-rp", "10000", "-m", &count, "-l", &count, "-recv_timeout", stays];
            Phone::start_crowd(place, prefix, &[&rate[..], &["-key", "name", "Load", "-s", "4000", &switch]].concat())
        });
        let mut differences = Vec::new();
        for crowd in &mut crowds {
            if !crowd.over(Duration::from_secs(seconds) + LIMIT) {
                differences.push(format!("callers {} are still calling", crowd.who));
            }
        }
        let calls: BTreeMap<String, Call> = crowds.iter().flat_map(numbered).collect();
        self.until_told(calls.len());
        let after = self.cpu_sec();
        self.agents.iter_mut().for_each(Phone::end);
        println!(
            "CPU: hookswitch {:.2} s, FreeSWITCH {:.2} s, 1 to {:.1}",
            after.0 - before.0,
            after.1 - before.1,
            (after.1 - before.1) / (after.0 - before.0).max(0.01),
        );
        differences.extend(self.daemon.warnings());
        let mut outcome = Outcome { differences, counts: BTreeMap::new() };
        outcome.judge(&calls, &self.receiver, &Witness::of(&self.agents, TOLERANCE));
        outcome
    }

    /// Waits until so many have left, or will not, and nothing more comes.
    fn until_told(&self, calls: usize) {
        let begun = Instant::now();
        let (mut told, mut since) = (0, Instant::now());
        while begun.elapsed() < LIMIT {
            let moments = self.receiver.all();
            let left = moments.iter().filter(|moment| moment["event"] == "leaving").count();
            if moments.len() != told {
                (told, since) = (moments.len(), Instant::now());
            }
            if left >= calls && since.elapsed() > SILENCE {
                return;
            }
            sleep(Duration::from_millis(200));
        }
    }

    /// What hookswitch and FreeSWITCH have used so far.
    fn cpu_sec(&self) -> (f64, f64) {
        (cpu_sec(self.daemon.id()), cpu_sec(self.switch.id()))
    }
}

/// Agents of `support`, who are not in the project's files. One SIPp is the phone of all agents of a kind.
fn hire(place: &Place, switch: &mut Switch) -> Vec<Phone> {
    let mut phones = Vec::new();
    let mut extension = 2000;
    for (count, scenario, talks) in AGENTS {
        let (port, more) = (free_udp_port(), ["-recv_timeout", talks]);
        phones.push(match scenario.split_once(' ') {
            Some(_) => Phone::start_refusing(place, "agents", scenario, port, &more),
            None => Phone::start(place, "agents", scenario, port, &more),
        });
        for _ in 0..count {
            let agent = format!("{extension}@default");
            switch.api(&format!("callcenter_config agent add {agent} callback"));
            for (key, value) in [
                ("contact", &*format!("[leg_timeout=3]sofia/internal/{extension}@127.0.0.1:{port}")),
                ("wrap_up_time", "1"),
                ("reject_delay_time", "1"),
                ("busy_delay_time", "1"),
                ("no_answer_delay_time", "1"),
                ("status", "Available"),
            ] {
                switch.api(&format!("callcenter_config agent set {key} {agent} {value}"));
            }
            switch.api(&format!("callcenter_config tier add support@default {agent} 1 1"));
            extension += 1;
        }
    }
    phones
}

/// A crowd's calls by their callers' numbers.
fn numbered(crowd: &Phone) -> impl Iterator<Item = (String, Call)> {
    crowd.calls().into_iter().map(|call| (format!("{}{}", crowd.who, call.ordinal()), call))
}

impl Outcome {
    fn judge(&mut self, calls: &BTreeMap<String, Call>, receiver: &Receiver, witness: &Witness) {
        let mut told = Vec::new();
        for (number, call) in calls {
            self.count("calls");
            let stories = Story::of(receiver.of(number));
            match (&stories[..], call.status) {
                ([story], Some((200, _))) => {
                    let found =
                        [story.breaches(), witness.contradictions(story, Some(call)), result(story, call, witness)];
                    self.differences.extend(found.concat().into_iter().map(|what| format!("{number}: {what}")));
                    self.count_story(story);
                    told.extend(story.offers().filter_map(|offer| {
                        offer.into_iter().find_map(|moment| Some(witness.agents_call(moment)?.id.clone()))
                    }));
                }
                (stories, status) => {
                    self.differences.push(format!("{number}: {} attempts, the phone had {status:?}", stories.len()));
                }
            }
        }
        let numbers: Vec<_> = calls.keys().map(String::as_str).collect();
        self.differences.extend(receiver.unexpected(&numbers));
        for call in witness.calls().filter(|call| !told.contains(&call.id)) {
            self.differences.push(format!("an agent was called, and no story tells of it: {call:?}"));
        }
    }

    fn count_story(&mut self, story: &Story) {
        let Some(leaving) = story.leaving() else { return };
        self.count(&text(leaving, "cc_result"));
        self.count(&format!("ended by {}", text(leaving, "hangup_side")));
        for offer in leaving["offers"].as_array().into_iter().flatten() {
            self.count("offers");
            self.count(&format!("offer {}", text(offer, "outcome")));
        }
        for moment in story.offers().flatten().filter(|moment| moment["event"] == "missed") {
            self.count(&format!("missed, {}", text(moment, "missed_reason")));
        }
    }

    fn count(&mut self, what: &str) {
        *self.counts.entry(what.to_owned()).or_default() += 1;
    }

    /// Prints how many of what there were, and what must not be.
    pub(crate) fn print(&self) {
        for (what, count) in &self.counts {
            println!("{count:6}  {what}");
        }
        for difference in &self.differences {
            println!("differs: {difference}");
        }
    }
}

/// Where the told result is not the one that the phones saw.
fn result(story: &Story, caller: &Call, witness: &Witness) -> Vec<String> {
    let Some(leaving) = story.leaving() else { return vec![] };
    let calls = story.offers().filter_map(|offer| offer.into_iter().find_map(|moment| witness.agents_call(moment)));
    let answered_at = calls.filter_map(Call::answered_at).max_by(f64::total_cmp);
    let gave_up_at = caller.hung_up_at();
    let fits = match &*text(leaving, "cc_result") {
        "success" => answered_at.is_some(),
        "abandoned" => gave_up_at.is_some() && (answered_at.is_none() || crossed(answered_at, gave_up_at)),
        _ => false,
    };
    if fits {
        return vec![];
    }
    let told = [&leaving["cc_result"], &leaving["cc_cancel_reason"]].map(Value::to_string).join(" ");
    vec![format!("{told}, but an agent answered at {answered_at:?} and the caller hung up at {gave_up_at:?}")]
}

/// The processor time that a process has used, after `/proc`: in hundredths of a second on every Linux.
fn cpu_sec(process: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // The program's name, in parentheses, may hold spaces; the times are the 12th and 13th field after it.
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11).take(2);
    fields.filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
}
