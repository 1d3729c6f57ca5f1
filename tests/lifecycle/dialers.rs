//! Queues of a dialer without mod_callcenter: what its channels alone tell.

use hookswitch::freeswitch::Snapshot;
use hookswitch::lifecycle::anomaly::Anomaly;
use hookswitch::lifecycle::kept::Kept;
use hookswitch::lifecycle::{Effects, Lifecycle};
use hookswitch::moment::value::{AmdResult, CancelReason, CcResult, Outcome};
use hookswitch::moment::{EventName, Payload};

use crate::story::{Ended, Leg, SOURCES, Story, micros};

const CONVERSATION: [&str; 6] =
    ["joined", "offering agent1", "answered agent1", "bridged agent1", "processing agent1", "leaving success"];

/// A member is called and answers; then an agent, who does too; they talk, and the member hangs up.
fn conversation() -> Story {
    conversation_under(SOURCES)
}

fn conversation_under(config: &str) -> Story {
    let mut story = Story::with(config);
    let member = story.dial_member("sales", "7", &[]);
    story.progress(member);
    story.pass(1_000);
    story.pick_up(member);
    story.pass(20);
    let agent = story.dial_agent("sales", "7", "agent1");
    story.pass(1_000);
    story.pick_up(agent);
    story.pass(20);
    story.connect(member, agent);
    story.pass(5_000);
    end(&mut story, member, agent);
    story
}

/// The member hangs up, and FreeSWITCH the agent.
fn end(story: &mut Story, member: Leg, agent: Leg) {
    story.hang_up(member, "NORMAL_CLEARING", Ended::ByPhone);
    story.hang_up(agent, "NORMAL_CLEARING", Ended::ByFreeSwitch);
}

#[test]
fn a_dialers_conversation_gives_the_hooks_in_their_order() {
    let told = conversation().told();
    assert_eq!(told.hooks(), CONVERSATION);
    assert!(told.payloads.iter().all(|payload| !payload.synthetic));
    let leaving = told.leaving();
    assert_eq!(leaving.destination.as_deref(), Some("40733000001"));
    assert_eq!(leaving.member_number.as_deref(), Some("40733000001"));
    assert_eq!(leaving.call_voice_sec.map(|voice| voice.0), Some(5.0));
    assert_eq!(leaving.wait_sec.map(|wait| wait.0), Some(2.04));
}

#[test]
fn every_type_with_agents_tells_a_conversation_alike() {
    for queue_type in ["offline", "preview", "progressive", "predictive"] {
        let config = SOURCES.replace("type = \"progressive\"", &format!("type = \"{queue_type}\""));
        let told = conversation_under(&config).told();
        assert_eq!(told.hooks(), CONVERSATION, "{queue_type}");
        assert_eq!(serde_json::to_value(told.leaving().queue_type).expect("serializes"), queue_type);
    }
}

#[test]
fn every_type_with_agents_tells_of_one_who_refuses() {
    for queue_type in ["offline", "preview", "progressive", "predictive"] {
        let config = SOURCES.replace("type = \"progressive\"", &format!("type = \"{queue_type}\""));
        let mut story = Story::with(&config);
        let member = story.dial_member("sales", "7", &[]);
        story.pick_up(member);
        let agent = story.dial_agent("sales", "7", "agent1");
        story.pass(500);
        story.hang_up(agent, "CALL_REJECTED", Ended::ByPhone);
        story.pass(500);
        story.hang_up(member, "NORMAL_CLEARING", Ended::ByPhone);
        let hooks = ["joined", "offering agent1", "missed agent1 rejected", "leaving abandoned hangup"];
        assert_eq!(story.told().hooks(), hooks, "{queue_type}");
    }
}

#[test]
fn any_one_lost_event_of_a_dialers_leg_changes_no_hook() {
    for name in ["CHANNEL_CREATE", "CHANNEL_ANSWER", "CHANNEL_BRIDGE", "CHANNEL_HANGUP_COMPLETE"] {
        for occurrence in 0..if name == "CHANNEL_BRIDGE" { 1 } else { 2 } {
            let mut story = conversation();
            let lost = story.sent.iter().enumerate().filter(|(_, sent)| sent.name == name).nth(occurrence);
            let place = lost.map(|(place, _)| place).expect("there is such an event");
            story.sent.remove(place);
            let told = story.told();
            match (name, occurrence) {
                // Nothing else tells that the member has gone; a survey finds it.
                ("CHANNEL_HANGUP_COMPLETE", 0) => assert_eq!(told.hooks(), &CONVERSATION[..5]),
                // Nor that the agent has, who may talk on.
                ("CHANNEL_HANGUP_COMPLETE", _) => {
                    assert_eq!(told.hooks(), [&CONVERSATION[..4], &CONVERSATION[5..]].concat());
                }
                _ => assert_eq!(told.hooks(), CONVERSATION, "{name} {occurrence}"),
            }
        }
    }
}

#[test]
fn an_attempt_whose_end_alone_is_seen_is_told_whole_and_marked() {
    let mut story = conversation();
    story.sent.retain(|sent| sent.name == "HEARTBEAT" || sent.name == "CHANNEL_HANGUP_COMPLETE");
    let told = story.told();
    let mut hooks = told.hooks();
    hooks.retain(|hook| !hook.starts_with("offering") && !hook.starts_with("answered"));
    assert_eq!(hooks.first().map(String::as_str), Some("joined"));
    assert!(told.only(EventName::Joined).synthetic);
    assert_eq!(told.all(EventName::Leaving).len(), 1);
}

#[test]
fn a_leg_that_was_made_before_the_daemon_listened_opens_nothing() {
    let mut story = conversation();
    // The first event is the agent's answer.
    let first = story.sent.iter().rposition(|sent| sent.name == "CHANNEL_ANSWER").expect("an answer");
    story.sent.drain(..first);
    let told = story.told();
    assert_eq!(told.hooks(), Vec::<String>::new());
    assert!(told.anomalies(Anomaly::BeganBefore) > 0);
}

#[test]
fn agents_are_offered_in_turn_until_one_is_connected() {
    let mut story = Story::sources();
    let member = story.dial_member("sales", "7", &[]);
    story.pick_up(member);
    for (agent, cause, by) in [("agent1", "USER_BUSY", Ended::ByPhone), ("agent1", "NO_ANSWER", Ended::ByFreeSwitch)] {
        story.pass(100);
        let leg = story.dial_agent("sales", "7", agent);
        story.pass(2_000);
        story.hang_up(leg, cause, by);
    }
    story.pass(100);
    let agent = story.dial_agent("sales", "7", "agent2");
    story.pass(500);
    story.pick_up(agent);
    story.connect(member, agent);
    story.pass(1_000);
    end(&mut story, member, agent);
    let told = story.told();
    assert_eq!(
        told.hooks()[..5],
        ["joined", "offering agent1", "missed agent1 busy", "offering agent1", "missed agent1 no_answer"]
    );
    assert_eq!(told.outcomes(), [Outcome::Busy, Outcome::NoAnswer, Outcome::Bridged]);
}

#[test]
fn one_devices_refusal_is_not_the_end_of_the_offer() {
    let mut story = Story::sources();
    let member = story.dial_member("sales", "7", &[]);
    story.pick_up(member);
    let (desk, mobile) = (story.dial_agent("sales", "7", "agent1"), story.dial_agent("sales", "7", "agent1"));
    story.pass(500);
    story.hang_up(desk, "USER_BUSY", Ended::ByPhone);
    story.pass(500);
    story.pick_up(mobile);
    story.connect(member, mobile);
    story.pass(1_000);
    end(&mut story, member, mobile);
    let told = story.told();
    assert_eq!(told.hooks(), CONVERSATION);
    let mobile = story.uuid(mobile);
    let answered = told.only(EventName::Answered);
    assert_eq!(answered.agent_channel_id.as_ref().map(|id| id.as_str()), Some(&*mobile));
}

#[test]
fn an_agent_whose_leg_ends_unconnected_has_answered_in_vain() {
    let mut story = Story::sources();
    let member = story.dial_member("sales", "7", &[]);
    story.pick_up(member);
    let agent = story.dial_agent("sales", "7", "agent1");
    story.pass(500);
    story.pick_up(agent);
    story.pass(500);
    story.hang_up(agent, "NORMAL_CLEARING", Ended::ByPhone);
    story.pass(1_000);
    story.hang_up(member, "NORMAL_CLEARING", Ended::ByPhone);
    let told = story.told();
    assert_eq!(told.hooks(), ["joined", "offering agent1", "answered agent1", "leaving abandoned hangup"]);
    assert_eq!(told.offers(), ["agent1 failed"]);
}

#[test]
fn a_member_who_is_not_reached_cancels_with_the_code_of_his_phone() {
    for (cause, code, refused) in [
        ("UNALLOCATED_NUMBER", 404, "404"),
        ("USER_BUSY", 486, "486"),
        ("NO_USER_RESPONSE", 480, "480"),
        ("RECOVERY_ON_TIMER_EXPIRE", 408, "408"),
        ("NORMAL_TEMPORARY_FAILURE", 503, "503"),
        ("CALL_REJECTED", 603, "603"),
    ] {
        let mut story = Story::sources();
        let member = story.dial_member("sales", "7", &[]);
        story.pass(500);
        story.set(member, "sip_term_status", refused);
        story.hang_up(member, cause, Ended::ByPhone);
        let told = story.told();
        assert_eq!(told.hooks(), ["joined", "leaving cancel hangup"], "{cause}");
        assert_eq!(told.leaving().call_sip_code, Some(code), "{cause}");
    }
}

#[test]
fn a_machine_is_nobody_who_was_reached() {
    let mut story = Story::sources();
    let member = story.dial_member("sales", "7", &[]);
    story.pick_up(member);
    story.pass(600);
    story.judged(member, "MACHINE");
    story.hang_up(member, "NORMAL_CLEARING", Ended::ByFreeSwitch);
    let told = story.told();
    assert_eq!(told.hooks(), ["joined", "leaving cancel killed"]);
    assert_eq!(told.leaving().amd_result, Some(AmdResult::Machine));
}

#[test]
fn where_agents_are_called_first_the_first_leg_joins() {
    let mut story = Story::sources();
    let agent = story.dial_agent("callbacks", "7", "agent1");
    story.pass(500);
    story.pick_up(agent);
    let member = story.dial_member("callbacks", "7", &[]);
    story.pass(500);
    story.pick_up(member);
    story.connect(agent, member);
    story.pass(1_000);
    end(&mut story, member, agent);
    let told = story.told();
    assert_eq!(told.hooks(), CONVERSATION);
    let joined = told.only(EventName::Joined);
    assert_eq!((joined.member_channel_id.clone(), joined.member_number.clone()), (None, None));
    assert_eq!(told.leaving().member_number.as_deref(), Some("40733000001"));
}

#[test]
fn an_attempt_waits_for_the_next_agent_before_its_member_is_called() {
    let missed = |story: &mut Story, pause| {
        let agent = story.dial_agent("callbacks", "7", "agent1");
        story.pass(500);
        story.hang_up(agent, "USER_BUSY", Ended::ByPhone);
        story.pass(pause);
    };
    let mut soon = Story::sources();
    missed(&mut soon, 2_000);
    missed(&mut soon, 0);
    let told = soon.told();
    assert_eq!(told.all(EventName::Joined).len(), 1);
    assert_eq!(told.outcomes(), [Outcome::Busy, Outcome::Busy]);
    let mut late = Story::sources();
    missed(&mut late, 60_000);
    missed(&mut late, 0);
    let told = late.told();
    assert_eq!((told.all(EventName::Joined).len(), told.all(EventName::Leaving).len()), (2, 2));
    let [first, second] = told.all(EventName::Leaving)[..] else { panic!("two") };
    assert_ne!(first.id, second.id);
    assert_eq!(first.wait_sec.map(|wait| wait.0), Some(0.5), "it left when its agent's leg ended");
}

#[test]
fn an_agents_leg_that_comes_before_its_members_waits_for_it() {
    let mut story = Story::sources();
    let member = story.late(300, |story| story.dial_member("sales", "7", &[]));
    let agent = story.dial_agent("sales", "7", "agent1");
    story.pass(1_000);
    end(&mut story, member, agent);
    let told = story.told();
    assert_eq!(told.hooks()[..2], ["joined", "offering agent1"]);
    assert!(!told.only(EventName::Joined).synthetic);
}

#[test]
fn an_agents_leg_after_the_member_has_gone_opens_nothing() {
    let mut story = Story::sources();
    let member = story.dial_member("sales", "7", &[]);
    story.pass(500);
    story.hang_up(member, "USER_BUSY", Ended::ByPhone);
    story.pass(50);
    let agent = story.dial_agent("sales", "7", "agent1");
    story.hang_up(agent, "ORIGINATOR_CANCEL", Ended::ByFreeSwitch);
    let told = story.told();
    assert_eq!(told.hooks(), ["joined", "leaving cancel hangup"]);
    assert_eq!(told.anomalies(Anomaly::AfterLeaving), 1);
}

#[test]
fn an_ivr_is_offered_when_the_phone_rings_and_bridged_when_it_is_answered() {
    let mut story = Story::sources();
    let member = story.dial_member("survey", "7", &[]);
    story.pass(200);
    story.progress(member);
    story.progress(member);
    story.pass(1_000);
    story.pick_up(member);
    story.pass(3_000);
    story.hang_up(member, "NORMAL_CLEARING", Ended::ByFreeSwitch);
    let told = story.told();
    assert_eq!(told.hooks(), ["joined", "offering", "bridged", "leaving success"]);
    let leaving = told.leaving();
    assert_eq!(leaving.wait_sec.map(|wait| wait.0), Some(1.2));
    assert_eq!(leaving.call_voice_sec.map(|voice| voice.0), Some(3.0));
    assert!(leaving.agent_name.is_none() && leaving.offered_at.is_some());
}

#[test]
fn an_ivr_with_a_detector_is_bridged_when_a_person_is_heard() {
    for (result, hooks) in [
        ("HUMAN", &["joined", "offering", "bridged", "leaving success"][..]),
        ("NOTSURE", &["joined", "offering", "bridged", "leaving success"]),
        ("MACHINE", &["joined", "offering", "leaving cancel killed"]),
    ] {
        let mut story = Story::sources();
        let member = story.dial_member("survey", "7", &[("hookswitch_amd", "true")]);
        story.progress(member);
        story.pass(1_000);
        story.pick_up(member);
        story.pass(700);
        story.judged(member, result);
        story.pass(1_000);
        story.hang_up(member, "NORMAL_CLEARING", Ended::ByFreeSwitch);
        let told = story.told();
        assert_eq!(told.hooks(), hooks, "{result}");
        if let [bridged] = told.all(EventName::Bridged)[..] {
            assert_eq!(bridged.wait_sec.map(|wait| wait.0), Some(1.7), "not at the answer");
        }
    }
}

#[test]
fn only_a_queue_that_is_configured_so_is_followed() {
    let mut story = Story::sources();
    let unknown = story.dial_member("elsewhere", "7", &[]);
    // mod_callcenter has it.
    let carried = story.dial_member("sales", "8", &[("cc_member_uuid", "m-1")]);
    // The dialer forgot what the leg is for.
    let unfinished = story.dial_with("40733000001", &[("hookswitch_queue", "sales")]);
    story.pass(1_000);
    for leg in [unknown, carried, unfinished] {
        story.hang_up(leg, "NORMAL_CLEARING", Ended::ByPhone);
    }
    let told = story.told();
    assert_eq!(told.hooks(), Vec::<String>::new());
    assert!(told.anomalies(Anomaly::Malformed) > 0);
}

#[test]
fn a_queue_with_a_source_is_not_followed_by_mod_callcenters_events_as_well() {
    let config = SOURCES.replace("queues.sales", "queues.\"support@default\"");
    let mut story = Story::with(&config);
    let stay = story.caller();
    let ring = story.talk(&stay, "agent1");
    story.caller_ends(&stay, &ring);
    let told = story.told();
    assert_eq!(told.hooks(), Vec::<String>::new());
    assert!(told.anomalies(Anomaly::OtherSource) > 0);
}

#[test]
fn a_transfer_after_the_conversation_is_told_and_the_dialers_own_is_not() {
    let mut story = Story::sources();
    let member = story.dial_member("sales", "7", &[]);
    story.pick_up(member);
    let second = |story: &Story| story.now() / 1_000_000;
    let own = format!("{}:x:bl_xfer:4500/default/XML", second(&story));
    story.set(member, "transfer_source", own);
    story.pass(2_000);
    let agent = story.dial_agent("sales", "7", "agent1");
    story.pick_up(agent);
    story.connect(member, agent);
    story.pass(3_000);
    let transfer = format!("{}:y:bl_xfer:3001/default/XML", second(&story));
    story.set(member, "transfer_source", transfer);
    story.hang_up(agent, "BLIND_TRANSFER", Ended::ByPhone);
    story.pass(4_000);
    story.hang_up(member, "NORMAL_CLEARING", Ended::ByPhone);
    let told = story.told();
    assert_eq!(told.hooks(), CONVERSATION);
    assert_eq!(told.leaving().transferred_to.as_deref(), Some("3001"));
    assert_eq!(told.leaving().call_voice_sec.map(|voice| voice.0), Some(3.0));
}

/// What FreeSWITCH has at that time, as far as a survey of a dialer's legs asks.
fn snapshot(story: &Story, at: i64) -> Snapshot {
    let legs: Vec<_> = story.living(at).collect();
    let channel = |leg: &Leg| story.uuid(*leg).as_str().into();
    Snapshot {
        core: Some("core-1".into()),
        channels: legs.iter().map(channel).collect(),
        dumps: legs.iter().filter_map(|leg| Some((channel(leg), story.dump(*leg, at)?))).collect(),
        ..Snapshot::default()
    }
}

fn surveyed(lifecycle: &mut Lifecycle, snapshot: &Snapshot) -> Vec<Payload> {
    let mut effects = Effects::default();
    lifecycle.begin_connection();
    let open = lifecycle.open_attempts();
    lifecycle.reconcile(snapshot, &open, &mut effects);
    effects.moments.into_iter().map(|moment| moment.payload).collect()
}

fn words(payloads: &[Payload]) -> Vec<String> {
    let word = |payload: &Payload| format!("{}{}", payload.event, if payload.synthetic { "*" } else { "" });
    payloads.iter().map(word).collect()
}

#[test]
fn a_survey_takes_over_a_conversation_that_nobody_saw_begin() {
    let story = conversation();
    let talking = story.now() - 1_000_000;
    let mut lifecycle = story.lifecycle();
    let told = surveyed(&mut lifecycle, &snapshot(&story, talking));
    assert_eq!(words(&told), ["joined*", "offering*", "answered*", "bridged*"]);
    assert!(lifecycle.known().legs.is_some(), "channels are asked for");
    assert!(lifecycle.known().stays.is_empty(), "mod_callcenter is not asked for the queue's members");
    assert_eq!(told.last().and_then(|bridged| bridged.wait_sec).map(|wait| wait.0), Some(2.04));
}

#[test]
fn a_restart_finds_a_dialers_attempt_again_and_a_survey_finds_it_gone() {
    let story = conversation();
    let talking = story.now() - 1_000_000;
    let (mut lifecycle, mut effects) = (story.lifecycle(), Effects::default());
    for sent in story.sent.iter().filter(|sent| sent.happens_at <= talking) {
        lifecycle.handle_event(&sent.event, &mut effects);
    }
    let hash = *lifecycle.open_attempts().first().expect("an attempt");
    let (_, state) = lifecycle.state(hash).expect("is kept");
    let restarted = || {
        let mut lifecycle = story.lifecycle();
        lifecycle.restore(Kept::read(&state).expect("reads back"));
        lifecycle
    };
    let mut there = restarted();
    assert_eq!(words(&surveyed(&mut there, &snapshot(&story, talking))), Vec::<String>::new());
    let mut effects = Effects::default();
    for sent in story.sent.iter().filter(|sent| sent.happens_at > talking) {
        there.handle_event(&sent.event, &mut effects);
    }
    let told: Vec<_> = effects.moments.into_iter().map(|moment| moment.payload).collect();
    assert_eq!(words(&told), ["processing", "leaving"]);
    assert_eq!(told[1].cc_result, Some(CcResult::Success));

    let mut gone = restarted();
    let nothing = Snapshot { core: Some("core-1".into()), ..Snapshot::default() };
    surveyed(&mut gone, &nothing);
    let mut effects = Effects::default();
    gone.advance(micros(story.now() + 60_000_000), &mut effects);
    let leaving = effects.moments.iter().map(|moment| &moment.payload).find(|p| p.event == EventName::Leaving);
    assert_eq!(leaving.expect("is lost").cc_cancel_reason, Some(CancelReason::Lost));
}
