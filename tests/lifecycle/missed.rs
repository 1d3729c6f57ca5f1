//! `missed`: every cause, and what explains a cancel.

use hookswitch::freeswitch::cause;
use hookswitch::moment::EventName;
use hookswitch::moment::value::{MissedReason, Outcome, Seconds};

use crate::story::{Ended, Story};

/// The contract's table.
const REASONS: &[(MissedReason, &[&str])] = &[
    (MissedReason::NoAnswer, &["ALLOTTED_TIMEOUT", "NO_ANSWER", "PROGRESS_TIMEOUT", "RECOVERY_ON_TIMER_EXPIRE"]),
    (MissedReason::Busy, &["USER_BUSY", "NORMAL_CIRCUIT_CONGESTION", "BUSY_EVERYWHERE"]),
    (MissedReason::Rejected, &["CALL_REJECTED", "DECLINE", "REJECT_ALL"]),
    (
        MissedReason::Unavailable,
        &[
            "NO_USER_RESPONSE",
            "SUBSCRIBER_ABSENT",
            "USER_NOT_REGISTERED",
            "UNALLOCATED_NUMBER",
            "NO_ROUTE_DESTINATION",
            "NUMBER_CHANGED",
            "GATEWAY_DOWN",
            "DESTINATION_OUT_OF_ORDER",
            "NORMAL_TEMPORARY_FAILURE",
            "NONE",
        ],
    ),
];

#[test]
fn every_cause_gives_the_reason_of_the_table() {
    for cause in cause::names().filter(|cause| !["ORIGINATOR_CANCEL", "LOSE_RACE"].contains(cause)) {
        let listed = REASONS.iter().find(|(_, causes)| causes.contains(&cause)).map(|(reason, _)| *reason);
        let mut story = Story::new();
        let stay = story.caller();
        let ring = story.offer(&stay, "agent1");
        story.pass(3_000);
        story.miss(&stay, &ring, cause, Ended::ByPhone);
        let told = story.told();
        let missed = told.only(EventName::Missed);
        assert_eq!(missed.missed_reason, Some(listed.unwrap_or(MissedReason::Failed)), "{cause}");
        assert_eq!(missed.agent_cause.as_deref(), Some(cause));
        assert_eq!(missed.agent_sip_code, Some(cause::sip_status(cause)), "{cause}");
        assert_eq!(missed.ring_sec, Some(Seconds(3.0)));
        assert!(!missed.synthetic);
    }
}

#[test]
fn a_cancel_before_the_caller_hangs_up_is_abandoned() {
    let mut story = Story::new();
    let stay = story.caller();
    let ring = story.offer(&stay, "agent1");
    story.pass(2_000);
    story.ending(stay.leg, "NORMAL_CLEARING", Ended::ByPhone);
    story.miss(&stay, &ring, "ORIGINATOR_CANCEL", Ended::ByFreeSwitch);
    story.pass(20);
    story.leave(&stay, Some("BREAK_OUT"));
    story.pass(20);
    story.gone(stay.leg);
    assert_eq!(
        story.told().hooks(),
        ["joined", "offering agent1", "missed agent1 abandoned", "leaving abandoned hangup"]
    );
}

#[test]
fn a_cancel_by_exit_key_transfer_or_timeout_is_withdrawn() {
    for reason in ["EXIT_WITH_KEY", "BREAK_OUT", "TIMEOUT", "NO_AGENT_TIMEOUT"] {
        let mut story = Story::new();
        let stay = story.caller();
        let ring = story.offer(&stay, "agent1");
        story.pass(2_000);
        story.leave(&stay, Some(reason));
        story.pass(20);
        story.miss(&stay, &ring, "ORIGINATOR_CANCEL", Ended::ByFreeSwitch);
        let told = story.told();
        assert_eq!(told.only(EventName::Missed).missed_reason, Some(MissedReason::Withdrawn), "{reason}");
        assert_eq!(told.outcomes(), [Outcome::Withdrawn]);
    }
}

#[test]
fn a_caller_who_hangs_up_after_the_queue_let_go_does_not_turn_withdrawn_into_abandoned() {
    let mut story = Story::new();
    let stay = story.caller();
    let ring = story.offer(&stay, "agent1");
    story.pass(2_000);
    story.leave(&stay, Some("EXIT_WITH_KEY"));
    story.pass(1_000);
    story.hang_up(stay.leg, "NORMAL_CLEARING", Ended::ByPhone);
    story.pass(20);
    story.miss(&stay, &ring, "ORIGINATOR_CANCEL", Ended::ByFreeSwitch);
    let told = story.told();
    assert_eq!(told.only(EventName::Missed).missed_reason, Some(MissedReason::Withdrawn));
    assert_eq!((&told.leaving().call_cause, told.leaving().hangup_side), (&None, None), "the end freezes them");
}

#[test]
fn a_cancel_because_the_call_was_killed_is_withdrawn() {
    let mut story = Story::new();
    let stay = story.caller();
    let ring = story.offer(&stay, "agent1");
    story.pass(2_000);
    story.ending(stay.leg, "NORMAL_CLEARING", Ended::ByFreeSwitch);
    story.leave(&stay, Some("BREAK_OUT"));
    story.miss(&stay, &ring, "ORIGINATOR_CANCEL", Ended::ByFreeSwitch);
    story.gone(stay.leg);
    assert_eq!(story.told().hooks(), ["joined", "offering agent1", "missed agent1 withdrawn", "leaving cancel killed"]);
}

#[test]
fn a_cancel_because_the_agent_went_on_break_is_withdrawn_whichever_is_told_first() {
    for (before, status) in [(true, "On Break"), (false, "On Break"), (true, "Available (On Demand)")] {
        let mut story = Story::new();
        let stay = story.caller();
        let ring = story.offer(&stay, "agent1");
        story.pass(2_000);
        if before {
            story.status("agent1", status);
        }
        story.miss(&stay, &ring, "ORIGINATOR_CANCEL", Ended::ByFreeSwitch);
        if !before {
            story.status("agent1", status);
        }
        story.pass(100);
        story.heartbeat();
        let mut lifecycle = story.lifecycle();
        let mut effects = Default::default();
        story.play(&mut lifecycle, &mut effects);
        let missed = effects.moments.last().expect("moments");
        assert_eq!(missed.payload.missed_reason, Some(MissedReason::Withdrawn), "at once: {before} {status}");
    }
}

#[test]
fn a_cancel_that_nothing_explains_is_withdrawn_after_two_seconds() {
    let mut story = Story::new();
    let stay = story.caller();
    let ring = story.offer(&stay, "agent1");
    story.pass(2_000);
    story.miss(&stay, &ring, "ORIGINATOR_CANCEL", Ended::ByFreeSwitch);
    story.pass(1_900);
    story.heartbeat();
    let mut lifecycle = story.lifecycle();
    let mut effects = Default::default();
    story.play(&mut lifecycle, &mut effects);
    assert_eq!(effects.moments.len(), 2, "joined and offering");
    story.pass(200);
    story.heartbeat();
    assert_eq!(story.told().only(EventName::Missed).missed_reason, Some(MissedReason::Withdrawn));
}

#[test]
fn an_originate_without_a_leg_gives_offering_just_before_missed() {
    let mut story = Story::new();
    let stay = story.caller();
    story.offering(&stay, "agent1");
    story.pass(10);
    story.fail(&stay, "agent1", "USER_NOT_REGISTERED");
    let told = story.told();
    assert_eq!(told.hooks(), ["joined", "offering agent1", "missed agent1 unavailable"]);
    assert_eq!(told.only(EventName::Missed).agent_channel_id, None);
}

#[test]
fn a_standby_agent_whose_call_is_gone_is_unavailable() {
    let mut story = Story::new();
    let stay = story.caller();
    story.offering_standby(&stay, "agent1");
    story.status("agent1", "Logged Out");
    story.fail(&stay, "agent1", "NONE");
    assert_eq!(story.told().hooks(), ["joined", "offering agent1", "missed agent1 unavailable"]);
}

#[test]
fn too_many_unanswered_offers_change_nothing_but_the_status() {
    let mut story = Story::new();
    let stay = story.caller();
    let ring = story.offer(&stay, "agent1");
    story.pass(15_000);
    story.hang_up(ring.leg, "ALLOTTED_TIMEOUT", Ended::ByFreeSwitch);
    story.status("agent1", "On Break");
    story.fail(&stay, "agent1", "ALLOTTED_TIMEOUT");
    assert_eq!(story.told().hooks(), ["joined", "offering agent1", "missed agent1 no_answer"]);
}

#[test]
fn the_sip_status_is_the_legs_own() {
    for (variable, value, status) in [
        ("sip_term_status", "486", 486),
        ("sip_invite_failure_status", "480", 480),
        ("proto_specific_hangup_cause", "sip:603", 603),
    ] {
        let mut story = Story::new();
        let stay = story.caller();
        let ring = story.offer(&stay, "agent1");
        story.set(ring.leg, variable, value);
        // The offer's end comes first: it waits for its leg's.
        story.fail(&stay, "agent1", "CALL_REJECTED");
        story.pass(20);
        story.hang_up(ring.leg, "CALL_REJECTED", Ended::ByPhone);
        assert_eq!(story.told().only(EventName::Missed).agent_sip_code, Some(status), "{variable}");
    }
}

#[test]
fn one_busy_device_does_not_end_the_offer_to_two() {
    let mut story = Story::new();
    let stay = story.caller();
    let desk = story.offer(&stay, "agent1");
    let mobile = story.ring(&stay, "agent1");
    story.pass(500);
    story.hang_up(desk.leg, "USER_BUSY", Ended::ByPhone);
    story.pass(2_000);
    story.answer(&stay, &mobile);
    story.pass(1_000);
    story.caller_ends(&stay, &mobile);
    let told = story.told();
    assert_eq!(
        told.hooks(),
        ["joined", "offering agent1", "answered agent1", "bridged agent1", "processing agent1", "leaving success"]
    );
    assert_eq!(told.leaving().agent_channel_id.as_ref().map(|id| id.as_str()), Some(&*story.uuid(mobile.leg)));
}
