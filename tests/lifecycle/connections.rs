//! Around a connection: members who joined a moment before it. mod_callcenter tells of a member before it lists it, so that
//! neither the events to come nor the first survey tell of their start.

use hookswitch::freeswitch::Snapshot;
use hookswitch::lifecycle::anomaly::Anomaly;
use hookswitch::lifecycle::survey::Differences;
use hookswitch::lifecycle::{Effects, Lifecycle};
use hookswitch::moment::value::{CancelReason, CcResult};
use hookswitch::moment::{EventName, Payload};
use jiff::SignedDuration;

use crate::story::{Ended, Leg, Ring, SOURCES, Stay, Story, micros, snapshot};

const CONVERSATION: [&str; 6] =
    ["joined", "offering agent1", "answered agent1", "bridged agent1", "processing agent1", "leaving success"];

/// A daemon that has just been connected to the node of a story.
struct Daemon {
    lifecycle: Lifecycle,
    effects: Effects,
}

impl Daemon {
    /// It is connected, and its first survey has found nobody.
    fn connect(story: &mut Story) -> Self {
        let mut daemon = Self { lifecycle: story.lifecycle(), effects: Effects::default() };
        daemon.lifecycle.begin_connection();
        story.sent.clear();
        story.heartbeat();
        daemon.hear(story);
        daemon.survey(&listing(story, &[], &[]));
        daemon
    }

    /// All that was sent until now arrives.
    fn hear(&mut self, story: &mut Story) {
        story.play(&mut self.lifecycle, &mut self.effects);
        story.sent.clear();
    }

    fn survey(&mut self, found: &Snapshot) -> Differences {
        let open = self.lifecycle.begin_survey();
        self.lifecycle.reconcile(found, &open, &mut self.effects)
    }

    fn rest(&mut self) {
        let now = self.lifecycle.now() + SignedDuration::from_hours(1);
        self.lifecycle.advance(now, &mut self.effects);
    }

    fn told(&self) -> Vec<&Payload> {
        self.effects.moments.iter().map(|moment| &moment.payload).collect()
    }

    /// The hooks in words, of which only those of the names in `synthetic` may be made up.
    fn hooks(&self, synthetic: &[EventName]) -> Vec<String> {
        for payload in self.told() {
            assert_eq!(payload.synthetic, synthetic.contains(&payload.event), "{payload:?}");
        }
        self.words()
    }

    fn words(&self) -> Vec<String> {
        let told = self.told().into_iter().map(|payload| {
            let agent = payload.agent_name.as_ref().filter(|_| payload.event.is_of_offer()).map(ToString::to_string);
            let result = payload.cc_result.map(|result| format!("{result:?}").to_lowercase());
            let words = [Some(payload.event.to_string()), agent, result];
            words.into_iter().flatten().collect::<Vec<_>>().join(" ")
        });
        told.collect()
    }
}

/// What a survey finds: these members, of whom those in `answered` are connected.
fn listing(story: &Story, waiting: &[&Stay], answered: &[&Stay]) -> Snapshot {
    let all = [waiting, answered].concat();
    let mut found = snapshot(story, &all);
    found.taken_at = Some(micros(story.now()));
    for (row, stay) in found.members.iter_mut().zip(&all) {
        row.joined_epoch = (stay.joined_at / 1_000_000).to_string().into();
        if answered.iter().any(|other| other.leg == stay.leg) {
            row.state = "Answered".to_owned();
        }
        let dump = story.dump(stay.leg, story.now()).expect("it is up");
        found.dumps.insert(story.uuid(stay.leg).as_str().into(), dump);
    }
    found
}

/// A caller who joined 40 ms before the connection.
fn late_to_be_listed() -> (Story, Stay, Daemon) {
    let mut story = Story::new();
    let stay = story.lost(|story| {
        let stay = story.caller();
        story.pass(40);
        stay
    });
    let daemon = Daemon::connect(&mut story);
    (story, stay, daemon)
}

fn ends(story: &mut Story, stay: &Stay, ring: &Ring, daemon: &mut Daemon) {
    story.pass(4_000);
    story.caller_ends(stay, ring);
    daemon.hear(story);
    daemon.rest();
}

#[test]
fn who_joined_just_before_the_connection_is_told_by_the_second_survey() {
    let (mut story, stay, mut daemon) = late_to_be_listed();
    story.pass(1_500);
    assert!(!daemon.lifecycle.wants_survey(), "nothing was heard of the member");
    assert_eq!(daemon.survey(&listing(&story, &[&stay], &[])).new, 1);
    assert_eq!(daemon.survey(&listing(&story, &[&stay], &[])).new, 0);
    let ring = story.talk(&stay, "agent1");
    ends(&mut story, &stay, &ring, &mut daemon);
    assert_eq!(daemon.hooks(&[EventName::Joined]), CONVERSATION);
    let told = daemon.told();
    let joined_at = told[0].joined_at.expect("has joined").0;
    assert!(micros(stay.joined_at).duration_since(joined_at).unsigned_abs().as_millis() < 1_000);
    assert_eq!(told.iter().map(|payload| payload.sequence).collect::<Vec<_>>(), (1..=6).map(Some).collect::<Vec<_>>());
}

#[test]
fn an_event_about_an_unknown_member_asks_for_a_survey_and_waits_for_it() {
    for answers_after in [100, 1_900, 2_500, 9_000] {
        let (mut story, stay, mut daemon) = late_to_be_listed();
        story.pass(100);
        let ring = story.offer(&stay, "agent1");
        daemon.hear(&mut story);
        assert!(daemon.lifecycle.wants_survey());
        let open = daemon.lifecycle.begin_survey();
        story.pass(answers_after);
        story.heartbeat();
        daemon.hear(&mut story);
        assert!(daemon.told().is_empty());
        daemon.lifecycle.reconcile(&listing(&story, &[&stay], &[]), &open, &mut daemon.effects);
        assert_eq!(daemon.words(), ["joined", "offering agent1"], "{answers_after}");
        story.answer(&stay, &ring);
        ends(&mut story, &stay, &ring, &mut daemon);
        assert_eq!(daemon.hooks(&[EventName::Joined]), CONVERSATION, "{answers_after}");
        assert!(!daemon.lifecycle.wants_survey());
    }
}

#[test]
fn who_is_connected_before_the_second_survey_is_told_in_order_with_the_events_own_times() {
    for is_listed_as_answered in [true, false] {
        let (mut story, stay, mut daemon) = late_to_be_listed();
        story.pass(100);
        let ring = story.offer(&stay, "agent1");
        story.pass(200);
        story.answer(&stay, &ring);
        let bridged_at = micros(story.now());
        story.pass(100);
        daemon.hear(&mut story);
        let found = match is_listed_as_answered {
            true => listing(&story, &[], &[&stay]),
            false => listing(&story, &[&stay], &[]),
        };
        daemon.survey(&found);
        assert_eq!(daemon.told().last().and_then(|told| told.bridged_at).map(|at| at.0), Some(bridged_at));
        ends(&mut story, &stay, &ring, &mut daemon);
        assert_eq!(daemon.hooks(&[EventName::Joined]), CONVERSATION);
    }
}

#[test]
fn who_hangs_up_before_the_second_survey_is_told() {
    for is_surveyed in [true, false] {
        let (mut story, stay, mut daemon) = late_to_be_listed();
        story.pass(100);
        let ring = story.offer(&stay, "agent1");
        story.pass(200);
        story.give_up(&stay);
        story.miss(&stay, &ring, "ORIGINATOR_CANCEL", Ended::ByFreeSwitch);
        let left_at = micros(story.now());
        daemon.hear(&mut story);
        story.pass(300);
        if is_surveyed {
            daemon.survey(&listing(&story, &[], &[]));
        }
        daemon.rest();
        assert_eq!(
            daemon.hooks(&[EventName::Joined]),
            ["joined", "offering agent1", "missed agent1", "leaving abandoned"]
        );
        let leaving = daemon.told()[3];
        assert_eq!(
            (leaving.cc_cancel_reason, leaving.left_at.map(|at| at.0)),
            (Some(CancelReason::Hangup), Some(left_at))
        );
        assert_eq!(leaving.call_cause.as_deref(), Some("NORMAL_CLEARING"));
        assert_eq!(daemon.lifecycle.live(), 0);
    }
}

#[test]
fn a_whole_conversation_before_the_second_survey_is_told() {
    let (mut story, stay, mut daemon) = late_to_be_listed();
    story.pass(100);
    let ring = story.offer(&stay, "agent1");
    story.pass(200);
    story.answer(&stay, &ring);
    story.pass(100);
    story.caller_ends(&stay, &ring);
    daemon.hear(&mut story);
    daemon.survey(&listing(&story, &[], &[]));
    daemon.rest();
    assert_eq!(daemon.hooks(&[EventName::Joined]), CONVERSATION);
    let leaving = daemon.told()[5];
    assert_eq!(leaving.call_voice_sec.map(|voice| voice.0), Some(0.1));
}

#[test]
fn several_members_in_two_queues_are_each_told_once_and_in_order() {
    let mut story = Story::new();
    let stays = story.lost(|story| {
        let stays = ["support@default", "sales@default", "support@default"].map(|queue| {
            let leg = story.call("40712345001", "2001");
            story.join(leg, queue)
        });
        story.pass(5);
        stays
    });
    let mut daemon = Daemon::connect(&mut story);
    story.pass(50);
    let rings = [0, 1].map(|place| story.offer(&stays[place], &format!("agent{place}")));
    daemon.hear(&mut story);
    // The first is listed by now, the others are not.
    daemon.survey(&listing(&story, &[&stays[0]], &[]));
    assert_eq!(daemon.words(), ["joined", "offering agent0"]);
    assert!(daemon.lifecycle.wants_survey(), "the second was not found");
    story.pass(500);
    daemon.survey(&listing(&story, &[&stays[0], &stays[1], &stays[2]], &[]));
    for (stay, ring) in stays.iter().zip(&rings) {
        story.answer(stay, ring);
    }
    story.pass(1_000);
    for (stay, ring) in stays.iter().zip(&rings) {
        story.caller_ends(stay, ring);
    }
    story.give_up(&stays[2]);
    daemon.hear(&mut story);
    daemon.rest();
    daemon.hooks(&[EventName::Joined]);
    for (place, stay) in stays.iter().enumerate() {
        let session = story.uuid(stay.leg);
        let told: Vec<_> = daemon
            .told()
            .into_iter()
            .filter(|told| told.member_channel_id.as_ref().is_some_and(|id| id.as_str() == session))
            .collect();
        let numbers: Vec<_> = told.iter().filter_map(|told| told.sequence).collect();
        assert_eq!(numbers, (1..=told.len() as u32).collect::<Vec<_>>());
        assert_eq!(told.len(), if place < 2 { 6 } else { 2 });
        assert_eq!(told[0].queue_name.as_ref().map(|name| name.as_str()), Some(stay.queue.as_str()));
        let result = if place < 2 { CcResult::Success } else { CcResult::Abandoned };
        assert_eq!(told[told.len() - 1].cc_result, Some(result));
    }
}

#[test]
fn where_nobody_surveys_an_event_of_an_earlier_attempt_gives_nothing() {
    let mut story = Story::new();
    let stay = story.caller();
    story.pass(1_000);
    story.sent.clear();
    story.heartbeat();
    story.pass(2_000);
    story.give_up(&stay);
    let told = story.told();
    assert!(told.hooks().is_empty(), "{:?}", told.hooks());
    assert!(told.anomalies(Anomaly::BeganBefore) > 0);
}

#[test]
fn a_member_whom_no_survey_finds_is_sought_twice_and_no_more() {
    let (mut story, stay, mut daemon) = late_to_be_listed();
    let mut surveys = 0;
    for _ in 0..10 {
        story.pass(5_000);
        story.offering(&stay, "agent1");
        daemon.hear(&mut story);
        if daemon.lifecycle.wants_survey() {
            daemon.survey(&listing(&story, &[], &[]));
            surveys += 1;
        }
    }
    daemon.rest();
    assert_eq!((surveys, daemon.told().len()), (2, 0));
    assert_eq!(daemon.lifecycle.next_deadline(), None);
}

#[test]
fn a_survey_that_is_never_answered_keeps_nothing_for_ever() {
    let (mut story, stay, mut daemon) = late_to_be_listed();
    story.pass(100);
    story.offer(&stay, "agent1");
    daemon.hear(&mut story);
    daemon.lifecycle.begin_survey();
    daemon.rest();
    assert_eq!((daemon.told().len(), daemon.lifecycle.next_deadline()), (0, None));
}

#[test]
fn who_is_to_be_left_alone_at_the_start_is() {
    let mut story = Story::with("[daemon]\nwaiting_at_start = \"ignore\"\n");
    let stay = story.lost(|story| {
        let stay = story.caller();
        story.pass(40);
        stay
    });
    let mut daemon = Daemon::connect(&mut story);
    story.pass(100);
    story.offer(&stay, "agent1");
    daemon.hear(&mut story);
    daemon.survey(&listing(&story, &[&stay], &[]));
    story.give_up(&stay);
    daemon.hear(&mut story);
    daemon.rest();
    assert!(daemon.told().is_empty(), "{:?}", daemon.words());
}

#[test]
fn a_member_who_came_back_while_nobody_listened_is_told_although_the_stay_before_is_over() {
    let mut story = Story::new();
    let mut daemon = Daemon::connect(&mut story);
    let first = story.caller();
    story.pass(3_000);
    story.leave(&first, Some("EXIT_WITH_KEY"));
    daemon.hear(&mut story);
    daemon.rest();
    story.pass(5_000);
    let again = story.lost(|story| story.resume(first.leg, &first));
    let mut found = listing(&story, &[&again], &[]);
    found.members[0].joined_epoch = (first.joined_at / 1_000_000).to_string().into();
    daemon.survey(&found);
    assert_eq!(daemon.words(), ["joined", "leaving cancel"], "the list still shows the stay that is over");
    found.members[0].rejoined_epoch = (again.joined_at / 1_000_000).to_string().into();
    daemon.survey(&found);
    assert_eq!(daemon.words(), ["joined", "leaving cancel", "joined"]);
}

#[test]
fn a_dialers_call_that_was_made_just_before_the_connection_is_told() {
    let mut story = Story::with(SOURCES);
    let member = story.lost(|story| {
        let member = story.dial_member("sales", "7", &[]);
        story.pass(40);
        member
    });
    let mut daemon = Daemon::connect(&mut story);
    story.pass(200);
    story.pick_up(member);
    story.pass(20);
    let agent = story.dial_agent("sales", "7", "agent1");
    daemon.hear(&mut story);
    assert!(daemon.lifecycle.wants_survey());
    let legs: [Leg; 2] = [member, agent];
    let mut found = listing(&story, &[], &[]);
    for leg in legs {
        let uuid = story.uuid(leg);
        found.channels.insert(uuid.as_str().into());
        found.dumps.insert(uuid.as_str().into(), story.dump(leg, story.now()).expect("it is up"));
    }
    daemon.survey(&found);
    story.pass(1_000);
    story.pick_up(agent);
    story.connect(member, agent);
    story.pass(5_000);
    story.hang_up(member, "NORMAL_CLEARING", Ended::ByPhone);
    story.hang_up(agent, "NORMAL_CLEARING", Ended::ByFreeSwitch);
    daemon.hear(&mut story);
    daemon.rest();
    assert_eq!(daemon.words(), CONVERSATION);
    assert!(daemon.told()[0].synthetic);
}

#[test]
fn a_caller_who_waits_in_a_fifo_when_the_daemon_comes_is_told() {
    for takes_before_the_survey in [true, false] {
        let mut story = Story::with(SOURCES);
        let entered_at = story.now();
        let caller = story.lost(|story| {
            let caller = story.call("40712345001", "6101");
            story.pick_up(caller);
            story.fifo("push", caller, &[]);
            story.set(caller, "current_application", "fifo");
            story.set(caller, "current_application_data", "desk in undef local_stream://moh");
            story.set(caller, "fifo_status", "WAITING");
            story.pass(3_000);
            // Its channel tells of it.
            story.hold(caller);
            caller
        });
        let uuid = story.uuid(caller);
        let mut found = listing(&story, &[], &[]);
        found.channels.insert(uuid.as_str().into());
        found.dumps.insert(uuid.as_str().into(), story.dump(caller, story.now()).expect("it is up"));
        let mut daemon = Daemon::connect(&mut story);
        assert!(daemon.lifecycle.known().marks.contains(&"fifo_push_timestamp"));
        let take = |story: &mut Story, daemon: &mut Daemon| {
            story.pass(1_000);
            let consumer = story.call("2901", "6103");
            story.pick_up(consumer);
            story.fifo("consumer_pop", consumer, &[("FIFO-Caller-UUID", &uuid)]);
            story.connect(consumer, caller);
            daemon.hear(story);
            consumer
        };
        let taken = takes_before_the_survey.then(|| take(&mut story, &mut daemon));
        assert_eq!((daemon.words().len(), daemon.lifecycle.wants_survey()), (0, takes_before_the_survey));
        daemon.survey(&found);
        daemon.survey(&found);
        let consumer = taken.unwrap_or_else(|| take(&mut story, &mut daemon));
        story.pass(4_000);
        story.hang_up(caller, "NORMAL_CLEARING", Ended::ByPhone);
        story.fifo("bridge-consumer-stop", consumer, &[]);
        story.fifo("bridge-caller-stop", caller, &[]);
        daemon.hear(&mut story);
        daemon.rest();
        let expected = CONVERSATION.map(|words| words.replace("agent1", "2901"));
        assert_eq!(daemon.words(), expected);
        let told = daemon.told();
        assert!(told[0].synthetic && told[1..].iter().all(|told| !told.synthetic));
        assert_eq!(told[0].joined_at.map(|at| at.0), Some(micros(entered_at)));
    }
}
