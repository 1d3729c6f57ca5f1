//! Transfers out of and into a queue.

use hookswitch::moment::EventName;
use hookswitch::moment::value::{CcResult, Side};

use crate::story::{Ended, Story};

#[test]
fn a_blind_transfer_by_the_agent_tells_where_to() {
    let mut story = Story::new();
    let stay = story.caller();
    let ring = story.talk(&stay, "agent1");
    story.set(stay.leg, "transfer_source", "1795421926:x:bl_xfer:2002/default/XML");
    story.set(ring.leg, "endpoint_disposition", "BLIND_TRANSFER");
    story.part(stay.leg);
    story.hang_up(ring.leg, "BLIND_TRANSFER", Ended::ByFreeSwitch);
    story.pass(100);
    story.bridge_end(&stay, &ring, true);
    story.leave(&stay, None);
    story.pass(60_000);
    story.hang_up(stay.leg, "NORMAL_CLEARING", Ended::ByPhone);
    let told = story.told();
    let leaving = told.leaving();
    assert_eq!(leaving.transferred_to.as_deref(), Some("2002"));
    assert_eq!((leaving.cc_result, &leaving.call_cause), (Some(CcResult::Success), &None));
    assert_eq!((leaving.hangup_side, leaving.talk_ended_by), (None, Some(Side::Agent)));
    assert_eq!(leaving.call_voice_sec.map(|s| s.0), Some(5.1));
}

#[test]
fn an_attended_transfer_tells_the_person() {
    let mut story = Story::new();
    let stay = story.caller();
    let ring = story.talk(&stay, "agent1");
    let consult = story.call("agent1", "3000");
    let expert = story.dial("agent1", "3000");
    story.pick_up(expert);
    story.connect(consult, expert);
    story.pass(2_000);
    let mark = format!("1795421930:x:uuid_br:{}", story.uuid(expert));
    story.set(stay.leg, "transfer_source", mark);
    story.part(stay.leg);
    story.hang_up(ring.leg, "ATTENDED_TRANSFER", Ended::ByFreeSwitch);
    story.bridge_end(&stay, &ring, true);
    story.leave(&stay, None);
    story.connect(expert, stay.leg);
    let told = story.told();
    assert_eq!(told.leaving().transferred_to.as_deref(), Some("3000"));
    assert_eq!(told.all(EventName::Bridged).len(), 1, "the expert is no agent of the queue");
}

#[test]
fn the_mark_that_brought_the_member_in_takes_it_nowhere() {
    let mut story = Story::new();
    let leg = story.call("40712345001", "5000");
    story.set(leg, "transfer_source", "1795421926:x:bl_xfer:2001/default/XML");
    let stay = story.join(leg, "support@default");
    story.pass(1_000);
    story.give_up(&stay);
    let told = story.told();
    assert_eq!(told.leaving().transferred_to, None);
    assert_eq!(told.leaving().destination.as_deref(), Some("5000"), "as it was before the transfer");
    assert_eq!(told.leaving().cc_result, Some(CcResult::Abandoned));
}

#[test]
fn the_mark_of_the_connection_is_no_transfer() {
    let mut story = Story::new();
    let stay = story.caller();
    let ring = story.talk(&stay, "agent1");
    story.hang_up(ring.leg, "NORMAL_CLEARING", Ended::ByPhone);
    story.bridge_end(&stay, &ring, true);
    story.leave(&stay, None);
    let told = story.told();
    assert_eq!(told.leaving().transferred_to, None);
    assert_eq!(told.leaving().talk_ended_by, Some(Side::Agent));
}

#[test]
fn a_transfer_out_while_waiting_is_a_break_out_also_where_the_queues_end_is_missing() {
    for missing in [false, true] {
        let mut story = Story::new();
        let stay = story.caller();
        story.pass(2_000);
        story.set(stay.leg, "transfer_source", "1795421926:x:bl_xfer:3000/default/XML");
        if !missing {
            story.leave(&stay, Some("BREAK_OUT"));
        }
        story.pass(2_000);
        story.hang_up(stay.leg, "NORMAL_CLEARING", Ended::ByPhone);
        let told = story.told();
        assert_eq!(told.hooks(), ["joined", "leaving cancel break_out"]);
        assert_eq!(told.leaving().transferred_to.as_deref(), Some("3000"));
    }
}
