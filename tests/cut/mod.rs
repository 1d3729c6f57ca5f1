//! Recordings that are cut off, and go on with what a survey finds: each attempt ends once, under its own name.
//!
//! What the survey finds is read off the recording itself: the channels and members that its events say are there.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hookswitch::config::Config;
use hookswitch::esl::Event;
use hookswitch::freeswitch::Snapshot;
use hookswitch::freeswitch::snapshot::MemberRow;
use hookswitch::id::{AttemptHash, ChannelUuid};
use hookswitch::lifecycle::kept::Kept;
use hookswitch::lifecycle::{Effects, Lifecycle};
use hookswitch::moment::value::CancelReason;
use hookswitch::moment::{EventName, Payload};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::{configuration, events_of, is_subscribed, replay_with, truths, with_processing};

/// A recording is cut at every so many events.
const STEP: usize = 20;

/// Longer than anything waits for anything, doubts of a survey included.
const AFTERWARDS: SignedDuration = SignedDuration::from_hours(1);

fn header(event: &Event, name: &str) -> String {
    event.header(name).unwrap_or_default().into_owned()
}

fn time(event: &Event) -> Option<Timestamp> {
    Timestamp::from_microsecond(header(event, "Event-Date-Timestamp").parse().ok()?).ok()
}

/// What the events of a recording, read so far, say of what is there.
#[derive(Default)]
struct Listing<'e> {
    core: String,
    now: Option<Timestamp>,
    /// Each channel that lives, with the latest event that has its data.
    channels: BTreeMap<String, &'e Event>,
    members: BTreeMap<(String, String, String), Member>,
}

struct Member {
    joined_epoch: String,
    is_answered: bool,
}

impl<'e> Listing<'e> {
    fn of(events: &'e [Event]) -> Self {
        let mut listing = Self::default();
        events.iter().for_each(|event| listing.read(event));
        listing
    }

    fn read(&mut self, event: &'e Event) {
        let core = header(event, "Core-UUID");
        if !core.is_empty() && core != self.core {
            *self = Self { core, ..Self::default() };
        }
        self.now = time(event).max(self.now);
        let channel = header(event, "Unique-ID");
        if header(event, "Event-Name") == "CHANNEL_HANGUP_COMPLETE" {
            self.channels.remove(&channel);
            // FreeSWITCH can fail to say that a member has left.
            self.members.retain(|(_, _, session), _| *session != channel);
        } else if header(event, "Event-Name") == "CHANNEL_CREATE" || self.channels.contains_key(&channel) {
            self.channels.insert(channel.clone(), event);
        }
        let of_member = ["CC-Queue", "CC-Member-UUID", "CC-Member-Session-UUID"].map(|name| header(event, name));
        let [queue, member, session] = of_member;
        match &*header(event, "CC-Action") {
            "member-queue-start" | "member-queue-resume" => {
                let joined_epoch = self.now.map_or(0, |now| now.as_second()).to_string();
                self.members.insert((queue, member, session), Member { joined_epoch, is_answered: false });
            }
            "member-queue-end" => {
                self.members.remove(&(queue, member, session));
            }
            _ if header(event, "Event-Name") == "CHANNEL_BRIDGE" => {
                let other = header(event, "Other-Leg-Unique-ID");
                let of_call = |session: &String| *session == channel || *session == other;
                let bridged = self.members.iter_mut().filter(|((_, _, session), _)| of_call(session));
                bridged.for_each(|(_, member)| member.is_answered = true);
            }
            _ => {}
        }
    }

    fn snapshot(&self) -> Snapshot {
        let row = |((queue, uuid, session), member): (&(String, String, String), &Member)| {
            let state = if member.is_answered { "Answered" } else { "Waiting" };
            let row = json!({
                "queue": queue, "uuid": uuid, "session_uuid": session, "state": state, "joined_epoch": member.joined_epoch,
            });
            serde_json::from_value::<MemberRow>(row).expect("a row")
        };
        let channel = |uuid: &String| ChannelUuid::from(uuid.as_str());
        Snapshot {
            core: Some(self.core.as_str().into()),
            channels: self.channels.keys().map(channel).collect(),
            members: self.members.iter().map(row).collect(),
            dumps: self.channels.iter().map(|(uuid, event)| (channel(uuid), (*event).clone())).collect(),
            taken_at: self.now,
            ..Snapshot::default()
        }
    }
}

/// A daemon, and what its outbox keeps.
struct Watcher {
    config: Arc<Config>,
    lifecycle: Lifecycle,
    payloads: Vec<Payload>,
    kept: BTreeMap<AttemptHash, String>,
}

impl Watcher {
    fn new(config: &Arc<Config>) -> Self {
        let mut lifecycle = Lifecycle::new("fs1".into(), config.clone());
        lifecycle.begin_connection();
        Self { config: config.clone(), lifecycle, payloads: Vec::new(), kept: BTreeMap::new() }
    }

    fn hear(&mut self, event: &Event) {
        let mut effects = Effects::default();
        self.lifecycle.handle_event(event, &mut effects);
        self.commit(effects);
    }

    /// The connection is made anew, and what is there is compared.
    fn reconnect(&mut self, listing: &Listing<'_>) {
        let mut effects = Effects::default();
        self.lifecycle.end_connection(self.lifecycle.now());
        self.lifecycle.begin_connection();
        let open = self.lifecycle.open_attempts();
        self.lifecycle.reconcile(&listing.snapshot(), &open, &mut effects);
        self.commit(effects);
    }

    /// The daemon is started anew, beside the one that goes on.
    fn restarted(&self) -> Self {
        let mut lifecycle = Lifecycle::new("fs1".into(), self.config.clone());
        for state in self.kept.values() {
            lifecycle.restore(Kept::read(state).expect("a state reads back"));
        }
        let (config, payloads, kept) = (self.config.clone(), self.payloads.clone(), self.kept.clone());
        Self { config, lifecycle, payloads, kept }
    }

    /// The rest is heard, until the attempts that were open are over; at last nothing is left.
    fn finish(&mut self, rest: &[Event]) {
        let open = self.lifecycle.open_attempts();
        for event in rest {
            if open.iter().all(|hash| self.lifecycle.attempt(*hash).is_none()) {
                break;
            }
            self.hear(event);
        }
        let core = rest.last().map(|event| header(event, "Core-UUID")).unwrap_or_default();
        for _ in 0..2 {
            let mut effects = Effects::default();
            self.lifecycle.advance(self.lifecycle.now() + AFTERWARDS, &mut effects);
            self.commit(effects);
            self.reconnect(&Listing { core: core.clone(), ..Listing::default() });
        }
        let mut effects = Effects::default();
        self.lifecycle.advance(self.lifecycle.now() + AFTERWARDS, &mut effects);
        self.commit(effects);
    }

    fn commit(&mut self, effects: Effects) {
        for hash in &effects.changed {
            match self.lifecycle.state(*hash) {
                Some((_, state)) => self.kept.insert(*hash, state),
                None => self.kept.remove(hash),
            };
        }
        self.payloads.extend(effects.moments.into_iter().map(|moment| moment.payload));
    }

    /// What is wrong: attempts that never were, do not end once, or a moment that was told twice.
    fn faults(&self, attempts: &BTreeSet<Option<u64>>) -> Vec<String> {
        let mut faults = Vec::new();
        let ids: BTreeSet<_> = self.payloads.iter().map(|payload| payload.id).collect();
        let mut ends: BTreeMap<Option<u64>, [usize; 2]> = BTreeMap::new();
        for payload in &self.payloads {
            let [joined, left] = ends.entry(payload.attempt_id).or_default();
            *joined += usize::from(payload.event == EventName::Joined);
            *left += usize::from(payload.event == EventName::Leaving);
        }
        faults.extend((self.lifecycle.live() > 0).then(|| format!("{} attempts live on", self.lifecycle.live())));
        faults.extend((ids.len() < self.payloads.len()).then(|| "a moment was told twice".to_owned()));
        for (attempt, ends) in ends {
            faults.extend((ends != [1, 1]).then(|| format!("{attempt:?} joined and left {ends:?} times")));
            faults.extend((!attempts.contains(&attempt)).then(|| format!("{attempt:?} never was")));
        }
        faults
    }
}

/// The events of a recording to which the daemon subscribes.
fn subscribed(name: &str) -> Option<Vec<Event>> {
    let mut events = events_of(name, "sub").or_else(|| events_of(name, "plain"))?;
    events.retain(is_subscribed);
    Some(events)
}

/// Cuts a recording at every so many events. What comes then is heard by a daemon that lived on, and by one that was started
/// anew; with nothing lost in between, or `STEP` events.
fn cut(name: &str, config: &Arc<Config>, step: usize, faults: &mut Vec<String>) {
    let Some(events) = subscribed(name) else { return };
    let attempts: BTreeSet<_> = replay_with(config.clone(), &events).iter().map(|payload| payload.attempt_id).collect();
    let mut first = Watcher::new(config);
    for place in (step..events.len()).step_by(step) {
        events[place - step..place].iter().for_each(|event| first.hear(event));
        for lost in [0, STEP] {
            let goes_on_at = (place + lost).min(events.len());
            let listing = Listing::of(&events[..goes_on_at]);
            let mut lived_on = Watcher::new(config);
            events[..place].iter().for_each(|event| lived_on.hear(event));
            for (mut watcher, which) in [(first.restarted(), "started anew"), (lived_on, "lived on")] {
                watcher.reconnect(&listing);
                watcher.finish(&events[goes_on_at..]);
                let what = format!("{name} cut at {place}, {lost} events lost, daemon {which}");
                faults.extend(watcher.faults(&attempts).into_iter().map(|fault| format!("{what}: {fault}")));
            }
        }
    }
}

#[test]
fn each_attempt_of_a_recording_that_was_cut_off_ends_once() {
    let mut faults = Vec::new();
    for truth in truths() {
        // The long one in every hundredth place only: the rest is for the next test.
        let step = if truth.recording.starts_with("20h") { 100 } else { 5 };
        cut(&truth.recording, &configuration(&truth), step, &mut faults);
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
#[ignore = "takes minutes"]
fn each_attempt_of_the_long_recording_ends_once_wherever_it_was_cut_off() {
    let mut faults = Vec::new();
    cut("20h_load_5cps_8agents", &with_processing(), STEP, &mut faults);
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// A recording, and what came in the next connection.
fn with_next_connection(name: &str) -> Vec<Payload> {
    let mut watcher = Watcher::new(&with_processing());
    for part in [name.to_owned(), format!("{name}_after")] {
        watcher.lifecycle.begin_connection();
        subscribed(&part).expect("the recording is there").iter().for_each(|event| watcher.hear(event));
    }
    let mut effects = Effects::default();
    watcher.lifecycle.finish(&mut effects);
    watcher.commit(effects);
    watcher.payloads
}

fn leavings(payloads: &[Payload]) -> Vec<(Option<CancelReason>, Option<&str>)> {
    let leaving = payloads.iter().filter(|payload| payload.event == EventName::Leaving);
    leaving.map(|payload| (payload.cc_cancel_reason, payload.call_cause.as_deref())).collect()
}

#[test]
fn a_crash_loses_what_was_under_way() {
    let told = with_next_connection("15d_kill9_and_restart");
    let lost = leavings(&told).iter().filter(|(reason, _)| *reason == Some(CancelReason::Lost)).count();
    let joined = told.iter().filter(|payload| payload.event == EventName::Joined).count();
    assert_eq!(leavings(&told).len(), joined);
    assert_eq!(lost, 2, "{:?}", leavings(&told));
}

#[test]
fn a_call_that_outlives_its_connection_ends_once_with_its_own_cause() {
    let told = with_next_connection("15g_reload_event_socket");
    assert_eq!(leavings(&told), [(None, Some("NORMAL_CLEARING"))]);
}
