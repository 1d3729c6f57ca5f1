//! Queues outside mod_callcenter of which a dialplan or a script tells, by events of a subclass of ours.

use std::sync::Arc;

use hookswitch::config::Config;
use hookswitch::esl::Event;
use hookswitch::freeswitch::Snapshot;
use hookswitch::id::CoreUuid;
use hookswitch::lifecycle::anomaly::Anomaly;
use hookswitch::lifecycle::kept::Kept;
use hookswitch::lifecycle::{Effects, Lifecycle};
use hookswitch::signal::{Opening, Telling};
use jiff::{SignedDuration, Timestamp};

const CONFIG: &str = "[queues.desk]\nsource = \"api\"\nprocessing = true\nttl = \"10 min\"\n[queues.phone]\n";

/// A FreeSWITCH that tells.
struct Teller {
    lifecycle: Lifecycle,
    effects: Effects,
    sequence: u64,
    now: Timestamp,
}

impl Teller {
    fn new() -> Self {
        let config = Config::from_toml("test.toml", CONFIG).expect("good");
        let now = Timestamp::from_second(1_795_000_000).expect("in range");
        let lifecycle = Lifecycle::new("fs1".into(), Arc::new(config));
        Self { lifecycle, effects: Effects::default(), sequence: 0, now }
    }

    fn event(&mut self, headers: &[(&str, &str)]) -> Event {
        self.sequence += 1;
        self.now += SignedDuration::from_secs(1);
        let head = format!(
            "Core-UUID: core\nEvent-Sequence: {}\nEvent-Date-Timestamp: {}\n",
            self.sequence,
            self.now.as_microsecond()
        );
        let rest: String = headers.iter().map(|(name, value)| format!("{name}: {value}\n")).collect();
        Event::from_plain(format!("{head}{rest}").into_bytes().into())
    }

    fn tell(&mut self, headers: &[(&str, &str)]) {
        let custom =
            [("Event-Name", "CUSTOM"), ("Event-Subclass", "hookswitch%3A%3Asignal"), ("Hookswitch-Queue", "desk")];
        let event = self.event(&[&custom, headers].concat());
        self.lifecycle.handle_event(&event, &mut self.effects);
    }

    /// The events that were told, with their agent, result and reason.
    fn told(&mut self) -> Vec<String> {
        let moments = std::mem::take(&mut self.effects).moments;
        let words = moments.iter().map(|moment| {
            let payload = &moment.payload;
            let agent = payload.agent_name.as_ref().map(|agent| agent.to_string());
            let json = serde_json::to_value(payload).expect("plain data");
            let text = |field: &str| json[field].as_str().map(str::to_owned);
            let words = [Some(payload.event.to_string()), agent, text("cc_result"), text("cc_cancel_reason")];
            words.into_iter().flatten().collect::<Vec<_>>().join(" ")
        });
        words.collect()
    }

    fn refused(&self) -> u64 {
        self.lifecycle.anomalies().of(Anomaly::RefusedSignal)
    }
}

const CHANNEL: [(&str, &str); 4] = [
    ("Unique-ID", "c1"),
    ("Caller-Caller-ID-Number", "1001"),
    ("variable_customer", "42"),
    ("Caller-Destination-Number", "900"),
];

#[test]
fn what_a_teller_leaves_empty_is_null() {
    for empty in ["", "_undef_"] {
        let config = Config::from_toml("test.toml", CONFIG).expect("good");
        let mut lifecycle = Lifecycle::of_api(Arc::new(config));
        let mut effects = Effects::default();
        let text = || Some(empty.to_owned());
        let variables = serde_json::json!({ "topic": empty, "tags": [empty] });
        let variables = variables.as_object().expect("an object").clone();
        let opening = Opening {
            member_name: text(),
            member_number: text(),
            destination: text(),
            variables,
            ..Opening::default()
        };
        let key = "k1".parse().expect("a key");
        lifecycle.tell(&"desk".into(), &key, &Telling::Opening(opening), &mut effects).expect("is taken");
        let joined = &effects.moments.first().expect("is told").payload;
        assert_eq!((&joined.member_name, &joined.member_number, &joined.destination), (&None, &None, &None));
        let expected = serde_json::json!({ "topic": null, "tags": [empty] });
        assert_eq!(serde_json::from_str::<serde_json::Value>(joined.variables.as_json()).expect("JSON"), expected);
    }
}

#[test]
fn a_dialplan_tells_a_story_of_its_channel() {
    let mut teller = Teller::new();
    let mut tell = |step: &str, agent: &str| {
        let signal = [("Hookswitch-Signal", step), ("Hookswitch-Agent", agent)];
        teller.tell(&[&CHANNEL[..], if agent.is_empty() { &signal[..1] } else { &signal }].concat());
    };
    tell("joined", "");
    for step in ["offering", "answered", "bridged", "processing"] {
        tell(step, "anna");
    }
    tell("leaving", "");
    let first = serde_json::to_value(&teller.effects.moments[0].payload).expect("plain data");
    assert_eq!((&first["node"], &first["member_channel_id"]), (&"fs1".into(), &"c1".into()));
    assert_eq!((&first["variables"]["customer"], &first["destination"]), (&"42".into(), &"900".into()));
    assert_eq!(first["source"]["event_sequence"], 1);
    let story = ["joined", "offering anna", "answered anna", "bridged anna", "processing anna", "leaving anna success"];
    assert_eq!(teller.told(), story);
    assert_eq!((teller.lifecycle.live(), teller.refused()), (0, 0));
}

#[test]
fn what_an_event_tells_twice_happens_once_and_what_cannot_be_is_counted() {
    let mut teller = Teller::new();
    let key = ("Hookswitch-Key", "k1");
    teller.tell(&[key, ("Hookswitch-Signal", "joined")]);
    teller.tell(&[key, ("Hookswitch-Signal", "joined")]);
    let offering =
        [key, ("Hookswitch-Signal", "offering"), ("Hookswitch-Agent", "anna"), ("Hookswitch-Signal-ID", "1")];
    teller.tell(&offering);
    teller.tell(&offering);
    assert_eq!(teller.told(), ["joined", "offering anna"]);
    assert_eq!(teller.refused(), 0);
    teller.tell(&[key, ("Hookswitch-Signal", "bridged"), ("Hookswitch-Agent", "bob")]);
    teller.tell(&[("Hookswitch-Key", "k2"), ("Hookswitch-Signal", "leaving")]);
    assert_eq!((teller.told().len(), teller.refused()), (0, 2));
    teller.tell(&[("Hookswitch-Signal", "leaving")]);
    assert_eq!(teller.lifecycle.anomalies().of(Anomaly::Malformed), 1);
}

#[test]
fn a_caller_who_hangs_up_leaves_though_nobody_tells_so() {
    let mut teller = Teller::new();
    teller.tell(&[&CHANNEL[..], &[("Hookswitch-Signal", "joined")]].concat());
    let hangup = teller.event(&[
        ("Event-Name", "CHANNEL_HANGUP_COMPLETE"),
        ("Unique-ID", "c1"),
        ("Hangup-Cause", "NORMAL_CLEARING"),
        ("variable_sip_hangup_disposition", "recv_bye"),
    ]);
    teller.lifecycle.handle_event(&hangup, &mut teller.effects);
    teller.lifecycle.advance(teller.now + SignedDuration::from_secs(60), &mut teller.effects);
    assert_eq!(teller.told(), ["joined", "leaving abandoned hangup"]);
}

#[test]
fn a_survey_does_not_end_what_freeswitch_does_not_know_but_silence_and_another_process_do() {
    let mut teller = Teller::new();
    teller.tell(&[("Hookswitch-Key", "k1"), ("Hookswitch-Signal", "joined")]);
    let open = teller.lifecycle.open_attempts();
    let snapshot = Snapshot { core: Some(CoreUuid::from("core")), ..Snapshot::default() };
    teller.lifecycle.begin_gap();
    teller.lifecycle.reconcile(&snapshot, &open, &mut teller.effects);
    teller.lifecycle.advance(teller.now + SignedDuration::from_secs(9 * 60), &mut teller.effects);
    assert_eq!(teller.told(), ["joined"]);
    teller.lifecycle.advance(teller.now + SignedDuration::from_secs(11 * 60), &mut teller.effects);
    assert_eq!(teller.told(), ["leaving cancel lost"]);
    teller.now += SignedDuration::from_secs(12 * 60);
    teller.tell(&[("Hookswitch-Key", "k2"), ("Hookswitch-Signal", "joined")]);
    let snapshot = Snapshot { core: Some(CoreUuid::from("another")), ..Snapshot::default() };
    teller.lifecycle.reconcile(&snapshot, &open, &mut teller.effects);
    assert_eq!(teller.told(), ["joined", "leaving cancel lost"]);
}

#[test]
fn what_was_told_is_known_after_a_restart() {
    let mut teller = Teller::new();
    let key = ("Hookswitch-Key", "k1");
    let offering =
        [key, ("Hookswitch-Signal", "offering"), ("Hookswitch-Agent", "anna"), ("Hookswitch-Signal-ID", "1")];
    teller.tell(&[key, ("Hookswitch-Signal", "joined")]);
    teller.tell(&offering);
    let changed = teller.effects.changed.clone();
    assert_eq!(teller.told().len(), 2);
    let kept = changed.iter().filter_map(|hash| teller.lifecycle.state(*hash)).map(|(_, state)| state);
    let kept: Vec<_> = kept.map(|state| Kept::read(&state).expect("reads")).collect();
    teller.lifecycle = Teller::new().lifecycle;
    for kept in kept {
        teller.lifecycle.restore(kept);
    }
    teller.tell(&offering);
    teller.tell(&[key, ("Hookswitch-Signal", "missed"), ("Hookswitch-Agent", "anna"), ("Hookswitch-Reason", "busy")]);
    assert_eq!(teller.told(), ["missed anna"]);
}

#[test]
fn while_nobody_could_be_heard_no_time_to_live_passes() {
    let mut teller = Teller::new();
    teller.tell(&[("Hookswitch-Key", "k1"), ("Hookswitch-Signal", "joined")]);
    let minutes = SignedDuration::from_mins;
    teller.lifecycle.extend_times_to_live(minutes(60));
    teller.lifecycle.advance(teller.now + minutes(69), &mut teller.effects);
    assert_eq!(teller.told(), ["joined"]);
    // Heard of again, it is as any other.
    teller.now += minutes(69);
    teller.tell(&[("Hookswitch-Key", "k1"), ("Hookswitch-Signal", "joined")]);
    teller.lifecycle.advance(teller.now + minutes(9), &mut teller.effects);
    assert_eq!(teller.told().len(), 0);
    teller.lifecycle.advance(teller.now + minutes(11), &mut teller.effects);
    assert_eq!(teller.told(), ["leaving cancel lost"]);
}

/// What is told over HTTP is measured by this machine's clock, which can be set.
#[test]
fn a_clock_that_is_set_makes_nothing_late_and_nothing_early() {
    let minutes = SignedDuration::from_mins;
    for step in [-4_320, -60, 60, 4_320].map(minutes) {
        let config = "[queues.desk]\nsource = \"api\"\nttl = \"10 min\"\nsla = \"5 min\"\n\
                      hooks = [{ name = \"late\", event = \"sla_missed\", flow = \"late\" }]\n\
                      [flows.late]\nsteps = [{ log = { message = \"late\" } }]\n";
        let config = Config::from_toml("test.toml", config).expect("good");
        let mut lifecycle = Lifecycle::of_api(Arc::new(config));
        let mut now = Timestamp::from_second(1_795_000_000).expect("in range");
        let told = |effects: &mut Effects| {
            let moments = std::mem::take(effects).moments;
            moments.iter().map(|moment| moment.payload.event.to_string()).collect::<Vec<_>>()
        };
        let (mut effects, queue) = (Effects::default(), "desk".into());
        let key = |key: &str| key.parse().expect("a key");
        let opening = Telling::Opening(Opening::default());
        lifecycle.advance(now, &mut effects);
        lifecycle.tell(&queue, &key("k1"), &opening, &mut effects).expect("is taken");
        assert_eq!(told(&mut effects), ["joined"]);
        lifecycle.follow_clock(step);
        now += step;
        lifecycle.advance(now + minutes(4), &mut effects);
        assert_eq!(told(&mut effects), [""; 0], "set by {step}");
        lifecycle.advance(now + minutes(6), &mut effects);
        assert_eq!(told(&mut effects), ["sla_missed"], "set by {step}");
        lifecycle.advance(now + minutes(9), &mut effects);
        assert_eq!(told(&mut effects), [""; 0], "set by {step}");
        lifecycle.advance(now + minutes(11), &mut effects);
        assert_eq!(told(&mut effects), ["leaving"], "set by {step}");
        // It is remembered that it was.
        lifecycle.follow_clock(step);
        lifecycle.advance(now + minutes(11) + step, &mut effects);
        lifecycle.tell(&queue, &key("k2"), &opening, &mut effects).expect("is taken");
        let again = lifecycle.tell(&queue, &key("k1"), &opening, &mut effects).expect("is known");
        assert!(again.is_repeated, "set by {step}");
    }
}
