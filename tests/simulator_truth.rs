//! The journal of truth held against the events: two accounts of the same calls, written apart.

use std::collections::BTreeMap;
use std::time::Duration;

use hookswitch::moment::value::{CancelReason, CcResult, Outcome, Seconds, Side};
use hookswitch::simulator::simulation::Status;
use hookswitch::simulator::{Scenario, SimulatedEvent, Simulation, Truth};
use jiff::Timestamp;

fn start() -> Timestamp {
    "2026-11-23T08:00:00Z".parse().expect("a time")
}

/// Some hours of calls to their very end, and the truth about them.
fn simulate(scenario: Scenario, minutes: u64) -> (Vec<SimulatedEvent>, Vec<Truth>) {
    let mut simulation = Simulation::new(11, scenario, start());
    let end = start() + Duration::from_secs(60 * minutes);
    let mut events = simulation.advance(end);
    events.extend(simulation.shut_down(end));
    (events, simulation.take_truths())
}

fn time(event: &SimulatedEvent) -> Timestamp {
    let micros = event.header("Event-Date-Timestamp").and_then(|text| text.parse().ok()).expect("a number");
    Timestamp::from_microsecond(micros).expect("in range")
}

/// The events of one stay: of one member's leg in one queue, or of an agent's leg that belongs to it.
#[derive(Default)]
struct Stay<'a> {
    actions: BTreeMap<&'a str, Vec<&'a SimulatedEvent>>,
    bridges: Vec<&'a SimulatedEvent>,
}

/// The stays by leg and queue. Legs that came into the same queue twice are left out: nothing on some of their events tells
/// the stays apart.
fn stays<'a>(events: &'a [SimulatedEvent]) -> BTreeMap<(&'a str, &'a str), Stay<'a>> {
    let mut stays: BTreeMap<_, Stay<'_>> = BTreeMap::new();
    for event in events {
        if let (Some(leg), Some(queue)) = (event.header("CC-Member-Session-UUID"), event.header("CC-Queue")) {
            let action = event.header("CC-Action").expect("an action");
            stays.entry((leg, queue)).or_default().actions.entry(action).or_default().push(event);
        }
        if event.name() == "CHANNEL_BRIDGE" {
            let (leg, queue) = (event.header("Unique-ID"), event.header("variable_cc_queue"));
            stays.entry((leg.expect("a leg"), queue.expect("a queue"))).or_default().bridges.push(event);
        }
    }
    stays.retain(|_, stay| stay.actions.get("member-queue-start").is_some_and(|starts| starts.len() == 1));
    stays
}

fn count(stay: &Stay<'_>, action: &str) -> usize {
    stay.actions.get(action).map_or(0, Vec::len)
}

#[test]
fn every_member_who_joined_is_told_of_once() {
    let (events, truths) = simulate(Scenario::plausible_day(), 60);
    let joined = events.iter().filter(|event| event.header("CC-Action") == Some("member-queue-start")).count();
    assert_eq!(joined, truths.len());
    assert!(joined > 300, "{joined} calls are too few to prove anything");
}

#[test]
fn the_journal_and_the_events_agree() {
    let (events, truths) = simulate(Scenario::plausible_day(), 60);
    let stays = stays(&events);
    for truth in &truths {
        let Some(stay) = stays.get(&(truth.member_channel_id.as_str(), truth.queue.as_str())) else { continue };
        let joined = time(stay.actions["member-queue-start"][0]);
        let bridged = truth.offers.iter().filter(|(_, outcome)| *outcome == Outcome::Bridged).count();
        let answered_in_vain = truth.offers.iter().filter(|(_, outcome)| *outcome == Outcome::Failed).count();
        assert_eq!(count(stay, "agent-offering"), truth.offers.len(), "{truth:?}");
        assert_eq!(count(stay, "member-queue-end"), usize::from(!truth.no_queue_end), "{truth:?}");
        assert_eq!(count(stay, "bridge-agent-start"), bridged + answered_in_vain, "{truth:?}");
        assert_eq!(count(stay, "bridge-agent-end"), bridged + answered_in_vain, "{truth:?}");
        assert_eq!(count(stay, "bridge-agent-fail"), truth.offers.len() - bridged - answered_in_vain, "{truth:?}");
        assert_eq!(stay.bridges.len(), bridged, "{truth:?}");
        assert_eq!(truth.cc_result == CcResult::Success, bridged == 1, "{truth:?}");
        if let Some(bridge) = stay.bridges.first() {
            assert_eq!(truth.wait_sec, Seconds::between(joined, time(bridge)), "{truth:?}");
        } else if let Some(end) = stay.actions.get("member-queue-end").map(|ends| ends[0]) {
            assert_eq!(truth.wait_sec, Seconds::between(joined, time(end)), "{truth:?}");
            let state = end.header("Answer-State").expect("a state");
            assert_eq!(state == "hangup", truth.call_cause.is_some(), "{truth:?}");
        }
    }
}

#[test]
fn who_hung_up_shows_in_the_legs() {
    let (events, truths) = simulate(Scenario::plausible_day(), 60);
    let last_events: BTreeMap<_, _> = (events.iter())
        .filter(|event| event.name() == "CHANNEL_HANGUP_COMPLETE")
        .map(|event| (event.header("Unique-ID").expect("a leg"), event))
        .collect();
    for truth in truths.iter().filter(|truth| truth.hangup_side.is_some()) {
        let last = last_events[truth.member_channel_id.as_str()];
        assert_eq!(last.header("Hangup-Cause"), truth.call_cause);
        let by_far_end = last.header("variable_sip_hangup_disposition") == Some("recv_bye");
        assert_eq!(by_far_end, truth.hangup_side == Some(Side::Member), "{truth:?}");
        let after_the_agent = last.header("variable_last_bridge_hangup_cause").is_some();
        assert_eq!(after_the_agent, truth.hangup_side == Some(Side::Agent), "{truth:?}");
    }
}

#[test]
fn a_day_holds_everything_that_can_happen() {
    let (_, truths) = simulate(Scenario::plausible_day(), 240);
    let has = |what: fn(&Truth) -> bool| truths.iter().any(what);
    assert!(has(|truth| truth.cc_cancel_reason == Some(CancelReason::Timeout)));
    assert!(has(|truth| truth.cc_cancel_reason == Some(CancelReason::ExitWithKey) && truth.exit_key.is_some()));
    assert!(has(|truth| truth.cc_cancel_reason == Some(CancelReason::Killed)), "ended by the shutdown");
    assert!(has(|truth| truth.cc_result == CcResult::Success && truth.hangup_side.is_none()), "transferred");
    assert!(has(|truth| truth.no_queue_end));
    assert!(has(|truth| truth.amd_result.is_some()));
    for outcome in [
        Outcome::Bridged,
        Outcome::LostRace,
        Outcome::NoAnswer,
        Outcome::Busy,
        Outcome::Rejected,
        Outcome::Unavailable,
        Outcome::Abandoned,
        Outcome::Withdrawn,
        Outcome::Failed,
    ] {
        assert!(truths.iter().any(|truth| truth.offers.iter().any(|(_, seen)| *seen == outcome)), "{outcome:?}");
    }
    assert!(truths.iter().all(|truth| truth.offers.iter().all(|(_, outcome)| *outcome != Outcome::Lost)));
}

#[test]
fn the_next_queue_begins_before_a_transfer_ends_the_first() {
    let (events, truths) = simulate(Scenario::plausible_day(), 240);
    let transferred = truths.iter().find(|truth| truth.cc_result == CcResult::Success && truth.hangup_side.is_none());
    let leg = &transferred.expect("somebody was transferred").member_channel_id;
    let of_leg = events.iter().filter(|event| event.header("CC-Member-Session-UUID") == Some(leg));
    let story: Vec<_> = of_leg
        .filter_map(|event| Some((event.header("CC-Action")?, event.header("CC-Queue")?)))
        .filter(|(action, _)| action.starts_with("member-queue"))
        .take(3)
        .collect();
    assert_eq!(
        story,
        [
            ("member-queue-start", "support@default"),
            ("member-queue-start", "sales@default"),
            ("member-queue-end", "support@default")
        ]
    );
}

#[test]
fn an_agent_set_on_break_is_called_off_and_the_member_waits_on() {
    let mut simulation = Simulation::new(12, Scenario::plausible_day(), start());
    let agent = loop {
        let next = simulation.next_deadline().expect("something happens");
        simulation.advance(next);
        let is_rung = |agent: &&hookswitch::simulator::simulation::Agent| agent.state.as_str() == "Receiving";
        if let Some(agent) = simulation.agents().iter().find(is_rung) {
            break agent.name().to_owned();
        }
    };
    simulation.set_agent_status(&agent, Status::OnBreak).expect("the agent is there");
    let events = simulation.advance(simulation.now());
    let fails = events.iter().find(|event| event.header("CC-Action") == Some("bridge-agent-fail"));
    assert_eq!(fails.and_then(|event| event.header("CC-Hangup-Cause")), Some("ORIGINATOR_CANCEL"));
    assert!(!events.iter().any(|event| event.header("CC-Action") == Some("member-queue-end")));
}
