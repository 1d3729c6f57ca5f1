//! One stay of a member in one queue: its facts, and what each new fact changes. Those about its offers are in
//! [`super::offering`], those about its connection with an agent in [`super::bridge`].
//!
//! The attempt tells its own moments as facts come in. Whether an offer or the stay itself is over is decided in
//! [`super::ending`], after every fact and whenever the attempt's deadline comes.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::bridge::Bridge;
use super::leg::{Leg, LegEnd, UnclaimedLeg};
use super::memory::Abandoned;
use super::offer::Offer;
use super::told::Told;
use super::variables;
use super::world::Occasion;
use super::wrap_up::WrapUp;
use crate::config::queue::{QueueSettings, QueueSource};
use crate::freeswitch::channel::{AnswerState, ChannelData};
use crate::freeswitch::header as h;
use crate::id::{AttemptHash, AttemptKey, ChannelUuid, NodeName};
use crate::moment::EventName;
use crate::moment::value::{AmdResult, CancelReason, Variables};

/// An attempt.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Attempt {
    /// What makes it itself.
    pub key: AttemptKey,
    /// The node that it is on.
    pub node: NodeName,
    /// Where its facts come from.
    #[serde(default)]
    pub source: QueueSource,
    /// The settings of its queue, as they were when it joined.
    #[serde(skip)]
    pub settings: Arc<QueueSettings>,
    /// Its number.
    pub attempt_id: u64,
    /// Who waits.
    pub member: Member,
    /// The member's call.
    pub call: Call,
    /// When the member joined.
    pub joined_at: Timestamp,
    /// The offers, in their order.
    pub offers: Vec<Offer>,
    /// Agents' legs that were seen before their offer.
    pub unclaimed_legs: Vec<UnclaimedLeg>,
    /// The connection with an agent.
    pub bridge: Option<Bridge>,
    /// That FreeSWITCH said that the member has left the queue.
    pub queue_end: Option<QueueEnd>,
    /// That the attempt was found gone.
    pub loss: Option<Loss>,
    /// The agent's post-processing, while somebody waits to hear of its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wrap_up: Option<WrapUp>,
    /// What was accepted of it, where others tell of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told: Option<Box<Told>>,
    /// By how much the clock of its facts was set since it began.
    #[serde(default, skip_serializing_if = "SignedDuration::is_zero")]
    pub clock_step: SignedDuration,
    /// Whether it is settled that the member waited longer than promised, or did not.
    #[serde(default)]
    pub sla_settled: bool,
    /// How many of the eight moments were told.
    pub sequence: u32,
    /// Whether `leaving` was told: the attempt is over, but for the agent's post-processing.
    pub left: bool,
    /// Whether something has changed that a restart must find again.
    #[serde(skip)]
    pub dirty: bool,
}

/// Who waits.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Member {
    /// The caller's name.
    pub name: Option<String>,
    /// The member's number.
    pub number: Option<String>,
    /// Whether name and number are to be read off the member's channel yet, of which nothing was heard.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_presumed: bool,
    /// The variable `cc_member_id`.
    pub id: Option<i64>,
    /// Which of the member's attempts this is.
    pub attempt_seq: u64,
    /// When a resumed member joined first.
    pub first_joined_at: Option<Timestamp>,
    /// The attempt before this one.
    pub previous_attempt_id: Option<u64>,
}

/// The member's call.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Call {
    /// The member's channel, where it is none of the key: a dialer's attempt can begin before the member is called.
    #[serde(default)]
    pub channel: Option<ChannelUuid>,
    /// When the member's phone began to ring, where that is an event.
    #[serde(default)]
    pub rang_at: Option<Timestamp>,
    /// When the member was connected with what is played, where no agent takes part.
    #[serde(default)]
    pub connected_at: Option<Timestamp>,
    /// The number called.
    pub destination: Option<String>,
    /// When the channel was made.
    pub created_at: Option<Timestamp>,
    /// When it was answered.
    pub answered_at: Option<Timestamp>,
    /// What a machine detector found.
    pub amd_result: Option<AmdResult>,
    /// The key that left the queue.
    pub exit_key: Option<String>,
    /// FreeSWITCH's mark of the latest transfer, as it stood when the member joined.
    pub transfer_mark_at_join: Option<String>,
    /// The latest mark since.
    pub transfer_mark: Option<String>,
    /// When the channel had been connected before the member joined: that is none of this stay's.
    #[serde(default)]
    pub bridged_before: Option<Timestamp>,
    /// The person to whom an attended transfer led.
    pub transferred_to: Option<String>,
    /// The variables.
    pub variables: Variables,
    /// How the call ended.
    pub end: Option<LegEnd>,
    /// The node's clock when that was seen.
    pub end_seen_at: Option<Timestamp>,
    /// That the member had left the queue before, as the call's end told: it holds if nothing else tells so.
    #[serde(default)]
    pub left_queue: Option<Box<QueueEnd>>,
}

/// That FreeSWITCH does not have an attempt, or a leg, any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loss {
    /// When that was found; of an attempt, the latest time at which it was still there, as far as is known.
    pub at: Timestamp,
    /// Until when the events that tell its end may still come.
    pub grace_until: Timestamp,
    /// When it surely was over, where events had been missed: what happened later says nothing of its end.
    #[serde(default)]
    pub over_by: Option<Timestamp>,
    /// Of an attempt: whether the member's channel was still there, so that the call went on somewhere else.
    #[serde(default)]
    pub call_lives: bool,
}

impl Loss {
    /// A loss of which it is not known by when it was one.
    pub fn new(at: Timestamp, grace_until: Timestamp) -> Self {
        Self { at, grace_until, over_by: None, call_lives: false }
    }
}

/// What `member-queue-end` said.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct QueueEnd {
    /// When.
    pub at: Timestamp,
    /// The node's clock when that was seen: waits are measured from there, because events can be late.
    pub seen_at: Timestamp,
    /// Whether the call goes on.
    pub call_goes_on: bool,
    /// Why, where no agent was connected.
    pub reason: Option<CancelReason>,
    /// How the call ends, as far as it is known by then, where it does.
    pub call_end: Option<LegEnd>,
    /// Whether it was read off the call's end.
    #[serde(default)]
    pub inferred: bool,
}

impl Attempt {
    /// One that has just begun, and of which nothing else is known.
    pub fn begin(
        key: AttemptKey,
        node: NodeName,
        source: QueueSource,
        settings: Arc<QueueSettings>,
        joined_at: Timestamp,
    ) -> Self {
        Self {
            attempt_id: key.hash().attempt_id(),
            key,
            node,
            source,
            settings,
            member: Member::default(),
            call: Call::default(),
            joined_at,
            // Most are offered once; a vector that grows by itself would begin with room for four.
            offers: Vec::with_capacity(1),
            unclaimed_legs: Vec::new(),
            bridge: None,
            queue_end: None,
            loss: None,
            wrap_up: None,
            told: None,
            clock_step: SignedDuration::ZERO,
            sla_settled: false,
            sequence: 0,
            left: false,
            dirty: true,
        }
    }

    /// Its name in the outbox.
    pub fn hash(&self) -> AttemptHash {
        self.key.hash()
    }

    /// About how many bytes it has of what callers and tellers determine.
    pub fn bytes(&self) -> usize {
        let texts = [&self.member.name, &self.member.number, &self.call.destination, &self.call.transferred_to];
        // The page's view of live attempts has them once more.
        let texts: usize = texts.into_iter().flatten().map(|text| 2 * text.len()).sum();
        let legs: usize = self.offers.iter().map(|offer| offer.legs.len()).sum();
        let offers = self.offers.len() * size_of::<Offer>() + legs * size_of::<Leg>();
        let unclaimed = self.unclaimed_legs.len() * size_of::<UnclaimedLeg>();
        let told = self.told.as_ref().map_or(0, |told| told.bytes());
        self.call.variables.as_json().len() + texts + offers + unclaimed + told
    }

    /// Keeps only the variables that the queue has; says whether there were others.
    pub fn leave_out_variables(&mut self) -> bool {
        let Some(left) = variables::without_own(&self.call.variables, &self.settings) else { return false };
        self.call.variables = left;
        true
    }

    /// Takes what the member's channel data say now, as far as they belong to this stay: a member who is in the next
    /// queue already carries that one's variables.
    pub fn absorb(&mut self, data: ChannelData<'_>) {
        self.recognize_subscriber(data);
        self.call.created_at = self.call.created_at.or_else(|| data.created_at());
        self.call.answered_at = self.call.answered_at.or_else(|| data.answered_at());
        if let Some(mark) = data.header(h::TRANSFER_SOURCE) {
            self.call.transfer_mark = Some(mark.into_owned());
        }
        if self.source == QueueSource::Callcenter {
            // A joining that was not seen is known to the second only; the call was answered before it.
            self.joined_at = self.call.answered_at.map_or(self.joined_at, |at| at.max(self.joined_at));
            let is_of_another = |name, own: &str| data.header(name).is_some_and(|value| value != own);
            if is_of_another(h::CC_QUEUE_VARIABLE, self.key.queue.as_str())
                || is_of_another(h::CC_MEMBER_UUID_VARIABLE, self.key.member.as_str())
            {
                return;
            }
        }
        self.call.amd_result = variables::amd_result(data).or(self.call.amd_result);
        self.call.exit_key = data.header(h::CC_EXIT_KEY).map(|key| key.into_owned()).or(self.call.exit_key.take());
        self.member.id = data.header(h::CC_MEMBER_ID).and_then(|id| id.parse().ok()).or(self.member.id);
        self.call.variables = variables::collect(data, &self.settings);
    }

    /// The member entered the queue, or came back to it.
    pub fn join(&mut self, occasion: &mut Occasion<'_>, resumed: bool, synthetic: bool) {
        self.tell(occasion, EventName::Joined, None, self.joined_at, synthetic);
        if resumed || self.member.first_joined_at.is_some() {
            self.tell(occasion, EventName::Resumed, None, self.joined_at, synthetic);
        }
    }

    /// FreeSWITCH says that the member has left the queue. The first such word stands.
    pub fn end_queue(&mut self, occasion: &mut Occasion<'_>, data: ChannelData<'_>) {
        let reason = data.header(h::CC_CANCEL_REASON).map(|word| cancel_reason(&word));
        self.end_queue_for(occasion, reason, data);
    }

    /// The same, with the reason where no agent was connected.
    pub(super) fn end_queue_for(
        &mut self,
        occasion: &mut Occasion<'_>,
        reason: Option<CancelReason>,
        data: ChannelData<'_>,
    ) {
        self.infer_bridge(occasion, data);
        if self.queue_end.is_some() {
            return;
        }
        let answer_state = data.answer_state();
        self.queue_end = Some(QueueEnd {
            at: occasion.at,
            seen_at: occasion.now,
            call_goes_on: answer_state == AnswerState::Answered,
            reason,
            call_end: (answer_state == AnswerState::Hangup).then(|| LegEnd::read(occasion.at, data)),
            inferred: false,
        });
        self.loss = None;
        self.dirty = true;
    }

    /// The member's call has ended. Where it had gone on after the queue, its end is none of the attempt's.
    pub fn end_call(&mut self, occasion: &mut Occasion<'_>, data: ChannelData<'_>) {
        self.infer_bridge(occasion, data);
        let is_in_next_queue = data.header(h::CC_QUEUE_VARIABLE).is_some_and(|queue| queue != self.key.queue.as_str());
        let end = LegEnd::read(occasion.at, data);
        let left_queue = self.read_queue_end(occasion, data, end.at);
        let may_be_over = self.loss.is_some() || occasion.may_have_missed(self.joined_at);
        let was_over = self.loss.as_ref().and_then(|loss| loss.over_by).is_some_and(|over_by| over_by < end.at);
        let outlives = self.source == QueueSource::Callcenter && (was_over || (may_be_over && is_in_next_queue));
        if self.queue_end.is_none() && outlives {
            // The call has outlived the stay. How that ended was not seen; the call may remember it.
            if left_queue.is_some() {
                (self.queue_end, self.loss, self.dirty) = (left_queue, None, true);
            }
            return;
        }
        if self.call.end.is_some() || self.went_on_until(end.at) {
            return;
        }
        self.absorb(data);
        self.call.end = Some(end);
        self.call.left_queue = left_queue.map(Box::new);
        self.call.end_seen_at = Some(occasion.now);
        self.loss = None;
        self.dirty = true;
        if self.is_dialled() {
            self.end_with_call(occasion, data);
        }
    }

    /// What mod_callcenter has left on a call, which ended at that time, of an earlier end of the stay. It sets the time in
    /// whole seconds: the one in which the member joined may be of the stay before, and a member who breaks out in the one
    /// in which the call ended has hung up.
    fn read_queue_end(&self, occasion: &Occasion<'_>, data: ChannelData<'_>, call_end: Timestamp) -> Option<QueueEnd> {
        let says = |name, what: &str| data.header(name).is_some_and(|said| said == what);
        let reason = cancel_reason(&data.header(h::CC_CANCEL_REASON_VARIABLE)?);
        let at = Timestamp::from_second(data.header(h::CC_QUEUE_CANCELED_EPOCH)?.parse().ok()?).ok()?;
        let is_of_stay = says(h::CC_CAUSE_VARIABLE, "cancel")
            && says(h::CC_QUEUE_VARIABLE, self.key.queue.as_str())
            && says(h::CC_MEMBER_UUID_VARIABLE, self.key.member.as_str())
            && self.joined_at < at;
        let is_earlier = reason != CancelReason::BreakOut || at.as_second() < call_end.as_second();
        let at = at.max(self.latest_fact_at()).min(call_end);
        let (seen_at, reason) = (occasion.now, Some(reason));
        let end = QueueEnd { at, seen_at, call_goes_on: true, reason, call_end: None, inferred: true };
        (is_of_stay && is_earlier).then_some(end)
    }

    /// FreeSWITCH does not have the attempt any more, and nobody has seen how it ended; until `grace_until`, the events
    /// that tell it may still come. Where there is no grace, the process itself has gone: what is known then is all.
    pub fn lose(&mut self, Loss { at, grace_until, over_by, call_lives }: Loss) {
        let is_explained = at < grace_until && (self.queue_end.is_some() || self.call.end.is_some());
        let is_sooner = self.loss.as_ref().is_none_or(|loss| grace_until < loss.grace_until);
        if is_sooner && !is_explained {
            let at = self.loss.as_ref().map_or(at.max(self.latest_fact_at()), |loss| loss.at);
            self.loss = Some(Loss { at, grace_until, over_by, call_lives });
        }
    }

    /// What a later attempt of the same member takes over.
    pub fn for_a_resume(&self) -> Abandoned {
        Abandoned {
            first_joined_at: self.member.first_joined_at.unwrap_or(self.joined_at),
            attempt_id: self.attempt_id,
            attempts: self.member.attempt_seq,
        }
    }

    /// The latest time at which something of the attempt was seen.
    pub fn latest_fact_at(&self) -> Timestamp {
        let offers = self.offers.iter().map(|offer| offer.answered_at.unwrap_or(offer.offered_at));
        offers.chain(self.bridge.iter().flat_map(Bridge::facts_at)).fold(self.joined_at, Timestamp::max)
    }

    /// Whether post-processing is on.
    pub fn use_processing(&self, occasion: &Occasion<'_>, offer: Option<usize>) -> bool {
        let agent = offer.map(|index| &self.offers[index].agent);
        occasion.world.use_processing(self.settings.processing, &self.key.queue, agent)
    }
}

/// Why a member left without an agent, in mod_callcenter's word.
fn cancel_reason(word: &str) -> CancelReason {
    match word {
        "TIMEOUT" => CancelReason::Timeout,
        "NO_AGENT_TIMEOUT" => CancelReason::NoAgentTimeout,
        "EXIT_WITH_KEY" => CancelReason::ExitWithKey,
        _ => CancelReason::BreakOut,
    }
}
