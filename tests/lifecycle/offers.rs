//! Offers: their order, their legs, several at once, and agents who answer in vain.

use hookswitch::lifecycle::anomaly::Anomaly;
use hookswitch::moment::EventName;

use crate::story::{Ended, Story};

#[test]
fn a_conversation_gives_the_hooks_in_their_order() {
    let mut story = Story::new();
    let stay = story.caller();
    story.pass(3_000);
    let ring = story.talk(&stay, "agent1");
    story.caller_ends(&stay, &ring);
    let told = story.told();
    assert_eq!(
        told.hooks(),
        ["joined", "offering agent1", "answered agent1", "bridged agent1", "processing agent1", "leaving success"]
    );
    let sequence: Vec<_> = told.payloads.iter().map(|payload| payload.sequence.expect("numbered")).collect();
    assert_eq!(sequence, [1, 2, 3, 4, 5, 6]);
    assert!(told.payloads.iter().all(|payload| !payload.synthetic));
}

#[test]
fn offering_waits_for_a_leg() {
    let mut story = Story::new();
    let stay = story.caller();
    story.offering(&stay, "agent1");
    assert_eq!(story.told().hooks(), ["joined"]);
    story.ring(&stay, "agent1");
    let told = story.told();
    assert_eq!(told.hooks(), ["joined", "offering agent1"]);
    assert!(told.only(EventName::Offering).agent_channel_id.is_some());
}

#[test]
fn a_standby_agent_is_offered_at_once_and_answers_when_connected() {
    let mut story = Story::new();
    let standing = story.call("1000", "standby");
    story.pick_up(standing);
    let stay = story.caller();
    story.offering_standby(&stay, "1000@default");
    let ring = crate::story::Ring { agent: "1000@default".into(), leg: standing };
    story.pass(40);
    story.bridge_start(&stay, &ring);
    story.pass(20);
    story.bridge(&stay, &ring);
    story.pass(1_000);
    story.hang_up(stay.leg, "NORMAL_CLEARING", Ended::ByPhone);
    story.bridge_end(&stay, &ring, true);
    story.leave(&stay, None);
    let told = story.told();
    assert_eq!(
        told.hooks(),
        [
            "joined",
            "offering 1000@default",
            "answered 1000@default",
            "bridged 1000@default",
            "processing 1000@default",
            "leaving success"
        ]
    );
    assert_eq!(told.only(EventName::Offering).agent_channel_id, None);
    assert!(told.only(EventName::Bridged).agent_channel_id.is_some());
}

#[test]
fn an_agent_who_must_press_a_key_has_answered_when_it_is_pressed() {
    let mut story = Story::new();
    let stay = story.caller();
    story.offering(&stay, "agent1");
    let ring = story.ring_at(&stay, "agent1", "agent1", &[("group_confirm_key", "1")]);
    story.pass(1_000);
    story.pick_up(ring.leg);
    story.pass(2_000);
    assert_eq!(story.told().hooks(), ["joined", "offering agent1"]);
    story.bridge_start(&stay, &ring);
    let told = story.told();
    let (answered, offered) = (told.only(EventName::Answered), told.only(EventName::Offering));
    let ringing = answered.timestamp.0.duration_since(offered.timestamp.0);
    assert_eq!(ringing.as_millis(), 3_000);
}

#[test]
fn an_agent_who_never_presses_the_key_has_missed() {
    let mut story = Story::new();
    let stay = story.caller();
    story.offering(&stay, "agent1");
    let ring = story.ring_at(&stay, "agent1", "agent1", &[("group_confirm_key", "1")]);
    story.pick_up(ring.leg);
    story.pass(10_000);
    story.miss(&stay, &ring, "NORMAL_CLEARING", Ended::ByFreeSwitch);
    assert_eq!(story.told().hooks(), ["joined", "offering agent1", "missed agent1 failed"]);
}

#[test]
fn losers_of_a_race_have_not_missed() {
    let mut story = Story::new();
    let stay = story.caller();
    let rings = ["agent1", "agent2", "agent3"].map(|agent| story.offer(&stay, agent));
    story.pass(2_000);
    story.pick_up(rings[1].leg);
    story.bridge_start(&stay, &rings[1]);
    story.miss(&stay, &rings[0], "LOSE_RACE", Ended::ByFreeSwitch);
    story.pass(20);
    story.bridge(&stay, &rings[1]);
    story.miss(&stay, &rings[2], "LOSE_RACE", Ended::ByFreeSwitch);
    story.pass(1_000);
    story.caller_ends(&stay, &rings[1]);
    let told = story.told();
    assert!(told.all(EventName::Missed).is_empty());
    assert_eq!(told.offers(), ["agent1 lost_race", "agent2 bridged", "agent3 lost_race"]);
}

#[test]
fn of_two_who_answer_at_once_the_loser_is_closed_when_the_winner_is_connected() {
    for loser_is_late in [false, true] {
        let mut story = Story::new();
        let stay = story.caller();
        let winner = story.offer(&stay, "agent1");
        let loser = story.offer(&stay, "agent2");
        story.pass(2_000);
        story.late(if loser_is_late { 100 } else { 0 }, |story| story.pick_up(loser.leg));
        story.answer(&stay, &winner);
        story.pass(3_000);
        story.caller_ends(&stay, &winner);
        let told = story.told();
        assert!(told.all(EventName::Missed).is_empty());
        assert_eq!(told.all(EventName::Answered).len(), 2);
        assert_eq!(told.offers(), ["agent1 bridged", "agent2 lost_race"]);
        let leaving = told.leaving();
        assert_eq!(leaving.left_at, Some(leaving.timestamp));
    }
}

#[test]
fn an_agent_who_answers_and_is_never_connected_has_not_missed_and_may_be_offered_again() {
    let mut story = Story::new();
    let stay = story.caller();
    let first = story.offer(&stay, "agent1");
    story.pass(1_000);
    story.pick_up(first.leg);
    story.bridge_start(&stay, &first);
    story.hang_up(first.leg, "NORMAL_CLEARING", Ended::ByPhone);
    story.bridge_end(&stay, &first, false);
    story.pass(5_000);
    let second = story.talk(&stay, "agent1");
    story.caller_ends(&stay, &second);
    let told = story.told();
    assert_eq!(
        told.hooks(),
        [
            "joined",
            "offering agent1",
            "answered agent1",
            "offering agent1",
            "answered agent1",
            "bridged agent1",
            "processing agent1",
            "leaving success"
        ]
    );
    assert_eq!(told.offers(), ["agent1 failed", "agent1 bridged"]);
    let ids: std::collections::BTreeSet<_> = told.payloads.iter().map(|payload| payload.id).collect();
    assert_eq!(ids.len(), told.payloads.len());
}

#[test]
fn a_connection_that_broke_at_once_leaves_room_for_another() {
    let mut story = Story::new();
    let stay = story.caller();
    let first = story.offer(&stay, "agent1");
    story.pass(1_000);
    story.answer(&stay, &first);
    // The agent hangs up before mod_callcenter has noticed the connection: the member waits on.
    story.part(stay.leg);
    story.hang_up(first.leg, "NORMAL_CLEARING", Ended::ByPhone);
    story.bridge_end(&stay, &first, false);
    story.pass(5_000);
    let second = story.talk(&stay, "agent2");
    story.caller_ends(&stay, &second);
    let told = story.told();
    assert_eq!(
        told.hooks(),
        [
            "joined",
            "offering agent1",
            "answered agent1",
            "bridged agent1",
            "offering agent2",
            "answered agent2",
            "bridged agent2",
            "processing agent2",
            "leaving success"
        ]
    );
    assert_eq!(told.leaving().agent_name.as_ref().map(|name| name.as_str()), Some("agent2"));
    assert_eq!(told.leaving().call_voice_sec.map(|voice| voice.0), Some(5.0));
}

#[test]
fn an_offer_of_a_member_who_has_left_is_an_anomaly() {
    let mut story = Story::new();
    let stay = story.caller();
    story.pass(2_000);
    story.ending(stay.leg, "NORMAL_CLEARING", Ended::ByPhone);
    story.leave(&stay, Some("BREAK_OUT"));
    story.pass(20);
    let ring = story.offer(&stay, "agent1");
    story.pass(20);
    story.gone(stay.leg);
    story.pass(5_000);
    story.offering(&stay, "agent2");
    story.miss(&stay, &ring, "ALLOTTED_TIMEOUT", Ended::ByFreeSwitch);
    let told = story.told();
    assert_eq!(told.hooks(), ["joined", "leaving abandoned hangup"]);
    assert!(told.anomalies(Anomaly::AfterLeaving) >= 3);
}

#[test]
fn without_post_processing_there_is_no_processing() {
    let mut story = Story::with("[queues.\"*\"]\nprocessing = false\n");
    let stay = story.caller();
    let ring = story.talk(&stay, "agent1");
    story.caller_ends(&stay, &ring);
    let told = story.told();
    assert!(told.all(EventName::Processing).is_empty());
    assert!(told.payloads.iter().all(|payload| payload.use_processing == Some(false)));
}
