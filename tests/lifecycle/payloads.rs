//! The payload's fields, and where their values come from.

use hookswitch::freeswitch::Snapshot;
use hookswitch::freeswitch::snapshot::{AgentRow, DirectoryRow, TierRow};
use hookswitch::lifecycle::Effects;
use hookswitch::moment::EventName;
use hookswitch::moment::value::AmdResult;
use jiff::SignedDuration;
use serde_json::json;

use crate::story::{Ended, Story};

#[test]
fn the_destination_is_the_number_called_at_first() {
    let mut story = Story::new();
    let leg = story.call("40712345001", "5000");
    let stay = story.join(leg, "support@default");
    story.give_up(&stay);
    assert_eq!(story.told().leaving().destination.as_deref(), Some("5000"));
}

#[test]
fn the_destination_of_a_call_whose_beginning_was_lost_is_read_off_the_channel() {
    for (variables, expected) in [
        (&[("sip_req_user", "1"), ("sip_to_user", "2")][..], "1"),
        (&[("sip_to_user", "2")][..], "2"),
        (&[][..], "5000"),
    ] {
        let mut story = Story::new();
        let leg = story.lost(|story| story.call("40712345001", "5000"));
        for (name, value) in variables {
            story.set(leg, name, value);
        }
        story.join(leg, "support@default");
        assert_eq!(story.told().only(EventName::Joined).destination.as_deref(), Some(expected));
    }
}

#[test]
fn an_outbound_member_is_the_one_who_was_called() {
    let mut story = Story::new();
    let leg = story.dial("2001", "40712345001");
    story.join(leg, "support@default");
    assert_eq!(story.told().only(EventName::Joined).destination.as_deref(), Some("40712345001"));
}

#[test]
fn the_agents_numbers_come_from_the_directory_then_the_leg_then_the_name() {
    let directory = "[agents.\"1000@default\"]\nid = 1\nuser_id = 2\nextension = \"77\"\n";
    let leg: &[_] = &[("cc_agent_id", "17"), ("cc_user_id", "4")];
    for (config, agent, variables, expected) in [
        (directory, "1000@default", leg, (Some(1), Some(2), Some("77"))),
        ("", "1000@default", leg, (Some(17), Some(4), Some("1017"))),
        ("", "1000@default", &[][..], (Some(1000), None, Some("1017"))),
        ("", "smith@default", &[][..], (None, None, Some("1017"))),
        ("", "smith@default", &[("cc_agent_id", "x")][..], (None, None, Some("1017"))),
    ] {
        let mut story = Story::with(config);
        let stay = story.caller();
        story.offering(&stay, agent);
        story.ring_at(&stay, agent, "1017", variables);
        let told = story.told();
        let offering = told.only(EventName::Offering);
        let numbers = (offering.agent_id, offering.user_id, offering.agent_extension.as_deref());
        assert_eq!(numbers, expected, "{config:?} {agent} {variables:?}");
    }
}

#[test]
fn who_an_agent_is_can_be_read_off_the_leg_the_name_and_freeswitchs_directory() {
    let config = "[agents.\"*\"]\nid = { variable = \"crm_id\" }\nextension = { directory = \"extension\" }\n\
                  [agents.\"agent-*\"]\nuser_id = \"*\"\n[agents.\"*@default\"]\nid = { directory = \"crm id\" }\n";
    let config = config.replace("crm id", "crm_id");
    let uuid = "10203040-5060-4708-8090-100200300400";
    for (agent, crm_id, expected) in [
        ("agent-17", Some("4711"), (Some(4711), Some(17), Some("1017"))),
        ("agent-x", Some("x"), (None, None, Some("1017"))),
        ("agent-x", None, (None, None, Some("1017"))),
        ("1000", None, (Some(1000), None, Some("1017"))),
        ("smith@default", Some("4711"), (Some(815), None, Some("6001"))),
        ("jones@default", Some("4711"), (None, None, Some("1017"))),
        (uuid, None, (None, None, Some("1017"))),
    ] {
        let mut story = Story::with(&config);
        let (mut lifecycle, mut effects) = (story.lifecycle(), Effects::default());
        let row = |agent: &str, values: &[(&str, &str)]| DirectoryRow {
            agent: agent.to_owned(),
            values: values.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        };
        let snapshot = Snapshot {
            core: Some("core-1".into()),
            directory: vec![
                row("smith@default", &[("crm_id", "815"), ("extension", "6001")]),
                row("jones@default", &[("crm_id", "none")]),
            ],
            ..Snapshot::default()
        };
        lifecycle.reconcile(&snapshot, &lifecycle.open_attempts(), &mut effects);
        let stay = story.caller();
        story.offering(&stay, agent);
        let variables: Vec<_> = crm_id.map(|id| ("crm_id", id)).into_iter().collect();
        story.ring_at(&stay, agent, "1017", &variables);
        story.play(&mut lifecycle, &mut effects);
        let offering = effects.moments.iter().find(|moment| moment.payload.event == EventName::Offering);
        let offering = &offering.expect("is offered").payload;
        let numbers = (offering.agent_id, offering.user_id, offering.agent_extension.as_deref());
        assert_eq!(numbers, expected, "{agent} {crm_id:?}");
    }
}

#[test]
fn an_agent_who_is_seen_and_not_known_is_asked_for_once() {
    let mut story = Story::with("[agents.\"*@default\"]\nid = { directory = \"crm_id\" }\n");
    let (mut lifecycle, mut effects) = (story.lifecycle(), Effects::default());
    let stay = story.caller();
    story.offer(&stay, "agent1");
    story.play(&mut lifecycle, &mut effects);
    assert!(!lifecycle.wants_survey(), "nothing is read of that one");
    story.sent.clear();
    story.offer(&stay, "smith@default");
    story.play(&mut lifecycle, &mut effects);
    assert!(lifecycle.wants_survey());
    let questions = lifecycle.known().directory.expect("the directory is configured");
    assert_eq!(questions.sighted.iter().map(|agent| agent.as_str()).collect::<Vec<_>>(), ["smith@default"]);
    // It has no such user.
    let row = DirectoryRow { agent: "smith@default".to_owned(), ..DirectoryRow::default() };
    let found = Snapshot { core: Some("core-1".into()), directory: vec![row], ..Snapshot::default() };
    lifecycle.reconcile(&found, &lifecycle.open_attempts(), &mut effects);
    assert!(!lifecycle.wants_survey());
    assert!(lifecycle.known().directory.is_some_and(|questions| questions.known.contains("smith@default")));
    lifecycle.advance(lifecycle.now() + SignedDuration::from_hours(2), &mut effects);
    assert!(lifecycle.known().directory.is_some_and(|questions| questions.known.is_empty()), "it is read anew");
}

#[test]
fn an_unreached_agents_extension_is_its_numeric_name() {
    let mut story = Story::new();
    let stay = story.caller();
    story.offering(&stay, "1000@default");
    story.fail(&stay, "1000@default", "USER_NOT_REGISTERED");
    let told = story.told();
    let missed = told.only(EventName::Missed);
    assert_eq!((missed.agent_id, missed.agent_extension.as_deref()), (Some(1000), Some("1000")));
}

#[test]
fn a_machine_is_told_however_it_is_spelled() {
    for (name, value, expected) in [
        ("amd_result", "HUMAN", Some(AmdResult::Human)),
        ("amd_result", "human", Some(AmdResult::Human)),
        ("amd_result", "MACHINE", Some(AmdResult::Machine)),
        ("amd_result", "Machine", Some(AmdResult::Machine)),
        ("amd_result", "MACHINE-END", Some(AmdResult::Machine)),
        ("amd_result", "NOTSURE", None),
        ("avmd_detect", "TRUE", Some(AmdResult::Machine)),
        ("avmd_detect", "FALSE", None),
    ] {
        let mut story = Story::new();
        let leg = story.dial("2001", "40712345001");
        story.set(leg, name, value);
        let stay = story.join(leg, "support@default");
        story.give_up(&stay);
        let told = story.told();
        assert_eq!(told.leaving().amd_result, expected, "{name}={value}");
        let variables: serde_json::Value = serde_json::from_str(told.leaving().variables.as_json()).expect("JSON");
        assert_eq!(variables[name], value, "what it said exactly is kept");
    }
}

#[test]
fn variables_are_those_of_dialplan_dialer_and_queue_as_they_are_now() {
    let config =
        "[queues.\"*\"]\nvariables = { crm = \"acme\", level = 2 }\ninclude = [\"sip_h_*\"]\nexclude = [\"pin\"]\n";
    let mut story = Story::with(config);
    let leg = story.call("40712345001", "2001");
    for (name, value) in [
        ("customer", "C-1"),
        ("crm", "other"),
        ("pin", "1234"),
        ("sip_h_X-Ticket", "7"),
        ("sip_call_id", "x"),
        ("rtp_use_codec", "PCMA"),
        ("local_media_ip", "192.0.2.1"),
        ("cc_record_filename", "/r.wav"),
        ("skills", "ARRAY::de|:en"),
        ("note", "50% + ünïcode"),
    ] {
        story.set(leg, name, value);
    }
    let stay = story.join(leg, "support@default");
    story.pass(1_000);
    story.set(leg, "mood", "bad");
    story.give_up(&stay);
    let told = story.told();
    let of = |event| serde_json::from_str::<serde_json::Value>(told.only(event).variables.as_json()).expect("JSON");
    let mut expected = json!({
        "customer": "C-1", "crm": "other", "level": 2, "sip_h_X-Ticket": "7", "cc_record_filename": "/r.wav",
        "skills": ["de", "en"], "note": "50% + ünïcode",
    });
    assert_eq!(of(EventName::Joined), expected);
    expected["mood"] = "bad".into();
    assert_eq!(of(EventName::Leaving), expected);
}

#[test]
fn what_mod_callcenter_writes_on_the_members_channel_is_no_variable_of_the_operators() {
    let mut story = Story::new();
    let leg = story.call("40712345001", "2001");
    for name in ["cc_last_originated_call", "cc_last_agent_tier_position", "cc_last_agent_tier_level"] {
        story.set(leg, name, "1");
    }
    story.join(leg, "support@default");
    assert_eq!(story.told().only(EventName::Joined).variables.as_json(), "{}");
}

#[test]
fn a_flood_of_variables_is_cut_and_marked() {
    let mut story = Story::new();
    let leg = story.call("40712345001", "2001");
    story.set(leg, "flood", "x".repeat(100_000));
    story.join(leg, "support@default");
    let told = story.told();
    assert_eq!(told.only(EventName::Joined).variables.as_json(), r#"{"hookswitch_variables_cut":1}"#);
}

#[test]
fn durations_come_from_the_events() {
    let mut story = Story::new();
    let leg = story.call("40712345001", "2001");
    story.pass(1_500);
    let stay = story.join(leg, "support@default");
    story.pass(2_500);
    let ring = story.offer(&stay, "agent1");
    story.pass(3_000);
    story.answer(&stay, &ring);
    story.pass(4_000);
    story.hang_up(leg, "NORMAL_CLEARING", Ended::ByPhone);
    story.hang_up(ring.leg, "NORMAL_CLEARING", Ended::ByFreeSwitch);
    story.pass(100);
    story.bridge_end(&stay, &ring, true);
    story.pass(400);
    story.late(600, |story| story.leave(&stay, None));
    let told = story.told();
    let seconds = |event| {
        let payload = told.only(event);
        let of = |seconds: Option<hookswitch::moment::value::Seconds>| seconds.map(|s| s.0);
        (
            of(payload.wait_sec).unwrap_or_default(),
            of(payload.call_duration),
            of(payload.call_bill_sec),
            of(payload.call_voice_sec),
        )
    };
    assert_eq!(seconds(EventName::Joined), (0.0, None, None, None));
    assert_eq!(seconds(EventName::Offering), (2.5, Some(4.0), Some(2.5), None));
    assert_eq!(seconds(EventName::Answered), (5.5, Some(7.0), Some(5.5), None));
    assert_eq!(seconds(EventName::Bridged), (5.52, Some(7.02), Some(5.52), Some(0.0)));
    assert_eq!(seconds(EventName::Processing), (5.52, Some(11.02), Some(9.52), Some(4.0)));
    assert_eq!(seconds(EventName::Leaving), (5.52, Some(11.02), Some(9.52), Some(4.0)));
}

#[test]
fn an_answered_call_has_the_sip_code_200_whatever_ended_it() {
    let mut story = Story::new();
    let stay = story.caller();
    story.set(stay.leg, "sip_term_status", "487");
    story.give_up(&stay);
    let told = story.told();
    assert_eq!((told.leaving().call_sip_code, told.leaving().call_cause_sip_code), (Some(200), Some(480)));
}

#[test]
fn a_leaving_without_a_conversation_names_no_agent() {
    let mut story = Story::new();
    let stay = story.caller();
    let ring = story.offer(&stay, "agent1");
    story.pass(1_000);
    story.miss(&stay, &ring, "USER_BUSY", Ended::ByPhone);
    story.give_up(&stay);
    let told = story.told();
    let leaving = told.leaving();
    assert_eq!((&leaving.agent_name, &leaving.agent_channel_id), (&None, &None));
    assert!(leaving.offered_at.is_some());
}

fn wrap_up(seconds: &str) -> Snapshot {
    Snapshot {
        core: Some("core-1".into()),
        agents: vec![AgentRow { name: "agent1".into(), wrap_up_time: seconds.into(), ..AgentRow::default() }],
        tiers: vec![TierRow { queue: "support@default".into(), agent: "agent1".into() }],
        ..Snapshot::default()
    }
}

#[test]
fn post_processing_is_read_off_the_wrap_up_time_where_the_queue_does_not_say() {
    for (config, seconds, expected) in [
        ("", "10", true),
        ("", "0", false),
        ("[queues.\"*\"]\nprocessing = true\n", "0", true),
        ("[queues.\"*\"]\nprocessing = false\n", "10", false),
    ] {
        let mut story = Story::with(config);
        let stay = story.caller();
        let ring = story.talk(&stay, "agent1");
        story.caller_ends(&stay, &ring);
        let (mut lifecycle, mut effects) = (story.lifecycle(), Effects::default());
        lifecycle.reconcile(&wrap_up(seconds), &Default::default(), &mut effects);
        story.play(&mut lifecycle, &mut effects);
        assert!(
            effects.moments.iter().all(|moment| moment.payload.use_processing == Some(expected)),
            "{config:?} {seconds}"
        );
        let processing = effects.moments.iter().any(|moment| moment.payload.event == EventName::Processing);
        assert_eq!(processing, expected);
    }
}
