//! Scripts happen: events are sent, and the truth is written down.

use hookswitch::moment::value::{CancelReason, CcResult, Outcome, Side};

use super::script::{Call, End, Fate, GivingUp, Next, Offer, Visit};
use super::truth::{TrueEnd, TrueOffer, TrueStay};
use crate::story::{Ended, Leg, Ring, Stay, Story};

/// A story, and what is true in it.
pub(crate) struct Stage {
    pub(crate) story: Story,
    pub(crate) stays: Vec<TrueStay>,
}

/// Whoever calls.
pub(super) struct Caller {
    number: String,
    leg: Leg,
    began_at: i64,
}

impl Stage {
    /// All that happens in these calls.
    pub(crate) fn of(calls: &[Call]) -> Self {
        let mut stage = Self { story: Story::new(), stays: Vec::new() };
        let beginning = stage.story.now();
        for (place, call) in calls.iter().enumerate() {
            stage.story.go_to(beginning + call.comes_after_ms * 1_000);
            stage.call(place, call);
        }
        // Calls were told one after the other, whenever they happened.
        stage.story.number_by_time();
        stage
    }

    fn call(&mut self, place: usize, call: &Call) {
        let caller = self.dial_in(format!("4071234500{place}"));
        let stay = self.story.join(caller.leg, call.queue);
        let first = self.write_down(&caller, stay);
        let another = if call.queue.starts_with("sales") { "support@default" } else { "sales@default" };
        let goes_on = match &call.next {
            Some(Next::EntersAnother(visit)) => {
                let (goes_on, next) = self.visit(&caller, first, &call.visit, Some(another));
                match next.or_else(|| goes_on.then(|| self.enter(&caller, another, first))) {
                    Some(second) => self.visit(&caller, second, visit, None).0,
                    None => goes_on,
                }
            }
            Some(Next::Resumes(visit)) => {
                let goes_on = self.visit(&caller, first, &call.visit, None).0;
                if self.stays[first].talk.is_some() {
                    goes_on
                } else {
                    return self.resume(caller, goes_on, first, visit);
                }
            }
            None => self.visit(&caller, first, &call.visit, None).0,
        };
        self.end_call(&caller, goes_on);
    }

    fn dial_in(&mut self, number: String) -> Caller {
        let began_at = self.story.now();
        let leg = self.story.call(&number, "2001");
        self.story.pass(20);
        Caller { number, leg, began_at }
    }

    /// A call that went on after the queue ends some time later.
    fn end_call(&mut self, caller: &Caller, goes_on: bool) {
        if goes_on {
            self.story.pass(1_500);
            self.story.hang_up(caller.leg, "NORMAL_CLEARING", Ended::ByFreeSwitch);
        }
    }

    pub(super) fn enter(&mut self, caller: &Caller, queue: &str, before: usize) -> usize {
        self.story.pass(1);
        let stay = self.story.join(caller.leg, queue);
        let place = self.write_down(caller, stay);
        self.stays[place].previous_attempt_id = Some(self.attempt_id(before));
        place
    }

    /// The member takes its place again: on the same channel if that is up, else with another call.
    fn resume(&mut self, caller: Caller, is_up: bool, before: usize, visit: &Visit) {
        self.story.pass(if is_up { 1 } else { 3_000 });
        let caller = if is_up { caller } else { self.dial_in(caller.number) };
        let stay = self.story.resume(caller.leg, &self.stays[before].stay.clone());
        let place = self.write_down(&caller, stay);
        let earlier = self.stays[before].clone();
        let again = &mut self.stays[place];
        again.ordinal = if is_up { earlier.ordinal + 1 } else { 0 };
        again.attempt_seq = earlier.attempt_seq + 1;
        again.first_joined_at = Some(earlier.stay.joined_at);
        again.previous_attempt_id = Some(earlier.key("core-1").hash().attempt_id());
        let (goes_on, _) = self.visit(&caller, place, visit, None);
        self.end_call(&caller, goes_on);
    }

    fn attempt_id(&self, place: usize) -> u64 {
        self.stays[place].key("core-1").hash().attempt_id()
    }

    /// Writes down that a stay has begun; how it ends is yet to come.
    fn write_down(&mut self, caller: &Caller, stay: Stay) -> usize {
        let end = TrueEnd {
            left_at: i64::MAX,
            result: CcResult::Cancel,
            reason: None,
            cause: None,
            hangup_side: None,
            talk_ended_by: None,
            transferred_to: None,
            exit_key: None,
        };
        self.stays.push(TrueStay {
            session: self.story.uuid(stay.leg),
            stay,
            ordinal: 0,
            attempt_seq: 1,
            previous_attempt_id: None,
            first_joined_at: None,
            call_began_at: caller.began_at,
            offers: Vec::new(),
            talk: None,
            struck_off_at: i64::MAX,
            end,
        });
        self.stays.len() - 1
    }

    /// A stay, to its end. Whether the call goes on, and the stay that began in `next` before this one ended.
    fn visit(&mut self, caller: &Caller, place: usize, visit: &Visit, next: Option<&str>) -> (bool, Option<usize>) {
        for round in &visit.rounds {
            self.story.pass(1_000);
            self.round(place, round);
        }
        self.story.pass(1_000);
        match &visit.end {
            End::GivesUp { ringing, how } => self.give_up(place, ringing, *how),
            End::IsKilled { ringing, by_shutdown } => self.kill(place, ringing, *by_shutdown),
            End::IsTakenOut { ringing, reason, cancels_are_first } => {
                self.take_out(place, ringing, reason, *cancels_are_first);
                return (true, None);
            }
            End::Talks(talk) => return self.talk(caller, place, talk, next),
        }
        (false, None)
    }

    /// Agents are called at the same time; the others lose the race when one answers.
    fn round(&mut self, place: usize, round: &[Offer]) {
        let beginning = self.story.now();
        let begun: Vec<_> = round.iter().map(|offer| (offer, self.offer(place, offer))).collect();
        let mut ends: Vec<_> = begun.into_iter().filter(|(offer, _)| !matches!(offer.fate, Fate::HasNoPhone)).collect();
        ends.sort_by_key(|(offer, _)| offer.rings_ms);
        let mut is_won = false;
        for (offer, (index, rings)) in ends {
            if is_won {
                if let [first, _] = &rings[..] {
                    self.story.hang_up(first.leg, "LOSE_RACE", Ended::ByFreeSwitch);
                }
                self.miss(place, index, &rings, "LOSE_RACE", Outcome::LostRace);
                continue;
            }
            self.story.go_to(self.story.now().max(beginning + offer.rings_ms * 1_000));
            match offer.fate {
                Fate::Fails(cause) => self.miss(place, index, &rings, cause, outcome_of(cause)),
                Fate::HasTwoPhones => {
                    self.story.hang_up(rings[0].leg, "USER_BUSY", Ended::ByPhone);
                    self.story.pass(200);
                    self.miss(place, index, &rings, "ALLOTTED_TIMEOUT", Outcome::NoAnswer);
                }
                Fate::GoesOnBreak => {
                    self.story.status(&rings[0].agent, "On Break");
                    // With ring-all mod_callcenter takes nothing back when a status changes.
                    if round.len() == 1 {
                        self.miss(place, index, &rings, "ORIGINATOR_CANCEL", Outcome::Withdrawn);
                    } else {
                        self.miss(place, index, &rings, "ALLOTTED_TIMEOUT", Outcome::NoAnswer);
                    }
                }
                Fate::AnswersInVain => {
                    self.answer_in_vain(place, index, &rings[0]);
                    is_won = true;
                }
                Fate::HasNoPhone => {}
            }
        }
    }

    fn offer(&mut self, place: usize, offer: &Offer) -> (usize, Vec<Ring>) {
        let agent = self.agent(place, offer.agent);
        let (index, stay) = (self.begin_offer(place, &agent), self.stays[place].stay.clone());
        match offer.fate {
            Fate::HasNoPhone => {
                self.story.pass(1);
                self.story.fail(&stay, &agent, "USER_NOT_REGISTERED");
                self.close(place, index, Outcome::Unavailable);
                (index, Vec::new())
            }
            Fate::HasTwoPhones => (index, vec![self.ring(place, index), self.ring(place, index)]),
            Fate::Fails(_) | Fate::AnswersInVain | Fate::GoesOnBreak => (index, vec![self.ring(place, index)]),
        }
    }

    /// An agent's name. No two calls have the same agents: who goes on break does so for all calls.
    fn agent(&self, place: usize, number: usize) -> String {
        format!("agent{number}-{}", self.story.number(self.stays[place].stay.leg))
    }

    fn begin_offer(&mut self, place: usize, agent: &str) -> usize {
        let stay = self.stays[place].stay.clone();
        self.story.offering(&stay, agent);
        let offers = &mut self.stays[place].offers;
        let ordinal = offers.iter().filter(|offer| offer.agent == agent).count() as u32;
        offers.push(TrueOffer {
            agent: agent.to_owned(),
            ordinal,
            legs: Vec::new(),
            offered_at: self.story.now(),
            answered_at: None,
            ended_at: i64::MAX,
            outcome: Outcome::Lost,
        });
        offers.len() - 1
    }

    fn ring(&mut self, place: usize, index: usize) -> Ring {
        let TrueStay { stay, offers, .. } = &mut self.stays[place];
        let ring = self.story.ring(stay, &offers[index].agent);
        offers[index].legs.push(ring.leg);
        ring
    }

    pub(super) fn close(&mut self, place: usize, index: usize, outcome: Outcome) {
        let offer = &mut self.stays[place].offers[index];
        offer.ended_at = self.story.now();
        offer.outcome = outcome;
    }

    /// An agent's phones are, or go, silent.
    pub(super) fn miss(&mut self, place: usize, index: usize, rings: &[Ring], cause: &str, outcome: Outcome) {
        let by = if matches!(cause, "USER_BUSY" | "CALL_REJECTED" | "UNWANTED" | "NO_USER_RESPONSE") {
            Ended::ByPhone
        } else {
            Ended::ByFreeSwitch
        };
        let ring = rings.last().expect("a phone rings");
        let stay = self.stays[place].stay.clone();
        self.story.miss(&stay, ring, cause, by);
        self.close(place, index, outcome);
    }

    fn answer_in_vain(&mut self, place: usize, index: usize, ring: &Ring) {
        let stay = self.stays[place].stay.clone();
        self.pick_up(place, index, ring);
        self.story.bridge_start(&stay, ring);
        self.story.pass(200);
        self.story.hang_up(ring.leg, "NORMAL_CLEARING", Ended::ByPhone);
        self.story.bridge_end(&stay, ring, false);
        self.close(place, index, Outcome::Failed);
    }

    pub(super) fn pick_up(&mut self, place: usize, index: usize, ring: &Ring) {
        self.story.pick_up(ring.leg);
        self.stays[place].offers[index].answered_at = Some(self.story.now());
    }

    /// The phones of these agents ring for two seconds.
    pub(super) fn ring_all(&mut self, place: usize, agents: &[usize]) -> Vec<(usize, Ring)> {
        let begin = |agent: &usize| {
            let index = {
                let agent = self.agent(place, *agent);
                self.begin_offer(place, &agent)
            };
            (index, self.ring(place, index))
        };
        let rings = agents.iter().map(begin).collect();
        self.story.pass(2_000);
        rings
    }

    fn cancel(&mut self, place: usize, rings: &[(usize, Ring)], outcome: Outcome) {
        for (index, ring) in rings {
            self.miss(place, *index, std::slice::from_ref(ring), "ORIGINATOR_CANCEL", outcome);
        }
    }

    pub(super) fn leave(&mut self, place: usize, reason: Option<&str>) {
        let true_stay = &mut self.stays[place];
        self.story.leave(&true_stay.stay, reason);
        true_stay.struck_off_at = self.story.now();
        true_stay.end.left_at = true_stay.end.left_at.min(self.story.now());
    }

    /// The member's call begins to end.
    pub(super) fn end_member(&mut self, place: usize, cause: &'static str, by: Ended, side: Side) {
        let TrueStay { stay, end, .. } = &mut self.stays[place];
        self.story.ending(stay.leg, cause, by);
        end.left_at = self.story.now();
        (end.cause, end.hangup_side) = (Some(cause), Some(side));
    }

    fn give_up(&mut self, place: usize, ringing: &[usize], how: GivingUp) {
        let mut rings = self.ring_all(place, ringing);
        let leg = self.stays[place].stay.leg;
        let listening = if matches!(how, GivingUp::InWhisper) { self.begin_whisper(place, &mut rings) } else { None };
        if matches!(how, GivingUp::CancelsFirst) {
            self.cancel(place, &rings, Outcome::Abandoned);
            rings.clear();
            self.story.pass(10);
        }
        match how {
            GivingUp::IsLost => self.end_member(place, "MEDIA_TIMEOUT", Ended::ByFreeSwitch, Side::Member),
            _ => self.end_member(place, "NORMAL_CLEARING", Ended::ByPhone, Side::Member),
        }
        let end = &mut self.stays[place].end;
        (end.result, end.reason) = (CcResult::Abandoned, Some(CancelReason::Hangup));
        self.leave(place, Some("BREAK_OUT"));
        self.story.gone(leg);
        self.story.pass(20);
        self.cancel(place, &rings, Outcome::Abandoned);
        if let Some((index, ring)) = listening {
            self.story.pass(1_500);
            self.story.hang_up(ring.leg, "NORMAL_CLEARING", Ended::ByFreeSwitch);
            self.story.bridge_end(&self.stays[place].stay.clone(), &ring, false);
            self.close(place, index, Outcome::Failed);
        }
    }

    /// The first agent answers and hears an announcement; the others have lost the race.
    fn begin_whisper(&mut self, place: usize, rings: &mut Vec<(usize, Ring)>) -> Option<(usize, Ring)> {
        let mut all = std::mem::take(rings).into_iter();
        let (index, ring) = all.next()?;
        self.pick_up(place, index, &ring);
        self.story.bridge_start(&self.stays[place].stay.clone(), &ring);
        for (loser, ring) in all {
            self.miss(place, loser, &[ring], "LOSE_RACE", Outcome::LostRace);
        }
        self.story.pass(500);
        Some((index, ring))
    }

    fn kill(&mut self, place: usize, ringing: &[usize], by_shutdown: bool) {
        let rings = self.ring_all(place, ringing);
        if by_shutdown {
            self.end_member(place, "SYSTEM_SHUTDOWN", Ended::Untold, Side::System);
        } else {
            self.end_member(place, "NORMAL_CLEARING", Ended::ByFreeSwitch, Side::System);
        }
        let end = &mut self.stays[place].end;
        (end.result, end.reason) = (CcResult::Cancel, Some(CancelReason::Killed));
        self.leave(place, Some("BREAK_OUT"));
        self.story.gone(self.stays[place].stay.leg);
        self.story.pass(20);
        self.cancel(place, &rings, Outcome::Withdrawn);
    }

    fn take_out(&mut self, place: usize, ringing: &[usize], reason: &str, cancels_are_first: bool) {
        let rings = self.ring_all(place, ringing);
        if cancels_are_first {
            self.cancel(place, &rings, Outcome::Withdrawn);
            self.story.pass(10);
        }
        let TrueStay { stay, end, .. } = &mut self.stays[place];
        end.result = CcResult::Cancel;
        end.reason = Some(match reason {
            "TIMEOUT" => CancelReason::Timeout,
            "NO_AGENT_TIMEOUT" => CancelReason::NoAgentTimeout,
            "EXIT_WITH_KEY" => CancelReason::ExitWithKey,
            _ => CancelReason::BreakOut,
        });
        if reason == "EXIT_WITH_KEY" {
            end.exit_key = Some("9");
            self.story.set(stay.leg, "cc_exit_key", "9");
        }
        self.leave(place, Some(reason));
        if !cancels_are_first {
            self.story.pass(20);
            self.cancel(place, &rings, Outcome::Withdrawn);
        }
    }
}

/// The outcome that a cause stands for.
fn outcome_of(cause: &str) -> Outcome {
    match cause {
        "USER_BUSY" => Outcome::Busy,
        "ALLOTTED_TIMEOUT" => Outcome::NoAnswer,
        "CALL_REJECTED" => Outcome::Rejected,
        "NO_USER_RESPONSE" => Outcome::Unavailable,
        _ => Outcome::Failed,
    }
}
