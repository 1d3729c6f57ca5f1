//! How an attempt ends: result, reason, side, and how long `leaving` waits.

use hookswitch::moment::value::{CancelReason, CcResult, Seconds, Side};
use jiff::SignedDuration;

use crate::story::{Ended, Story, Told};

fn result(told: &Told) -> (CcResult, Option<CancelReason>) {
    let leaving = told.leaving();
    (leaving.cc_result.expect("leaving has a result"), leaving.cc_cancel_reason)
}

#[test]
fn a_conversation_is_a_success_however_it_ended() {
    for (cause, by) in [
        ("NORMAL_CLEARING", Ended::ByPhone),
        ("NORMAL_CLEARING", Ended::ByFreeSwitch),
        ("MEDIA_TIMEOUT", Ended::ByFreeSwitch),
        ("SYSTEM_SHUTDOWN", Ended::ByFreeSwitch),
    ] {
        let mut story = Story::new();
        let stay = story.caller();
        let ring = story.talk(&stay, "agent1");
        story.hang_up(stay.leg, cause, by);
        story.hang_up(ring.leg, cause, Ended::ByFreeSwitch);
        story.bridge_end(&stay, &ring, true);
        story.leave(&stay, None);
        assert_eq!(result(&story.told()), (CcResult::Success, None), "{cause} {by:?}");
    }
}

#[test]
fn a_member_who_hangs_up_or_is_lost_before_a_connection_has_abandoned() {
    for (cause, by) in [
        ("NORMAL_CLEARING", Ended::ByPhone),
        ("MEDIA_TIMEOUT", Ended::ByFreeSwitch),
        ("NORMAL_CLEARING", Ended::Untold),
    ] {
        let mut story = Story::new();
        let stay = story.caller();
        story.pass(4_000);
        story.ending(stay.leg, cause, by);
        story.leave(&stay, Some("BREAK_OUT"));
        story.gone(stay.leg);
        let told = story.told();
        assert_eq!(result(&told), (CcResult::Abandoned, Some(CancelReason::Hangup)), "{cause} {by:?}");
        assert_eq!(told.leaving().wait_sec, Some(Seconds(4.0)));
        assert_eq!(told.leaving().call_cause.as_deref(), Some(cause));
    }
}

#[test]
fn a_timeout_and_an_exit_key_cancel_under_their_own_name() {
    for (reason, expected) in [
        ("TIMEOUT", CancelReason::Timeout),
        ("NO_AGENT_TIMEOUT", CancelReason::NoAgentTimeout),
        ("EXIT_WITH_KEY", CancelReason::ExitWithKey),
        ("BREAK_OUT", CancelReason::BreakOut),
    ] {
        let mut story = Story::new();
        let stay = story.caller();
        story.pass(4_000);
        story.leave(&stay, Some(reason));
        let told = story.told();
        assert_eq!(result(&told), (CcResult::Cancel, Some(expected)));
        let leaving = told.leaving();
        assert_eq!((&leaving.call_cause, leaving.call_sip_code, leaving.hangup_side), (&None, None, None));
    }
}

#[test]
fn a_timeout_counts_as_abandoned_where_the_queue_says_so() {
    for (reason, expected) in [
        ("TIMEOUT", CcResult::Abandoned),
        ("NO_AGENT_TIMEOUT", CcResult::Abandoned),
        ("EXIT_WITH_KEY", CcResult::Cancel),
        ("BREAK_OUT", CcResult::Cancel),
    ] {
        let mut story = Story::with("[queues.\"*\"]\ncount_as_abandoned = [\"timeout\", \"no_agent_timeout\"]\n");
        let stay = story.caller();
        story.leave(&stay, Some(reason));
        assert_eq!(story.told().leaving().cc_result, Some(expected), "{reason}");
    }
}

#[test]
fn a_queue_can_tell_one_timeout_from_the_other() {
    for (counted, timeout, no_agent) in [
        ("timeout", CcResult::Abandoned, CcResult::Cancel),
        ("no_agent_timeout", CcResult::Cancel, CcResult::Abandoned),
    ] {
        for (reason, expected) in [("TIMEOUT", timeout), ("NO_AGENT_TIMEOUT", no_agent)] {
            let mut story = Story::with(&format!("[queues.\"*\"]\ncount_as_abandoned = [\"{counted}\"]\n"));
            let stay = story.caller();
            story.leave(&stay, Some(reason));
            assert_eq!(story.told().leaving().cc_result, Some(expected), "{reason} where {counted} counts");
        }
    }
}

#[test]
fn a_dialers_member_can_count_as_abandoned_however_it_left_by_whether_it_was_reached() {
    for (settings, reached, expected) in [
        ("type = 'progressive'\ncount_as_abandoned = ['reached']", true, CcResult::Abandoned),
        ("type = 'progressive'\ncount_as_abandoned = ['unreached']", true, CcResult::Cancel),
        ("type = 'predictive'\ncount_as_abandoned = ['unreached']", false, CcResult::Abandoned),
        ("type = 'predictive'\ncount_as_abandoned = ['reached']", false, CcResult::Cancel),
        ("type = 'inbound'\ncount_as_abandoned = ['reached', 'unreached']", true, CcResult::Cancel),
    ] {
        let mut story = Story::with(&format!("[queues.\"*\"]\n{settings}\n"));
        let stay = if reached { story.caller() } else { story.unanswered_caller() };
        story.ending(stay.leg, "MANAGER_REQUEST", Ended::ByFreeSwitch);
        story.leave(&stay, Some("BREAK_OUT"));
        story.gone(stay.leg);
        let told = story.told();
        assert_eq!(result(&told), (expected, Some(CancelReason::Killed)), "{settings}");
    }
}

#[test]
fn a_call_that_freeswitch_ends_was_killed() {
    for cause in ["NORMAL_CLEARING", "SYSTEM_SHUTDOWN", "MANAGER_REQUEST"] {
        let mut story = Story::new();
        let stay = story.caller();
        story.ending(stay.leg, cause, Ended::ByFreeSwitch);
        story.leave(&stay, Some("BREAK_OUT"));
        story.gone(stay.leg);
        let told = story.told();
        assert_eq!(result(&told), (CcResult::Cancel, Some(CancelReason::Killed)), "{cause}");
        assert_eq!(told.leaving().hangup_side, Some(Side::System));
    }
}

#[test]
fn the_exit_key_is_told_of_the_attempt_that_it_ended_and_of_no_other() {
    let mut story = Story::new();
    let leg = story.call("40712345001", "2001");
    let first = story.join(leg, "support@default");
    story.set(leg, "cc_exit_key", "1");
    story.leave(&first, Some("EXIT_WITH_KEY"));
    story.pass(2_000);
    // The variable stays on the channel.
    let second = story.join(leg, "sales@default");
    story.pass(2_000);
    story.give_up(&second);
    let told = story.told();
    let keys: Vec<_> = told.all(hookswitch::moment::EventName::Leaving).iter().map(|l| l.exit_key.clone()).collect();
    assert_eq!(keys, [Some("1".to_owned()), None]);
}

#[test]
fn the_side_is_the_one_whose_phone_hung_up() {
    for (member, agent, side) in [
        (Ended::ByPhone, Ended::ByFreeSwitch, Side::Member),
        (Ended::ByFreeSwitch, Ended::ByPhone, Side::Agent),
        (Ended::ByFreeSwitch, Ended::ByFreeSwitch, Side::System),
    ] {
        for agent_first in [false, true] {
            let mut story = Story::new();
            let stay = story.caller();
            let ring = story.talk(&stay, "agent1");
            if agent_first {
                story.hang_up(ring.leg, "NORMAL_CLEARING", agent);
                story.hang_up(stay.leg, "NORMAL_CLEARING", member);
            } else {
                story.hang_up(stay.leg, "NORMAL_CLEARING", member);
                story.hang_up(ring.leg, "NORMAL_CLEARING", agent);
            }
            story.pass(100);
            story.bridge_end(&stay, &ring, true);
            story.leave(&stay, None);
            let told = story.told();
            assert_eq!(told.leaving().hangup_side, Some(side), "{member:?} {agent:?}");
            assert_eq!(told.leaving().talk_ended_by, Some(side));
        }
    }
}

#[test]
fn without_sip_the_leg_that_the_connection_ended_was_not_the_one_who_hung_up() {
    for (ended_by_bridge, side) in [("agent", Side::Member), ("member", Side::Agent), ("none", Side::System)] {
        let mut story = Story::new();
        let stay = story.caller();
        let ring = story.talk(&stay, "agent1");
        match ended_by_bridge {
            "agent" => story.set(ring.leg, "last_bridge_hangup_cause", "NORMAL_CLEARING"),
            "member" => story.set(stay.leg, "last_bridge_hangup_cause", "NORMAL_CLEARING"),
            _ => {}
        }
        story.hang_up(stay.leg, "NORMAL_CLEARING", Ended::Untold);
        story.hang_up(ring.leg, "NORMAL_CLEARING", Ended::Untold);
        story.bridge_end(&stay, &ring, true);
        story.leave(&stay, None);
        assert_eq!(story.told().leaving().hangup_side, Some(side), "{ended_by_bridge}");
    }
}

#[test]
fn a_connection_before_the_queue_says_nothing_of_who_hung_up_in_it() {
    let mut story = Story::new();
    let leg = story.call("40712345001", "2001");
    story.set(leg, "last_bridge_hangup_cause", "NORMAL_CLEARING");
    let stay = story.join(leg, "support@default");
    story.pass(1_000);
    story.hang_up(leg, "NORMAL_CLEARING", Ended::Untold);
    story.leave(&stay, Some("BREAK_OUT"));
    assert_ne!(story.told().leaving().hangup_side, Some(Side::Agent), "there was no agent");
}

#[test]
fn a_lost_agent_counts_as_gone_also_where_only_the_agents_end_tells_of_it() {
    let mut story = Story::new();
    let stay = story.caller();
    let ring = story.talk(&stay, "agent1");
    story.lost(|story| story.hang_up(ring.leg, "MEDIA_TIMEOUT", Ended::ByFreeSwitch));
    story.hang_up(stay.leg, "NORMAL_CLEARING", Ended::ByFreeSwitch);
    story.bridge_end(&stay, &ring, true);
    story.leave(&stay, None);
    assert_eq!(story.told().leaving().hangup_side, Some(Side::Agent));
}

#[test]
fn a_hangup_just_behind_the_agents_belongs_to_the_attempt_and_a_later_one_does_not() {
    for (pause, side) in [(280, Some(Side::Agent)), (1_200, None)] {
        let mut story = Story::new();
        let stay = story.caller();
        let ring = story.talk(&stay, "agent1");
        story.hang_up(ring.leg, "NORMAL_CLEARING", Ended::ByPhone);
        story.bridge_end(&stay, &ring, true);
        story.leave(&stay, None);
        story.pass(pause);
        story.hang_up(stay.leg, "NORMAL_CLEARING", Ended::ByFreeSwitch);
        let told = story.told();
        assert_eq!(told.leaving().hangup_side, side, "after {pause} ms");
        assert_eq!(told.leaving().talk_ended_by, Some(Side::Agent));
        assert_eq!(told.leaving().call_cause.is_some(), side.is_some());
    }
}

#[test]
fn leaving_waits_for_the_calls_end_at_most_thirty_seconds() {
    for late in [29_000, 40_000] {
        let mut story = Story::new();
        let stay = story.caller();
        story.pass(1_000);
        story.ending(stay.leg, "NORMAL_CLEARING", Ended::ByPhone);
        story.leave(&stay, Some("BREAK_OUT"));
        story.late(late, |story| story.gone(stay.leg));
        let told = story.told();
        assert_eq!(result(&told), (CcResult::Abandoned, Some(CancelReason::Hangup)));
        assert_eq!(told.leaving().call_cause.as_deref(), Some("NORMAL_CLEARING"), "the queue's end carries it too");
        assert_eq!(told.leaving().wait_sec, Some(Seconds(1.0)), "left_at is the first end, not the timer");
    }
}

#[test]
fn leaving_waits_for_the_queues_end_at_most_ten_seconds() {
    for (late, synthetic) in [(9_500, false), (10_500, true)] {
        let mut story = Story::new();
        let stay = story.caller();
        story.pass(1_000);
        story.hang_up(stay.leg, "NORMAL_CLEARING", Ended::ByPhone);
        story.late(late, |story| story.leave(&stay, Some("BREAK_OUT")));
        let told = story.told();
        assert_eq!(told.leaving().synthetic, synthetic, "{late}");
        assert_eq!(told.leaving().wait_sec, Some(Seconds(1.0)));
    }
}

#[test]
fn leaving_is_told_after_its_open_offers() {
    let mut story = Story::new();
    let stay = story.caller();
    let rings = ["agent1", "agent2"].map(|agent| story.offer(&stay, agent));
    story.pass(3_000);
    story.give_up(&stay);
    for ring in &rings {
        story.pass(20);
        story.miss(&stay, ring, "ORIGINATOR_CANCEL", Ended::ByFreeSwitch);
    }
    let told = story.told();
    assert_eq!(told.hooks().last().map(String::as_str), Some("leaving abandoned hangup"));
    assert_eq!(told.offers(), ["agent1 abandoned", "agent2 abandoned"]);
    let leaving = told.leaving();
    let joined = leaving.joined_at.expect("joined").0;
    assert_eq!(leaving.left_at.expect("left").0.duration_since(joined), SignedDuration::from_secs(3));
}

#[test]
fn a_hold_counts_until_the_two_are_parted() {
    let mut story = Story::new();
    let stay = story.caller();
    let ring = story.talk(&stay, "agent1");
    story.hold(ring.leg);
    story.pass(2_000);
    story.unhold(ring.leg);
    story.pass(1_000);
    story.hold(stay.leg);
    story.pass(3_000);
    story.part(stay.leg);
    story.pass(1_000);
    // With somebody else.
    story.hold(stay.leg);
    story.pass(1_000);
    story.caller_ends(&stay, &ring);
    let told = story.told();
    assert_eq!((told.leaving().hold_count, told.leaving().hold_sec.map(|s| s.0)), (Some(2), Some(5.0)));
}
