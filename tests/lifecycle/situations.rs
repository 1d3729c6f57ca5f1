//! Situations that queues get into beyond plain calls. What has a recording of a real FreeSWITCH (several devices, failover
//! and loopback contacts, keys to accept, `callcenter_break`, a caller who comes twice) is in `tests/recordings`.

use hookswitch::moment::value::Side;

use crate::story::{Ended, Story};

/// The hooks of a conversation, where nothing else happens.
const CONVERSATION: [&str; 6] =
    ["joined", "offering agent1", "answered agent1", "bridged agent1", "processing agent1", "leaving success"];

#[test]
fn a_consultation_that_ends_where_it_began_is_part_of_the_conversation() {
    let mut story = Story::new();
    let stay = story.caller();
    let ring = story.talk(&stay, "agent1");
    let expert = story.dial("agent1", "3000");
    story.pick_up(expert);
    story.connect(ring.leg, expert);
    story.pass(3_000);
    story.part(ring.leg);
    story.hang_up(expert, "NORMAL_CLEARING", Ended::ByPhone);
    story.connect(stay.leg, ring.leg);
    story.pass(2_000);
    story.caller_ends(&stay, &ring);
    let told = story.told();
    assert_eq!(told.hooks(), CONVERSATION);
    let leaving = told.leaving();
    assert_eq!((leaving.hold_count, leaving.transferred_to.as_deref()), (Some(0), None));
    assert_eq!((leaving.talk_ended_by, leaving.call_voice_sec.map(|s| s.0)), (Some(Side::Member), Some(10.0)));
}

#[test]
fn an_attended_transfer_that_the_phone_cancels_is_a_hold() {
    let mut story = Story::new();
    let stay = story.caller();
    let ring = story.talk(&stay, "agent1");
    story.hold(ring.leg);
    let consultation = story.call("agent1", "3000");
    let expert = story.dial("agent1", "3000");
    story.pick_up(expert);
    story.connect(consultation, expert);
    story.pass(3_000);
    story.hang_up(consultation, "NORMAL_CLEARING", Ended::ByPhone);
    story.hang_up(expert, "NORMAL_CLEARING", Ended::ByFreeSwitch);
    story.unhold(ring.leg);
    story.pass(2_000);
    story.caller_ends(&stay, &ring);
    let told = story.told();
    assert_eq!(told.hooks(), CONVERSATION);
    let leaving = told.leaving();
    assert_eq!((leaving.hold_count, leaving.hold_sec.map(|s| s.0)), (Some(1), Some(3.0)));
    assert_eq!(leaving.transferred_to, None);
}

#[test]
fn an_agent_in_post_processing_may_be_offered_the_next_member_of_whichever_queue() {
    for queue in ["support@default", "sales@default"] {
        let mut story = Story::new();
        let first = story.caller();
        let ring = story.talk(&first, "agent1");
        story.caller_ends(&first, &ring);
        story.pass(200);
        let leg = story.call("40712345002", "2001");
        let second = story.join(leg, queue);
        let ring = story.offer(&second, "agent1");
        story.pass(3_000);
        story.miss(&second, &ring, "CALL_REJECTED", Ended::ByPhone);
        story.give_up(&second);
        let told = story.told();
        assert_eq!(told.hooks()[..6], CONVERSATION);
        assert_eq!(
            told.hooks()[6..],
            ["joined", "offering agent1", "missed agent1 rejected", "leaving abandoned hangup"]
        );
    }
}

#[test]
fn an_agent_on_demand_talks_like_any_other() {
    let mut story = Story::new();
    story.status("agent1", "Available (On Demand)");
    let stay = story.caller();
    let ring = story.offer(&stay, "agent1");
    story.pass(1_000);
    story.answer(&stay, &ring);
    // Set back while talking, which takes nothing back.
    story.status("agent1", "On Break");
    story.pass(5_000);
    story.caller_ends(&stay, &ring);
    assert_eq!(story.told().hooks(), CONVERSATION);
}

#[test]
fn the_phones_that_ring_for_a_member_who_has_left_are_forgotten_when_they_stop() {
    let mut story = Story::new();
    let stay = story.caller();
    story.pass(2_000);
    story.give_up(&stay);
    story.pass(10_000);
    for _ in 0..3 {
        let ring = story.offer(&stay, "agent1");
        story.pass(1_000);
        story.miss(&stay, &ring, "USER_BUSY", Ended::ByPhone);
        story.pass(5_000);
    }
    let told = story.told();
    assert_eq!(told.hooks(), ["joined", "leaving abandoned hangup"]);
    assert_eq!(told.lifecycle.kept_channels(), 0);
}
