//! How an attempt tells a moment: the payload, made from its facts as they stand.

use jiff::Timestamp;

use super::attempt::Attempt;
use super::result::TransferMark;
use super::world::Occasion;
use crate::freeswitch::cause;
use crate::id::MomentId;
use crate::moment::value::{CancelReason, MissedReason, Outcome, Seconds, Time};
use crate::moment::{EventName, Moment, Payload};

impl Attempt {
    /// Tells a moment of the attempt, or of one of its offers; one beyond the eight only where a hook hears it.
    pub fn tell(
        &mut self,
        occasion: &mut Occasion<'_>,
        event: EventName,
        offer: Option<usize>,
        at: Timestamp,
        synthetic: bool,
    ) {
        self.tell_with(occasion, event, offer, at, synthetic, |_, _| {});
    }

    /// Tells a moment with more fields than every moment has.
    pub fn tell_with(
        &mut self,
        occasion: &mut Occasion<'_>,
        event: EventName,
        offer: Option<usize>,
        at: Timestamp,
        synthetic: bool,
        fill: impl FnOnce(&Self, &mut Payload),
    ) {
        if !occasion.world.tells(event, &self.key.queue) {
            return;
        }
        let mut payload = self.next_payload(occasion, event, offer, at, synthetic);
        fill(self, &mut payload);
        payload.clear_inapplicable();
        self.dirty = true;
        occasion.moments.push(Moment { attempt: occasion.hash, payload });
    }

    /// Tells that an offer was missed.
    pub fn tell_missed(
        &mut self,
        occasion: &mut Occasion<'_>,
        index: usize,
        reason: MissedReason,
        at: Timestamp,
        synthetic: bool,
    ) {
        self.tell_with(occasion, EventName::Missed, Some(index), at, synthetic, |attempt, payload| {
            payload.missed_reason = Some(reason);
            attempt.fill_failure(payload, index, at);
        });
    }

    /// Closes an offer, and tells so. One that is over stays as it is.
    pub fn close_offer(
        &mut self,
        occasion: &mut Occasion<'_>,
        index: usize,
        outcome: Outcome,
        at: Timestamp,
        synthetic: bool,
    ) {
        if !self.offers[index].is_open() {
            return;
        }
        // The offer's state still holds why it failed.
        self.tell_with(occasion, EventName::OfferEnded, Some(index), at, synthetic, |attempt, payload| {
            payload.offer_outcome = Some(outcome);
            attempt.fill_failure(payload, index, at);
        });
        self.offers[index].close(outcome, at);
        self.dirty = true;
    }

    fn fill_failure(&self, payload: &mut Payload, index: usize, at: Timestamp) {
        let (cause, status) = self.offers[index].failure();
        payload.ring_sec = Some(self.offers[index].ring(at));
        payload.agent_cause = cause;
        payload.agent_sip_code = status;
    }

    fn next_payload(
        &mut self,
        occasion: &Occasion<'_>,
        event: EventName,
        offer: Option<usize>,
        at: Timestamp,
        synthetic: bool,
    ) -> Payload {
        self.sequence += u32::from(event.is_of_the_eight());
        let end = self.left_at().filter(|left| *left < at).unwrap_or(at);
        let waited_until = self.connected_at().map_or(end, |connected_at| connected_at.min(end));
        let mut payload = Payload {
            id: self.moment_id(occasion, event, offer, at),
            event,
            queue_name: Some(self.key.queue.clone()),
            queue_type: Some(self.settings.queue_type),
            node: self.node.clone(),
            channel: Some(self.settings.queue_type.medium()),
            attempt_id: Some(self.attempt_id),
            use_processing: Some(self.use_processing(occasion, offer)),
            timestamp: Time(at),
            sequence: Some(self.sequence),
            synthetic,
            source: occasion.source.clone(),
            wait_sec: Some(Seconds::between(self.joined_at, waited_until)),
            joined_at: Some(Time(self.joined_at)),
            bridged_at: self.connected_at().map(Time),
            previous_attempt_id: self.member.previous_attempt_id,
            first_joined_at: self.member.first_joined_at.map(Time),
            variables: self.call.variables.clone(),
            ..Payload::default()
        };
        self.fill_member(&mut payload, at);
        self.fill_offer(&mut payload, occasion, offer);
        self.fill_hold(&mut payload);
        if event.is_of_leaving() {
            self.fill_leaving(&mut payload);
        }
        payload
    }

    fn moment_id(&self, occasion: &Occasion<'_>, event: EventName, offer: Option<usize>, at: Timestamp) -> MomentId {
        if event.is_repeatable() {
            return occasion.hash.moment_at(event.as_str(), Some(&self.key.core), at, "");
        }
        let told_of = offer.map(|index| (&self.offers[index].agent, self.offers[index].ordinal));
        occasion.hash.moment(event.as_str(), told_of.filter(|_| event.is_of_offer()))
    }

    fn fill_member(&self, payload: &mut Payload, at: Timestamp) {
        let call_end = self.call.end.as_ref();
        let until = call_end.map_or(at, |end| end.at.min(at));
        payload.destination = self.call.destination.clone();
        payload.member_channel_id = self.channel().cloned();
        payload.member_name = self.member.name.clone();
        payload.member_number = self.member.number.clone();
        payload.member_id = self.member.id;
        payload.cc_attempt_seq = Some(self.member.attempt_seq);
        payload.amd_result = self.call.amd_result;
        payload.call_duration = self.call.created_at.map(|since| Seconds::between(since, until));
        payload.call_bill_sec = self.call.answered_at.map(|since| Seconds::between(since, until));
        payload.call_voice_sec = self
            .connected_at()
            .map(|since| Seconds::between(since, self.voice_ended_at().map_or(at, |ended| ended.min(at))));
        if let Some(end) = call_end {
            payload.call_cause = end.cause.clone();
            payload.call_cause_sip_code = end.cause.as_deref().map(cause::sip_status);
            payload.call_sip_code = match self.call.answered_at {
                Some(_) => Some(200),
                None => end.hangup.sip_status.or(payload.call_cause_sip_code),
            };
        }
    }

    /// Fills in the offer that the moment is about. A `leaving` without a bridged agent names none, but tells when the
    /// last offer was made and answered.
    fn fill_offer(&self, payload: &mut Payload, occasion: &Occasion<'_>, index: Option<usize>) {
        let Some(offer) = index.or(self.offers.len().checked_sub(1)).map(|index| &self.offers[index]) else {
            payload.offered_at = self.call.rang_at.map(Time);
            return;
        };
        if index.is_some() || payload.event.is_of_leaving() {
            payload.offered_at = Some(Time(offer.offered_at));
            payload.answered_at = offer.answered_at.map(Time);
        }
        if index.is_none() {
            return;
        }
        payload.agent_channel_id = offer.leg().map(|leg| leg.channel.clone());
        occasion.world.name_agent(payload, &offer.agent, &offer.identity());
    }

    fn fill_hold(&self, payload: &mut Payload) {
        let hold = self.bridge.as_ref().map(|bridge| &bridge.hold);
        payload.hold_count = Some(hold.map_or(0, |hold| hold.count));
        payload.hold_sec = Some(Seconds::from_micros(hold.map_or(0, |hold| hold.done_micros)));
    }

    fn fill_leaving(&self, payload: &mut Payload) {
        let (result, reason) = self.result();
        let left_at = self.left_at().unwrap_or(payload.timestamp.0);
        payload.left_at = Some(Time(left_at));
        payload.cc_result = Some(result);
        payload.cc_cancel_reason = reason;
        // The variable outlives the queue that was left by a key.
        let by_key = self.queue_end.as_ref().is_some_and(|end| end.reason == Some(CancelReason::ExitWithKey));
        payload.exit_key = self.call.exit_key.clone().filter(|_| by_key);
        payload.hangup_side = self.hangup_side();
        payload.talk_ended_by = self.talk_ended_by();
        payload.offers = Some(self.offers.iter().map(|offer| offer.summary(left_at)).collect());
        payload.transferred_to = match self.transfer_mark() {
            Some(TransferMark::Blind(target)) => Some(target).filter(|target| !target.is_empty()).map(str::to_owned),
            Some(TransferMark::Attended(_)) => self.call.transferred_to.clone(),
            None => None,
        };
    }
}
