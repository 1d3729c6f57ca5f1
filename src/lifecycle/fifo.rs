//! mod_fifo as a source: callers wait in a fifo, and consumers take them out.
//!
//! A consumer calls in, or is called by mod_fifo on a leg that names its caller ([`super::dialer`]). It is offered the caller
//! when that leg is made, or else when it takes the caller, and has answered then at the latest. Surveys do not
//! ask mod_fifo: who is in a fifo before the daemon listens is not followed.

use super::anomaly::Anomaly;
use super::attempt::Attempt;
use super::dialer::agent_on;
use super::input::Input;
use super::joining::Newcomer;
use super::machine::{Effects, Lifecycle};
use super::memory::Stay;
use super::offer::Offer;
use super::subscriber::Named;
use super::world::Occasion;
use super::wrap_up::AgentMove;
use crate::config::queue::QueueSource;
use crate::freeswitch::channel::{AnswerState, ChannelData};
use crate::freeswitch::fact::{FifoStep, MemberRef};
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
                let Some(hash) = self.fifo_attempt(name, &uuid) else { return };
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
    fn fifo_attempt(&mut self, name: &str, caller: &str) -> Option<AttemptHash> {
        let found = self.attempts.find(name, caller, caller);
        if found.is_none() {
            let is_over = self.settled(&Stay { queue: name.into(), member: caller.into(), session: caller.into() });
            self.anomalies.count(if is_over.is_some() { Anomaly::AfterLeaving } else { Anomaly::BeganBefore });
        }
        found
    }

    fn push(&mut self, input: &Input<'_>, name: &str, caller: &str, data: ChannelData<'_>, effects: &mut Effects) {
        let known = self.attempts.find(name, caller, caller).and_then(|hash| self.attempt(hash));
        if known.is_some_and(|attempt| attempt.left_at().is_none()) {
            return self.anomalies.count(Anomaly::RepeatedJoin);
        }
        let member = MemberRef { queue: name.into(), member: caller.into(), session: caller.into() };
        let newcomer = Newcomer {
            member: &member,
            source: QueueSource::Fifo,
            brings_call: false,
            named: Named::by_caller_id(data),
            data,
            joined_at: input.at,
            bridged_before: data.bridged_at(),
            resumed: false,
            synthetic: false,
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
        let Some(hash) = self.fifo_attempt(name, caller) else { return };
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
