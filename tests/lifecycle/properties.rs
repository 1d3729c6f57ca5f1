//! Random calls, delays, doubles and losses: what must hold for any of them.

use std::collections::{BTreeMap, BTreeSet};

use hookswitch::freeswitch::Snapshot;
use hookswitch::lifecycle::{Effects, Lifecycle};
use hookswitch::moment::value::{CancelReason, Seconds};
use hookswitch::moment::{EventName, Payload};
use jiff::SignedDuration;
use proptest::prelude::*;

use crate::story::{Ended, Stay, Story};

/// One call through one queue, or two.
#[derive(Clone, Debug)]
struct Call {
    comes_after_ms: i64,
    offers: Vec<Offer>,
    end: End,
    again: Option<(bool, End)>,
}

#[derive(Clone, Debug)]
struct Offer {
    agent: usize,
    rings_ms: i64,
    fate: Fate,
}

#[derive(Clone, Copy, Debug)]
enum Fate {
    /// Fails with that cause, on a leg.
    Fails(&'static str),
    /// Fails before there is a leg.
    HasNoPhone,
    /// Answers, and is gone before the connection.
    AnswersInVain,
}

#[derive(Clone, Copy, Debug)]
enum End {
    GivesUp { while_ringing: bool },
    IsKilled,
    Leaves { reason: &'static str, while_ringing: bool },
    Talks { ms: i64, ended: Ended, answered_by_two: bool },
    TalksAndIsTransferred,
}

fn fates() -> impl Strategy<Value = Fate> {
    prop_oneof![
        prop::sample::select(vec!["USER_BUSY", "ALLOTTED_TIMEOUT", "CALL_REJECTED", "UNWANTED"]).prop_map(Fate::Fails),
        Just(Fate::HasNoPhone),
        Just(Fate::AnswersInVain),
    ]
}

fn ends() -> impl Strategy<Value = End> {
    let reason = prop::sample::select(vec!["EXIT_WITH_KEY", "TIMEOUT", "NO_AGENT_TIMEOUT", "BREAK_OUT"]);
    prop_oneof![
        any::<bool>().prop_map(|while_ringing| End::GivesUp { while_ringing }),
        Just(End::IsKilled),
        (reason, any::<bool>()).prop_map(|(reason, while_ringing)| End::Leaves { reason, while_ringing }),
        (0..20_000_i64, prop::sample::select(vec![Ended::ByPhone, Ended::ByFreeSwitch, Ended::Untold]), any::<bool>())
            .prop_map(|(ms, ended, answered_by_two)| End::Talks { ms, ended, answered_by_two }),
        Just(End::TalksAndIsTransferred),
    ]
}

/// Some calls. Where members come back on the same channel and their events are seconds late, nobody can tell the stays
/// apart: they have the same UUIDs.
fn calls(may_resume: bool) -> impl Strategy<Value = Vec<Call>> {
    let offer =
        (0..4_usize, 0..15_000_i64, fates()).prop_map(|(agent, rings_ms, fate)| Offer { agent, rings_ms, fate });
    let again = prop::option::of((any::<bool>().prop_map(move |resumes| resumes && may_resume), ends()));
    let call = (0..30_000_i64, prop::collection::vec(offer, 0..4), ends(), again)
        .prop_map(|(comes_after_ms, offers, end, again)| Call { comes_after_ms, offers, end, again });
    prop::collection::vec(call, 1..5)
}

/// What becomes of an event on its way.
#[derive(Clone, Copy, Default)]
struct Way {
    is_lost: bool,
    is_doubled: bool,
    delay_ms: i64,
}

impl std::fmt::Debug for Way {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (lost, doubled) = (if self.is_lost { "lost" } else { "" }, if self.is_doubled { "doubled" } else { "" });
        write!(f, "{lost}{doubled}+{} ms", self.delay_ms)
    }
}

/// Ways on which one event of so many is lost, and one of eight is late, by at most `latest_ms`.
fn ways(losses_in_256: u16, latest_ms: i64) -> impl Strategy<Value = Vec<Way>> {
    let way = (0..256_u16, 0..10_u8, 0..8_u8, 0..=latest_ms).prop_map(move |(lost, doubled, late, delay_ms)| Way {
        is_lost: lost >= 256 - losses_in_256,
        is_doubled: doubled == 9,
        delay_ms: if late == 7 { delay_ms } else { 0 },
    });
    prop::collection::vec(way, 97)
}

fn story_of(calls: &[Call]) -> Story {
    let mut story = Story::new();
    let beginning = story.now();
    for (place, call) in calls.iter().enumerate() {
        story.go_to(beginning + call.comes_after_ms * 1_000);
        tell(&mut story, place, call);
    }
    story
}

fn tell(story: &mut Story, place: usize, call: &Call) {
    let leg = story.call(&format!("4071234500{place}"), "2001");
    story.pass(20);
    let stay = story.join(leg, "support@default");
    for offer in &call.offers {
        story.pass(100);
        tell_offer(story, &stay, offer);
        story.pass(1_000);
    }
    story.pass(100);
    let lives = tell_end(story, &stay, call.end);
    if let Some((resumed, end)) = call.again.filter(|_| lives) {
        let was_answered = matches!(call.end, End::Talks { .. } | End::TalksAndIsTransferred);
        story.pass(1);
        let again = if resumed && !was_answered { story.resume(leg, &stay) } else { story.join(leg, "sales@default") };
        story.pass(200);
        if tell_end(story, &again, end) {
            story.pass(500);
            story.hang_up(leg, "NORMAL_CLEARING", Ended::ByPhone);
        }
    } else if lives {
        story.pass(1_500);
        story.hang_up(leg, "NORMAL_CLEARING", Ended::ByFreeSwitch);
    }
}

fn tell_offer(story: &mut Story, stay: &Stay, offer: &Offer) {
    let agent = format!("agent{}", offer.agent);
    match offer.fate {
        Fate::HasNoPhone => {
            story.offering(stay, &agent);
            story.pass(1);
            story.fail(stay, &agent, "USER_NOT_REGISTERED");
        }
        Fate::Fails(cause) => {
            let ring = story.offer(stay, &agent);
            story.pass(offer.rings_ms);
            story.miss(stay, &ring, cause, Ended::ByPhone);
        }
        Fate::AnswersInVain => {
            let ring = story.offer(stay, &agent);
            story.pass(offer.rings_ms);
            story.pick_up(ring.leg);
            story.bridge_start(stay, &ring);
            story.pass(1);
            story.hang_up(ring.leg, "NORMAL_CLEARING", Ended::ByPhone);
            story.bridge_end(stay, &ring, false);
        }
    }
}

/// Tells how a stay ends; whether the call goes on after it.
fn tell_end(story: &mut Story, stay: &Stay, end: End) -> bool {
    match end {
        End::GivesUp { while_ringing } => {
            let ring = while_ringing.then(|| story.offer(stay, "agent1"));
            story.pass(2_000);
            story.give_up(stay);
            story.pass(20);
            if let Some(ring) = ring {
                story.miss(stay, &ring, "ORIGINATOR_CANCEL", Ended::ByFreeSwitch);
            }
            false
        }
        End::IsKilled => {
            story.ending(stay.leg, "NORMAL_CLEARING", Ended::ByFreeSwitch);
            story.leave(stay, Some("BREAK_OUT"));
            story.gone(stay.leg);
            false
        }
        End::Leaves { reason, while_ringing } => {
            let ring = while_ringing.then(|| story.offer(stay, "agent1"));
            story.pass(2_000);
            story.leave(stay, Some(reason));
            if let Some(ring) = ring {
                story.pass(20);
                story.miss(stay, &ring, "ORIGINATOR_CANCEL", Ended::ByFreeSwitch);
            }
            true
        }
        End::Talks { ms, ended, answered_by_two } => {
            let loser = answered_by_two.then(|| story.offer(stay, "agent2"));
            let ring = story.offer(stay, "agent1");
            story.pass(1_000);
            if let Some(loser) = loser {
                story.pick_up(loser.leg);
            }
            story.answer(stay, &ring);
            story.pass(ms);
            story.part(stay.leg);
            story.hang_up(stay.leg, "NORMAL_CLEARING", ended);
            story.hang_up(ring.leg, "NORMAL_CLEARING", Ended::ByFreeSwitch);
            story.pass(100);
            story.bridge_end(stay, &ring, true);
            story.leave(stay, None);
            false
        }
        End::TalksAndIsTransferred => {
            let ring = story.talk(stay, "agent1");
            story.set(stay.leg, "transfer_source", "1795421926:x:bl_xfer:3000/default/XML");
            story.part(stay.leg);
            story.hang_up(ring.leg, "BLIND_TRANSFER", Ended::ByFreeSwitch);
            story.pass(100);
            story.bridge_end(stay, &ring, true);
            story.leave(stay, None);
            true
        }
    }
}

/// Sends the events on their ways.
fn disturb(story: &mut Story, ways: &[Way]) {
    let sent = std::mem::take(&mut story.sent);
    // The first event, a heartbeat, is the beginning of the connection.
    let steady = Way::default();
    for (sent, way) in sent.into_iter().zip(std::iter::once(&steady).chain(ways.iter().cycle())) {
        let mut copies = vec![sent.clone()];
        if way.is_doubled {
            copies.push(sent);
        }
        for mut sent in copies.into_iter().filter(|_| !way.is_lost) {
            sent.arrives_at += way.delay_ms * 1_000;
            story.sent.push(sent);
        }
    }
}

/// Plays the story; when all is over, FreeSWITCH is found empty.
fn play(story: &Story) -> (Vec<Payload>, Lifecycle) {
    let (mut lifecycle, mut effects) = (story.lifecycle(), Effects::default());
    story.play(&mut lifecycle, &mut effects);
    let hour = SignedDuration::from_hours(1);
    lifecycle.advance(lifecycle.now() + hour, &mut effects);
    let empty = Snapshot { core: Some("core-1".into()), ..Snapshot::default() };
    lifecycle.begin_gap();
    lifecycle.reconcile(&empty, &lifecycle.open_attempts(), &mut effects);
    lifecycle.advance(lifecycle.now() + hour, &mut effects);
    (effects.moments.into_iter().map(|moment| moment.payload).collect(), lifecycle)
}

fn by_attempt(payloads: &[Payload]) -> BTreeMap<u64, Vec<&Payload>> {
    let mut attempts: BTreeMap<u64, Vec<&Payload>> = BTreeMap::new();
    for payload in payloads {
        attempts.entry(payload.attempt_id.expect("of an attempt")).or_default().push(payload);
    }
    attempts
}

/// What must hold of every attempt, whatever of it was seen.
fn assert_sound(payloads: &[Payload], lifecycle: &Lifecycle) {
    assert_eq!(lifecycle.live(), 0, "an attempt lives on");
    assert_eq!(lifecycle.next_deadline(), None, "something is still waited for");
    assert_eq!(lifecycle.kept_channels(), 0, "a channel is still kept");
    let ids: BTreeSet<_> = payloads.iter().map(|payload| payload.id).collect();
    assert_eq!(ids.len(), payloads.len(), "a moment was told twice");
    for moments in by_attempt(payloads).values() {
        let words: Vec<_> = moments.iter().map(|m| (m.event.as_str(), m.agent_name.as_ref())).collect();
        assert_eq!(moments[0].event, EventName::Joined, "{words:?}");
        assert_eq!(moments[moments.len() - 1].event, EventName::Leaving, "{words:?}");
        let count = |event| moments.iter().filter(|moment| moment.event == event).count();
        assert_eq!((count(EventName::Joined), count(EventName::Leaving)), (1, 1), "{words:?}");
        let sequence: Vec<_> = moments.iter().map(|moment| moment.sequence.expect("numbered") as usize).collect();
        assert_eq!(sequence, (1..=moments.len()).collect::<Vec<_>>());
        assert_offers_in_order(moments);
        moments.iter().for_each(|moment| assert_durations(moment));
    }
}

fn assert_offers_in_order(moments: &[&Payload]) {
    let mut stages: BTreeMap<&str, EventName> = BTreeMap::new();
    for moment in moments.iter().filter(|moment| moment.event.is_of_offer()) {
        let agent = moment.agent_name.as_ref().expect("an offer has an agent").as_str();
        let before = stages.insert(agent, moment.event);
        let allowed = match moment.event {
            EventName::Offering => true,
            EventName::Answered | EventName::Missed => before == Some(EventName::Offering),
            EventName::Bridged => before == Some(EventName::Answered),
            EventName::Processing => before == Some(EventName::Bridged),
            _ => false,
        };
        assert!(allowed, "{} of {agent} after {before:?}", moment.event);
    }
}

fn assert_durations(moment: &Payload) {
    let seconds = |duration: Option<Seconds>| duration.map_or(0.0, |seconds| seconds.0);
    let shorter = [moment.call_bill_sec, moment.call_voice_sec, moment.hold_sec, moment.ring_sec, moment.wait_sec];
    for duration in shorter {
        assert!(seconds(duration) >= 0.0, "{duration:?}: {}", moment.event);
        let call = moment.call_duration.map_or(f64::INFINITY, |seconds| seconds.0);
        assert!(seconds(duration) <= call + 0.001, "{duration:?} in a call of {call} s: {}", moment.event);
    }
    let order = [moment.joined_at, moment.bridged_at, moment.left_at].map(|time| time.map(|time| time.0));
    let known: Vec<_> = order.into_iter().flatten().collect();
    assert!(known.is_sorted(), "{known:?}: {}", moment.event);
}

/// The hooks of each stay in words, without their order.
fn hooks(payloads: &[Payload]) -> BTreeMap<u64, Vec<String>> {
    let word = |moment: &&Payload| {
        let leaving = (moment.cc_result, moment.cc_cancel_reason, moment.hangup_side, moment.call_cause.clone());
        format!("{} {:?} {:?} {leaving:?}", moment.event, moment.agent_name, moment.missed_reason)
    };
    let words = |moments: Vec<&Payload>| {
        let mut words: Vec<_> = moments.iter().map(word).collect();
        words.sort();
        words
    };
    by_attempt(payloads).into_iter().map(|(id, moments)| (id, words(moments))).collect()
}

proptest! {
    #[test]
    fn any_calls_are_told_soundly(calls in calls(true)) {
        let (payloads, lifecycle) = play(&story_of(&calls));
        assert_sound(&payloads, &lifecycle);
        let stays = payloads.iter().filter(|payload| payload.event == EventName::Joined).count();
        prop_assert!(stays >= calls.len());
        let is_lost = |payload: &Payload| payload.cc_cancel_reason == Some(CancelReason::Lost);
        prop_assert!(!payloads.iter().any(is_lost));
    }

    #[test]
    fn a_little_disorder_changes_no_hook(calls in calls(true), ways in ways(0, 100)) {
        let mut story = story_of(&calls);
        let (straight, _) = play(&story);
        disturb(&mut story, &ways);
        let (payloads, lifecycle) = play(&story);
        assert_sound(&payloads, &lifecycle);
        prop_assert_eq!(hooks(&payloads), hooks(&straight));
    }

    #[test]
    fn events_that_are_seconds_late_leave_every_attempt_sound(calls in calls(false), ways in ways(0, 15_000)) {
        let mut story = story_of(&calls);
        disturb(&mut story, &ways);
        let (payloads, lifecycle) = play(&story);
        assert_sound(&payloads, &lifecycle);
    }

    #[test]
    fn what_is_told_beyond_the_eight_changes_nothing_of_these_and_has_an_end(
        calls in calls(false),
        ways in ways(40, 15_000),
    ) {
        let mut story = story_of(&calls);
        disturb(&mut story, &ways);
        let (eight, _) = play(&story);
        story.hear_all();
        let (mut payloads, mut lifecycle) = play(&story);
        // Longer than post-processing can last.
        let mut effects = Effects::default();
        lifecycle.advance(lifecycle.now() + SignedDuration::from_hours(24), &mut effects);
        payloads.extend(effects.moments.into_iter().map(|moment| moment.payload));
        prop_assert_eq!(lifecycle.next_deadline(), None);
        let mut told = BTreeSet::new();
        for payload in &payloads {
            prop_assert!(told.insert(payload.id), "{} of {:?} is told twice", payload.event, payload.agent_name);
        }
        let count = |event| payloads.iter().filter(|payload| payload.event == event).count();
        let offers: usize = payloads.iter().filter(|payload| payload.event == EventName::Leaving)
            .map(|leaving| leaving.offers.as_ref().map_or(0, Vec::len)).sum();
        prop_assert_eq!(count(EventName::OfferEnded), offers);
        prop_assert_eq!(count(EventName::Processed), count(EventName::Processing));
        let last_count = payloads.iter().rev().find_map(|payload| payload.waiting);
        prop_assert_eq!(last_count.unwrap_or(0), 0);
        payloads.retain(|payload| payload.event.is_of_the_eight());
        prop_assert_eq!(payloads, eight);
    }

    #[test]
    fn lost_events_leave_every_attempt_sound(calls in calls(false), ways in ways(40, 5_000)) {
        let mut story = story_of(&calls);
        disturb(&mut story, &ways);
        let (payloads, lifecycle) = play(&story);
        assert_sound(&payloads, &lifecycle);
    }
}
