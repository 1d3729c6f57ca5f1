//! Conversations happen.

use hookswitch::moment::value::{CcResult, Outcome, Side};

use super::script::{Talk, TalkEnd};
use super::stage::{Caller, Stage};
use super::truth::TrueTalk;
use crate::story::{Ended, Ring};

/// How long mod_callcenter takes to see that a conversation is over.
const NOTICE_MS: i64 = 100;

impl Stage {
    /// A conversation, to the end of the stay. Whether the call goes on, and the stay that began in `next` before this one
    /// ended.
    pub(super) fn talk(
        &mut self,
        caller: &Caller,
        place: usize,
        talk: &Talk,
        next: Option<&str>,
    ) -> (bool, Option<usize>) {
        let (ring, late) = self.connect(place, talk);
        self.converse(talk, &ring);
        let went_to = match talk.end {
            TalkEnd::ByMember { sip } => self.end_both(place, &ring, sip, Side::Member),
            TalkEnd::ByAgent { sip } => self.end_both(place, &ring, sip, Side::Agent),
            TalkEnd::ByKill => self.end_both(place, &ring, true, Side::System),
            TalkEnd::ByAgentAlone => self.end_agent_alone(place, &ring),
            TalkEnd::BlindTransfer { lingers_ms } => self.transfer_blindly(caller, place, &ring, lingers_ms, next),
            TalkEnd::AttendedTransfer => self.transfer_attended(place, &ring),
        };
        for ring in late {
            self.story.hang_up(ring.leg, "NORMAL_CLEARING", Ended::ByFreeSwitch);
        }
        let goes_on = self.stays[place].end.cause.is_none();
        (goes_on, went_to)
    }

    /// The agent and those who lose the race are called; the agent is connected. The legs of those who answered at the same
    /// time stay up.
    fn connect(&mut self, place: usize, talk: &Talk) -> (Ring, Vec<Ring>) {
        let agents: Vec<_> = talk.losers.iter().map(|(agent, _)| *agent).chain([talk.agent]).collect();
        let mut rings = self.ring_all(place, &agents);
        let (winner, ring) = rings.pop().expect("the agent's phone rings");
        for ((index, ring), _) in rings.iter().zip(&talk.losers).filter(|(_, (_, answers))| *answers) {
            self.pick_up(place, *index, ring);
        }
        self.pick_up(place, winner, &ring);
        let stay = self.stays[place].stay.clone();
        self.story.bridge_start(&stay, &ring);
        let mut late = Vec::new();
        for ((index, ring), (_, answers)) in rings.into_iter().zip(&talk.losers) {
            if *answers {
                self.close(place, index, Outcome::LostRace);
                late.push(ring);
            } else {
                self.miss(place, index, &[ring], "LOSE_RACE", Outcome::LostRace);
            }
        }
        self.story.pass(20);
        self.story.bridge(&stay, &ring);
        self.stays[place].talk = Some(TrueTalk {
            offer: winner,
            began_at: self.story.now(),
            ended_at: i64::MAX,
            agent_done_at: i64::MAX,
            hold_ms: talk.hold_ms,
        });
        self.stays[place].end.result = CcResult::Success;
        (ring, late)
    }

    fn converse(&mut self, talk: &Talk, ring: &Ring) {
        self.story.pass(talk.ms);
        if let Some(hold_ms) = talk.hold_ms {
            self.story.hold(ring.leg);
            self.story.pass(hold_ms);
            self.story.unhold(ring.leg);
            self.story.pass(talk.ms);
        }
    }

    /// Both legs end with the conversation.
    fn end_both(&mut self, place: usize, ring: &Ring, sip: bool, side: Side) -> Option<usize> {
        let leg = self.stays[place].stay.leg;
        let (member, agent) = match side {
            _ if !sip => (Ended::Untold, Ended::Untold),
            Side::Member => (Ended::ByPhone, Ended::ByFreeSwitch),
            Side::Agent => (Ended::ByFreeSwitch, Ended::ByPhone),
            Side::System => (Ended::ByFreeSwitch, Ended::ByFreeSwitch),
        };
        match side {
            Side::Agent => self.story.set(leg, "last_bridge_hangup_cause", "NORMAL_CLEARING"),
            Side::Member | Side::System => self.story.set(ring.leg, "last_bridge_hangup_cause", "NORMAL_CLEARING"),
        }
        self.end_member(place, "NORMAL_CLEARING", member, side);
        self.stays[place].end.talk_ended_by = Some(side);
        self.story.ending(ring.leg, "NORMAL_CLEARING", agent);
        self.story.part(leg);
        self.story.gone(leg);
        self.story.gone(ring.leg);
        let ended_at = self.story.now();
        self.finish_agent(place, ring, NOTICE_MS);
        self.end_talk(place, ended_at);
        self.leave(place, None);
        None
    }

    fn end_agent_alone(&mut self, place: usize, ring: &Ring) -> Option<usize> {
        self.story.ending(ring.leg, "NORMAL_CLEARING", Ended::ByPhone);
        self.story.part(self.stays[place].stay.leg);
        self.story.gone(ring.leg);
        self.stays[place].end.talk_ended_by = Some(Side::Agent);
        self.finish_agent(place, ring, NOTICE_MS);
        self.end_talk(place, self.story.now());
        self.leave(place, None);
        None
    }

    fn transfer_blindly(
        &mut self,
        caller: &Caller,
        place: usize,
        ring: &Ring,
        lingers_ms: i64,
        next: Option<&str>,
    ) -> Option<usize> {
        let leg = self.stays[place].stay.leg;
        let mark = format!("{}:x:bl_xfer:3000/default/XML", self.story.now());
        self.story.set(leg, "transfer_source", mark);
        self.story.set(ring.leg, "endpoint_disposition", "BLIND_TRANSFER");
        self.story.part(leg);
        let parted_at = self.story.now();
        let entered = next.map(|queue| self.enter(caller, queue, place));
        self.story.pass(lingers_ms - NOTICE_MS);
        self.story.hang_up(ring.leg, "NORMAL_CLEARING", Ended::ByFreeSwitch);
        self.end_as_transferred(place, ring, "3000");
        // The conversation has ended before mod_callcenter says so, where that takes long.
        self.end_talk(place, if lingers_ms > NOTICE_MS { parted_at } else { self.story.now() });
        entered
    }

    /// The agent, who has called somebody meanwhile, connects the member with that person.
    fn transfer_attended(&mut self, place: usize, ring: &Ring) -> Option<usize> {
        let leg = self.stays[place].stay.leg;
        let consultation = self.story.call(&ring.agent, "3000");
        let expert = self.story.dial(&ring.agent, "3000");
        self.story.pick_up(expert);
        self.story.connect(consultation, expert);
        self.story.pass(1_000);
        let mark = format!("{}:x:uuid_br:{}", self.story.now(), self.story.uuid(expert));
        self.story.set(leg, "transfer_source", mark);
        self.story.set(ring.leg, "endpoint_disposition", "ATTENDED_TRANSFER");
        self.story.part(leg);
        self.story.hang_up(ring.leg, "NORMAL_CLEARING", Ended::ByFreeSwitch);
        self.end_as_transferred(place, ring, "3000");
        self.end_talk(place, self.story.now());
        self.story.connect(expert, leg);
        self.story.hang_up(consultation, "NORMAL_CLEARING", Ended::ByFreeSwitch);
        self.story.pass(500);
        self.story.hang_up(expert, "NORMAL_CLEARING", Ended::ByPhone);
        None
    }

    fn end_as_transferred(&mut self, place: usize, ring: &Ring, target: &str) {
        let end = &mut self.stays[place].end;
        end.talk_ended_by = Some(Side::Agent);
        end.transferred_to = Some(target.to_owned());
        self.finish_agent(place, ring, NOTICE_MS);
        self.leave(place, None);
    }

    /// mod_callcenter notices that the agent's part is over.
    fn finish_agent(&mut self, place: usize, ring: &Ring, notice_ms: i64) {
        self.story.pass(notice_ms);
        let stay = self.stays[place].stay.clone();
        self.story.bridge_end(&stay, ring, true);
        let (now, talk) = (self.story.now(), self.stays[place].talk.as_mut().expect("a conversation"));
        talk.agent_done_at = now;
        let index = talk.offer;
        self.close(place, index, Outcome::Bridged);
    }

    fn end_talk(&mut self, place: usize, at: i64) {
        self.stays[place].talk.as_mut().expect("a conversation").ended_at = at;
    }
}
