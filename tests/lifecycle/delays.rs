//! Events that come late, or overtake each other.

use hookswitch::moment::EventName;
use hookswitch::moment::value::Seconds;

use crate::story::{Ended, Ring, Story};

#[test]
fn an_offering_that_its_failure_overtakes_is_the_same_offer() {
    let mut story = Story::new();
    let stay = story.caller();
    story.late(20, |story| story.offering(&stay, "agent1"));
    story.pass(1);
    story.fail(&stay, "agent1", "USER_NOT_REGISTERED");
    story.pass(5_000);
    story.give_up(&stay);
    let told = story.told();
    assert_eq!(told.hooks(), ["joined", "offering agent1", "missed agent1 unavailable", "leaving abandoned hangup"]);
    assert_eq!(told.offers(), ["agent1 unavailable"]);
}

#[test]
fn an_offering_that_its_failure_overtakes_is_no_part_of_a_race_that_was_lost_before() {
    let mut story = Story::new();
    let stay = story.caller();
    let [winner, loser] = ["agent1", "agent2"].map(|agent| story.offer(&stay, agent));
    story.pass(2_000);
    story.pick_up(winner.leg);
    story.bridge_start(&stay, &winner);
    story.miss(&stay, &loser, "LOSE_RACE", Ended::ByFreeSwitch);
    story.pass(200);
    story.hang_up(winner.leg, "NORMAL_CLEARING", Ended::ByPhone);
    story.bridge_end(&stay, &winner, false);
    story.pass(1_000);
    story.late(20, |story| story.offering(&stay, "agent2"));
    story.pass(1);
    story.fail(&stay, "agent2", "USER_NOT_REGISTERED");
    story.pass(5_000);
    story.give_up(&stay);
    assert_eq!(story.told().offers(), ["agent1 failed", "agent2 lost_race", "agent2 unavailable"]);
}

#[test]
fn an_offering_that_the_connection_overtakes_is_the_same_offer() {
    let mut story = Story::new();
    let standing = story.call("1000", "standby");
    story.pick_up(standing);
    let ring = Ring { agent: "agent1".into(), leg: standing };
    let stay = story.caller();
    story.late(10, |story| story.offering_standby(&stay, "agent1"));
    story.pass(1);
    story.bridge_start(&stay, &ring);
    story.pass(20);
    story.bridge(&stay, &ring);
    story.pass(1_000);
    story.hang_up(stay.leg, "NORMAL_CLEARING", Ended::ByPhone);
    story.bridge_end(&stay, &ring, true);
    story.leave(&stay, None);
    let told = story.told();
    assert_eq!(told.offers(), ["agent1 bridged"]);
    assert!(told.all(EventName::Missed).is_empty());
    assert_eq!(told.leaving().sequence, Some(6));
}

#[test]
fn a_start_of_a_connection_that_its_end_overtakes_opens_no_second_offer() {
    let mut story = Story::new();
    let stay = story.caller();
    let ring = story.offer(&stay, "agent1");
    story.pass(1_000);
    story.pick_up(ring.leg);
    story.hang_up(ring.leg, "NORMAL_CLEARING", Ended::ByPhone);
    story.late(20, |story| story.bridge_start(&stay, &ring));
    story.pass(5);
    story.bridge_end(&stay, &ring, false);
    story.pass(5_000);
    story.give_up(&stay);
    let told = story.told();
    assert_eq!(told.hooks(), ["joined", "offering agent1", "answered agent1", "leaving abandoned hangup"]);
    assert_eq!(told.offers(), ["agent1 failed"]);
}

#[test]
fn a_leg_before_its_offering_tells_who_is_called() {
    let mut story = Story::new();
    let stay = story.caller();
    let ids = [("cc_agent_id", "17"), ("cc_user_id", "4")];
    story.late(20, |story| story.offering(&stay, "agent1"));
    story.pass(1);
    story.ring_at(&stay, "agent1", "1017", &ids);
    let told = story.told();
    let offering = told.only(EventName::Offering);
    assert_eq!((offering.agent_id, offering.user_id), (Some(17), Some(4)));
    assert_eq!(offering.agent_extension.as_deref(), Some("1017"));
}

#[test]
fn a_late_answer_on_the_leg_of_an_offer_that_is_over_answers_no_other() {
    let mut story = Story::new();
    let stay = story.caller();
    let first = story.offer(&stay, "agent1");
    story.pass(15_000);
    story.late(3_000, |story| story.pick_up(first.leg));
    story.miss(&stay, &first, "ALLOTTED_TIMEOUT", Ended::ByFreeSwitch);
    story.pass(2_000);
    let second = story.offer(&stay, "agent1");
    story.pass(5_000);
    story.miss(&stay, &second, "USER_BUSY", Ended::ByPhone);
    let told = story.told();
    assert!(told.all(EventName::Answered).is_empty());
    assert_eq!(told.all(EventName::Missed).len(), 2);
}

#[test]
fn the_queues_end_may_overtake_the_agents() {
    let mut story = Story::new();
    let stay = story.caller();
    let ring = story.talk(&stay, "agent1");
    story.hang_up(stay.leg, "NORMAL_CLEARING", Ended::ByPhone);
    story.hang_up(ring.leg, "NORMAL_CLEARING", Ended::ByFreeSwitch);
    story.late(400, |story| story.bridge_end(&stay, &ring, true));
    story.pass(1);
    story.leave(&stay, None);
    let told = story.told();
    let tail = &told.hooks()[4..];
    assert_eq!(tail, ["processing agent1", "leaving success"]);
}

#[test]
fn ends_that_come_eight_seconds_late_are_told_as_they_were() {
    let mut story = Story::new();
    let stay = story.caller();
    let ring = story.offer(&stay, "agent1");
    story.pass(2_000);
    story.give_up(&stay);
    story.late(7_700, |story| story.miss(&stay, &ring, "ORIGINATOR_CANCEL", Ended::ByFreeSwitch));
    let told = story.told();
    assert_eq!(told.hooks(), ["joined", "offering agent1", "missed agent1 abandoned", "leaving abandoned hangup"]);
    assert_eq!(told.leaving().wait_sec, Some(Seconds(2.0)));
}

#[test]
fn a_start_that_comes_after_everything_else_opens_nothing_that_lives_on() {
    let mut story = Story::new();
    let leg = story.call("40712345001", "2001");
    let stay = story.late(9_000, |story| story.join(leg, "support@default"));
    story.pass(1_000);
    story.ending(leg, "NORMAL_CLEARING", Ended::ByPhone);
    story.lost(|story| story.leave(&stay, Some("BREAK_OUT")));
    story.gone(leg);
    let told = story.told();
    assert_eq!(told.hooks(), ["joined", "leaving cancel lost"]);
    assert_eq!((told.leaving().wait_sec, told.lifecycle.live()), (Some(Seconds(1.0)), 0));
}

#[test]
fn the_whole_life_backwards_is_still_one_attempt() {
    let mut story = Story::new();
    let stay = story.caller();
    let ring = story.offer(&stay, "agent1");
    story.miss(&stay, &ring, "USER_BUSY", Ended::ByPhone);
    story.give_up(&stay);
    let arrival = story.sent.last().expect("events").arrives_at;
    let count = story.sent.len() as i64;
    for (place, sent) in story.sent.iter_mut().enumerate().skip(1) {
        sent.arrives_at = arrival + count - place as i64;
    }
    let told = story.told();
    assert_eq!(told.all(EventName::Joined).len(), 1, "{:?}", told.hooks());
    assert_eq!(told.all(EventName::Leaving).len(), 1, "{:?}", told.hooks());
    assert_eq!(told.lifecycle.live(), 0);
}
