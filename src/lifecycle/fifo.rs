//! mod_fifo as a source: callers wait in a fifo, and consumers take them out.
//!
//! A consumer calls in, or is called by mod_fifo on a leg that names its caller ([`super::dialer`]). It is offered the caller
//! when that leg is made, or else when it takes the caller, and has answered then at the latest. Surveys do not
//! ask mod_fifo, but find the callers who wait by their channels' variables.

use std::borrow::Cow;

use jiff::Timestamp;
use jiff::civil::DateTime;

use super::anomaly::Anomaly;
use super::attempt::Attempt;
use super::dialer::agent_on;
use super::input::Input;
use super::joining::{Newcomer, not_before_the_call};
use super::machine::{Effects, Lifecycle};
use super::memory::Stay;
use super::offer::Offer;
use super::subscriber::Named;
use super::world::Occasion;
use super::wrap_up::AgentMove;
use crate::config::queue::QueueSource;
use crate::freeswitch::channel::{AnswerState, ChannelData};
use crate::freeswitch::fact::{FifoStep, MemberRef, Stamp};
use crate::freeswitch::header as h;
use crate::id::{AttemptHash, ChannelUuid};
use crate::moment::value::CancelReason;

impl Lifecycle {
    /// A caller or a consumer has taken a step in a fifo.
    pub(super) fn fifo_step(
        &mut self,
        input: &Input<'_>,
        step: &FifoStep<'_>,
        name: &str,
        data: ChannelData<'_>,
        effects: &mut Effects,
    ) {
        let Some(uuid) = data.uuid() else { return };
        if self.world.config.source(name) != QueueSource::Fifo {
            return;
        }
        match step {
            FifoStep::Push => self.push(input, name, &uuid, data, effects),
            FifoStep::Pop { caller } => self.pop(input, name, caller, &uuid, data, effects),
            FifoStep::Leave { .. } | FifoStep::CallerStop => {
                let Some(hash) = self.fifo_attempt(input, name, &uuid) else { return };
                self.note_transfer_target(hash, data);
                self.with_attempt(hash, input.at, &input.source, effects, |attempt, occasion| {
                    attempt.absorb(data);
                    match step {
                        FifoStep::Leave { timed_out } => attempt.leave_fifo(occasion, *timed_out, data),
                        _ => attempt.end_queue(occasion, data),
                    }
                });
            }
            FifoStep::ConsumerStop => {
                let Some(hash) = self.here.channels.get(&uuid).and_then(|channel| channel.serves) else { return };
                self.with_attempt(hash, input.at, &input.source, effects, |attempt, occasion| {
                    attempt.stop_consumer(occasion, &uuid);
                });
            }
        }
    }

    /// The attempt of a caller who is in the fifo.
    fn fifo_attempt(&mut self, input: &Input<'_>, name: &str, caller: &str) -> Option<AttemptHash> {
        let found = self.attempts.find(name, caller, caller);
        if found.is_none() {
            let stay = Stay { queue: name.into(), member: caller.into(), session: caller.into() };
            if self.settled(&stay).is_some() {
                self.anomalies.count(Anomaly::AfterLeaving);
            } else if input.waited || !self.here.early.is_surveyed() || !self.keep(input, caller) {
                self.anomalies.count(Anomaly::BeganBefore);
            }
        }
        found
    }

    /// Takes over a caller of whom a survey has found that it waits in a fifo; false if the channel is none's.
    pub(super) fn take_over_caller(
        &mut self,
        input: &Input<'_>,
        uuid: &str,
        data: ChannelData<'_>,
        effects: &mut Effects,
    ) -> bool {
        let Some(name) = fifo_waited_in(data).filter(|name| self.world.config.source(name) == QueueSource::Fifo) else {
            return false;
        };
        let stay = Stay { queue: (&*name).into(), member: uuid.into(), session: uuid.into() };
        let joined_at = pushed_at(data).or(data.answered_at()).or(data.created_at()).unwrap_or(input.at);
        let joined_at = not_before_the_call(joined_at, data, uuid);
        let is_over = self.settled(&stay).is_some_and(|settled| joined_at.as_second() <= settled.left_at.as_second());
        if !is_over && self.attempts.find(&name, uuid, uuid).is_none() {
            self.enter_fifo(input, &name, uuid, data, joined_at, effects);
            self.apply_early(uuid, effects);
        }
        true
    }

    fn push(&mut self, input: &Input<'_>, name: &str, caller: &str, data: ChannelData<'_>, effects: &mut Effects) {
        let known = self.attempts.find(name, caller, caller).and_then(|hash| self.attempt(hash));
        if known.is_some_and(|attempt| attempt.left_at().is_none()) {
            return self.anomalies.count(Anomaly::RepeatedJoin);
        }
        self.enter_fifo(input, name, caller, data, input.at, effects);
    }

    fn enter_fifo(
        &mut self,
        input: &Input<'_>,
        name: &str,
        caller: &str,
        data: ChannelData<'_>,
        joined_at: Timestamp,
        effects: &mut Effects,
    ) {
        let member = MemberRef { queue: name.into(), member: caller.into(), session: caller.into() };
        let newcomer = Newcomer {
            member: &member,
            source: QueueSource::Fifo,
            brings_call: false,
            named: Named::by_caller_id(data),
            data,
            joined_at,
            bridged_before: data.bridged_at(),
            resumed: false,
            synthetic: input.is_snapshot,
        };
        self.open(input, newcomer, effects);
    }

    /// A consumer takes a caller.
    fn pop(
        &mut self,
        input: &Input<'_>,
        name: &str,
        caller: &str,
        consumer: &str,
        data: ChannelData<'_>,
        effects: &mut Effects,
    ) {
        let Some(hash) = self.fifo_attempt(input, name, caller) else { return };
        let Some(agent) = agent_on(data) else { return self.anomalies.count(Anomaly::Malformed) };
        self.move_agent(input, &agent, AgentMove::Offer, Some(hash), effects);
        self.note_leg(consumer, hash);
        self.with_attempt(hash, input.at, &input.source, effects, |attempt, occasion| {
            attempt.pop(occasion, &agent, consumer.into(), data);
        });
        if self.attempt(hash).is_some() {
            self.attempts.note_offer(&agent, hash);
        }
    }
}

impl Attempt {
    /// A consumer takes the caller: one who is called for it already, or one who has called in.
    fn pop(&mut self, occasion: &mut Occasion<'_>, agent: &str, consumer: ChannelUuid, data: ChannelData<'_>) {
        let is_called = |offer: &Offer| offer.is_open() && offer.has_leg(consumer.as_str());
        let index = self.offers.iter().position(is_called).or_else(|| {
            self.offer(occasion, agent, false);
            self.add_leg(occasion, agent, consumer.clone(), data);
            self.open_offer(agent, occasion.at)
        });
        if let Some(index) = index {
            self.answer_as(occasion, index, occasion.at, false);
        }
    }

    /// The caller leaves the fifo without a consumer: its time is over, it was taken out, it pressed the key, or hung up.
    fn leave_fifo(&mut self, occasion: &mut Occasion<'_>, timed_out: bool, data: ChannelData<'_>) {
        let key = data.header(h::FIFO_CALLER_EXIT_KEY);
        let reason = match (timed_out, key) {
            (true, _) => CancelReason::Timeout,
            (false, Some(key)) if data.answer_state() == AnswerState::Answered && self.transfer_mark().is_none() => {
                self.call.exit_key = Some(key.into_owned());
                CancelReason::ExitWithKey
            }
            (false, _) => CancelReason::BreakOut,
        };
        self.end_queue_for(occasion, Some(reason), data);
    }

    /// A consumer's part is over.
    fn stop_consumer(&mut self, occasion: &mut Occasion<'_>, consumer: &str) {
        if let Some(index) = self.offers.iter().position(|offer| offer.is_open() && offer.has_leg(consumer)) {
            let bridged = self.bridge.as_ref().is_some_and(|bridge| bridge.offer == index);
            self.end_bridged_offer(occasion, index, bridged);
        }
    }
}

/// The fifo in which the caller on a channel waits, where it does: its channel runs `fifo NAME in …`.
fn fifo_waited_in<'e>(data: ChannelData<'e>) -> Option<Box<str>> {
    let is = |name, value: &str| data.header(name).is_some_and(|text: Cow<'e, str>| text == value);
    if !is(h::CURRENT_APPLICATION, "fifo") || !is(h::FIFO_STATUS, "WAITING") {
        return None;
    }
    let arguments = data.header(h::CURRENT_APPLICATION_DATA)?;
    let (name, rest) = arguments.split_once(' ')?;
    (rest.split(' ').next() == Some("in")).then(|| name.into())
}

/// When the caller entered the fifo: mod_fifo tells it in whole seconds of local time, which the data's own time shows.
fn pushed_at(data: ChannelData<'_>) -> Option<Timestamp> {
    let local = |name| data.header(name)?.parse::<DateTime>().ok();
    let (pushed, now) = (local(h::FIFO_PUSH_TIMESTAMP)?, local(h::EVENT_DATE_LOCAL)?);
    let at = Stamp::read(data.0).at?;
    let ago = now.duration_since(pushed);
    let second = Timestamp::from_second(at.as_second()).ok()?;
    second.checked_sub(ago).ok().filter(|pushed_at| *pushed_at <= at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::esl::Event;

    #[test]
    fn the_time_of_entering_a_fifo_is_read_in_whatever_zone_freeswitch_is() {
        let event = |local: &str, pushed: &str| {
            Event::from_json(
                serde_json::json!({
                    "Event-Date-Local": local, "Event-Date-Timestamp": "1795421685704109",
                    "variable_fifo_push_timestamp": pushed,
                })
                .to_string()
                .as_bytes(),
            )
            .expect("an event")
        };
        let pushed = |local, pushed| pushed_at(ChannelData(&event(local, pushed))).map(Timestamp::as_second);
        assert_eq!(pushed("2026-11-23 08:14:45", "2026-11-23 08:14:41"), Some(1_795_421_681));
        assert_eq!(pushed("2026-11-24 00:14:45", "2026-11-23 23:59:45"), Some(1_795_420_785));
        assert_eq!(pushed("2026-11-23 08:14:45", "2026-11-23 09:14:41"), None);
        assert_eq!(pushed("", "2026-11-23 09:14:41"), None);
    }
}
