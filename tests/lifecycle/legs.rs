//! An agent's contact of several legs: sequential, forked, or both. Which of them stands for the offer.

use hookswitch::moment::{EventName, Payload};
use proptest::prelude::*;

use crate::story::{Ended, Ring, Stay, Story};

fn leg_of(moment: &Payload) -> (Option<String>, Option<String>) {
    (moment.agent_extension.clone(), moment.agent_channel_id.as_ref().map(ToString::to_string))
}

fn expected(story: &Story, ring: &Ring, extension: &str) -> (Option<String>, Option<String>) {
    (Some(extension.to_owned()), Some(story.uuid(ring.leg)))
}

fn offered() -> (Story, Stay) {
    let mut story = Story::heard("");
    story.hear_all();
    let stay = story.caller();
    story.offering(&stay, "agent1");
    (story, stay)
}

#[test]
fn the_second_leg_of_a_sequential_contact_stands_for_the_offer_once_it_rings() {
    let (mut story, stay) = offered();
    let mobile = story.ring_at(&stay, "agent1", "+4930111", &[]);
    story.progress(mobile.leg);
    story.pass(3_000);
    story.hang_up(mobile.leg, "ALLOTTED_TIMEOUT", Ended::ByFreeSwitch);
    let desk = story.ring_at(&stay, "agent1", "1002", &[]);
    story.progress(desk.leg);
    story.pass(3_000);
    story.miss(&stay, &desk, "ALLOTTED_TIMEOUT", Ended::ByFreeSwitch);
    let told = story.told();
    assert_eq!(leg_of(told.only(EventName::Offering)), expected(&story, &mobile, "+4930111"));
    assert_eq!(leg_of(told.only(EventName::Missed)), expected(&story, &desk, "1002"));
    assert_eq!(leg_of(told.only(EventName::OfferEnded)), expected(&story, &desk, "1002"));
}

#[test]
fn a_leg_that_never_rang_does_not_stand_for_one_that_did() {
    let (mut story, stay) = offered();
    let desk = story.ring_at(&stay, "agent1", "1002", &[]);
    let mobile = story.ring_at(&stay, "agent1", "+4930111", &[]);
    story.progress(desk.leg);
    story.hang_up(mobile.leg, "USER_BUSY", Ended::ByPhone);
    story.pass(3_000);
    story.miss(&stay, &desk, "ALLOTTED_TIMEOUT", Ended::ByFreeSwitch);
    assert_eq!(leg_of(story.told().only(EventName::Missed)), expected(&story, &desk, "1002"));
}

#[test]
fn a_leg_whose_answer_was_not_heard_stands_for_the_offer_once_it_is_connected() {
    let (mut story, stay) = offered();
    let desk = story.ring_at(&stay, "agent1", "1002", &[]);
    let soft = story.ring_at(&stay, "agent1", "agent1", &[]);
    story.progress(soft.leg);
    story.progress(desk.leg);
    story.pass(1_000);
    story.lost(|story| {
        story.pick_up(soft.leg);
        story.hang_up(desk.leg, "LOSE_RACE", Ended::ByFreeSwitch);
        story.bridge_start(&stay, &soft);
    });
    story.bridge(&stay, &soft);
    story.pass(1_000);
    story.caller_ends(&stay, &soft);
    for moment in story.told().payloads.iter().filter(|moment| {
        matches!(moment.event, EventName::Answered | EventName::Bridged | EventName::Processing | EventName::Leaving)
    }) {
        assert_eq!(leg_of(moment), expected(&story, &soft, "agent1"), "{}", moment.event);
    }
}

proptest! {
    /// Any number of legs, which ring or not, fail or not, and of which one is answered.
    #[test]
    fn from_the_answer_on_the_leg_that_answered_stands_for_the_offer(
        legs in proptest::collection::vec((any::<bool>(), any::<bool>(), any::<bool>()), 1..5),
        place in any::<prop::sample::Index>(),
        is_answer_heard in any::<bool>(),
    ) {
        let (mut story, stay) = offered();
        let winner = place.index(legs.len());
        let mut rings = Vec::new();
        for (number, (rings_audibly, is_refused, is_sequential)) in legs.iter().enumerate() {
            let ring = story.ring_at(&stay, "agent1", &format!("100{number}"), &[]);
            if *rings_audibly {
                story.progress(ring.leg);
            }
            if *is_sequential {
                story.pass(500);
            }
            if *is_refused && number != winner {
                story.hang_up(ring.leg, "USER_BUSY", Ended::ByPhone);
            }
            rings.push(ring);
        }
        story.pass(500);
        if is_answer_heard {
            story.pick_up(rings[winner].leg);
        } else {
            story.lost(|story| story.pick_up(rings[winner].leg));
        }
        for (number, ring) in rings.iter().enumerate().filter(|(number, _)| *number != winner) {
            if !legs[number].1 {
                story.hang_up(ring.leg, "LOSE_RACE", Ended::ByFreeSwitch);
            }
        }
        story.bridge_start(&stay, &rings[winner]);
        story.bridge(&stay, &rings[winner]);
        story.pass(1_000);
        story.caller_ends(&stay, &rings[winner]);
        let told = story.told();
        prop_assert_eq!(told.all(EventName::Offering).len(), 1);
        let of_agent = [EventName::Answered, EventName::Bridged, EventName::Processing, EventName::OfferEnded];
        for moment in told.payloads.iter().filter(|moment| of_agent.contains(&moment.event)) {
            let right = expected(&story, &rings[winner], &format!("100{winner}"));
            prop_assert_eq!(leg_of(moment), right, "{}", moment.event);
        }
    }
}
